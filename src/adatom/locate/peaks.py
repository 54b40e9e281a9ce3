"""Probability maps to atoms."""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]

# A Gaussian of half the disc's radius, centred on a disc of ones, weighs it with 1 - exp(-2).
_FULL_DISC = 1 - np.exp(-2.0)


@dataclass(frozen=True)
class Peaks:
    """Atoms in the pixels of a map.

    Attributes
    ----------
    x, y : (n,) positions [px].
    species : (n,) numbers from 0.
    probability : (n,) of being an atom; by `find_peaks`, one of that species.
    species_probability : (n,) that the species is right, if it is an atom.
    x_std, y_std : (n,) standard deviations [px]; NaN where unknown.
    flux : (n,) volume of the peak [value unit x px^2]; NaN where unknown.
    of_species : (n, species) that it is each of the species, if it is an atom; None where nobody asked.
    """

    x: Array
    y: Array
    species: NDArray[np.int64]
    probability: Array
    x_std: Array
    y_std: Array
    flux: Array
    species_probability: Array
    of_species: Array | None = None

    @classmethod
    def at(cls, x: Array, y: Array, species: NDArray[np.int64], probability: Array) -> "Peaks":
        """Peaks of which no more is known."""
        unknown = np.full(len(x), np.nan)
        return cls(x, y, species, probability, unknown, unknown, unknown, unknown)

    def of(self, rows: NDArray[Any]) -> Self:
        """Some of them."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: values[rows] for name, values in columns.items() if values is not None})

    def within(self, inside: NDArray[np.bool_]) -> Self:
        """Those whose nearest pixel is one where `inside` (y, x) is true."""
        row, column = np.round(self.y).astype(int), np.round(self.x).astype(int)
        kept = (row >= 0) & (row < inside.shape[0]) & (column >= 0) & (column < inside.shape[1])
        kept[kept] = inside[row[kept], column[kept]]
        return self.of(kept)

    def doubts(self) -> dict[str, Array]:
        """Columns (n,) on what these numbers leave open, beyond their standard deviations; here none."""
        return {}


def find_peaks(maps: Array, *, radius_px: float, min_distance_px: float, min_probability: float = 0.5) -> Peaks:
    """Find atoms in the maps of a segmentation whose classes are discs around atoms.

    Parameters
    ----------
    maps : (class, y, x) probabilities that sum to 1; class 0 is the background.
    radius_px : radius of the discs.
    min_distance_px : of two atoms closer than this the less probable goes.
    min_probability : less probable atoms go.

    Returns
    -------
    One peak an atom, those at the border included. Close atoms are not merged even where their discs touch: peaks are
    the local maxima of the disc-weighted probability of "some atom", with a parabola through its neighbours for the
    fraction of a pixel. The probability is the disc-weighted mean of the species' map.
    """
    maps = np.asarray(maps, dtype=float)
    if maps.ndim != 3 or maps.shape[0] < 2:
        raise ShapeError(f"maps: expected (class, y, x) with at least two classes, got shape {maps.shape}.")
    if not radius_px > 0 or not 0 <= min_probability <= 1 or min_distance_px < 0:
        raise ArgumentError(
            f"find_peaks: expected a positive radius and distance and a probability, got {radius_px}, "
            f"{min_distance_px} and {min_probability}."
        )
    sigma = (0, radius_px / 2, radius_px / 2)
    # Atoms at the border are cut: weigh by what part of the disc lies in the image.
    present = ndimage.gaussian_filter(np.ones(maps.shape[1:]), sigma[1:], mode="constant")
    weighted = ndimage.gaussian_filter(maps[1:], sigma, mode="constant") / present / _FULL_DISC  # (species, y, x)
    # Beyond the border an atom is as likely as not: nothing then draws the maximum of a cut disc to the border.
    anywhere = ndimage.gaussian_filter(maps[1:].sum(axis=0), sigma[1:], mode="constant", cval=_FULL_DISC / 2)
    anywhere /= _FULL_DISC
    top = anywhere == ndimage.maximum_filter(anywhere, size=3, mode="nearest")
    top &= weighted.sum(axis=0) >= min_probability
    row, column = np.nonzero(top)
    species = weighted[:, row, column].argmax(axis=0)
    probability = np.minimum(weighted[species, row, column], 1.0)
    sure = probability >= min_probability
    row, column, species, probability = row[sure], column[sure], species[sure], probability[sure]
    logarithm = np.log(np.maximum(anywhere, 1e-6))  # a Gaussian's logarithm is a parabola
    y = row + _parabola_top(logarithm, row, column, axis=0)
    x = column + _parabola_top(logarithm, row, column, axis=1)
    kept = suppress_close(np.column_stack([x, y]), anywhere[row, column], min_distance_px)
    of_all = weighted[:, row, column].T[kept]
    of_species = of_all / np.maximum(of_all.sum(axis=1, keepdims=True), 1e-9)
    return replace(Peaks.at(x[kept], y[kept], species[kept], probability[kept]), of_species=of_species)


def suppress_close(positions: Array, strength: Array, min_distance: float) -> NDArray[np.int64]:
    """Rows of `positions` (n, 2) that stay when the weaker of each pair closer than `min_distance` goes, in order."""
    if len(positions) < 2 or min_distance <= 0:
        return np.arange(len(positions))
    order = np.argsort(-strength, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    pairs = cKDTree(positions).query_pairs(min_distance, output_type="ndarray")
    stronger = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    weaker = pairs.sum(axis=1) - stronger
    alive = np.ones(len(positions), dtype=bool)
    for i in np.argsort(rank[stronger], kind="stable"):  # only what itself survives can suppress
        if alive[stronger[i]]:
            alive[weaker[i]] = False
    return np.flatnonzero(alive)


def _parabola_top(values: Array, row: NDArray[np.int64], column: NDArray[np.int64], axis: int) -> Array:
    """Where between -0.5 and 0.5 the parabola through a maximum and its two neighbours along `axis` is highest."""
    length = values.shape[axis]
    centre = (row, column)[axis]
    middle = values[row, column]
    low_index, high_index = np.maximum(centre - 1, 0), np.minimum(centre + 1, length - 1)
    low = values[low_index, column] if axis == 0 else values[row, low_index]
    high = values[high_index, column] if axis == 0 else values[row, high_index]
    curvature = low - 2 * middle + high
    shift = np.divide(low - high, 2 * curvature, out=np.zeros_like(middle), where=curvature < 0)
    inside = (centre > 0) & (centre < length - 1)  # at the border one neighbour is missing
    return np.where(inside, np.clip(shift, -0.5, 0.5), 0.0)
