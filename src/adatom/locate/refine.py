"""Refinement: where exactly in the measured image each atom sits, and how sure that is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ShapeError

Array = NDArray[np.float64]

_ROUNDS = 6  # of fitting all atoms with their neighbours subtracted
_FREE_WIDTH = 3  # rounds that fit the width: in the first the neighbours are still guesses, which bends it
_ITERATIONS = 10  # of Levenberg-Marquardt in each round
_RADIUS = 0.6  # of the fitted patch, in spacings
# Widest Gaussian, in spacings. Wider peaks would hardly be resolved from their neighbours, and without the limit the
# fit of a dense lattice creeps: a wider peak, more of it subtracted next door, a wider peak there.
_WIDEST = 0.33
_HEIGHT, _X, _Y, _LOG_WIDTH, _BACKGROUND = range(5)


@dataclass(frozen=True)
class Refined:
    """Fitted Gaussians, in pixels of the image; one row an atom, in the order of the starts.

    Attributes
    ----------
    x, y : (n,) positions; the start where the fit failed.
    x_std, y_std : (n,) standard deviations; NaN where the fit failed.
    flux : (n,) volume of the peak [value unit x px^2]; NaN where the fit failed.
    converged : (n,) bool.
    """

    x: Array
    y: Array
    x_std: Array
    y_std: Array
    flux: Array
    converged: NDArray[np.bool_]


def refine_positions(values: Array, x: Array, y: Array, *, spacing_px: float) -> Refined:
    """Fit each atom with a Gaussian on a local background, its neighbours subtracted.

    Parameters
    ----------
    values : (y, x) image, its slow background subtracted; NaN where nothing was measured.
    x, y : (n,) start positions [px].
    spacing_px : typical distance of neighbours [px]; 0.6 of it is the radius of the fitted patch.

    Returns
    -------
    Positions with standard deviations from the Fisher information of the fit, scaled by its residuals. A fit that
    leaves its start by more than a third of the spacing, or finds no peak, is refused.

    Notes
    -----
    Least squares, all atoms at once; neighbours are subtracted with their fit of the round before. The first rounds
    have a width of its own for each atom, the next ones the median of these: one instrument, one width, and at low
    dose a free width follows the noise. Residuals are taken as white: correlated noise makes the stated deviations too
    small.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    n_atoms = len(x)
    start = np.column_stack([x, y]).astype(float).reshape(n_atoms, 2)
    if n_atoms == 0:
        empty = np.zeros(0)
        return Refined(empty, empty, empty, empty, empty, np.zeros(0, dtype=bool))
    known = np.isfinite(values)
    level = float(np.median(values[known])) if known.any() else 0.0
    scale = float(np.std(values[known])) if known.any() else 0.0
    data = np.where(known, (values - level) / (scale or 1.0), 0.0)  # numbers near 1: fits do not care for units

    half = max(2, int(np.ceil(_RADIUS * spacing_px)))
    offsets = np.arange(-half, half + 1)
    rows = np.round(start[:, 1]).astype(int)[:, None] + offsets[None, :]
    columns = np.round(start[:, 0]).astype(int)[:, None] + offsets[None, :]
    inside_rows = (rows >= 0) & (rows < values.shape[0])
    inside_columns = (columns >= 0) & (columns < values.shape[1])
    rows_safe, columns_safe = np.clip(rows, 0, values.shape[0] - 1), np.clip(columns, 0, values.shape[1] - 1)
    index = (rows_safe[:, :, None], columns_safe[:, None, :])  # (n, patch, patch)
    patch = (n_atoms, len(offsets), len(offsets))
    grid_y = np.broadcast_to(rows[:, :, None], patch).reshape(n_atoms, -1).astype(float)
    grid_x = np.broadcast_to(columns[:, None, :], patch).reshape(n_atoms, -1).astype(float)
    weight = (inside_rows[:, :, None] & inside_columns[:, None, :] & known[index]).reshape(n_atoms, -1).astype(float)
    near = (grid_x - start[:, :1]) ** 2 + (grid_y - start[:, 1:]) ** 2
    weight *= near <= max(_RADIUS * spacing_px, 1.5) ** 2

    target = data[index].reshape(n_atoms, -1)
    inner = np.where((weight > 0) | ~weight.any(axis=1)[:, None], target, np.nan)
    low, high = np.nanpercentile(inner, [10, 95], axis=1)
    parameters = np.column_stack(
        [np.maximum(high - low, 1e-3), start, np.full(n_atoms, np.log(0.27 * spacing_px)), low]
    )
    covariance = np.full((n_atoms, 5, 5), np.nan)
    for turn in range(_ROUNDS):
        free = [_HEIGHT, _X, _Y, _LOG_WIDTH, _BACKGROUND] if turn < _FREE_WIDTH else [_HEIGHT, _X, _Y, _BACKGROUND]
        neighbours = _render_peaks(parameters, data.shape, spacing_px)[index].reshape(n_atoms, -1)
        own = _gaussian(parameters, grid_x, grid_y)
        parameters, covariance = _fit(
            target - neighbours + own, weight, grid_x, grid_y, parameters, start, spacing_px, free
        )
        if turn < _FREE_WIDTH:
            parameters[:, _LOG_WIDTH] = np.median(parameters[:, _LOG_WIDTH])
    moved = np.hypot(*(parameters[:, [_X, _Y]] - start).T)
    width = np.exp(parameters[:, _LOG_WIDTH])
    variance = np.stack([covariance[:, _X, _X], covariance[:, _Y, _Y]], axis=1)
    converged = (
        (moved < spacing_px / 3)
        & (parameters[:, _HEIGHT] > 0)
        & np.isfinite(variance).all(axis=1)
        & (variance > 0).all(axis=1)
    )
    std = np.sqrt(np.where(converged[:, None], variance, np.nan))
    position = np.where(converged[:, None], parameters[:, [_X, _Y]], start)
    flux = np.where(converged, 2 * np.pi * parameters[:, _HEIGHT] * width**2 * (scale or 1.0), np.nan)
    return Refined(position[:, 0], position[:, 1], std[:, 0], std[:, 1], flux, converged)


