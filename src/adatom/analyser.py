"""From an atom table to findings, as one page: neighbours, lattice, strain, rings, defects, and how they lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse.analysis import Analysis
from adatom.analyse.bond_order import bond_order, local_symmetry
from adatom.analyse.defects import (
    Defects,
    add_dislocations,
    add_motifs,
    add_odd_fluxes,
    add_off_lattice,
    add_rings,
    add_substitutions,
    add_vacancies,
    defect_labels,
    species_of_sublattices,
)
from adatom.analyse.grains import find_grains
from adatom.analyse.lattice import Lattice, find_species_lattice
from adatom.analyse.lattice_sites import LatticeSites, find_sites
from adatom.analyse.motifs import Motif
from adatom.analyse.neighbours import Neighbours, bond_cutoff, find_neighbours
from adatom.analyse.polarisation import off_centre
from adatom.analyse.rings import Rings, find_rings
from adatom.analyse.site_brightness import View
from adatom.analyse.spatial_statistics import (
    Box,
    count_interval,
    pair_distribution,
    ripley_l,
    share_interval,
)
from adatom.analyse.strain import Strain, local_strain
from adatom.data import check_atoms, spacing
from adatom.data.rounding import rounded
from adatom.errors import ArgumentError

Array = NDArray[np.float64]

# Fewer atoms make no neighbourhoods.
_FEWEST = 3
# Fewer defects of a name say nothing of how they lie.
_FEWEST_SCATTERED = 10
_STRAIN = ("exx", "eyy", "exy", "rotation")


def analyse_atoms(
    atoms: pd.DataFrame,
    *,
    image: xr.DataArray | None = None,
    cutoff: float | None = None,
    lattice_constant: float | None = None,
    off_centre_of: tuple[str, str] | None = None,
    motifs: Sequence[Motif] = (),
    seed: int = 0,
) -> Analysis:
    """Analyse the atoms of one image.

    Parameters
    ----------
    atoms : an atom table of one frame, see `adatom.data.atoms`; lengths below are in its unit.
    image : (y, x) that they were found in, where it is at hand: each empty site is looked at in it.
    cutoff : longest bond; by default where pairs are rarest between the first and the second shell.
    lattice_constant : edge of the hexagonal or square cell without strain; by default strain is against the mean.
    off_centre_of : species of inner atoms and of the cages around them, ``("B", "A")`` in a perovskite along [001].
    motifs : small graphs of atoms to look for.
    seed : of the points at random that densities are compared with.

    Returns
    -------
    To the atoms these columns are added: ``coordination``; ``bond_order`` (1 for a perfect neighbourhood) and
    ``symmetry`` (2 to 6); ``grain`` (-1 for none) and ``grain_boundary``; ``site_sublattice`` (-1 for none),
    ``displacement_x`` and ``_y`` from the site of the fitted lattice; ``exx``, ``eyy``, ``exy`` and ``rotation``
    [radians], each with ``_std``; where asked for, ``off_centre_x`` and ``_y`` of inner atoms from the middle of their
    four cage atoms, with ``_std``.

    Raises
    ------
    ShapeError : if it is no atom table.
    ArgumentError : if there are fewer than three atoms, or they are of several frames, or of no such species.
    UnitError : if the atoms are in nm, and the image has no pixel size.
    """
    check_atoms(atoms)
    if len(atoms) < _FEWEST:
        raise ArgumentError(f"atoms: expected at least {_FEWEST}, got {len(atoms)}.")
    if len(set(atoms["frame"])) > 1:
        raise ArgumentError("atoms: expected those of one frame, got several. Choose one.")
    table = atoms.copy()
    table.attrs = {**atoms.attrs, "history": [*atoms.attrs.get("history", []), "neighbourhoods analysed"]}
    positions = table[["x", "y"]].to_numpy()
    std = table[["x_std", "y_std"]].to_numpy()
    box = image_box(table)
    neighbours = find_neighbours(positions, bond_cutoff(positions) if cutoff is None else cutoff)
    order = bond_order(neighbours)
    grains = find_grains(neighbours, order)
    rings = find_rings(positions, neighbours)
    table["coordination"] = neighbours.coordination
    table["bond_order"] = order.order
    table["symmetry"] = local_symmetry(neighbours)
    table["grain"], table["grain_boundary"] = grains.grain, grains.is_boundary

    n_grains = len(grains.orientation)
    # a lone grain is the whole crystal, with what lies between its atoms
    parts = [np.ones(len(table), dtype=bool)] if n_grains < 2 else [grains.grain == k for k in range(n_grains)]
    defects, lattices = Defects(), []
    view = None if image is None else View.of(image, str(table.attrs["units"]), spacing(table))
    columns = {name: np.full(len(table), np.nan) for name in ("displacement_x", "displacement_y")}
    for name in _STRAIN:
        columns |= {name: np.full(len(table), np.nan), f"{name}_std": np.full(len(table), np.nan)}
    site_sublattice = np.full(len(table), -1)
    inside = _inside(positions, box, float(np.median(neighbours.length)) if len(neighbours.length) else 0.0)
    for number, part in enumerate(parts):
        sites = find_sites(positions[part], _vectors(table[part]))
        if sites is None:
            continue
        mine = table[part]
        own = species_of_sublattices(sites, mine["species"].to_numpy().astype(str))
        strain = local_strain(sites, std[part], reference=_reference(sites, lattice_constant))
        columns["displacement_x"][part], columns["displacement_y"][part] = (positions[part] - sites.sites).T
        for name in columns.keys() - {"displacement_x", "displacement_y"}:
            columns[name][part] = getattr(strain, name)
        site_sublattice[part] = sites.sublattice
        add_vacancies(defects, mine, sites, positions[~part], box, own, view)
        add_substitutions(defects, mine, sites, own)
        add_off_lattice(defects, mine, sites, inside[part])
        add_dislocations(defects, positions[part], sites, str(table.attrs["units"]))
        lattices.append(_lattice_facts(sites, own, strain, number, int(part.sum())))
    table["site_sublattice"] = site_sublattice
    for name, values in columns.items():
        table[name] = values
    if off_centre_of is not None:
        _add_off_centre(table, *off_centre_of)
    add_odd_fluxes(defects, table, inside)
    if order.fold == 6:
        add_rings(defects, table, rings)
    add_motifs(defects, table, neighbours, motifs)
    found = defects.table()
    scattered = {
        str(name): ripley_l(each[["x", "y"]].to_numpy(), box, seed=seed)
        for name, each in found.groupby("name")
        if len(each) >= _FEWEST_SCATTERED
    }
    result = Analysis(
        atoms=table,
        bonds=_bonds_table(table, neighbours, std),
        rings=_rings_table(table, rings),
        defects=found,
        summary={},
        box=box,
        pairs=pair_distribution(positions, box, n_random=19, seed=seed, longest=_pairs_reach(neighbours, box)),
        scattered=scattered,
    )
    result.summary = _summary(result, neighbours, rings, lattices, inside, n_grains)
    return result


def _add_off_centre(atoms: pd.DataFrame, inner: str, cage: str) -> None:
    """Columns with the displacement of inner atoms from the middle of their cages, NaN elsewhere."""
    species = atoms["species"].to_numpy().astype(str)
    for name in (inner, cage):
        if name not in species:
            raise ArgumentError(
                f"off_centre_of: expected species out of {', '.join(sorted(set(species)))}, got {name}."
            )
    found = off_centre(
        atoms[["x", "y"]].to_numpy(),
        species == inner,
        species == cage,
        positions_std=atoms[["x_std", "y_std"]].to_numpy(),
    )
    for axis, name in enumerate(("off_centre_x", "off_centre_y")):
        for column, values in ((name, found.vector), (f"{name}_std", found.vector_std)):
            whole = np.full(len(atoms), np.nan)
            whole[found.atom] = values[:, axis]
            atoms[column] = whole


def _vectors(atoms: pd.DataFrame) -> Array | None:
    """Vectors of the lattice of the most frequent species, where there are several: all together may stand on a finer
    one, as a perovskite's columns do.
    """
    species = atoms["species"].to_numpy().astype(str)
    if len(set(species)) < 2:
        return None
    lattice = find_species_lattice(atoms["x"].to_numpy(), atoms["y"].to_numpy(), species)
    return None if lattice is None else lattice.vectors


def image_box(atoms: pd.DataFrame) -> Box:
    """Borders of the image in the unit of the positions; beyond them where atoms lie outside."""
    rows, columns = atoms.attrs.get("image_shape") or (0, 0)
    step_y, step_x = (1.0, 1.0) if atoms.attrs["units"] == "px" else atoms.attrs.get("pixel_size") or (0.0, 0.0)
    x, y = atoms["x"], atoms["y"]
    right, bottom = max((columns - 0.5) * step_x, float(x.max())), max((rows - 0.5) * step_y, float(y.max()))
    return min(-0.5 * step_x, float(x.min())), min(-0.5 * step_y, float(y.min())), right, bottom


def _inside(positions: Array, box: Box, margin: float) -> NDArray[np.bool_]:
    left, top, right, bottom = box
    x, y = positions.T
    return (x > left + margin) & (x < right - margin) & (y > top + margin) & (y < bottom - margin)


def _reference(sites: LatticeSites, lattice_constant: float | None) -> Array | None:
    """The regular cell with this edge, turned as the sites are."""
    if lattice_constant is None:
        return None
    if not lattice_constant > 0:
        raise ArgumentError(f"lattice_constant: expected a length above 0, got {lattice_constant}.")
    regular = Lattice(sites.vectors, 1.0).regular()
    if regular is None:
        raise ArgumentError("lattice_constant: expected a hexagonal or square lattice, got another. Leave it out.")
    return regular * (lattice_constant / sites.edge)


def _pairs_reach(neighbours: Neighbours, box: Box) -> float:
    """So far pairs are counted: some shells, within the image."""
    left, top, right, bottom = box
    largest = 0.45 * min(right - left, bottom - top)
    return min(largest, 8 * float(np.median(neighbours.length))) if len(neighbours.length) else largest


def _bonds_table(atoms: pd.DataFrame, neighbours: Neighbours, std: Array) -> pd.DataFrame:
    once = neighbours.of(neighbours.first < neighbours.second)
    along = once.vector / np.maximum(once.length, 1e-300)[:, None]
    variance = ((along * std[once.first]) ** 2 + (along * std[once.second]) ** 2).sum(axis=1)
    index = atoms.index.to_numpy()
    return pd.DataFrame(
        {
            "first": index[once.first],
            "second": index[once.second],
            "length": once.length,
            "length_std": np.sqrt(variance),
            "angle_deg": np.degrees(once.angle),
        }
    )


def _rings_table(atoms: pd.DataFrame, rings: Rings) -> pd.DataFrame:
    index = atoms.index.to_numpy()[rings.atoms].astype(str)
    members = [" ".join(index[a:b]) for a, b in zip(rings.start[:-1], rings.start[1:], strict=True)]
    x, y = rings.centre.T
    return pd.DataFrame({"size": rings.size, "x": x, "y": y, "area": rings.area, "atoms": members})


def _lattice_facts(
    sites: LatticeSites, own: Sequence[str], strain: Strain, number: int, n_atoms: int
) -> dict[str, Any]:
    (a, b), (a_std, b_std) = sites.lengths, sites.lengths_std
    facts: dict[str, Any] = {
        "grain": number,
        "n_atoms": n_atoms,
        "a": rounded(a),
        "a_std": rounded(a_std),
        "b": rounded(b),
        "b_std": rounded(b_std),
        "angle_deg": rounded(sites.angle_deg),
        "angle_std_deg": rounded(sites.angle_std_deg),
        "edge": rounded(sites.edge),
        "edge_std": rounded(sites.edge_std),
        "orientation_deg": rounded(float(np.degrees(np.arctan2(sites.vectors[0, 1], sites.vectors[0, 0])))),
        "sublattices": [{"species": name, "n_atoms": int((sites.sublattice == k).sum())} for k, name in enumerate(own)],
        "strain": {},
    }
    for name in _STRAIN:
        values, error = getattr(strain, name), getattr(strain, f"{name}_std")
        known = np.isfinite(values)
        if known.any():
            facts["strain"][name] = {
                "mean": rounded(float(values[known].mean())),
                "spread": rounded(float(values[known].std())),
                "typical_error": rounded(float(np.median(error[known]))),
            }
    return facts


def _summary(
    result: Analysis,
    neighbours: Neighbours,
    rings: Rings,
    lattices: list[dict[str, Any]],
    inside: NDArray[np.bool_],
    n_grains: int,
) -> dict[str, Any]:
    left, top, right, bottom = result.box
    area, n = (right - left) * (bottom - top), len(result.atoms)
    coordination = neighbours.coordination[inside]
    usual = int(np.bincount(coordination).argmax()) if len(coordination) else 0
    n_under = int((coordination < usual).sum())
    kinds: dict[str, Any] = {}
    for label, each in result.defects.groupby(defect_labels(result.defects)):
        kind, name = each["kind"].iloc[0], str(each["name"].iloc[0])
        low, high = count_interval(len(each))
        facts: dict[str, Any] = {
            "kind": str(kind),
            "n": len(each),
            "expected": rounded(float(each["probability"].sum())) if each["probability"].notna().all() else None,
            "interval_95": [rounded(low), rounded(high)],
            "density": rounded(len(each) / area),
            "density_95": [rounded(low / area), rounded(high / area)],
        }
        if name in result.scattered:
            facts["p_value_random"] = rounded(result.scattered[name].p_value)
        kinds[str(label)] = facts
    return {
        "n_atoms": n,
        "units": result.atoms.attrs["units"],
        "area": rounded(area),
        "density": rounded(n / area),
        "bond_length": rounded(float(np.median(result.bonds["length"]))) if len(result.bonds) else None,
        "n_bonds": len(result.bonds),
        "coordination": {
            "usual": usual,
            "n_asked": len(coordination),
            "n_under": n_under,
            "share_under_95": [rounded(share) for share in share_interval(n_under, len(coordination))],
        },
        "n_grains": n_grains,
        "n_boundary_atoms": int(result.atoms["grain_boundary"].sum()),
        "lattices": lattices,
        "rings": {str(size): count for size, count in rings.counts().items()},
        "defects": kinds,
    }
