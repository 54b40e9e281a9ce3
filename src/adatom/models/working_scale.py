"""The scale at which a model works, as its training images have it."""

from typing import Any

import numpy as np
import xarray as xr

from adatom.data import spacing
from adatom.errors import ArgumentError
from adatom.models.batches import MARGIN_PX, Sample
from adatom.models.recipe import Recipe, parse_recipe
from adatom.prepare import image_periods
from adatom.simulate.recipe import OF_REGIONS


def measure_scale(data: Recipe | xr.Dataset, samples: list[Sample], *, regions: bool) -> dict[str, Any]:
    """What `ImageModel.scale_` holds, from the recipe or the training set and from samples of it.

    Parameters
    ----------
    regions : whether the classes are regions of the image, as domains are, and not kinds of atoms.

    Raises
    ------
    ArgumentError : if the samples hold no two atoms, or class maps of regions no region.
    """
    spacing_px = _typical_width(samples) if regions else _typical_spacing(samples)
    if isinstance(data, Recipe):
        pixel_size = data.microscope.pixel_size_nm
        radius_px, claims_px = data.labels.radius_nm / pixel_size, data.labels.claims_px
    else:
        pixel_size, radius_px, claims_px = data.attrs["pixel_size_nm"], float(data.attrs["label_radius_px"]), 1
    return {
        "pixel_size_nm": None if pixel_size is None else float(pixel_size),
        "spacing_px": spacing_px,
        "period_px": _typical_period(samples, spacing_px),
        "label_radius_px": radius_px,
        "margin_px": 2 * MARGIN_PX,
        "claims_px": claims_px,
        "calibrated": pixel_size is not None and _is_calibrated(data),
        "regions": regions,
    }


def _is_calibrated(data: Recipe | xr.Dataset) -> bool:
    """Whether nm mean something in the training images; a simulated set says so in its recipe."""
    if not isinstance(data, Recipe):
        if not data.attrs.get("recipe"):
            return True
        data = parse_recipe(data.attrs["recipe"], name="the recipe of the training set")
    return data.microscope.scale_from == "calibration"


def _typical_spacing(samples: list[Sample]) -> float:
    """Median distance of nearest neighbours over the known atoms [px]."""
    frame = np.concatenate([np.full(len(s.known.x), k) for k, s in enumerate(samples)])
    positions = np.concatenate([s.known.positions for s in samples])
    distance = spacing({"frame": frame, "x": positions[:, 0], "y": positions[:, 1]})
    if not np.isfinite(distance):
        raise ArgumentError("data: expected images with at least two known atoms, got none.")
    return distance


def shows_regions(data: Recipe | xr.Dataset) -> bool:
    """Whether images have regions to be told apart, as domains are, and no atoms."""
    return isinstance(data.material, OF_REGIONS) if isinstance(data, Recipe) else data.sizes["atom"] == 0


def _typical_width(samples: list[Sample]) -> float:
    """Mean length of the stretches of one class along rows and columns of the class maps [px]."""
    if not any(sample.label.any() for sample in samples):
        raise ArgumentError("data: expected images with known atoms, or class maps of regions, got neither.")
    n_pixels = n_changes = 0
    for sample in samples:
        rows, columns = np.flatnonzero(sample.inside.any(axis=1)), np.flatnonzero(sample.inside.any(axis=0))
        label = sample.label[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(int)
        n_pixels += 2 * label.size
        n_changes += sum(int((np.diff(label, axis=axis) != 0).sum()) + label.shape[1 - axis] for axis in (0, 1))
    return n_pixels / n_changes


def _typical_period(samples: list[Sample], without_any: float) -> float:
    """Median of the strongest period that the training images show [px]."""
    periods = [found[0][0] for found in (image_periods(sample.image) for sample in samples) if found]
    return float(np.median(periods)) if periods else without_any
