"""The sites of a recipe's crystal under the atoms of an image: which atom stands where, and which sites are empty.

The crystal is laid under some atoms in the middle, turned as the lattice of the atoms demands. From there a smooth map
of sites to positions grows outwards, which follows drift and distortion.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.analyse import find_bright_lattice, find_lattice
from adatom.data import nearest_distances
from adatom.simulate import ImageRecipe
from adatom.simulate.specimen import draw_specimen
from adatom.simulate.structure_recipe import Structure

Array = NDArray[np.float64]

_NEAR = 0.35  # spacings: an atom within this of a site stands on it
# A site is led by so many before it, the third of them within so many spacings; and how slowly drift changes.
_GUIDES, _STEP, _STIFF = 16, 2.5, 1.0
_MOST_STRAIN = 0.12  # between two choices of lattice vectors, which of equivalent ones are meant is told by it
_ANCHORS = 4
_LEAST_ON_SITES = 0.6
_REWEIGHTED = 8


@dataclass(frozen=True)
class Crystal:
    """The ideal crystal of a recipe, unturned and unstrained, about the origin.

    Attributes
    ----------
    position : (n, 2) x, y [px].
    group : (n,) number of the kind of site: of one species and height; 0 is the brightest.
    height : (n,).
    vectors : lattices (k, 2, 2) that an analysis of such atoms may find, one vector a row [px].
    spacing : of nearest neighbours [px].
    has_species : whether its two kinds of sites are two species.
    compositions : of a structure, atoms of each element in the columns of each kind, if their brightness follows from
        these (else empty); of other materials None.
    """

    position: Array
    group: NDArray[np.int64]
    height: Array
    vectors: Array
    spacing: float
    has_species: bool
    compositions: tuple[Mapping[str, int], ...] | None = None


def draw_crystal(ideal: ImageRecipe, *, side_px: float, pixel_nm: float, seed: int = 0) -> Crystal | None:
    """The sites of `ideal`, a recipe without chance, that fill a square; None if they form no lattice."""
    size = int(np.ceil(side_px))
    microscope = ideal.microscope.model_copy(update={"image_size": size, "pixel_size_nm": pixel_nm})
    specimen = draw_specimen(ideal.model_copy(update={"microscope": microscope}), np.random.default_rng(seed))
    position = np.column_stack([specimen.x, specimen.y])
    inside = ((position > 0) & (position < size)).all(axis=1)
    position, height = position[inside] - size / 2, specimen.height[inside]
    if len(position) < 30:
        return None
    kind = np.column_stack([-np.round(height, 6), specimen.species[inside]])
    _, group = np.unique(kind, axis=0, return_inverse=True)
    lattices = [find_bright_lattice(position[:, 0], position[:, 1], height), find_lattice(position)]
    vectors = [lattice.vectors for lattice in lattices if lattice is not None]
    if not vectors:
        return None
    spacing = float(np.median(nearest_distances(position)))
    species, group = specimen.species[inside], group.reshape(-1)
    two_species = len(np.unique(species)) == 2 == len(np.unique(group))
    compositions = None
    if isinstance(ideal.material, Structure):
        columns = ideal.material.columns
        of_class = dict(zip(columns.names, columns.compositions, strict=True))
        first = [species[np.argmax(group == k)] for k in range(group.max() + 1)]
        compositions = () if ideal.material.contrast else tuple(of_class[ideal.material.classes[k]] for k in first)
    return Crystal(position, group, height, np.array(vectors), spacing, two_species, compositions)


@dataclass(frozen=True)
class Registration:
    """Atoms on sites.

    Attributes
    ----------
    affine : (2, 2) crystal to image: ``site @ affine``, then drift and a shift.
    atom, site : (n,) numbers of the atoms that stand on sites, and of these sites.
    off : (n, 2) distance of each from its site, after drift [px].
    predicted : (m, 2) where each site of the crystal is in the image [px].
    """

    affine: Array
    atom: NDArray[np.int64]
    site: NDArray[np.int64]
    off: Array
    predicted: Array


def register(
    positions: Array, heights: Array, crystal: Crystal, measured: Array | None, start: Array | None = None
) -> Registration | None:
    """Lay a crystal under the atoms of an image.

    Parameters
    ----------
    positions, heights : (n, 2) and (n,) of the atoms [px].
    measured : (2, 2) lattice vectors of the atoms; needed without `start`.
    start : (2, 2) map from crystal to image, where it is known.

    Returns
    -------
    None if fewer than 60 % of the atoms find a site.
    """
    candidates = [start] if start is not None else []
    if start is None and measured is not None:
        candidates = _affine_maps(crystal.vectors, measured)
    middle = np.median(positions, axis=0)
    nearest = np.argsort(np.hypot(*(positions - middle).T), kind="stable")
    cell = max(float(np.linalg.norm(vectors, axis=1).max()) for vectors in crystal.vectors)
    best: tuple[float, Array, Array] | None = None
    for affine in candidates:
        stretch = np.sqrt(abs(np.linalg.det(affine)))
        spacing = crystal.spacing * stretch
        window = max(3.2 * spacing, 1.3 * cell * stretch)
        sites = crystal.position @ affine
        tree = cKDTree(sites)
        central = np.flatnonzero(np.hypot(*sites.T) < 0.75 * cell * stretch + spacing)
        some = nearest[np.hypot(*(positions[nearest] - middle).T) < window]
        for anchor in some[:_ANCHORS]:
            for site in central:
                shift = positions[anchor] - sites[site]
                score = _score(positions[some] - shift, heights[some], tree, crystal, middle - shift, window, spacing)
                if best is None or score > best[0]:
                    best = (score, affine, shift)
    if best is None:
        return None
    _, affine, shift = best
    return _grow(positions, crystal, affine, shift, middle, cell)


def _affine_maps(references: Array, measured: Array) -> list[Array]:
    """The maps that carry a lattice onto the measured one without a mirror, and with about the least strain."""
    steps = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)])
    found: list[tuple[float, Array]] = []
    for reference in references:
        for first in steps:
            for second in steps:
                vectors = np.array([first, second]) @ measured
                affine = np.linalg.inv(reference) @ vectors
                if np.linalg.det(affine) < 1e-9:
                    continue
                stretches = np.linalg.svd(affine, compute_uv=False)
                found.append((float(np.log(stretches[0] / stretches[1])), affine))
    if not found:
        return []
    least = min(strain for strain, _ in found)
    return [affine for strain, affine in found if strain < least + _MOST_STRAIN]


def _score(
    positions: Array, heights: Array, tree: cKDTree, crystal: Crystal, middle: Array, window: float, spacing: float
) -> float:
    """How well atoms about `middle` and the sites of a crystal agree: atoms on sites, sites with atoms, heights."""
    distance, site = tree.query(positions)
    on = distance < _NEAR * spacing
    if on.sum() < 3:
        return 0.0
    expected = max(1, len(tree.query_ball_point(middle, window)))
    pair = np.array([heights[on], crystal.height[site[on]]])
    alike = float(np.corrcoef(pair)[0, 1]) if (pair.std(axis=1) > 1e-9).all() else 0.0
    closeness = float((1 - (distance[on] / (_NEAR * spacing)) ** 2).sum())
    return closeness / len(positions) + closeness / expected + alike


def _grow(
    positions: Array, crystal: Crystal, affine: Array, shift: Array, middle: Array, cell: float
) -> Registration | None:
    """From the middle outwards, ring by ring: a site is looked for where the sites before it, nearby, say."""
    spacing = crystal.spacing * np.sqrt(abs(np.linalg.det(affine)))
    sites = crystal.position @ affine + shift
    atoms = cKDTree(positions)
    close = _NEAR * spacing
    drift = np.zeros_like(sites)  # of the atom at each site that was found
    owner = np.full(len(sites), -1)  # atom at each site
    tried = np.zeros(len(sites), dtype=bool)
    low, high = positions.min(axis=0) - spacing, positions.max(axis=0) + spacing
    ring = np.flatnonzero(np.hypot(*(sites - middle).T) < max(2.5 * spacing, cell))
    while len(ring):
        distance, atom = atoms.query(sites[ring] + drift[ring])
        on = distance < close
        # of two sites that claim an atom the nearer has it
        taken = owner[owner >= 0]
        on &= ~np.isin(atom, taken)
        order = np.lexsort((distance, atom))
        repeated = np.zeros(len(ring), dtype=bool)
        repeated[order[1:]] = atom[order][1:] == atom[order][:-1]
        on &= ~repeated
        owner[ring[on]] = atom[on]
        drift[ring[on]] = positions[atom[on]] - sites[ring[on]]
        tried[ring] = True
        found = np.flatnonzero(owner >= 0)
        if len(found) < 6:
            return None
        rest = np.flatnonzero(~tried)
        if not len(rest):
            break
        distance, nearest = cKDTree(sites[found]).query(sites[rest], k=min(_GUIDES, len(found)))
        # where but a few sites before it were found, the ground is lost
        led = distance[:, min(2, len(found) - 1)] < _STEP * spacing
        rest, nearest = rest[led], found[nearest[led]]
        drift[rest] = _led(sites, drift, rest, nearest, spacing)
        at = sites[rest] + drift[rest]
        ring = rest[((at > low) & (at < high)).all(axis=1)]
    found = np.flatnonzero(owner >= 0)
    if len(found) < _LEAST_ON_SITES * len(positions):
        return None
    # the drift that neighbours have in common, for all sites
    k = min(_GUIDES + 1, len(found))
    nearest = found[cKDTree(sites[found]).query(sites, k=k)[1]]
    others = np.where((nearest == np.arange(len(sites))[:, None]), nearest[:, -1:], nearest)[:, : k - 1]
    predicted = sites + _led(sites, drift, np.arange(len(sites)), others, spacing)
    atom = owner[found]
    off = positions[atom] - predicted[found]
    ideal = np.column_stack([np.ones(len(atom)), crystal.position[found]])
    return Registration(_robust_map(ideal, positions[atom])[1:], atom, found, off, predicted)


def _robust_map(design: Array, positions: Array) -> Array:
    """The linear map (k, 2) with the least sum of distances: where the ground was lost, atoms must not pull at it."""
    weight = np.ones(len(design))
    found = np.zeros((design.shape[1], 2))
    for _ in range(_REWEIGHTED):
        root = np.sqrt(weight)[:, None]
        found = np.asarray(np.linalg.lstsq(design * root, positions * root, rcond=None)[0], dtype=float)
        distance = np.hypot(*(positions - design @ found).T)
        weight = 1 / np.maximum(distance, max(0.1 * float(np.median(distance)), 1e-9))
    return found


def _led(sites: Array, drift: Array, wanted: NDArray[np.int64], guides: NDArray[np.int64], spacing: float) -> Array:
    """Drift (n, 2) at the `wanted` sites, by a plane through that of the guides (n, k) of each, flat where unsure."""
    step = (sites[guides] - sites[wanted][:, None]) / spacing  # (n, k, 2)
    design = np.concatenate([np.ones((*step.shape[:2], 1)), step], axis=2)
    normal = np.einsum("nki,nkj->nij", design, design) + np.diag([1e-6, _STIFF, _STIFF])
    plane = np.linalg.solve(normal, np.einsum("nki,nkj->nij", design, drift[guides]))
    led: Array = plane[:, 0]
    return led


def turn_and_strain(affine: Array) -> tuple[float, float, float, float]:
    """What a map from crystal to image is in the words of a recipe, which turns first and then strains.

    Returns
    -------
    Scale, rotation [degrees], half the difference of the strains along x and y, and shear.
    """
    u, stretches, v = np.linalg.svd(affine)
    turn, stretch = u @ v, v.T @ np.diag(stretches) @ v
    scale = 0.5 * float(np.trace(stretch))
    angle = float(np.degrees(np.arctan2(turn[0, 1], turn[0, 0])))
    unequal, shear = 0.5 * float(stretch[0, 0] - stretch[1, 1]), float(stretch[0, 1])
    return scale, angle, unequal / scale, shear / scale