def _gaussian(parameters: Array, grid_x: Array, grid_y: Array) -> Array:
    """Peaks without background on their patches (n, pixels), cut at 3.5 widths."""
    inverse = np.exp(-2 * parameters[:, [_LOG_WIDTH]])
    distance = ((grid_x - parameters[:, [_X]]) ** 2 + (grid_y - parameters[:, [_Y]]) ** 2) * inverse
    return np.where(distance < 3.5**2, parameters[:, [_HEIGHT]] * np.exp(-0.5 * distance), 0.0)


def _render_peaks(parameters: Array, shape: tuple[int, ...], spacing_px: float) -> Array:
    """The image (y, x) of all peaks."""
    half = int(np.ceil(min(3.5 * np.exp(parameters[:, _LOG_WIDTH].max()), 2.5 * spacing_px)))
    offsets = np.arange(-half, half + 1)
    rows = np.round(parameters[:, _Y]).astype(int)[:, None, None] + offsets[None, :, None]
    columns = np.round(parameters[:, _X]).astype(int)[:, None, None] + offsets[None, None, :]
    rows, columns = np.broadcast_arrays(rows, columns)
    flat_rows, flat_columns = rows.reshape(len(rows), -1), columns.reshape(len(rows), -1)
    values = _gaussian(parameters, flat_columns.astype(float), flat_rows.astype(float))
    inside = (flat_rows >= 0) & (flat_rows < shape[0]) & (flat_columns >= 0) & (flat_columns < shape[1])
    flat = (flat_rows * shape[1] + flat_columns)[inside]
    total = np.bincount(flat, weights=values[inside], minlength=shape[0] * shape[1]).astype(float)
    return total.reshape(shape)


