"""From a simulated image to a relaxed structure: a graphene flake with a vacancy, and graphene that fills the image.

The atoms are known, and simulated as the recipe of graphene has them. `find` finds them in the image;
`adatom.structures` makes a structure, leaves out atoms of which the image shows nothing, and relaxes it by Tersoff's
potential. The same is done with the true atoms. What is compared is each bond of one against the same bond of the
other: the relaxation takes the errors of the found places out of the bonds, unless an atom was missed, invented, or
seen so far off that another bond forms. Where graphene fills the image, atoms at the border are held where they were
found, with their errors: there the bonds around the vacancy are told apart.

``python -m benchmarks.relaxed_flake FOLDER`` draws image, structure and bonds there.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from ase import Atoms
from numpy.typing import NDArray

import adatom as ad
from adatom.data import make_atoms
from adatom.locate import match_positions
from adatom.models.recipe import load_recipe
from adatom.report import draw_overlay, figure_png
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.columns import project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.microscope import expose
from adatom.simulate.structures import CATALOGUE
from adatom.structures import Relaxation, atoms_to_structure, compare_with_image, relax, without_unseen
from benchmarks.record import Recorder

Array = NDArray[np.float64]

SEEDS = range(5)
SIZE = 192  # pixels a side
RADIUS_NM = 1.6  # of the flake
COUNTS = 300.0  # at the peak of an atom
NOISE = 0.03
BOND_NM = 0.142
REACH = 1.9  # Angstrom: longer distances are no bonds
AROUND_NM = 0.6  # of the vacancy
GOAL = "<= 0.02"


@dataclass(frozen=True)
class Scene:
    """An image, the true places (n, 2) of its atoms [nm], and that of its vacancy (2,)."""

    image: xr.DataArray
    places: Array
    vacancy: Array


def draw_scene(seed: int, *, is_flake: bool) -> Scene:
    """Graphene with a vacancy in the middle, turned at will: a flake on empty ground, or all over the image."""
    recipe = load_recipe("graphene")
    pixel = recipe.microscope.pixel_size_nm
    microscope = recipe.microscope.model_copy(
        update={
            "image_size": SIZE,
            "counts_per_peak": (COUNTS, COUNTS),
            "counts_probability": 1.0,
            "noise": (NOISE, NOISE),
            "row_offset_probability": 0.0,
            "background": (0.0, 0.0),
            "tilt": (0.0, 0.0),
            "row_shift_nm": (0.0, 0.0),
        }
    )
    defects = recipe.defects.model_copy(update={"island_probability": 0.0, "adsorbate": (0.0, 0.0)})
    recipe = recipe.model_copy(update={"microscope": microscope, "defects": defects})
    rng = np.random.default_rng([17, seed])
    crystal = project(CATALOGUE["graphene"].build())
    sites, _ = fill_lattice(crystal.vectors, crystal.basis, RADIUS_NM if is_flake else 0.8 * SIZE * pixel)
    middle = int(np.argmin(np.hypot(*sites.T)))
    missing, sites = sites[middle], np.delete(sites, middle, axis=0)
    if is_flake:
        sites = _without_loose_ends(sites)
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = 0.5 * SIZE * pixel + rng.uniform(-0.1, 0.1, 2)
    places = sites @ turn + shift
    x, y = places.T / pixel
    specimen = Specimen(x, y, np.zeros(len(x), dtype=np.int64), np.ones(len(x)), 1 / pixel)
    values = expose(specimen, recipe, rng).image
    inside = (np.abs(places / pixel - 0.5 * (SIZE - 1)) < 0.5 * SIZE).all(axis=1)
    return Scene(ad.make_image(values, pixel_size=pixel), places[inside], missing @ turn + shift)


def _without_loose_ends(sites: Array) -> Array:
    """A flake as it would be: no atom at its rim hangs on one bond."""
    while True:
        apart = np.hypot(*(sites[:, None] - sites[None]).transpose(2, 0, 1))
        kept = (apart < 1.2 * BOND_NM).sum(axis=1) > 2  # itself and two
        if kept.all():
            return sites
        sites = sites[kept]


def structure_of(places: Array, image: xr.DataArray) -> Atoms:
    """The true atoms as a structure."""
    pixel = float(image["x"][1] - image["x"][0])
    columns = {"x": places[:, 0], "y": places[:, 1], "species": ["C"] * len(places)}
    return atoms_to_structure(make_atoms(columns, units="nm", image_shape=image.shape, pixel_size=(pixel, pixel)))


def bonds_apart(
    found: Relaxation, direct: Relaxation, pairs: tuple[Array, Array], near: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Length of each bond of one relaxed structure less that of the same bond of the other [Angstrom].

    Parameters
    ----------
    pairs : numbers of the atoms in `found` and in `direct` that are the same.
    near : (pairs,) atoms whose bonds are told apart.

    Returns
    -------
    Of all bonds, and of those between two of the atoms that are near.
    """
    mine, theirs = (one.structure.positions[numbers] for one, numbers in zip((found, direct), pairs, strict=True))
    lengths = [np.linalg.norm(at[:, None] - at[None], axis=2) for at in (mine, theirs)]
    first, second = np.nonzero(np.triu((lengths[0] < REACH) | (lengths[1] < REACH), 1))
    apart = lengths[0][first, second] - lengths[1][first, second]
    return apart, apart[near[first] & near[second]]


