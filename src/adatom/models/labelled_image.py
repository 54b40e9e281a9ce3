"""An image whose atoms are known, cut in two parts, and crops that are made from the pixels of one of them alone."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.data import check_image, nearest_distances, pixel_size_nm
from adatom.data.training_store import KnownImage
from adatom.errors import ArgumentError
from adatom.locate import refine_positions
from adatom.locate.marks_on_image import check_marks
from adatom.prepare import levelled
from adatom.prepare.augment import Augmentation, spoil
from adatom.prepare.geometry import Geometry
from adatom.simulate.render import render_labels

Array = NDArray[np.float64]

_FAR_PX = 20.0  # what lies further from an atom has nothing to do with its width
_FEWEST = 2  # atoms in the part for validation


@dataclass(frozen=True)
class LabelledImage:
    """An image and its atoms, in its pixels.

    Attributes
    ----------
    values : (y, x), NaN where not measured.
    scale : pixels of the set a pixel of it, along (y, x).
    flux : (n,) volume of each atom's peak, NaN where unknown.
    width : standard deviation of its peaks in pixels of the set, NaN where unknown.
    apart : typical distance of neighbours, in pixels of the set.
    """

    number: int
    values: Array
    scale: tuple[float, float]
    x: Array
    y: Array
    species: NDArray[np.int64]
    flux: Array
    width: float
    apart: float
    brightness: float

    @classmethod
    def of(
        cls, image: xr.DataArray, table: pd.DataFrame, names: list[str], pixel: float | None, number: int, force: bool
    ) -> "LabelledImage":
        image = check_image(image, ndim=2).transpose("y", "x")
        size = pixel_size_nm(image)
        if (size is None) != (pixel is None):
            raise ArgumentError(
                f"images: expected all with a pixel size or all without, got image {number} unlike the first. "
                "Give the pixel size (--pixel-size)."
            )
        step_y, step_x = size or (1.0, 1.0)
        scale = (step_y / (pixel or 1.0), step_x / (pixel or 1.0))
        values = np.asarray(image, dtype=float)
        values = np.where(np.isfinite(values), values, np.nan)
        x, y = table["x"].to_numpy(dtype=float) / step_x, table["y"].to_numpy(dtype=float) / step_y
        brightness = check_marks(values, x, y, step=size, force=force, name=f"of image {number}")
        species = np.array([names.index(each) for each in table.get("species", [names[0]] * len(x))], dtype=np.int64)
        apart = (
            float(np.median(nearest_distances(np.column_stack([x * scale[1], y * scale[0]])))) if len(x) > 1 else np.nan
        )
        spacing_px = min(apart / np.sqrt(scale[0] * scale[1]), _FAR_PX) if np.isfinite(apart) else _FAR_PX
        # the fit knows bright peaks; how bright a dark atom would be, nobody asks
        sign = 1.0 if brightness >= 0 else -1.0
        fit = refine_positions(sign * levelled(values), x, y, spacing_px=spacing_px)
        flux = np.where(fit.converged & (fit.flux > 0), fit.flux, np.nan) if sign > 0 else np.full(len(x), np.nan)
        width = float(np.nanmedian(np.broadcast_to(fit.width, len(x)))) * np.sqrt(scale[0] * scale[1])
        return cls(number - 1, values, scale, x, y, species, flux, width, apart, brightness)

    @property
    def shown_size(self) -> tuple[float, float]:
        """Rows and columns in pixels of the set."""
        rows, columns = self.values.shape
        return rows * self.scale[0], columns * self.scale[1]

    def cut(self, side: int, share: float, rng: np.random.Generator) -> "tuple[Part, Part]":
        """The parts for training and for validation, one of the four strips at its ends being the latter.

        Of the strips that leave atoms to both, one at random of those that leave most classes to both.
        """
        strips: list[tuple[int, Part, Part]] = []
        for axis in (0, 1):
            length, other = self.values.shape[axis], self.values.shape[1 - axis]
            fewest = int(np.ceil(side / self.scale[axis]))
            width = max(fewest, round(share * length))
            if length - width < fewest or other < np.ceil(side / self.scale[1 - axis]):
                continue
            for first, last in ((0, width), (length - width, length)):
                rest = (last, length) if first == 0 else (0, first)
                training, validation = Part.strip(self, axis, *rest), Part.strip(self, axis, first, last)
                if training.n_atoms and validation.n_atoms >= _FEWEST:
                    strips.append((len(training.classes & validation.classes), training, validation))
        if not strips:
            rows, columns = self.shown_size
            raise ArgumentError(
                f"crop: expected a side that leaves a part of image {self.number + 1} ({columns:.0f} x {rows:.0f} px, "
                f"{len(self.x)} atoms) for training and one with at least {_FEWEST} atoms for validation, got {side} "
                "px. Choose smaller crops, or mark more atoms."
            )
        most = max(strip[0] for strip in strips)
        best = [strip[1:] for strip in strips if strip[0] == most]
        training, validation = best[rng.integers(len(best))]
        return training, validation


@dataclass(frozen=True)
class Part:
    """A rectangle of an image: its pixels, and nothing beyond."""

    known: LabelledImage
    top: int
    left: int
    values: Array

    @classmethod
    def strip(cls, known: LabelledImage, axis: int, first: int, last: int) -> "Part":
        """Rows (axis 0) or columns (axis 1) from `first` to before `last`."""
        rows = slice(first, last) if axis == 0 else slice(None)
        columns = slice(first, last) if axis == 1 else slice(None)
        return cls(known, first if axis == 0 else 0, first if axis == 1 else 0, known.values[rows, columns])

    @property
    def _inside(self) -> NDArray[np.bool_]:
        rows, columns = self.values.shape
        x, y = self.known.x - self.left + 0.5, self.known.y - self.top + 0.5
        inside: NDArray[np.bool_] = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        return inside

    @property
    def n_atoms(self) -> int:
        return int(self._inside.sum())

    @property
    def classes(self) -> set[int]:
        return set(self.known.species[self._inside].tolist())

    @property
    def area(self) -> float:
        return float(self.values.size * self.known.scale[0] * self.known.scale[1])


@dataclass(frozen=True)
class Crop:
    """What is cut out of a part."""

    part: Part
    geometry: Geometry

    @property
    def number(self) -> int:
        """Of its image."""
        return self.part.known.number

    @property
    def footprint(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of what it shows of the whole image [px]."""
        left, top, right, bottom = self.geometry.bounds
        return left + self.part.left, top + self.part.top, right + self.part.left, bottom + self.part.top

    def places(self) -> tuple[Array, Array]:
        """Of all atoms of the image, in the crop's pixels."""
        return self.geometry.points(self.part.known.x - self.part.left, self.part.known.y - self.part.top)

    def known_image(self, radius: float, settings: Augmentation, rng: np.random.Generator) -> KnownImage:
        known = self.part.known
        image, stretched = spoil(self.geometry.image(self.part.values), settings, rng)
        measured = np.isfinite(image)
        x, y = self.places()
        zoom = np.sqrt(self.geometry.flux_factor / (known.scale[0] * known.scale[1]))
        size = self.geometry.size[0]
        label = np.where(measured, render_labels(x, y, known.species, radius * zoom, size), 0).astype(np.uint8)
        seen = self.geometry.shows(x, y)
        row, column = (np.clip(np.round(each), 0, size - 1).astype(int) for each in (y, x))
        seen &= measured[row, column]
        flux = known.flux * self.geometry.flux_factor * stretched
        return KnownImage(image, label, x[seen], y[seen], known.species[seen], flux[seen])
