"""Particles, as one page: an image in, instances and their measures out.

read -> square pixels -> threshold or network -> instances -> table. `adatom.finder` does the same for atoms.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse.particle_table import PARTICLE_COLUMNS, measure_particles
from adatom.analyse.particles import Segmented, is_dark, segment_by_maps, segment_by_threshold
from adatom.analyse.size_distribution import SizeDistribution, size_distribution
from adatom.data import check_image, pixel_size_nm
from adatom.data.rounding import rounded
from adatom.data.units import length_in_nm
from adatom.errors import ArgumentError, ShapeError, UnitError
from adatom.prepare import level_plane, resample

if TYPE_CHECKING:
    from adatom.models.image_model import ImageModel

Array = NDArray[np.float64]
Contrast = Literal["auto", "bright", "dark"]

_SMALLEST_SIDE = 8  # [px]
_SMALLEST_DIAMETER_PX = 4.0
# A network sees particles at this typical diameter, in pixels of its own, which its training images show most of.
_SEEN_DIAMETER_PX = 16.0
_LARGEST_WORKING_SIDE = 4096
_FEW = 10  # particles, below which a distribution is hardly one


@dataclass
class ParticleFinding:
    """What was found in an image, and how.

    Attributes
    ----------
    image : what was searched, on square pixels, levelled if it shows heights.
    particles : the table, see `adatom.analyse.particle_table`; ``attrs`` holds ``units``, ``image_shape``,
        ``pixel_size`` and ``history``.
    instances : (y, x) or (frame, y, x), the pixels of `image`: number of the particle, 0 for none.
    sizes : distribution of the diameters.
    summary : the content of ``summary.json``.
    """

    image: xr.DataArray
    particles: pd.DataFrame
    instances: xr.DataArray
    sizes: SizeDistribution
    summary: dict[str, Any] = field(default_factory=dict)


def find_particles(
    image: xr.DataArray,
    *,
    model: "ImageModel | str | Path | None" = None,
    contrast: Contrast = "auto",
    min_diameter_nm: float | None = None,
    split: bool = True,
) -> ParticleFinding:
    """Find the particles of an image: nanoparticles, islands, molecules, grains.

    Parameters
    ----------
    image : (y, x) or (frame, y, x).
    model : a `Segmenter` with the classes ``particle`` and ``boundary``, its file, or the name of one that ships:
        ``nanoparticles``, which finds more of what touches or drowns in noise. By default a threshold and a watershed,
        which know no particles and so take any shape.
    contrast : whether particles are brighter or darker than the ground; ``auto`` lets the image say.
    min_diameter_nm : smaller ones are left out; 4 pixels by default.
    split : whether to cut particles that touch (the threshold's; a network does so in any case).

    Raises
    ------
    ShapeError : if the image is no image or movie of 8 pixels a side or more.
    ArgumentError : if the model knows no particles, or a length in nm is given for an image without a pixel size.
    """
    started = time.monotonic()
    if contrast not in ("auto", "bright", "dark"):
        raise ArgumentError(f"contrast: expected auto, bright or dark, got {contrast!r}.")
    image = check_image(image).transpose(..., "y", "x")
    if image.dims not in (("y", "x"), ("frame", "y", "x")) or min(image.shape[-2:]) < _SMALLEST_SIDE:
        raise ShapeError(f"image: expected (y, x) of {_SMALLEST_SIDE} pixels or more, got {image.dims}, {image.shape}.")
    height_nm = _height_nm(image)
    square, pixel_nm = _square(image, level=height_nm is not None)
    smallest_px = _SMALLEST_DIAMETER_PX
    if min_diameter_nm is not None:
        if not (np.isfinite(min_diameter_nm) and min_diameter_nm > 0):
            raise ArgumentError(f"min_diameter_nm: expected a length above 0, got {min_diameter_nm}.")
        if pixel_nm is None:
            raise ArgumentError("min_diameter_nm: expected an image with a pixel size, got none. Give --pixel-size NM.")
        smallest_px = max(1.0, min_diameter_nm / pixel_nm)
    seer = None if model is None else _particle_model(model)
    frames = square.to_numpy().reshape(-1, *square.shape[-2:])
    tables, masks, darks, thresholds = [], [], [], []
    for number, values in enumerate(frames):
        dark = is_dark(values) if contrast == "auto" else contrast == "dark"
        found = segment_by_threshold(values, dark=dark, smallest_diameter_px=smallest_px, split=split)
        if seer is not None:
            found = _seen(seer, values, dark, found, smallest_px)
        table = measure_particles(
            values,
            found.instances,
            pixel=1.0 if pixel_nm is None else pixel_nm,
            height_nm=height_nm,
            probability=found.probability,
            frame=number,
        )
        tables.append(table)
        masks.append(found.instances)
        darks.append(dark)
        thresholds.append(found.threshold)
    particles = pd.concat(tables, ignore_index=True)[list(PARTICLE_COLUMNS)]
    name = "threshold and watershed" if seer is None else seer.recipe_.name if seer.recipe_ else "model in memory"
    particles.attrs = {
        "units": "px" if pixel_nm is None else "nm",
        "image_shape": tuple(square.shape[-2:]),
        "pixel_size": None if pixel_nm is None else (pixel_nm, pixel_nm),
        "history": [*image.attrs.get("history", []), f"found {len(particles)} particles ({name})"],
    }
    instances = square.copy(data=np.stack(masks).reshape(square.shape)).rename("instances")
    sizes = size_distribution(particles)
    finding = ParticleFinding(square, particles, instances, sizes)
    finding.summary = _summary(finding, name, darks, thresholds, split or seer is not None)
    finding.summary["seconds"] = round(time.monotonic() - started, 3)
    return finding


def _height_nm(image: xr.DataArray) -> float | None:
    """What one unit of the values is [nm], where they are lengths."""
    try:
        return length_in_nm(1.0, str(image.attrs.get("units") or "px"))
    except UnitError:
        return None


def _square(image: xr.DataArray, *, level: bool) -> tuple[xr.DataArray, float | None]:
    """The image on square pixels, their size, and heights without tilt."""
    size = pixel_size_nm(image)
    frames = np.asarray(image, dtype=float).reshape(-1, *image.shape[-2:])
    frames = np.where(np.isfinite(frames), frames, np.nan)
    pixel = None if size is None else float(np.sqrt(size[0] * size[1]))
    if size is not None and abs(size[0] / size[1] - 1) > 0.01:
        pixel = min(size)
        factor = (size[0] / pixel, size[1] / pixel)
        frames = np.stack([resample(one, factor)[0] for one in frames])
        # a whole number of pixels covers the image, so these are nearly as asked for
    if level:
        frames = np.stack([level_plane(one) if np.isfinite(one).any() else one for one in frames])
    coords = {
        dim: (dim, np.arange(length) * (1.0 if pixel is None else pixel), {"units": "px" if pixel is None else "nm"})
        for dim, length in zip(("y", "x"), frames.shape[1:], strict=True)
    }
    if "frame" in image.dims:
        return xr.DataArray(
            frames, dims=image.dims, coords={"frame": image["frame"], **coords}, attrs=image.attrs
        ), pixel
    return xr.DataArray(frames[0], dims=image.dims, coords=coords, attrs=image.attrs), pixel


def _particle_model(model: "ImageModel | str | Path") -> "ImageModel":
    from adatom.models import load
    from adatom.models.image_model import ImageModel
    from adatom.simulate.particle_recipe import BOUNDARY, PARTICLE

    loaded = model if isinstance(model, ImageModel) else load(model)
    classes = set(loaded.classes_)
    if not isinstance(loaded, ImageModel) or not loaded.is_of_regions or not {PARTICLE, BOUNDARY} <= classes:
        raise ArgumentError(
            f"model: expected one with the classes {PARTICLE} and {BOUNDARY}, got {', '.join(loaded.classes_)}. "
            "The model nanoparticles is one."
        )
    return loaded


def _seen(model: "ImageModel", values: Array, dark: bool, first: Segmented, smallest_px: float) -> Segmented:
    """Particles by the network, which sees them at the size that its training showed, as the threshold found it."""
    from adatom.simulate.particle_recipe import BOUNDARY, PARTICLE

    area = np.bincount(first.instances.ravel())[1:]
    # the particle that a pixel of the foreground is of, typically: many small specks do not count for much
    typical = 2 * np.sqrt(np.average(area, weights=area) / np.pi) if len(area) else _SEEN_DIAMETER_PX
    factor = min(_SEEN_DIAMETER_PX / typical, _LARGEST_WORKING_SIDE / max(values.shape))
    factor = 1.0 if 0.7 < factor < 1.5 else factor
    known = np.isfinite(values)
    signal = np.where(known, -values if dark else values, np.nan)
    image = xr.DataArray(
        signal,
        dims=("y", "x"),
        coords={dim: (dim, np.arange(n), {"units": "px"}) for dim, n in zip("yx", values.shape, strict=True)},
    )
    maps = model.predict(image, factor=(factor, factor))
    if maps.shape[1:] != values.shape:
        maps = maps.interp(y=image["y"], x=image["x"], kwargs={"fill_value": "extrapolate"})
    particle, boundary = (
        np.where(known, np.clip(maps.sel({"class": name}).to_numpy().astype(float), 0.0, 1.0), np.nan)
        for name in (PARTICLE, BOUNDARY)
    )
    return segment_by_maps(particle, boundary, smallest_diameter_px=smallest_px)


def _summary(
    finding: ParticleFinding, method: str, darks: list[bool], thresholds: list[float], split: bool
) -> dict[str, Any]:
    particles, sizes = finding.particles, finding.sizes
    units = particles.attrs["units"]
    area = float(np.isfinite(finding.image.to_numpy()).sum()) * (particles.attrs["pixel_size"] or (1.0,))[0] ** 2
    warnings = []
    if units == "px":
        warnings.append("The image has no pixel size, so all lengths are in pixels.")
    if 0 < sizes.n < _FEW:
        warnings.append(f"Only {sizes.n} particles are whole: their distribution is hardly known.")
    if len(particles) and not sizes.n:
        warnings.append("The border cuts every particle, so no size is known.")
    cut = int(particles["touches_border"].sum())
    return {
        "what": "particles",
        "n_particles": len(particles),
        "n_cut_by_border": cut,
        "diameter": rounded(sizes.mean),
        "diameter_interval": [rounded(value) for value in sizes.intervals["mean"]],
        "diameter_median": rounded(sizes.median),
        "diameter_std": rounded(sizes.std),
        "confidence": sizes.confidence,
        "coverage": rounded(float(particles["area"].sum()) / area if area else np.nan),
        "density_per_area": rounded((len(particles) - 0.5 * cut) / area if area else np.nan),
        "units": units,
        "pixel_size": particles.attrs["pixel_size"],
        "model": method,
        "contrast": "dark" if np.mean(darks) > 0.5 else "bright",
        "threshold": rounded(thresholds[0]),
        "split": split,
        "note": "Sizes are of particles that the border does not cut, weighted for larger ones being cut more often.",
        "warnings": warnings,
    }
