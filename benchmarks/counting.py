"""Found atoms against known atoms, as counts that can be added up over images."""

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.locate import match_positions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Counts:
    """Counts over images.

    Attributes
    ----------
    hits, n_found, n_known : right finds, all finds, all known atoms.
    squares, squares_inside : sum of the squared distances of the right finds, and of those away from the border.
    hits_inside : right finds away from the border.
    wrong_at_border : wrong finds near the border; most are atoms whose centre lies just outside.
    right_species : right finds of the right species.
    """

    hits: int = 0
    n_found: int = 0
    n_known: int = 0
    squares: float = 0.0
    squares_inside: float = 0.0
    hits_inside: int = 0
    wrong_at_border: int = 0
    right_species: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def __str__(self) -> str:
        return (
            f"{self.hits} right of {self.n_found} found, {self.n_known} known: precision {self.precision:.4f}, recall "
            f"{self.recall:.4f}, F1 {self.f1:.4f}, rms {self.rms:.3f} ({self.rms_inside:.3f} away from the border); "
            f"{self.wrong_at_border} of {self.n_found - self.hits} wrong finds are at the border"
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
    def rms_inside(self) -> float:
        """The same of those away from the border."""
        return float(np.sqrt(self.squares_inside / max(1, self.hits_inside)))

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
    at_border: NDArray[np.bool_] | None = None,
    unjudged: NDArray[np.bool_] | None = None,
) -> Counts:
    """Match one to one, the closest first.

    Parameters
    ----------
    at_border : (n,) which finds are near the border.
    unjudged : (n,) which finds count only where they are right.
    """
    match = match_positions(found, known, tolerance=tolerance)
    nothing = np.zeros(len(found), dtype=bool)
    at_border = nothing if at_border is None else at_border
    wrong = ~nothing
    wrong[match.found] = False
    left_out = nothing if unjudged is None else wrong & unjudged
    right = 0
    if found_species is not None and known_species is not None:
        right = int((found_species[match.found] == known_species[match.known]).sum())
    squares, inside = match.distance**2, ~at_border[match.found]
    return Counts(
        hits=len(match.found),
        n_found=match.n_found - int(left_out.sum()),
        n_known=match.n_known,
        squares=float(squares.sum()),
        squares_inside=float(squares[inside].sum()),
        hits_inside=int(inside.sum()),
        wrong_at_border=int((wrong & ~left_out & at_border).sum()),
        right_species=right,
    )
