"""What an acquisition is: a number for each candidate, the higher the sooner it is measured. One a file, named here."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from adatom.decide.posterior import Array, Indices, Posterior
from adatom.errors import ArgumentError

Mask = NDArray[np.bool_]

# name -> (module, class); others come through the entry points ``adatom.acquisitions``
ACQUISITIONS = {
    "coarse_to_fine": ("adatom.decide.coarse_to_fine", "CoarseToFine"),
    "expected_improvement": ("adatom.decide.expected_improvement", "ExpectedImprovement"),
    "grid": ("adatom.decide.grid", "Grid"),
    "hypervolume": ("adatom.decide.hypervolume", "HypervolumeImprovement"),
    "knowledge_gradient": ("adatom.decide.knowledge_gradient", "KnowledgeGradient"),
    "latin_hypercube": ("adatom.decide.latin_hypercube", "LatinHypercube"),
    "novelty": ("adatom.decide.novelty", "Novelty"),
    "probability_of_improvement": ("adatom.decide.probability_of_improvement", "ProbabilityOfImprovement"),
    "random": ("adatom.decide.by_chance", "ByChance"),
    "target_value": ("adatom.decide.target_value", "TargetValue"),
    "thompson": ("adatom.decide.thompson", "Thompson"),
    "uncertainty": ("adatom.decide.uncertainty", "Uncertainty"),
    "upper_confidence_bound": ("adatom.decide.upper_confidence_bound", "UpperConfidenceBound"),
}


@dataclass(frozen=True)
class Situation:
    """All that an acquisition may look at.

    Attributes
    ----------
    posterior : what is believed of all candidates, larger being better; None where an acquisition needs no model.
    places : (n, 2) of the candidates [nm].
    inputs : (n, ...) what the model sees of them.
    measured : (m,) candidates measured so far, in that order, those of this batch that are still to come included.
    values : (m, k) what was measured, larger being better; what is believed of those still to come.
    free : (n,) which candidates may be chosen.
    rng : drawn from as needed; the same situation always has the same.
    """

    posterior: Posterior | None
    places: Array
    inputs: NDArray[Any]
    measured: Indices
    values: Array
    free: Mask
    rng: np.random.Generator

    @property
    def believed(self) -> Posterior:
        """The posterior, of those that need one."""
        assert self.posterior is not None
        return self.posterior


class Acquisition(Protocol):
    """Scores candidates.

    One whose score is a gain, or the logarithm of a gain, says so by an attribute `gain`, ``plain`` or ``logarithm``:
    only such a score can be weighed against the time that it costs.
    """

    needs_model: bool

    def __call__(self, situation: Situation) -> Array:
        """A score (n,) of each candidate; what it gives for those that are not free does not matter."""


def make_acquisition(acquisition: str | Acquisition | Callable[..., Any], settings: dict[str, Any]) -> Acquisition:
    """An acquisition by name with its settings, or one of your own as it is.

    Raises
    ------
    ArgumentError : if the name or a setting is unknown.
    """
    if not isinstance(acquisition, str):
        if not callable(acquisition):
            raise ArgumentError(f"acquisition: expected a name or a callable, got {acquisition!r}.")
        own: Any = acquisition if hasattr(acquisition, "needs_model") else _Own(acquisition)
        whole: Acquisition = own
        return whole
    if acquisition in ACQUISITIONS:
        module, name = ACQUISITIONS[acquisition]
        kind = getattr(import_module(module), name)
    else:
        found = {each.name: each for each in entry_points(group="adatom.acquisitions")}
        if acquisition not in found:
            known = ", ".join(sorted({*ACQUISITIONS, *found}))
            raise ArgumentError(f"acquisition: expected one of {known}, got {acquisition!r}.")
        kind = found[acquisition].load()
    try:
        made: Acquisition = kind(**settings)
    except TypeError as error:
        raise ArgumentError(f"settings: expected those of {acquisition}, got {settings} ({error}).") from error
    return made


@dataclass(frozen=True)
class _Own:
    """A function of the situation."""

    function: Callable[[Situation], Array]
    needs_model: bool = True

    def __call__(self, situation: Situation) -> Array:
        return np.asarray(self.function(situation), dtype=float)


def first_output(situation: Situation) -> tuple[Array, Array, float]:
    """Mean and deviation (n,) of the first number, and the best that it is believed to be where it was measured.

    Noise makes some measured values better than they are: what the model makes of them counts.
    """
    told = situation.believed
    mean, std = told.mean[:, 0], np.maximum(told.std[:, 0], 1e-12)
    return mean, std, float(mean[situation.measured].max()) if len(situation.measured) else float(mean.max())
