"""Sets of species that hold the right one as often as was asked for, whatever the probabilities are worth.

On atoms held back from the training, the score of an atom is one minus the probability of its true species. The set of
an atom holds each species whose score is not above the quantile of these scores that belongs to the coverage. On atoms
like those, the right species is in the set in that share of cases, over all atoms together; on others it need not be.
A set can be empty: the atom is less like any species than that share of the atoms are like theirs. Sources: Vovk,
Gammerman & Shafer, Algorithmic Learning in a Random World, 2005, 10.1007/b106715; Sadinle, Lei & Wasserman, JASA 114,
223 (2019), 10.1080/01621459.2017.1395341.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError

Array = NDArray[np.float64]

_FEWEST = 50  # atoms that a quantile needs
_KEPT = 401  # quantiles of their scores


@dataclass(frozen=True)
class Conformal:
    """Scores of atoms held back.

    Attributes
    ----------
    n : of the atoms.
    scores : evenly spaced quantiles of their scores, from the smallest to the largest.
    """

    n: int
    scores: tuple[float, ...]

    @classmethod
    def of(cls, of_species: Array, true_species: NDArray[np.int64]) -> Self | None:
        """From probabilities (n, species) and the number of the right one (n,); None where they tell nothing: of one
        species, or of few atoms.
        """
        n = len(true_species)
        if n < _FEWEST or of_species.shape[1] < 2:
            return None
        scores = 1 - of_species[np.arange(n), true_species]
        return cls(n, tuple(np.quantile(scores, np.linspace(0, 1, min(n, _KEPT)), method="higher").tolist()))

    def limit(self, coverage: float) -> float:
        """The score up to which a species is in the set."""
        if not 0 < coverage < 1:
            raise ArgumentError(f"coverage: expected a number between 0 and 1, got {coverage}.")
        level = math.ceil((self.n + 1) * coverage) / self.n  # so much more than the coverage as n is small
        return math.inf if level > 1 else self.scores[math.ceil(level * (len(self.scores) - 1) - 1e-9)]

    def holds(self, of_species: Array, coverage: float) -> NDArray[np.bool_]:
        """Which species (n, species) are in the set of each atom."""
        held: NDArray[np.bool_] = 1 - of_species <= self.limit(coverage)
        return held

    def coverage(self, of_species: Array, true_species: NDArray[np.int64], coverage: float) -> float:
        """Share of atoms whose set for a coverage holds the right species."""
        held = self.holds(of_species, coverage)
        return float(held[np.arange(len(held)), true_species].mean()) if len(held) else float("nan")

    def as_dict(self) -> dict[str, Any]:
        return {"n": self.n, "scores": list(self.scores)}

    @classmethod
    def from_dict(cls, facts: dict[str, Any] | None) -> Self | None:
        return None if facts is None else cls(facts["n"], tuple(facts["scores"]))


def species_sets(known: Conformal | None, of_species: Array | None, names: list[str], coverage: float) -> NDArray[Any]:
    """The sets as text (n,), such as ``S2|V_S``, the likeliest species first.

    Raises
    ------
    ArgumentError : if the model never learned what it takes.
    """
    if known is None or of_species is None:
        several = "this one was trained before they were. Train it anew" if len(names) > 1 else "this one knows one"
        raise ArgumentError(f"coverage: expected a model that states sets of species; {several}.")
    held = known.holds(of_species, coverage)
    order = np.argsort(-of_species, axis=1, kind="stable")
    return np.array(
        ["|".join(names[k] for k in row if mine[k]) for row, mine in zip(order, held, strict=True)], dtype=object
    )
