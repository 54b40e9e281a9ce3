"""Defects as a table: what is missing, what stands where something else should, what lies beside the lattice."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom.analyse.dislocations import find_dislocations
from adatom.analyse.lattice_sites import LatticeSites
from adatom.analyse.motifs import Motif, find_motif
from adatom.analyse.neighbours import Neighbours
from adatom.analyse.rings import Rings
from adatom.analyse.site_brightness import View
from adatom.analyse.vacancies import Box, find_vacancies

Array = NDArray[np.float64]

# A sublattice has a species of its own where at least this share of its atoms is of it.
_OWN = 0.5
_LIKELIER_THAN_NOT = 0.5
# From here on a find says nothing of how many others were overlooked.
_SURE = 0.9
# Larger rings are holes, which vacancies tell better; triangles are made by an atom between others, told as such.
_SMALLEST_RING, _LARGEST_RING = 4, 9
COLUMNS = ("kind", "name", "x", "y", "x_std", "y_std", "probability", "atoms", "note")


@dataclass
class Defects:
    """Rows of defects, gathered kind by kind.

    Attributes
    ----------
    rows : with the columns ``kind`` (vacancy, overlooked, substitution, off_lattice, odd_flux, ring, dislocation,
        motif), ``name``, ``x``, ``y``, ``x_std``, ``y_std`` in the unit of the positions, ``probability`` (NaN where
        nothing says it), ``atoms`` (numbers of the rows of the atom table, apart by blanks), ``note``.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        kind: str,
        name: str,
        place: Sequence[float],
        std: Sequence[float] = (np.nan, np.nan),
        probability: float = np.nan,
        atoms: Iterable[int] = (),
        note: str = "",
    ) -> None:
        """Add one."""
        numbers = " ".join(str(int(atom)) for atom in atoms)
        values = (kind, name, *map(float, (*place, *std, probability)), numbers, note)
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))

    def table(self) -> pd.DataFrame:
        """The rows as a table, the likeliest of each kind first."""
        table = pd.DataFrame(self.rows, columns=list(COLUMNS))
        return table.sort_values(
            ["kind", "name", "probability"], ascending=[True, True, False], kind="stable"
        ).reset_index(drop=True)


def defect_labels(defects: pd.DataFrame) -> pd.Series:
    """What each defect of a table is called where its kind does not stand beside it: the kind too, where the name says
    nothing of it.
    """
    name, kind = defects["name"].astype(str), defects["kind"].astype(str)
    is_plain = (kind.groupby(name).transform("nunique") == 1) & (kind != "overlooked")
    return name.where(is_plain, name + " (" + kind + ")")


def species_of_sublattices(sites: LatticeSites, species: NDArray[Any]) -> list[str]:
    """The species that most atoms of each sublattice are of; "" where none is most."""
    names = []
    for k in range(len(sites.origin)):
        kinds, counts = np.unique(species[sites.sublattice == k], return_counts=True)
        names.append(str(kinds[counts.argmax()]) if counts.max() > _OWN * counts.sum() else "")
    return names


def add_vacancies(
    defects: Defects,
    atoms: pd.DataFrame,
    sites: LatticeSites,
    others: Array,
    box: Box,
    own: Sequence[str],
    view: View | None = None,
) -> None:
    """Sites without an atom; `others` (m, 2) are the places of atoms of other grains, `view` is the image, if at hand.

    The probability that one is really empty: where probabilities are calibrated, about as many atoms are overlooked
    just below the limit as doubtful finds just above it are none. The doubts of the finds less likely than 0.9 add up
    to that number, with half an atom for what nobody knows, and it is shared out among the empty sites. Where the image
    is at hand, it says so instead (`adatom.analyse.site_brightness`); where it shows an atom, that one was overlooked.
    """
    found = find_vacancies(atoms[["x", "y"]].to_numpy(), sites, box, others)
    stated = atoms["probability"].to_numpy(dtype=float)
    doubts = float((1 - stated)[stated < _SURE].sum()) if np.isfinite(stated).all() else np.nan
    really = 1 - min(1.0, (doubts + 0.5) / (len(found.positions) + 1)) if np.isfinite(doubts) else np.nan
    probability = np.full(len(found.positions), really)
    if view is not None:
        positions = atoms[["x", "y"]].to_numpy()
        for k in range(len(own)):
            here = found.sublattice == k
            by_eye = view.probability_of_emptiness(found.positions[here], positions[sites.sublattice == k])
            probability[here] = np.where(np.isfinite(by_eye), by_eye, probability[here])
    rows = zip(found.positions, found.positions_std, found.sublattice, probability, strict=True)
    for place, std, k, empty in rows:
        if empty < _LIKELIER_THAN_NOT and view is not None:
            defects.add("overlooked", own[k] or "atom", place, std, 1 - empty, note="not found, but the image shows it")
        else:
            defects.add("vacancy", f"V_{own[k]}" if own[k] else "V", place, std, empty)


