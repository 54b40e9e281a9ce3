"""Movies of graphene whose silicon dopants switch between two bondings while vacancies grow: the truth for what finds
order parameters and transitions.

A silicon atom on a site of a carbon atom has three neighbours and stands out of the plane, which pushes them away: seen
from above they are 0.165 nm off. In the middle of a divacancy it lies in the plane and has four, 0.188 nm off, which is
where graphene's own sites are. Both are seen in the microscope, and so is the one becoming the other (Zhou et al. 2012,
10.1103/PhysRevLett.109.206803; Ramasse et al. 2013, 10.1021/nl304187e; Yang et al. 2014, 10.1002/anie.201403382). Here
each dopant is a chain of these two states, whose second takes one of its three neighbours' sites, and each vacancy
loses an atom of its border now and then.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.columns import atomic_number
from adatom.simulate.microscope import expose
from adatom.simulate.recipe import ImageRecipe
from adatom.simulate.structure_recipe import Structure
from adatom.simulate.structure_specimen import draw_structure

Array = NDArray[np.float64]

STATES = ("carbon", "carbon at silicon", "carbon at vacancy", "silicon 3-fold", "silicon 4-fold")
_CARBON, _AT_SILICON, _AT_VACANCY, _THREE, _FOUR = range(len(STATES))
_THREE_FOLD_NM = 0.165
_BOND_NM = 0.142
_NEAR_NM = 1.3 * _BOND_NM
# Dopants and vacancies keep so far from each other that each has neighbours of its own, and so far from the border.
_APART_NM = 0.7
_INSET_NM = 0.5
_OF_MOVIES = 12  # of the random numbers that these movies are drawn with


@dataclass(frozen=True)
class GrapheneMovie:
    """Frames with their truth.

    Attributes
    ----------
    frames : (frame, y, x) float32, in heights of a carbon atom.
    pixel_size : [nm].
    atoms : one row for each atom in each frame: ``frame``, ``site`` (the same in all frames; a dopant's is its home),
        ``x``, ``y`` [nm] in the image, ``species``, ``state`` (see `STATES`).
    vacancies : one row for each vacancy in each frame: ``frame``, ``vacancy``, ``x``, ``y`` [nm], ``n_missing``.
    drift : (frame, 2) shift of all atoms along x and y since the first frame [nm].
    """

    frames: NDArray[np.float32]
    pixel_size: float
    atoms: pd.DataFrame
    vacancies: pd.DataFrame
    drift: Array


def graphene_recipe(*, image_size: int = 192, dose_e_per_a2: float = 1e5) -> ImageRecipe:
    """Graphene in a dark field at 60 kV, a carbon atom about 30 electrons high at the dose of 1e5 on a square
    Angstrom.
    """
    return ImageRecipe.model_validate(
        {
            "material": {"kind": "structure", "structure": "graphene", "contrast_exponent": [1.7, 1.7]},
            "microscope": {
                "pixel_size_nm": 0.02,
                "image_size": image_size,
                "scale": [1.0, 1.0],
                "strain": [0.0, 0.0],
                "shear": [0.0, 0.0],
                "dark_level": [0.1, 0.1],
                "probe": {
                    "kind": "stem",
                    "voltage_kv": [60, 60],
                    "semi_angle_mrad": [32, 32],
                    "source_nm": [0.025, 0.025],
                    "cross_section_a2": [0.01, 0.01],
                    "dose_e_per_a2": [dose_e_per_a2, dose_e_per_a2],
                },
            },
            "labels": {"radius_nm": 0.04},
        }
    )


def simulate_graphene_movie(
    recipe: ImageRecipe,
    *,
    n_frames: int = 30,
    n_silicon: int = 8,
    to_four: float = 0.1,
    to_three: float = 0.15,
    n_vacancies: int = 2,
    growth: float = 0.05,
    largest: int = 6,
    drift_nm: float = 0.0,
    seed: int = 0,
) -> GrapheneMovie:
    """A movie of one sheet.

    Parameters
    ----------
    recipe : of graphene without defects, such as `graphene_recipe`; errors of the scan that move atoms are to be
        absent.
    n_silicon, n_vacancies : so many, or as many as there is room for.
    to_four, to_three : probabilities from frame to frame that a dopant with three neighbours gets four, and back. The
        first frame is drawn from what these lead to.
    growth : probability from frame to frame that a vacancy loses one more atom, until it lacks `largest`.
    drift_nm : standard deviation of the specimen's steps from frame to frame along each axis.

    Raises
    ------
    ArgumentError : if it is no recipe of graphene, or a number is out of range.
    """
    material = recipe.material
    if not isinstance(material, Structure) or material.classes != ("C",):
        raise ArgumentError("recipe: expected one of graphene without defects. Take graphene_recipe().")
    if n_frames < 2 or not (0 < to_four < 1 and 0 < to_three < 1 and 0 <= growth < 1):
        raise ArgumentError(
            "n_frames, to_four, to_three, growth: expected at least 2, and probabilities below 1, got "
            f"{n_frames}, {to_four}, {to_three} and {growth}."
        )
    rng = np.random.default_rng([seed, _OF_MOVIES])
    sheet = draw_structure(material, recipe.microscope, rng)
    places = np.column_stack([sheet.x, sheet.y]) / sheet.px_per_nm  # (site, 2) nm
    side = recipe.microscope.image_size / sheet.px_per_nm
    near = cKDTree(places).query_ball_point(places, _NEAR_NM)
    neighbours = [[other for other in around if other != site] for site, around in enumerate(near)]
    homes = _apart(places, side, n_silicon + n_vacancies, rng)
    seeds, dopants = homes[:n_vacancies], homes[n_vacancies:]
    chains = _chains(len(dopants), n_frames, to_four, to_three, rng)
    partners = _partners(chains, [neighbours[home] for home in dopants], rng)
    holes = [_grown(start, neighbours, n_frames, growth, largest, rng) for start in seeds]
    drift = np.vstack([np.zeros(2), np.cumsum(rng.normal(0, drift_nm, (n_frames - 1, 2)), axis=0)])
    exponent = rng.uniform(*material.contrast_exponent)
    silicon_height = (atomic_number("Si") / atomic_number("C")) ** exponent
    frames, tables, vacancies = [], [], []
    for frame in range(n_frames):
        missing = [hole[frame] for hole in holes]
        now = _Sheet.of(places, neighbours, dopants, chains[:, frame], partners[:, frame], missing)
        x, y = (now.places + drift[frame]).T
        shown = Specimen(
            x=x * sheet.px_per_nm,
            y=y * sheet.px_per_nm,
            species=np.zeros(len(x), dtype=np.int64),
            height=np.where(now.is_silicon, silicon_height, 1.0),
            px_per_nm=sheet.px_per_nm,
        )
        exposure = expose(shown, recipe, np.random.default_rng([seed, _OF_MOVIES, frame]))
        frames.append(np.where(exposure.measured, exposure.image, np.nan).astype(np.float32))
        inside = (x > 0) & (x < side - 1 / sheet.px_per_nm) & (y > 0) & (y < side - 1 / sheet.px_per_nm)
        tables.append(
            pd.DataFrame(
                {
                    "frame": frame,
                    "site": now.site[inside],
                    "x": x[inside],
                    "y": y[inside],
                    "species": np.where(now.is_silicon[inside], "Si", "C"),
                    "state": np.array(STATES, dtype=object)[now.state[inside]],
                }
            )
        )
        for number, lost in enumerate(missing):
            at = places[sorted(lost)].mean(axis=0) + drift[frame]
            vacancies.append((frame, number, *at, len(lost)))
    return GrapheneMovie(
        frames=np.stack(frames),
        pixel_size=1 / sheet.px_per_nm,
        atoms=pd.concat(tables, ignore_index=True),
        vacancies=pd.DataFrame(vacancies, columns=["frame", "vacancy", "x", "y", "n_missing"]),
        drift=drift,
    )


@dataclass(frozen=True)
class _Sheet:
    """The atoms of one frame: their places (n, 2) [nm], sites, numbers of their states, and whether they are
    silicon.
    """

    places: Array
    site: NDArray[np.int64]
    state: NDArray[np.int64]
    is_silicon: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        places: Array,
        neighbours: list[list[int]],
        dopants: NDArray[np.int64],
        is_four: NDArray[np.bool_],
        partners: NDArray[np.int64],
        missing: list[set[int]],
    ) -> "_Sheet":
        at, state = places.copy(), np.full(len(places), _CARBON)
        gone = np.zeros(len(places), dtype=bool)
        for lost in missing:
            gone[list(lost)] = True
            state[[other for site in lost for other in neighbours[site]]] = _AT_VACANCY
        for home, four, partner in zip(dopants, is_four, partners, strict=True):
            bonded = set(neighbours[home])
            if four:
                gone[partner] = True
                at[home] = places[[home, partner]].mean(axis=0)
                bonded = (bonded | set(neighbours[partner])) - {home, partner}
            else:
                for other in bonded:  # pushed away along the bond
                    bond = places[other] - places[home]
                    at[other] = places[home] + bond * _THREE_FOLD_NM / np.linalg.norm(bond)
            state[list(bonded)] = _AT_SILICON
            state[home] = _FOUR if four else _THREE
        kept = ~gone
        is_silicon = np.zeros(len(places), dtype=bool)
        is_silicon[dopants] = True
        return cls(at[kept], np.flatnonzero(kept), state[kept], is_silicon[kept])


def _apart(places: Array, side: float, n: int, rng: Generator) -> NDArray[np.int64]:
    """At most n sites, in random order, that are far from the border and from each other."""
    inside = ((places > _INSET_NM) & (places < side - _INSET_NM)).all(axis=1)
    chosen: list[int] = []
    for site in rng.permutation(np.flatnonzero(inside)):
        if len(chosen) == n:
            break
        if not chosen or np.linalg.norm(places[chosen] - places[site], axis=1).min() > _APART_NM:
            chosen.append(int(site))
    return np.array(chosen, dtype=np.int64)


def _chains(n: int, n_frames: int, to_four: float, to_three: float, rng: Generator) -> NDArray[np.bool_]:
    """(dopant, frame) whether it has four neighbours."""
    is_four = np.zeros((n, n_frames), dtype=bool)
    is_four[:, 0] = rng.random(n) < to_four / (to_four + to_three)
    for frame in range(1, n_frames):
        before, drawn = is_four[:, frame - 1], rng.random(n)
        is_four[:, frame] = np.where(before, drawn >= to_three, drawn < to_four)
    return is_four


def _partners(is_four: NDArray[np.bool_], around: list[list[int]], rng: Generator) -> NDArray[np.int64]:
    """(dopant, frame) the neighbour whose site each has taken too, another one each time that it gets four."""
    partners = np.full(is_four.shape, -1)
    for dopant, frame in np.argwhere(is_four):
        stays = frame > 0 and is_four[dopant, frame - 1]
        partners[dopant, frame] = partners[dopant, frame - 1] if stays else rng.choice(around[dopant])
    return partners


def _grown(
    start: int, neighbours: list[list[int]], n_frames: int, growth: float, largest: int, rng: Generator
) -> list[set[int]]:
    """The sites that a vacancy lacks in each frame; atoms of its border with the fewest neighbours go first."""
    lost = {int(start)}
    frames = []
    for frame in range(n_frames):
        if frame > 0 and len(lost) < largest and rng.random() < growth:
            border = sorted({other for site in lost for other in neighbours[site]} - lost)
            left = np.array([len(set(neighbours[site]) - lost) for site in border])
            lost = lost | {border[int(rng.choice(np.flatnonzero(left == left.min())))]}
        frames.append(set(lost))
    return frames
