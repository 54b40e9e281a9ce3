"""Where spectra may be taken, and what a model sees of each place: from the overview of an experiment."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from adatom.errors import ExperimentError
from adatom.experiment.plan import ExperimentPlan, Policy, Targets
from adatom.finder import find

Array = NDArray[np.float64]

_COMPONENTS = 5
_LEAST = 0.3  # of the median strength, below which strengths are alike


@dataclass(frozen=True)
class TargetSet:
    """Candidates of an experiment.

    Parameters
    ----------
    places : (n, 2), x and y [nm] in the frame of the scanner, as they were in the overview.
    inputs : (n, ...), what a model sees of each.
    names : (n,), species of an atom; "" on a grid.
    """

    places: Array
    inputs: Array
    names: NDArray[np.str_]


def targets_in(overview: xr.DataArray, plan: ExperimentPlan) -> TargetSet:
    """The candidates that the plan asks for.

    Raises
    ------
    ExperimentError : if there are fewer than two.
    """
    rows, columns, names = (
        _on_grid(overview, plan.targets) if plan.targets.kind == "grid" else _at_atoms(overview, plan)
    )
    if len(rows) < 2:
        raise ExperimentError(
            f"targets: expected two at least in the overview, got {len(rows)}. Scan a larger frame, or ask for less."
        )
    x, y = overview["x"].to_numpy(), overview["y"].to_numpy()
    places = np.stack(
        [np.interp(columns, np.arange(len(x)), x), np.interp(rows, np.arange(len(y)), y)], axis=1
    )  # (n, 2)
    return TargetSet(places, _inputs(overview.to_numpy(), rows, columns, places, plan.policy), names)


def _on_grid(overview: xr.DataArray, asked: Targets) -> tuple[Array, Array, NDArray[np.str_]]:
    n_rows, n_columns = overview.shape
    start = asked.every_px // 2  # so that the border is as wide on both sides
    rows, columns = np.meshgrid(
        np.arange(min(start, n_rows - 1), n_rows, asked.every_px),
        np.arange(min(start, n_columns - 1), n_columns, asked.every_px),
        indexing="ij",
    )
    return rows.ravel().astype(float), columns.ravel().astype(float), np.full(rows.size, "")


def _at_atoms(overview: xr.DataArray, plan: ExperimentPlan) -> tuple[Array, Array, NDArray[np.str_]]:
    asked = plan.targets
    # positions count from the first pixel, wherever the frame lies
    image = overview.assign_coords({each: overview[each] - float(overview[each][0]) for each in ("y", "x")})
    for each in ("y", "x"):
        image[each].attrs["units"] = "nm"
    atoms = find(image, method=asked.method)
    if asked.species:
        atoms = atoms[atoms["species"].isin(asked.species)]
    if asked.min_probability is not None:
        atoms = atoms[atoms["probability"] >= asked.min_probability]
    if asked.uncertain_first is not None:
        atoms = atoms.sort_values("probability", kind="stable").head(asked.uncertain_first)
    size_y, size_x = (float(overview[each][1] - overview[each][0]) for each in ("y", "x"))
    x, y = atoms["x"].to_numpy(float) / size_x, atoms["y"].to_numpy(float) / size_y
    inside = (x >= 0) & (x <= overview.sizes["x"] - 1) & (y >= 0) & (y <= overview.sizes["y"] - 1)
    return y[inside], x[inside], atoms["species"].to_numpy(str)[inside]


def _inputs(image: Array, rows: Array, columns: Array, places: Array, policy: Policy) -> Array:
    """What the model sees of each target (n, ...)."""
    if policy.sees == "places":
        return places
    if policy.sees == "strength":
        return _strength(image, rows, columns)
    patches = _patches(image, rows, columns, policy.patch_px)
    return patches if policy.model == "dkl" else _components(patches)


def _strength(image: Array, rows: Array, columns: Array) -> Array:
    """(n, 2) logarithms of how far the image is from its median, there and in the mean around."""
    response = np.abs(np.nan_to_num(image, nan=float(np.nanmedian(image))) - np.nanmedian(image))
    around = np.sqrt(gaussian_filter(response**2, 1.0))
    least = _LEAST * (float(np.median(response)) or 1.0)
    row, column = np.rint(rows).astype(int), np.rint(columns).astype(int)
    return np.log(np.stack([response[row, column] + least, around[row, column] + least], axis=1))


def _components(patches: Array) -> Array:
    """(n, k) principal components, each in its own spread: numbers of pixels would be too many for a plain process."""
    flat = patches.reshape(len(patches), -1)
    flat = flat - flat.mean(axis=0)
    _, size, axes = np.linalg.svd(flat, full_matrices=False)
    n = max(1, int((size[:_COMPONENTS] > 1e-9 * max(float(size[0]), 1e-300)).sum()))
    components: Array = flat @ axes[:n].T / np.maximum(size[:n] / np.sqrt(len(flat)), 1e-300)
    return components


def _patches(image: Array, rows: Array, columns: Array, side: int) -> Array:
    """(n, side, side) around places, mirrored at the border; in standard deviations of the image."""
    half = side // 2
    values = (image - np.nanmean(image)) / max(float(np.nanstd(image)), 1e-300)
    padded = np.pad(np.nan_to_num(values), half, mode="reflect" if min(image.shape) > half else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return np.ascontiguousarray(windows[np.rint(rows).astype(int), np.rint(columns).astype(int)])