def relaxed_pair(scene: Scene) -> tuple[tuple[Array, Array], dict[str, float]]:
    """Differences of the bonds of the found and the true atoms, both relaxed, and how well they were found."""
    atoms = ad.find(scene.image)
    as_found = atoms_to_structure(atoms, elements={"atom": "C"})
    seen = without_unseen(as_found, compare_with_image(as_found, scene.image))
    started = time.monotonic()
    found = relax(seen, "tersoff")
    seconds = time.monotonic() - started
    direct = relax(structure_of(scene.places, scene.image), "tersoff")
    place = atoms[["x", "y"]].to_numpy()
    match = match_positions(place, scene.places, tolerance=0.4 * BOND_NM)
    # rows of the table that became atoms
    number = pd.Series(np.arange(len(found.structure)), index=found.structure.arrays["row"])
    kept = np.isin(match.found, number.index)
    pairs = (number[match.found[kept]].to_numpy(), match.known[kept])
    off = place[match.found] - scene.places[match.known]
    figures = {
        "n_missed": float(len(scene.places) - len(match.known)),
        "n_invented": float(len(atoms) - len(match.found)),
        "n_invented_left": float(len(seen) - len(pairs[0])),
        "position_error_pm": 1000 * float(np.sqrt((off**2).sum(axis=1).mean())),
        "atoms": float(len(found.structure)),
        "seconds": seconds,
    }
    near = np.hypot(*(scene.places[pairs[1]] - scene.vacancy).T) < AROUND_NM
    return bonds_apart(found, direct, pairs, near), figures


def run(recorder: Recorder) -> None:
    for kind in ("flake", "filled"):
        results = [relaxed_pair(draw_scene(seed, is_flake=kind == "flake")) for seed in SEEDS]
        name = f"relaxed_flake/{kind}"
        for which, where in enumerate(("all", "around_vacancy")):
            apart = np.abs(np.concatenate([bonds[which] for bonds, _ in results]))
            goal = GOAL if kind == "flake" or where == "around_vacancy" else None
            recorder.add(f"{name}/{where}/largest_bond_difference_angstrom", float(apart.max()), goal=goal)
            recorder.add(f"{name}/{where}/rms_bond_difference_angstrom", float(np.sqrt((apart**2).mean())))
        for figure in results[0][1]:
            recorder.add(f"{name}/{figure}", float(np.mean([figures[figure] for _, figures in results])))


def draw(folder: Path) -> None:
    """Pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("flake", "filled"):
        scene = draw_scene(0, is_flake=kind == "flake")
        (folder / f"{kind}.png").write_bytes(figure_png(draw_overlay(scene.image, ad.find(scene.image))))


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
