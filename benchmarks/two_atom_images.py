"""Honeycombs of two species as the field tests on: drawn here, by nothing that Adatom trains its own models with.

256 x 256 px, bond 9 to 20 px, species 0 bright and 1 dimmer, any rotation, vacancies, peaks somewhat sharper or blunter
than Gaussians. ``noisy`` images have noise, tilt, waves, offset lines, blur and a gamma curve; ``clean`` ones none of
these. Image number i of a stream and kind is always the same; the streams ``train``, ``validation`` and ``test`` share
nothing. `FAULTS` holds what instruments do to images, one function each.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import resize

from adatom.data import make_image

Array = NDArray[np.float64]
Kind = Literal["clean", "noisy"]
Stream = Literal["train", "validation", "test"]

SIZE = 256
LABEL_RADIUS_PX = 3.0
BOND_NM = 0.182  # what a bond is called where an image has to be calibrated
_SEED = 81_1965
_STREAMS = {"train": 0, "validation": 1, "test": 2}


@dataclass(frozen=True)
class TwoAtomImage:
    """An image and its truth.

    Attributes
    ----------
    values : (y, x).
    x, y : (n,) positions of the atoms whose centre lies on a pixel of the image, in pixels unless `pixel_nm` is given,
        else in nm; the centre of the first pixel is (0, 0).
    species : (n,) 0 or 1.
    bond : distance of nearest neighbours, in the same unit.
    pixel_nm : size of a pixel along (y, x), or None.
    unjudged : (y, x), true where a find is neither right nor wrong, or None.
    """

    values: NDArray[Any]
    x: Array
    y: Array
    species: NDArray[np.int64]
    bond: float
    pixel_nm: tuple[float, float] | None = None
    unjudged: NDArray[np.bool_] | None = None

    @property
    def positions(self) -> Array:
        """x and y as (n, 2)."""
        return np.column_stack([self.x, self.y])

    @property
    def image(self) -> xr.DataArray:
        """What `adatom.find` takes."""
        return make_image(self.values, pixel_size=self.pixel_nm)

    def at_border(self, positions: Array) -> NDArray[np.bool_]:
        """Which positions (n, 2) are within half a bond of the image's border."""
        step_y, step_x = self.pixel_nm or (1.0, 1.0)
        rows, columns = self.values.shape
        last = np.array([(columns - 1) * step_x, (rows - 1) * step_y])
        near: NDArray[np.bool_] = np.minimum(positions, last - positions).min(axis=1) < 0.5 * self.bond
        return near

    def label(self) -> NDArray[np.uint8]:
        """Class map (y, x): 0 background, 1 + species on a disc at each atom; for images in pixels."""
        rows, columns = np.mgrid[: self.values.shape[0], : self.values.shape[1]]
        label = np.zeros(self.values.shape, dtype=np.uint8)
        for x, y, species in zip(self.x, self.y, self.species, strict=True):
            part = _around(x, y, LABEL_RADIUS_PX + 1, self.values.shape)
            disc = np.hypot(rows[part] - y, columns[part] - x) <= LABEL_RADIUS_PX
            label[part][disc] = 1 + species
        return label

    def keep(self, kept: NDArray[np.bool_]) -> "TwoAtomImage":
        """The same with some of the known atoms only."""
        return replace(self, x=self.x[kept], y=self.y[kept], species=self.species[kept])


def draw_image(kind: Kind, stream: Stream, index: int, *, size: int = SIZE) -> TwoAtomImage:
    """Image number `index` of a stream; the clean and the noisy one of a number show the same crystal."""
    key = [_SEED, _STREAMS[stream], index]
    drawn = _draw_crystal(np.random.default_rng([*key, 0]), size)
    return drawn if kind == "clean" else _expose(drawn, np.random.default_rng([*key, 1]))


