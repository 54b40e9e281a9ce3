"""How much a candidate is worth measuring: one idea a file, and the table of them."""

from dataclasses import asdict, is_dataclass
from importlib import import_module
from typing import Any

from adatom.decide.outlook import Acquisition
from adatom.errors import ArgumentError

# name -> (module, class)
ACQUISITIONS = {
    "expected_improvement": ("expected_improvement", "ExpectedImprovement"),
    "probability_of_improvement": ("probability_of_improvement", "ProbabilityOfImprovement"),
    "upper_confidence_bound": ("upper_confidence_bound", "UpperConfidenceBound"),
    "thompson": ("thompson", "Thompson"),
    "maximum_uncertainty": ("maximum_uncertainty", "MaximumUncertainty"),
    "knowledge_gradient": ("knowledge_gradient", "KnowledgeGradient"),
    "target_value": ("target_value", "TargetValue"),
    "expected_hypervolume_improvement": ("expected_hypervolume_improvement", "ExpectedHypervolumeImprovement"),
    "novelty": ("novelty", "Novelty"),
    "random": ("at_random", "AtRandom"),
    "grid": ("grid", "Grid"),
    "latin_hypercube": ("latin_hypercube", "LatinHypercube"),
    "coarse_to_fine": ("coarse_to_fine", "CoarseToFine"),
    "maximin": ("maximin", "Maximin"),
}


def acquisition_of(name: str, settings: dict[str, Any] | None = None) -> Acquisition:
    """The acquisition of a name, with its settings.

    Raises
    ------
    ArgumentError : if there is none, or it has no such setting.
    """
    if name not in ACQUISITIONS:
        raise ArgumentError(f"acquisition: expected one of {', '.join(ACQUISITIONS)}, got {name!r}.")
    module, made = ACQUISITIONS[name]
    try:
        acquisition: Acquisition = getattr(import_module(f"{__name__}.{module}"), made)(**settings or {})
    except TypeError as error:
        raise ArgumentError(f"acquisition: expected settings of {name}, got {settings} ({error}).") from error
    return acquisition


def described(acquisition: Acquisition) -> dict[str, Any] | None:
    """Name and settings by which `acquisition_of` makes the same one; None of somebody else's."""
    for name, (module, made) in ACQUISITIONS.items():
        kind = type(acquisition)
        if (kind.__module__, kind.__name__) == (f"{__name__}.{module}", made):
            settings: dict[str, Any] = asdict(acquisition) if is_dataclass(acquisition) else {}
            return {"name": name, "settings": settings}
    return None
