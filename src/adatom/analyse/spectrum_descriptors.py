"""Numbers that say what a spectrum means: of hysteresis loops, of dI/dV with a gap, of a spectrum with a peak.

Every descriptor is a function of spectra (n, point); errors follow from the standard deviations of the points, taken as
independent of each other: where they are not, those of areas and other sums are larger.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.data.spectrum_image import check_spectrum_image, spectral_axis
from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]
Descriptors = dict[str, Array]
Describe = Callable[[Array, Array], Descriptors]  # places (point,) and spectra (n, point) to numbers (n,) by name

_GRID = 128  # places along the bias at which the branches of a loop are compared
_GAP_SHARE = 0.1  # of the conductance at the ends of the spectrum, below which there is a gap
_N_DRAWS = 64  # of the noise, by which errors follow


def loop_descriptors(bias: Array, loops: Array) -> Descriptors:
    """What a hysteresis loop says of switching.

    Parameters
    ----------
    bias : (point,), a cycle in the order of the measurement, in which the first point may follow the last.
    loops : (n, point).

    Returns
    -------
    ``coercive_rising``, ``coercive_falling``: the bias at which the branch of rising, and of falling, bias passes the
    middle between the loop's ends; ``imprint``: their mean; ``work``: the area between the branches, in the unit of the
    loop times that of the bias, positive where the rising branch lies below. NaN where a branch passes no middle.

    Raises
    ------
    ArgumentError : if the bias does not rise and fall.
    """
    bias, loops = _checked(bias, loops)
    step = np.roll(bias, -1) - np.roll(bias, 1)
    rising, falling = np.flatnonzero(step > 0), np.flatnonzero(step < 0)
    turns = np.flatnonzero(step == 0)  # the ends of the sweep belong to both branches
    if len(rising) < 3 or len(falling) < 3:
        raise ArgumentError("bias: expected a sweep up and down, got one that goes one way only.")
    grid = np.linspace(
        max(bias[rising].min(), bias[falling].min()), min(bias[rising].max(), bias[falling].max()), _GRID
    )
    up, down = (_along(grid, bias, loops, np.concatenate([branch, turns])) for branch in (rising, falling))
    fringe = max(1, _GRID // 10)
    ends = [np.median(0.5 * (up + down)[:, part], axis=1) for part in (slice(0, fringe), slice(-fringe, None))]
    middle = 0.5 * (ends[0] + ends[1])
    up_place, down_place = (_crossing(grid, each - middle[:, None]) for each in (up, down))
    return {
        "coercive_rising": up_place,
        "coercive_falling": down_place,
        "imprint": 0.5 * (up_place + down_place),
        "work": np.trapezoid(down - up, grid, axis=1),
    }


def gap_descriptors(bias: Array, conductance: Array) -> Descriptors:
    """The gap of a density of states, from dI/dV.

    Returns
    -------
    ``gap_low``, ``gap_high``: the biases between which dI/dV stays below a tenth of its value at the ends of the
    spectrum (the smaller end's), around the place where it is lowest; ``gap_width``. NaN where it is nowhere below.
    """
    bias, conductance = _checked(bias, conductance)
    order = np.argsort(bias, kind="stable")
    bias, values = bias[order], conductance[:, order]
    fringe = max(1, len(bias) // 10)
    ends = np.minimum(np.median(values[:, :fringe], axis=1), np.median(values[:, -fringe:], axis=1))
    over = values - _GAP_SHARE * ends[:, None]
    # the middle of what is low, not the lowest value, which noise decides
    is_low = over < 0
    centre = np.where(is_low.any(axis=1), np.argmax(_run_lengths(is_low), axis=1), 0)
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for number, (row, start) in enumerate(zip(over, centre, strict=True)):
        if row[start] >= 0:
            continue
        left = start
        while left > 0 and row[left - 1] < 0:
            left -= 1
        right = start
        while right < len(row) - 1 and row[right + 1] < 0:
            right += 1
        low[number] = _between(bias, row, left - 1, left) if left > 0 else bias[0]
        high[number] = _between(bias, row, right, right + 1) if right < len(row) - 1 else bias[-1]
    return {"gap_low": low, "gap_high": high, "gap_width": high - low}


def peak_descriptors(places: Array, spectra: Array) -> Descriptors:
    """The highest peak of a spectrum.

    Returns
    -------
    ``peak_position``: by a parabola through the highest point and its neighbours; ``peak_height``: above the straight
    line between the ends of the spectrum; ``peak_width``: full width at half of that height, NaN where the peak reaches
    over an end.
    """
    places, spectra = _checked(places, spectra)
    order = np.argsort(places, kind="stable")
    places, values = places[order], spectra[:, order]
    fringe = max(1, len(places) // 10)
    left, right = np.median(values[:, :fringe], axis=1), np.median(values[:, -fringe:], axis=1)
    first, last = places[:fringe].mean(), places[-fringe:].mean()
    share = (places - first) / max(last - first, 1e-300)
    values = values - (left[:, None] * (1 - share) + right[:, None] * share)
    top = np.clip(values.argmax(axis=1), 1, len(places) - 2)
    rows = np.arange(len(values))
    before, at, after = (values[rows, top + shift] for shift in (-1, 0, 1))
    bend = before - 2 * at + after
    offset = np.clip(0.5 * (before - after) / np.where(bend < 0, bend, -np.inf), -1, 1)
    height = at - 0.25 * (before - after) * offset
    position = places[top] + offset * 0.5 * (places[top + 1] - places[top - 1])
    width = np.full(len(values), np.nan)
    for number, (row, centre) in enumerate(zip(values - 0.5 * height[:, None], top, strict=True)):
        lower = np.flatnonzero(row[:centre] < 0)
        upper = np.flatnonzero(row[centre:] < 0)
        if len(lower) and len(upper):
            end = centre + upper[0]
            width[number] = _between(places, row, end - 1, end) - _between(places, row, lower[-1], lower[-1] + 1)
    return {"peak_position": position, "peak_height": height, "peak_width": width}


def with_errors(describe: Describe, places: Array, spectra: Array, std: Array, *, seed: int = 0) -> Descriptors:
    """Descriptors and, as ``..._std``, their errors from the standard deviations of the points (n, point).

    Noise of these deviations is drawn 64 times and added: where a descriptor jumps, as the crossing of a small loop
    does, its slope says nothing of its error. Draws without such a descriptor do not count; NaN if half are so.
    """
    places, spectra = _checked(places, spectra)
    if np.shape(std) != spectra.shape:
        raise ShapeError(f"std: expected shape {spectra.shape}, got {np.shape(std)}.")
    result = describe(places, spectra)
    rng = np.random.default_rng(seed)
    drawn = [describe(places, spectra + std * rng.standard_normal(spectra.shape)) for _ in range(_N_DRAWS)]
    return result | {f"{name}_std": _spread(np.stack([each[name] for each in drawn])) for name in result}


def _spread(drawn: Array) -> Array:
    """Standard deviation of the finite values along the first axis; NaN where half of them are not."""
    known = np.isfinite(drawn)
    n = known.sum(axis=0)
    count = np.maximum(n, 1)
    mean = np.where(known, drawn, 0).sum(axis=0) / count
    variance = np.where(known, (drawn - mean) ** 2, 0).sum(axis=0) / np.maximum(count - 1, 1)
    return np.where(2 * n > len(drawn), np.sqrt(variance), np.nan)


def describe_map(spectra: xr.DataArray, std: xr.DataArray | None = None) -> pd.DataFrame:
    """The descriptors that fit, at each place of a map whose spectrum is known.

    Parameters
    ----------
    spectra, std : (y, x, energy | bias | time); standard deviations of the points, as of `ImageToSpectrum.predict`.

    Returns
    -------
    One row a place: ``y``, ``x`` and the descriptors, places in the units of the map, biases in those of its axis;
    with `std` also ``..._std``, see `with_errors`.

    Raises
    ------
    ShapeError : if the map is no spectrum image.
    """
    axis = spectral_axis(check_spectrum_image(spectra))
    order = ("y", "x", axis)
    values = spectra.transpose(*order).to_numpy().astype(float)
    known = np.isfinite(values).all(axis=2)
    places = spectra[axis].to_numpy().astype(float)
    describe = descriptors_of(axis, places)
    rows, columns = np.nonzero(known)
    table = {"y": spectra["y"].to_numpy()[rows], "x": spectra["x"].to_numpy()[columns]}
    if std is None:
        return pd.DataFrame(table | describe(places, values[known]))
    return pd.DataFrame(table | with_errors(describe, places, values[known], std.transpose(*order).to_numpy()[known]))


def descriptors_of(axis: str, places: Array) -> Describe:
    """The descriptors that fit an axis: of loops for a bias that is swept up and down, of a gap for a bias that goes
    one way, of a peak for all else.
    """
    step = np.diff(places)
    if axis == "bias":
        return loop_descriptors if (step > 0).sum() >= 3 and (step < 0).sum() >= 3 else gap_descriptors
    return peak_descriptors


def _checked(places: Array, spectra: Array) -> tuple[Array, Array]:
    places, spectra = np.asarray(places, dtype=float), np.asarray(spectra, dtype=float)
    if spectra.ndim != 2 or places.shape != spectra.shape[1:] or len(places) < 3:
        raise ShapeError(
            f"spectra: expected (n, point) with the {len(np.atleast_1d(places))} points of the axis, three at least, "
            f"got {spectra.shape}."
        )
    return places, spectra


def _along(grid: Array, bias: Array, loops: Array, which: NDArray[np.intp]) -> Array:
    """Values (n, place) of one branch at the places of a grid, by straight lines between its points."""
    order = which[np.argsort(bias[which], kind="stable")]
    places = bias[order]
    right = np.clip(np.searchsorted(places, grid), 1, len(places) - 1)
    span = np.maximum(places[right] - places[right - 1], 1e-300)
    share = np.clip((grid - places[right - 1]) / span, 0, 1)
    values = loops[:, order]
    return np.asarray(values[:, right - 1] * (1 - share) + values[:, right] * share)


def _crossing(grid: Array, values: Array) -> Array:
    """Where (n, place) values change their sign, the middle one of an odd number of places; NaN where they do not."""
    sign = values > 0
    changes = sign[:, 1:] != sign[:, :-1]
    total = changes.cumsum(axis=1)
    wanted = (total[:, -1:] + 1) // 2
    place = np.argmax(changes & (total == wanted), axis=1)
    rows = np.arange(len(values))
    low, high = values[rows, place], values[rows, place + 1]
    share = low / np.where(low != high, low - high, np.inf)
    found = grid[place] + share * (grid[place + 1] - grid[place])
    return np.where(total[:, -1] > 0, found, np.nan)


def _between(places: Array, row: Array, before: int, after: int) -> float:
    """Where a row passes zero between two neighbouring points."""
    low, high = row[before], row[after]
    return float(places[before] + (places[after] - places[before]) * (low / (low - high) if low != high else 0.5))


def _run_lengths(mask: NDArray[np.bool_]) -> Array:
    """For each point of (n, point) how far the end of its run of True is on the nearer side; 0 where False."""
    forward = np.zeros(mask.shape)
    backward = np.zeros(mask.shape)
    for k in range(mask.shape[1]):
        forward[:, k] = (forward[:, k - 1] + 1 if k else 1) * mask[:, k]
        back = mask.shape[1] - 1 - k
        backward[:, back] = (backward[:, back + 1] + 1 if k else 1) * mask[:, back]
    return np.minimum(forward, backward)
