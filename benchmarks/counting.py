"""Found atoms against known atoms, as counts that can be added up over images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.locate import match_positions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Right finds, all finds, all known atoms, the sum of squared distances, and finds of the right species."""

    hits: int = 0
    n_found: int = 0
    n_known: int = 0
    squares: float = 0.0
    right_species: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.hits + other.hits,
            self.n_found + other.n_found,
            self.n_known + other.n_known,
            self.squares + other.squares,
            self.right_species + other.right_species,
        )

    @property
    def precision(self) -> float:
        """Share of the finds that are right."""
        return self.hits / max(1, self.n_found)

    @property
    def recall(self) -> float:
        """Share of the known atoms that were found."""
        return self.hits / max(1, self.n_known)

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        return 2 * self.hits / max(1, self.n_found + self.n_known)

    @property
    def rms(self) -> float:
        """Root mean square distance of the right finds."""
        return float(np.sqrt(self.squares / max(1, self.hits)))

    @property
    def class_accuracy(self) -> float:
        """Share of the right finds that have the right species."""
        return self.right_species / max(1, self.hits)


def count(
    found: Array,
    known: Array,
    *,
    tolerance: float,
    found_species: NDArray[np.int64] | None = None,
    known_species: NDArray[np.int64] | None = None,
    unjudged: NDArray[np.bool_] | None = None,
) -> Counts:
    """Match one to one, the closest first; finds (n,) that are `unjudged` count only where they are right."""
    match = match_positions(found, known, tolerance=tolerance)
    left_out = 0
    if unjudged is not None:
        wrong = np.ones(len(found), dtype=bool)
        wrong[match.found] = False
        left_out = int((wrong & unjudged).sum())
    right = 0
    if found_species is not None and known_species is not None:
        right = int((found_species[match.found] == known_species[match.known]).sum())
    return Counts(len(match.found), match.n_found - left_out, match.n_known, float((match.distance**2).sum()), right)
