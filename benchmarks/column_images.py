"""Columns as Poisson counts: hexagonal lattices with defects at any dose, and light columns beside heavy ones.

Drawn here, by nothing that Adatom trains its own models with. Image number i of a stream and dose is always the same;
the streams ``train``, ``validation`` and ``test`` share nothing.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data import make_image

Array = NDArray[np.float64]
Stream = Literal["train", "validation", "test"]

SIZE = 256
BACKGROUND = 0.1  # of the peak
VACANCIES, DOPANTS, DOPANT_HEIGHT = 0.01, 0.01, (1.4, 2.0)
_SEED = 20_2611
_STREAMS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class ColumnImage:
    """An image and its truth.

    Attributes
    ----------
    values : (y, x) counts.
    positions : (n, 2) x and y of the columns whose centre lies on a pixel [px].
    is_light : (n,) which are the light ones.
    spacing : distance of nearest neighbours [px].
    """

    values: Array
    positions: Array
    is_light: NDArray[np.bool_]
    spacing: float

    @property
    def image(self) -> xr.DataArray:
        """What `adatom.find` takes: uncalibrated."""
        return make_image(self.values)

    def inside(self, positions: Array, border: float) -> NDArray[np.bool_]:
        """Which positions (n, 2) are at least so far from the border [px]."""
        last = np.array(self.values.shape[::-1]) - 1.0
        kept: NDArray[np.bool_] = np.minimum(positions, last - positions).min(axis=1) >= border
        return kept


def draw_hexagonal(dose: float, stream: Stream, index: int) -> ColumnImage:
    """A hexagonal lattice with 2 % defects, half of them vacancies and half bright dopants.

    Spacing 12 to 20 px, peaks of 0.18 to 0.24 of it; `dose` counts at the peak of a column, a tenth of it between.
    """
    rng = np.random.default_rng([_SEED, _STREAMS[stream], index, round(1000 * dose)])
    spacing, turn = rng.uniform(12, 20), rng.uniform(0, np.pi / 3)
    vectors = spacing * np.array([[np.cos(turn), np.sin(turn)], [np.cos(turn + np.pi / 3), np.sin(turn + np.pi / 3)]])
    positions = _sites(vectors, np.zeros((1, 2)), rng)
    positions = positions + rng.normal(0, 0.01 * spacing, positions.shape)
    height = np.ones(len(positions))
    drawn = rng.random(len(positions))
    height[drawn < DOPANTS] = rng.uniform(*DOPANT_HEIGHT)
    present = drawn < 1 - VACANCIES
    return _exposed(positions[present], height[present], spacing * rng.uniform(0.18, 0.24), dose, spacing, rng)


def draw_perovskite(dose: float, stream: Stream, index: int, *, light: float = 0.07) -> ColumnImage:
    """SrTiO3 along [001]: Sr at the corners, Ti-O in the middle at 0.45 of it, O on the edges at `light` of it.

    Edge of the cell 24 to 32 px, peaks of 0.1 to 0.13 of it.
    """
    rng = np.random.default_rng([_SEED, 7, _STREAMS[stream], index, round(1000 * dose)])
    edge, turn = rng.uniform(24, 32), rng.uniform(0, np.pi / 2)
    vectors = edge * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    basis = np.array([[0.0, 0.0], [0.5, 0.5], [0.5, 0.0], [0.0, 0.5]])
    positions = _sites(vectors, basis, rng)
    heights = np.tile([1.0, 0.45, light, light], len(positions) // 4)
    positions = positions + rng.normal(0, 0.003 * edge, positions.shape)
    return _exposed(positions, heights, edge * rng.uniform(0.1, 0.13), dose, edge / 2, rng, is_light=heights == light)


def _sites(vectors: Array, basis: Array, rng: np.random.Generator) -> Array:
    """Sites (n, 2) of a lattice over the whole image and beyond, cell by cell."""
    reach = int(np.ceil(SIZE / np.linalg.norm(vectors[0]))) + 2
    cells = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), axis=-1).reshape(-1, 1, 2)
    cells = cells + rng.uniform(0, 1, 2)
    return (cells + basis).reshape(-1, 2) @ vectors + SIZE / 2


def _exposed(
    positions: Array,
    height: Array,
    sigma: float,
    dose: float,
    spacing: float,
    rng: np.random.Generator,
    is_light: NDArray[np.bool_] | None = None,
) -> ColumnImage:
    near = ((positions > -4 * sigma) & (positions < SIZE + 4 * sigma)).all(axis=1)
    positions, height = positions[near], height[near]
    at = np.arange(SIZE)
    along_x, along_y = (np.exp(-0.5 * ((at - p[:, None]) / sigma) ** 2) for p in positions.T)
    expected = dose * (BACKGROUND + (height[:, None] * along_y).T @ along_x)
    inside = ((positions >= -0.5) & (positions < SIZE - 0.5)).all(axis=1)
    light = np.zeros(len(near), dtype=bool) if is_light is None else is_light
    return ColumnImage(rng.poisson(expected).astype(float), positions[inside], light[near][inside], spacing)