def _fit(
    target: Array,
    weight: Array,
    grid_x: Array,
    grid_y: Array,
    parameters: Array,
    start: Array,
    spacing_px: float,
    free: list[int],
) -> tuple[Array, Array]:
    """Levenberg-Marquardt on all patches at once; returns parameters (n, 5) and their covariances (n, 5, 5)."""
    n_atoms = len(parameters)
    damping = np.full(n_atoms, 1e-2)
    parameters = parameters.copy()
    model, jacobian = _model(parameters, grid_x, grid_y, free)
    cost = (weight * (target - model) ** 2).sum(axis=1)
    identity = np.eye(len(free))
    for _ in range(_ITERATIONS):
        weighted = jacobian * weight[:, None, :]
        normal = weighted @ jacobian.transpose(0, 2, 1)  # (n, free, free)
        gradient = weighted @ (target - model)[:, :, None]  # (n, free, 1)
        diagonal = np.einsum("nii->ni", normal)
        damped = normal + (damping[:, None] * diagonal + 1e-9)[:, :, None] * identity
        step = np.zeros_like(parameters)
        step[:, free] = np.linalg.solve(damped, gradient)[:, :, 0]
        limit = 0.15 * spacing_px
        step[:, [_X, _Y]] = np.clip(step[:, [_X, _Y]], -limit, limit)
        step[:, _LOG_WIDTH] = np.clip(step[:, _LOG_WIDTH], -0.3, 0.3)
        trial = parameters + step
        trial[:, [_X, _Y]] = np.clip(trial[:, [_X, _Y]], start - spacing_px, start + spacing_px)
        trial[:, _LOG_WIDTH] = np.clip(trial[:, _LOG_WIDTH], np.log(0.05 * spacing_px), np.log(_WIDEST * spacing_px))
        trial_model, trial_jacobian = _model(trial, grid_x, grid_y, free)
        trial_cost = (weight * (target - trial_model) ** 2).sum(axis=1)
        better = trial_cost < cost
        damping = np.where(better, damping * 0.3, damping * 5)
        parameters[better] = trial[better]
        model[better], jacobian[better], cost[better] = trial_model[better], trial_jacobian[better], trial_cost[better]
    normal = (jacobian * weight[:, None, :]) @ jacobian.transpose(0, 2, 1)
    freedom = weight.sum(axis=1) - len(free)
    variance = np.divide(cost, freedom, out=np.full(n_atoms, np.nan), where=freedom > 0)
    determined = (freedom > 0) & (np.linalg.cond(normal + 1e-12 * identity) < 1e12)
    covariance = np.full((n_atoms, 5, 5), np.nan)
    covariance[np.ix_(determined, free, free)] = np.linalg.inv(normal[determined]) * variance[determined, None, None]
    return parameters, covariance


def _model(parameters: Array, grid_x: Array, grid_y: Array, free: list[int]) -> tuple[Array, Array]:
    """Gaussian on a background (n, pixels), and its derivatives by the free parameters (n, free, pixels)."""
    inverse = np.exp(-2 * parameters[:, [_LOG_WIDTH]])
    dx, dy = grid_x - parameters[:, [_X]], grid_y - parameters[:, [_Y]]
    distance = (dx**2 + dy**2) * inverse
    shape = np.exp(-0.5 * distance)
    peak = parameters[:, [_HEIGHT]] * shape
    slope = peak * inverse
    derivatives = {
        _HEIGHT: lambda: shape,
        _X: lambda: slope * dx,
        _Y: lambda: slope * dy,
        _LOG_WIDTH: lambda: peak * distance,
        _BACKGROUND: lambda: np.ones_like(shape),
    }
    return peak + parameters[:, [_BACKGROUND]], np.stack([derivatives[k]() for k in free], axis=1)
