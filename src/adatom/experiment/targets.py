"""Where it may be measured, and what a model sees of each place: both follow from the overview."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from adatom.errors import ExperimentError
from adatom.experiment.plan import Plan

Array = NDArray[np.float64]

_COMPONENTS = 5
_LEAST = 0.3  # of the usual strength, below which strengths are alike


@dataclass(frozen=True)
class Targets:
    """Candidates.

    Attributes
    ----------
    places : (n, 2) x, y [nm], in the scanner's frame at the time of the overview.
    inputs : (n, ...) what the model sees.
    """

    places: Array
    inputs: NDArray[Any]


def targets_of(plan: Plan, overview: xr.DataArray) -> Targets:
    """The candidates of a plan, those that lie within its limits.

    Raises
    ------
    ExperimentError : if there are none.
    """
    x, y = (overview[dim].to_numpy().astype(float) for dim in "xy")
    if plan.targets.kind == "grid":
        every = plan.targets.every
        rows, columns = np.meshgrid(np.arange(0, len(y), every), np.arange(0, len(x), every), indexing="ij")
        places = np.column_stack([x[columns.ravel()], y[rows.ravel()]])
    else:
        places = _atoms(plan, overview)
    limits = plan.limits
    inside = (places >= [limits.x_nm[0], limits.y_nm[0]]) & (places <= [limits.x_nm[1], limits.y_nm[1]])
    places = places[inside.all(axis=1)]
    if not len(places):
        raise ExperimentError("targets: expected some within the limits, got none.")
    return Targets(places, _inputs(plan, overview.to_numpy().astype(float), places, x, y))


def _atoms(plan: Plan, overview: xr.DataArray) -> Array:
    from adatom.finder import find

    atoms = find(overview, model=plan.targets.model, min_probability=plan.targets.min_probability)
    if plan.targets.species is not None:
        atoms = atoms[atoms["species"].isin(plan.targets.species)]
    first = np.array([float(overview["x"][0]), float(overview["y"][0])])
    found: Array = atoms[["x", "y"]].to_numpy().astype(float) + first
    return found


def _inputs(plan: Plan, image: Array, places: Array, x: Array, y: Array) -> NDArray[Any]:
    """What the model sees of places (n, 2)."""
    if plan.policy.sees == "places":
        return places
    image = np.nan_to_num(image, nan=float(np.nanmedian(image)))
    columns = np.clip(np.round((places[:, 0] - x[0]) / (x[1] - x[0])), 0, len(x) - 1).astype(int)
    rows = np.clip(np.round((places[:, 1] - y[0]) / (y[1] - y[0])), 0, len(y) - 1).astype(int)
    if plan.policy.sees == "descriptors":
        response = np.abs(image - np.median(image))
        around = np.sqrt(gaussian_filter(response**2, 1.0))
        least = _LEAST * (float(np.median(response)) or 1.0)
        return np.log(np.stack([response[rows, columns] + least, around[rows, columns] + least], axis=1))
    half = plan.policy.patch_px // 2
    windows = sliding_window_view(np.pad(image, half, mode="reflect"), (plan.policy.patch_px,) * 2)
    if plan.policy.model == "deep_kernel":
        return windows[rows, columns].copy()
    flat = windows.reshape(-1, plan.policy.patch_px**2)
    flat = flat - flat.mean(axis=0)
    _, size, axes = np.linalg.svd(flat, full_matrices=False)
    n = max(1, int((size[:_COMPONENTS] > 1e-9 * size[0]).sum()))
    components = flat @ axes[:n].T / (size[:n] / np.sqrt(len(flat)))
    return components.reshape(*windows.shape[:2], n)[rows, columns]