def _draw_crystal(rng: np.random.Generator, size: int) -> TwoAtomImage:
    bond = float(rng.uniform(9, 20))
    edge = bond * np.sqrt(3)
    turn = rng.uniform(0, 2 * np.pi)
    a, b = (edge * np.array([np.cos(turn + k), np.sin(turn + k)]) for k in (0, np.pi / 3))
    reach = int(np.ceil(size / edge)) + 2
    i, j = (index.ravel() for index in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    first = size / 2 + rng.uniform(0, 1) * a + rng.uniform(0, 1) * b + i[:, None] * a + j[:, None] * b
    positions = np.concatenate([first, first + (a + b) / 3])
    species = np.repeat([0, 1], len(first))
    present = rng.uniform(size=len(positions)) >= rng.uniform(0, 0.05)
    margin = 2 * bond  # atoms just outside shine in
    present &= np.all((positions > -margin) & (positions < size + margin), axis=1)
    positions, species = positions[present], species[present]
    positions = positions + rng.normal(0, 0.01 * bond, positions.shape)
    dimmer, spread = rng.uniform(0.4, 0.75), rng.uniform(0, 0.05)
    heights = np.where(species == 0, 1.0, dimmer) * np.clip(rng.normal(1, spread, len(species)), 0.5, 1.5)
    width, bluntness = rng.uniform(0.2, 0.3) * bond, rng.uniform(0.85, 1.15)
    values = np.zeros((size, size))
    rows, columns = np.mgrid[:size, :size]
    for (x, y), height in zip(positions, heights, strict=True):
        part = _around(x, y, 6 * width, values.shape)
        distance = ((rows[part] - y) ** 2 + (columns[part] - x) ** 2) / (2 * width**2)
        values[part] += height * np.exp(-(distance**bluntness))
    inside = np.all((positions >= -0.5) & (positions < size - 0.5), axis=1)
    x, y = positions[inside].T
    return TwoAtomImage(values, x, y, species[inside], bond)


def _expose(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """What a microscope adds; the atoms of species 0 are 1 high before."""
    size = len(drawn.values)
    rows, columns = np.mgrid[:size, :size] / size
    values = ndimage.gaussian_filter(drawn.values, rng.uniform(0, 0.12) * drawn.bond)
    low, high = values.min(), values.max()
    values = ((values - low) / (high - low)) ** rng.uniform(0.7, 1.5)
    for _ in range(rng.integers(1, 4)):
        turn, periods, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 4), rng.uniform(0, 2 * np.pi)
        along = np.cos(turn) * columns + np.sin(turn) * rows
        values += rng.uniform(0, 0.15) * np.sin(2 * np.pi * periods * along + phase)
    slope, turn = rng.uniform(0, 1), rng.uniform(0, 2 * np.pi)
    values += slope * (np.cos(turn) * columns + np.sin(turn) * rows)
    values += rng.normal(0, rng.uniform(0, 0.1), size)[:, None]
    values += rng.normal(0, np.exp(rng.uniform(np.log(0.02), np.log(0.25))), values.shape)
    return replace(drawn, values=values)


def _around(x: float, y: float, radius: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The part of an array within `radius` of a position."""
    limits = ((y, shape[0]), (x, shape[1]))
    first, last = ([int(np.clip(np.floor(c + s), 0, n)) for c, n in limits] for s in (-radius, radius + 2))
    return slice(first[0], last[0]), slice(first[1], last[1])


# -------------------------------------------------------------------------------------------------- other scales


def resampled(drawn: TwoAtomImage, factor: float | tuple[float, float]) -> TwoAtomImage:
    """The same with `factor` (y, x) times as many pixels, smoothed first where they become fewer.

    Positions stay in pixels where both factors are equal; else the image is calibrated, and they are in nm.
    """
    wanted = factor if isinstance(factor, tuple) else (factor, factor)
    shape = tuple(round(n * f) for n, f in zip(drawn.values.shape, wanted, strict=True))
    true_y, true_x = (new / old for new, old in zip(shape, drawn.values.shape, strict=True))
    values = resize(drawn.values, shape, order=3, mode="reflect", anti_aliasing=max(wanted) < 1 or min(wanted) < 1)
    x, y = (drawn.x + 0.5) * true_x - 0.5, (drawn.y + 0.5) * true_y - 0.5
    if wanted[0] == wanted[1]:
        return replace(drawn, values=values, x=x, y=y, bond=drawn.bond * float(np.sqrt(true_x * true_y)))
    pixel = BOND_NM / drawn.bond
    size = (pixel / true_y, pixel / true_x)
    return replace(drawn, values=values, x=x * size[1], y=y * size[0], bond=BOND_NM, pixel_nm=size)


# -------------------------------------------------------------------------------------------------- faults

Fault = Callable[[TwoAtomImage, np.random.Generator], TwoAtomImage]


def hot_pixels(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """Eight pixels that stand 10 to 1000 times the contrast above the image."""
    values = drawn.values.copy()
    where = rng.choice(values.size, 8, replace=False)
    values.flat[where] = values.min() + np.ptp(values) * 10 ** rng.uniform(1, 3, 8)
    return replace(drawn, values=values)


def dead_lines(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """Three lines that hold nothing but the lowest value."""
    values = drawn.values.copy()
    values[rng.choice(values.shape[0], 3, replace=False)] = values.min()
    return replace(drawn, values=values)


def saturated_corner(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """A glare in a corner that drives the detector to its limit, just above the brightest atom.

    Atoms whose centre is saturated are unknown; a find there is not judged unless all around it is saturated as well.
    """
    rows, columns = np.mgrid[: drawn.values.shape[0], : drawn.values.shape[1]]
    rows, columns = (c if rng.integers(2) else c.max() - c for c in (rows, columns))
    limit = drawn.values.max()
    glare = 4 * np.ptp(drawn.values) * np.exp(-(np.hypot(rows, columns) ** 2) / (2 * 30**2))
    values = np.minimum(drawn.values + glare, limit)
    full = drawn.values + glare >= limit
    deep = ndimage.binary_erosion(full, iterations=max(1, round(drawn.bond / 2)), border_value=1)
    return replace(drawn, values=values, unjudged=full & ~deep).keep(~_at(full, drawn))


def offset(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """A constant of a million times the contrast."""
    return replace(drawn, values=drawn.values + 1e6)


def tiny_values(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """Heights in metres or currents in amperes: 1e-12."""
    return replace(drawn, values=drawn.values * 1e-12)


def uint8(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """All of 8 bits."""
    return replace(drawn, values=np.round(_unit(drawn.values) * 255).astype(np.uint8))


def int16(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """All of 16 bits, below and above zero."""
    return replace(drawn, values=np.round(_unit(drawn.values) * 65535 - 32768).astype(np.int16))


def uint16(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """The lowest 12 of 16 bits."""
    return replace(drawn, values=np.round(_unit(drawn.values) * 4095).astype(np.uint16))


def uint32_with_offset(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """Twelve bits on top of four thousand million."""
    return replace(drawn, values=(np.round(_unit(drawn.values) * 4095) + 4e9).astype(np.uint32))


def nan_region(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """An ellipse that was not measured; the atoms in it are unknown, and a find there is wrong."""
    rows, columns = np.mgrid[: drawn.values.shape[0], : drawn.values.shape[1]]
    (y, x), (height, width) = rng.uniform(60, 196, 2), rng.uniform(25, 60, 2)
    region = ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2 < 1
    return replace(drawn, values=np.where(region, np.nan, drawn.values)).keep(~_at(region, drawn))


def non_square_pixels(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """Lines 1.5 times as far apart as the pixels along them, as the calibration says."""
    return resampled(drawn, (1 / 1.5, 1.0))


def aspect_1_to_8(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """32 lines only."""
    first = int(rng.integers(drawn.values.shape[0] - 32))
    cut = replace(drawn, values=drawn.values[first : first + 32], y=drawn.y - first)
    return cut.keep((cut.y >= -0.5) & (cut.y < 31.5))


def padding(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """5 to 40 px on each side that hold one value, as aligned images have; atoms there are unknown, finds are wrong."""
    top, bottom, left, right = (int(n) for n in rng.integers(5, 41, 4))
    region = np.ones(drawn.values.shape, dtype=bool)
    region[top:-bottom, left:-right] = False
    return replace(drawn, values=np.where(region, 0.0, drawn.values)).keep(~_at(region, drawn))


def strong_slope(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """A plane that rises by fifty times the contrast."""
    rows, columns = np.mgrid[: drawn.values.shape[0], : drawn.values.shape[1]]
    turn = rng.uniform(0, 2 * np.pi)
    rise = (np.cos(turn) * columns + np.sin(turn) * rows) / max(drawn.values.shape)
    return replace(drawn, values=drawn.values + 50 * np.ptp(drawn.values) * rise)


def step(drawn: TwoAtomImage, rng: np.random.Generator) -> TwoAtomImage:
    """A step three times the contrast high through the image, as sharp as the atoms' flanks."""
    rows, columns = np.mgrid[: drawn.values.shape[0], : drawn.values.shape[1]]
    turn, (y, x) = rng.uniform(0, 2 * np.pi), rng.uniform(80, 176, 2)
    beyond = np.cos(turn) * (columns - x) + np.sin(turn) * (rows - y)
    edge = 1 / (1 + np.exp(-np.clip(beyond / (0.1 * drawn.bond), -50, 50)))
    return replace(drawn, values=drawn.values + 3 * np.ptp(drawn.values) * edge)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        hot_pixels,
        dead_lines,
        saturated_corner,
        offset,
        tiny_values,
        uint8,
        int16,
        uint16,
        uint32_with_offset,
        nan_region,
        non_square_pixels,
        aspect_1_to_8,
        padding,
        strong_slope,
        step,
    )
}


def _unit(values: Array) -> Array:
    return (values - values.min()) / np.ptp(values)


def _at(mask: NDArray[np.bool_], drawn: TwoAtomImage) -> NDArray[np.bool_]:
    """What a mask says at each atom."""
    row, column = (
        np.clip(np.round(c), 0, n - 1).astype(int) for c, n in zip((drawn.y, drawn.x), mask.shape, strict=True)
    )
    return mask[row, column]