def add_substitutions(defects: Defects, atoms: pd.DataFrame, sites: LatticeSites, own: Sequence[str]) -> None:
    """Atoms of another species than their sublattice's; a name such as V_S or Mo_W says itself what it is."""
    species = atoms["species"].to_numpy().astype(str)
    expected = np.array([*own, ""], dtype=object)[sites.sublattice].astype(str)
    sure = atoms["probability"].to_numpy() * atoms.get("species_probability", pd.Series(1.0, atoms.index)).to_numpy()
    for atom in _numbers((expected != "") & (species != expected)):
        name = species[atom] if "_" in species[atom] else f"{species[atom]}_{expected[atom]}"
        note = f"on a site of {expected[atom]}"
        defects.add("substitution", name, *_of(atoms, atom), sure[atom], [atoms.index[atom]], note)


def add_off_lattice(defects: Defects, atoms: pd.DataFrame, sites: LatticeSites, inside: NDArray[np.bool_]) -> None:
    """Atoms on no site: interstitials, adatoms, or what is no atom of the crystal. `inside` (n,) leaves borders out."""
    for atom in _numbers((sites.sublattice < 0) & inside):
        name = f"{atoms['species'].iloc[atom]}_i"
        defects.add("off_lattice", name, *_of(atoms, atom), atoms["probability"].iloc[atom], [atoms.index[atom]])


def add_odd_fluxes(defects: Defects, atoms: pd.DataFrame, inside: NDArray[np.bool_]) -> None:
    """Atoms brighter or dimmer than their sublattice, as `adatom.find` told; `inside` (n,) leaves borders out."""
    if "odd_probability" not in atoms or "sublattice" not in atoms:
        return
    odd = (atoms["odd_probability"] > _LIKELIER_THAN_NOT).to_numpy() & inside
    usual = atoms.groupby("sublattice")["flux"].transform("median").to_numpy()
    flux, names = atoms["flux"].to_numpy(), atoms["sublattice"].to_numpy()
    for atom in _numbers(odd):
        name = f"{'bright' if flux[atom] > usual[atom] else 'dim'}_{names[atom]}"
        note = f"flux {flux[atom] / usual[atom]:.2f} of the usual one"
        probability = atoms["odd_probability"].iloc[atom] * atoms["probability"].iloc[atom]
        defects.add("odd_flux", name, *_of(atoms, atom), probability, [atoms.index[atom]], note)


def add_rings(defects: Defects, atoms: pd.DataFrame, rings: Rings) -> None:
    """Small rings of another size than most."""
    if not len(rings.size):
        return
    counts = rings.counts()
    usual = max(counts, key=lambda size: counts[size])
    for ring in np.flatnonzero((rings.size != usual) & (rings.size >= _SMALLEST_RING) & (rings.size <= _LARGEST_RING)):
        members = rings.of(int(ring))
        probability = float(np.prod(atoms["probability"].to_numpy()[members]))
        name = f"ring_{rings.size[ring]}"
        defects.add("ring", name, rings.centre[ring], probability=probability, atoms=atoms.index[members])


def add_dislocations(defects: Defects, positions: Array, sites: LatticeSites, units: str) -> None:
    """Dislocations of the sublattice with the most atoms."""
    found = find_dislocations(positions[sites.sublattice == 0], sites.vectors)
    for place, multiple, vector in zip(found.positions, found.burgers, found.vectors, strict=True):
        note = f"Burgers vector {multiple[0]} a + {multiple[1]} b = ({vector[0]:.4g}, {vector[1]:.4g}) {units}"
        defects.add("dislocation", "dislocation", place, note=note)


def add_motifs(defects: Defects, atoms: pd.DataFrame, neighbours: Neighbours, motifs: Iterable[Motif]) -> None:
    """Places of motifs that a user drew, at their first atom."""
    probability = atoms["probability"].to_numpy()
    for motif in motifs:
        for members in find_motif(motif, neighbours, list(atoms["species"])):
            sure = float(np.prod(probability[members]))
            defects.add("motif", motif.name, *_of(atoms, int(members[0])), sure, atoms.index[members])


def _numbers(chosen: NDArray[np.bool_]) -> list[int]:
    """Where a mask is true."""
    numbers: list[int] = np.flatnonzero(chosen).tolist()
    return numbers


def _of(atoms: pd.DataFrame, atom: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Place of an atom and its standard deviation."""
    x, y, x_std, y_std = (float(atoms[name].iloc[atom]) for name in ("x", "y", "x_std", "y_std"))
    return (x, y), (x_std, y_std)
