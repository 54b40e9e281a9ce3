"""What an acquisition sees when it scores candidates."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from adatom.decide.posterior import Array, Indices, Posterior
from adatom.errors import ShapeError


@dataclass(frozen=True)
class Outlook:
    """m candidates that may be asked for, what is believed of them, and what is known already.

    Parameters
    ----------
    belief : of the candidates, k outputs; None for an acquisition that needs no model.
    weights : (k,), what one unit of each output is worth; negative where less is better.
    known : (j, k), what is believed of the true values where it was measured, or is being measured; see V. Picheny,
        T. Wagner, D. Ginsbourger, Struct. Multidiscip. Optim. 48, 607 (2013), doi:10.1007/s00158-013-0919-4.
    places, inputs : (m, 2) [nm] and (m, feature) of the candidates.
    taken_places, taken_inputs : (i, 2) and (i, feature) of all that was asked for or measured.
    numbers : (m,), which of all candidates these are.
    all_places : (n, 2), of all candidates, forbidden ones too.
    seed : of the whole search; a design that draws its order once draws it with this.
    rng : for this decision alone.
    """

    belief: Posterior | None
    weights: Array
    known: Array
    places: Array
    inputs: Array
    taken_places: Array
    taken_inputs: Array
    numbers: Indices
    all_places: Array
    seed: int
    rng: np.random.Generator

    @property
    def posterior(self) -> Posterior:
        """What is believed of the k outputs."""
        if self.belief is None:
            raise ShapeError("acquisition: expected one that says needs_model = True, since it asks for the model.")
        return self.belief

    @property
    def worth(self) -> Posterior:
        """What is believed of the weighted sum of the outputs, k = 1. Outputs err independently."""
        return weighted(self.posterior, self.weights)

    @property
    def best(self) -> float:
        """The highest weighted sum known."""
        return float((self.known @ self.weights).max())


class Acquisition(Protocol):
    """How much each candidate is worth measuring; any function of an `Outlook` is one.

    Attributes it may have: ``needs_model`` (usually True), ``is_logarithm`` of something positive (False; then costs
    and probabilities are taken off as logarithms), ``uses_joint`` covariances (False), ``is_order`` of all candidates,
    which what is measured does not change (False).
    """

    def __call__(self, outlook: Outlook, /) -> Array:
        """(m,), higher is better; -inf where a candidate is out of the question."""


def weighted(posterior: Posterior, weights: Array) -> Posterior:
    """Of the weighted sum of outputs that err independently."""
    square = weights**2

    def joint(which: Indices) -> NDArray[np.float64]:
        return np.einsum("k,kij->ij", square, posterior.covariance(which))[None]

    return Posterior(
        (posterior.mean @ weights)[:, None],
        np.sqrt(posterior.std**2 @ square)[:, None],
        np.sqrt(posterior.noise_std**2 @ square)[:, None],
        joint,
    )
