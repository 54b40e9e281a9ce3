"""Distances of neighbouring columns against those of known crystals: whether the pixel size can be right."""

from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.simulate.columns import Columns, project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import CATALOGUE
from adatom.structures.build import image_positions

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

_KINDS = 6  # of columns, the most frequent ones
_FEWEST = 5  # columns with a neighbour that tell a distance
_SHELL = 1.25  # times the nearest distance, up to which others are as near
_EVEN = 0.15  # relative scatter of nearest distances; of columns that are not neighbours it is larger
_TOLERANCE, _OF_RADII = 0.05, 0.15  # of a distance, of a crystal and by covalent radii
_MOST = 200_000  # columns that are looked at
_CELLS = 4.0  # of a known crystal, to each side


@dataclass(frozen=True)
class Bond:
    """A distance of neighbouring columns, as the beam sees it.

    Attributes
    ----------
    pair : their formulas.
    n : columns that have such a neighbour.
    measured_nm, spread_nm : median, and robust standard deviation.
    known_nm, source : in a known crystal, and in which; None and "" where none is known.
    """

    pair: tuple[str, str]
    n: int
    measured_nm: float
    spread_nm: float
    known_nm: float | None
    source: str

    @property
    def factor(self) -> float | None:
        """On the pixel size, that would make it fit."""
        return None if self.known_nm is None else self.known_nm / self.measured_nm

    @property
    def fits(self) -> bool:
        """Whether it is what it is known to be, within 5 % (by covalent radii: 15 %)."""
        tolerance = _OF_RADII if self.source == _RADII else _TOLERANCE
        return self.factor is None or abs(self.factor - 1) <= tolerance

    def facts(self) -> dict[str, Any]:
        """For a summary."""
        return {**asdict(self), "pair": list(self.pair), "factor": self.factor}


_RADII = "the sum of covalent radii"


def measure_bonds(structure: "Atoms", crystal: Columns | None = None, name: str = "the template") -> list[Bond]:
    """Distances of neighbouring columns of a structure made of an atom table, the shortest first.

    Parameters
    ----------
    crystal, name : that the structure is of; else those of the catalogue are asked, and where none has such columns,
        covalent radii.
    """
    place, formula = _columns(structure)
    kinds, counts = np.unique(formula, return_counts=True)
    kinds = kinds[np.argsort(-counts, kind="stable")][:_KINDS]
    flat = len({round(float(z), 3) for z in structure.positions[:2000, 2]}) == 1
    bonds = []
    for a, b in combinations_with_replacement(sorted(kinds), 2):
        measured = _distance(place[formula == a], place[formula == b] if a != b else None)
        if measured is None:
            continue
        n, median, spread = measured
        known = _known(a, b, median, crystal, name, flat)
        bonds.append(Bond((str(a), str(b)), n, median, spread, *known))
    return sorted(bonds, key=lambda bond: bond.measured_nm)


def pixel_size_warning(bonds: list[Bond]) -> str | None:
    """What the shortest known distance says of the pixel size, if it says that it is wrong."""
    known = [bond for bond in bonds if bond.known_nm is not None]
    if not known or known[0].fits:
        return None
    bond = known[0]
    a, b = bond.pair
    return (
        f"{a} and {b} are {bond.measured_nm:.4f} nm apart in the image, and {bond.known_nm:.4f} nm by {bond.source}: "
        f"the pixel size seems wrong, and would fit if it were {bond.factor:.3f} times as large."
    )


def _columns(structure: "Atoms") -> tuple[Array, NDArray[np.str_]]:
    """Place (n, 2) [nm] and formula (n,) of each column."""
    _, first = np.unique(structure.arrays["row"], return_index=True)
    first = first[:_MOST]
    columns = structure.info["columns"]
    return image_positions(structure)[first], np.array([columns[name] for name in structure.arrays["found_as"][first]])


def _distance(mine: Array, others: Array | None) -> tuple[int, float, float] | None:
    """Number of columns that tell, median and scatter of the distance to the nearest; None if it is no such thing."""
    theirs = mine if others is None else others
    if len(mine) < _FEWEST or len(theirs) < _FEWEST:
        return None
    tree = cKDTree(theirs)
    nearest = tree.query(mine, k=2)[0][:, 1] if others is None else tree.query(mine)[0]
    typical = float(np.median(nearest))
    if not typical > 0 or 1.4826 * float(np.median(np.abs(nearest - typical))) > _EVEN * typical:
        return None
    # the nearest of several that are alike is nearer than they are: all of them tell
    distance, _ = tree.query(mine, k=min(8, len(theirs)))
    near = distance[(distance > 0) & (distance < _SHELL * typical)]
    median = float(np.median(near))
    return len(mine), median, 1.4826 * float(np.median(np.abs(near - median)))


def _known(a: str, b: str, measured: float, crystal: Columns | None, name: str, flat: bool) -> tuple[float | None, str]:
    """The distance that a crystal has, of several the one that fits best."""
    if crystal is not None:
        own = _distances(crystal)
        distances = {name: own[(a, b)]} if (a, b) in own else {}
    else:
        distances = {known: d[(a, b)] for known, d in _catalogue().items() if (a, b) in d}
    if distances:
        best = min(distances, key=lambda known: abs(np.log(distances[known] / measured)))
        return distances[best], best
    return (_by_radii(a, b), _RADII) if crystal is None and flat else (None, "")


def _by_radii(a: str, b: str) -> float | None:
    from ase.data import atomic_numbers, covalent_radii

    if a not in atomic_numbers or b not in atomic_numbers:
        return None
    return 0.1 * float(covalent_radii[atomic_numbers[a]] + covalent_radii[atomic_numbers[b]])


@cache
def _catalogue() -> dict[str, dict[tuple[str, str], float]]:
    return {name: _distances(project(known.build(), known.zone_axis)) for name, known in CATALOGUE.items()}


def _distances(crystal: Columns) -> dict[tuple[str, str], float]:
    """Distances of neighbouring columns of each pair of names [nm], measured as those of an image are."""
    reach = _CELLS * float(np.linalg.norm(crystal.vectors, axis=1).max())
    places, number = fill_lattice(crystal.vectors, crystal.basis, reach)
    names = np.array(crystal.names)[number]
    found: dict[tuple[str, str], float] = {}
    for a, b in combinations_with_replacement(sorted(set(crystal.names)), 2):
        measured = _distance(places[names == a], places[names == b] if a != b else None)
        if measured is not None:
            found[(a, b)] = measured[1]
    return found
