"""What an image shows of the numbers that a recipe draws: one estimate of each, none of them free of bias.

The same is measured in simulated images, where the truth is known; that takes the bias out and says how sure the
numbers are (`adatom.matching.estimates`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize
from scipy.spatial import cKDTree

from adatom.data import nearest_distances
from adatom.locate.noise import Noise, estimate_noise
from adatom.locate.refine import FittedImage, Refined, refine_positions
from adatom.matching.sites import Crystal, Registration, register, turn_and_strain
from adatom.prepare import levelled
from adatom.prepare.level import level_plane
from adatom.simulate.columns import z_contrast

Array = NDArray[np.float64]
Numbers = dict[str, float]

# A site is resolved where this share of the sites around it, within so many spacings, holds an atom.
_RESOLVED, _AROUND = 0.55, 2.0
_EMPTY = 0.3  # of the usual height: less is no atom
_ODD = 4.0  # robust standard deviations from which on a height is another atom's
_ODD_SHARE = 0.2  # of the height, at least
_FEWEST = 12
_EXPONENTS = 0.3, 4.0  # of the atomic number, among which contrast is sought
_STRETCH = 4.0  # spacings, that an offset of a line lasts at least
# A streak stands out from the lines beside it, in a mean over so many pixels, by so many times the usual, and heights.
_STREAK_PX, _STREAK, _STREAK_HEIGHT = 9, 5.0, 0.4


@dataclass(frozen=True)
class Scene:
    """An image with its atoms.

    Attributes
    ----------
    raw : (y, x) as measured, square pixels, NaN where nothing was measured; atoms bright.
    positions : (n, 2) x, y of its atoms [px].
    pixel_nm : size of a pixel.
    """

    raw: Array
    positions: Array
    pixel_nm: float


@dataclass(frozen=True)
class Observation:
    """Numbers by the name of the recipe's field, and what they were read from.

    Attributes
    ----------
    numbers : estimates, in the recipe's units; those that the image does not tell are not there. Those that fields in
        `adatom.matching.narrowing` call variances are squares, which may be below 0 by the noise taken off.
    height : of a normal atom, in the image's unit.
    resolved : (y, x) bool: where atoms are resolved.
    """

    numbers: Numbers
    height: float
    resolved: NDArray[np.bool_]


def observe(
    scene: Scene,
    *,
    image_size: int,
    crystal: Crystal | None,
    measured: Array | None = None,
    start: Array | None = None,
) -> Observation | None:
    """Measure a scene.

    Parameters
    ----------
    image_size : side of the recipe's images in pixels of the scene, over which it states the tilt.
    crystal : sites of the recipe's crystal, None where it has none.
    measured, start : lattice of the atoms, or the map from crystal to image, see `register`.

    Returns
    -------
    None if the atoms do not stand on the crystal's sites.
    """
    flat = levelled(scene.raw)
    known = np.isfinite(flat)
    taken_out = scene.raw - flat
    spacing = float(np.median(nearest_distances(scene.positions)))
    fit = refine_positions(flat, *scene.positions.T, spacing_px=spacing, taken_out=taken_out)
    fitted = fit.fitted
    if fitted is None:
        return None
    position = np.column_stack([fit.x, fit.y])
    numbers: Numbers = {}
    heights = np.where(fit.converged, fitted.height, np.nan)
    usable = fit.converged & (heights > 0)
    if crystal is not None:
        registration = register(position[usable], heights[usable], crystal, measured, start)
        if registration is None:
            return None
        unit, crystal_numbers, resolved = _of_crystal(
            scene, position[usable], heights[usable], fit, fitted, usable, crystal, registration, spacing, flat
        )
        numbers |= crystal_numbers
    else:
        unit = float(np.median(heights[usable]))
        resolved = known
        numbers["material.height_spread"] = _spread(heights[usable] / unit, (heights / fit.snr)[usable] / unit)
        numbers["material.spacing_nm"] = spacing * scene.pixel_nm
    numbers |= _of_shape(fitted, scene.pixel_nm)
    numbers["microscope.row_shift_nm"] = fitted.jitter_variance * scene.pixel_nm**2
    numbers |= _of_noise(fitted, flat, resolved & known, unit)
    numbers |= _of_lines(fitted, scene.raw, resolved & known, unit, spacing)
    numbers |= _of_ground(fitted, scene.raw, resolved & known, unit, image_size, scene.pixel_nm)
    return Observation(numbers, unit, resolved)


def _of_crystal(
    scene: Scene,
    position: Array,
    heights: Array,
    fit: Refined,
    fitted: FittedImage,
    usable: NDArray[np.bool_],
    crystal: Crystal,
    registration: Registration,
    spacing: float,
    flat: Array,
) -> tuple[float, Numbers, NDArray[np.bool_]]:
    """Height of a normal atom, what atoms on sites tell, and where (y, x) they are resolved."""
    numbers: Numbers = {}
    scale, angle, unequal, shear = turn_and_strain(registration.affine)
    numbers |= {
        "microscope.scale": scale,
        "microscope.rotation_deg": angle,
        "microscope.stretch": unequal,
        "microscope.shear": shear,
        "material.spacing_nm": crystal.spacing * scale * scene.pixel_nm,
    }
    atom, site = registration.atom, registration.site
    group, height = crystal.group[site], heights[atom]
    error = (fitted.height[usable] / fit.snr[usable])[atom]
    rows, columns = flat.shape
    margin = 0.6 * spacing
    predicted = registration.predicted
    inside = ((predicted > margin) & (predicted < np.array([columns, rows]) - 1 - margin)).all(axis=1)
    filled = np.zeros(len(predicted), dtype=bool)
    filled[site] = True
    medians = np.array([_median(height[group == k]) for k in range(crystal.group.max() + 1)])
    unit = float(medians[0]) / float(crystal.height[crystal.group == 0][0])
    # an atom that was missed is no vacancy: what is left at its site tells
    holes = np.flatnonzero(inside & ~filled)
    if len(holes):
        left = _height_left(flat, fitted, predicted[holes])
        filled[holes[left > _EMPTY * medians[crystal.group[holes]]]] = True
    filled[site[height < _EMPTY * medians[group]]] = False
    sites = np.flatnonzero(inside)
    tree = cKDTree(predicted[sites])
    around = tree.query_ball_point(predicted[sites], _AROUND * spacing)
    share = np.array([filled[sites[near]].mean() for near in around]) if len(sites) else np.zeros(0)
    resolved_site = share >= _RESOLVED
    y, x = np.mgrid[:rows, :columns]
    nearest = tree.query(np.column_stack([x.ravel(), y.ravel()]))[1].reshape(flat.shape)
    resolved = resolved_site[nearest] & np.isfinite(flat)
    judged = sites[resolved_site]
    if len(judged) >= _FEWEST:
        numbers["defects.vacancy"] = float((~filled[judged]).mean())
    normal = np.isin(site, judged)
    scores, spreads, odd = [], [], np.zeros(len(atom), dtype=bool)
    for k, median in enumerate(medians):
        mine = normal & (group == k)
        if mine.sum() < _FEWEST:
            continue
        spread = 1.4826 * _median(np.abs(height[mine] - median))
        if crystal.has_species:  # as high as the other kind
            other = medians[1 - k]
            odd |= mine & (np.abs(height - other) < np.abs(height - median))
        else:
            odd |= mine & (np.abs(height - median) > max(_ODD * spread, _ODD_SHARE * median))
        spreads.append(_spread(height[mine] / median, error[mine] / median))
        scores.append(mine.sum())
    if scores:
        numbers["material.height_spread"] = float(np.average(spreads, weights=scores))
        if crystal.compositions is None:  # a structure has its dopants by name
            numbers["defects.substitution"] = float(odd[normal].mean())
    numbers |= _contrast(crystal, medians)
    numbers["material.displacement_nm"] = scene.pixel_nm**2 * _displacement(
        position[atom][normal], registration.off[normal], fit.y_std[usable][atom][normal]
    )
    return unit, numbers, resolved


def _contrast(crystal: Crystal, medians: Array) -> Numbers:
    """Heights of the kinds of sites against each other, where a recipe has a word for them."""
    ideal = np.array([crystal.height[crystal.group == k][0] for k in range(len(medians))])
    if crystal.compositions is not None:
        exponent = _exponent(crystal.compositions, medians)
        return {} if exponent is None else {"material.contrast_exponent": exponent}
    if len(medians) == 2:
        return {"material.height_b": float(medians[1] / medians[0])}
    if len(medians) == 4 and np.isclose(ideal.max() * ideal.min(), ideal[1] * ideal[2], rtol=1e-3):
        # Si(111)-7x7: corner and faulted, corner, faulted, neither; which of the middle ones is which, the ideal says
        corner, faulted = (1, 2) if ideal[1] > ideal[2] else (2, 1)
        return {
            "material.height_corner": float(np.sqrt(medians[0] * medians[corner] / (medians[faulted] * medians[3]))),
            "material.height_faulted": float(np.sqrt(medians[0] * medians[faulted] / (medians[corner] * medians[3]))),
        }
    return {}


def _exponent(compositions: tuple[Mapping[str, int], ...], medians: Array) -> float | None:
    """The power of Z by which the brightest columns are so much brighter than the dimmest; None where none fits."""
    if len(compositions) < 2 or not (medians > 0).all():
        return None

    def off(exponent: float) -> float:
        bright, dim = (z_contrast(compositions[k], exponent) for k in (0, -1))
        return float(np.log(bright / dim) - np.log(medians[0] / medians[-1]))

    low, high = _EXPONENTS
    return float(optimize.brentq(off, low, high)) if off(low) * off(high) < 0 else None


def _height_left(flat: Array, fitted: FittedImage, at: Array) -> Array:
    """Height (n,) of what stands above the model at some places (n, 2), by a matched filter."""
    residual = np.where(np.isfinite(flat), flat - fitted.model, 0.0)
    xx, xy, yy = fitted.shape
    reach = int(np.ceil(3 * (xx * yy - xy * xy) ** -0.25))
    offset = np.arange(-reach, reach + 1)
    column, row = (np.round(at[:, axis]).astype(int)[:, None] + offset for axis in (0, 1))
    dx, dy = column - at[:, :1], row - at[:, 1:]
    peak = np.exp(
        -0.5 * (xx * dx[:, None, :] ** 2 + 2 * xy * dx[:, None, :] * dy[:, :, None] + yy * dy[:, :, None] ** 2)
    )
    column, row = np.clip(column, 0, flat.shape[1] - 1), np.clip(row, 0, flat.shape[0] - 1)
    patch = residual[row[:, :, None], column[:, None, :]]
    # a constant in the patch is ground, not peak
    centred = peak - peak.mean(axis=(1, 2), keepdims=True)
    left: Array = (patch * centred).sum(axis=(1, 2)) / (centred * peak).sum(axis=(1, 2))
    return left


def _spread(relative: Array, error: Array) -> float:
    """Relative variance of heights less what their errors make."""
    scatter = 1.4826 * _median(np.abs(relative - _median(relative)))
    return scatter**2 - _median(error) ** 2


def _displacement(position: Array, off: Array, y_std: Array) -> float:
    """Variance of atoms about their sites [px^2] less that of their errors, along y, where no scan line jitters."""
    known = np.isfinite(y_std)
    if known.sum() < 4 * _FEWEST:
        return 0.0
    position, off_y, error = position[known], off[known, 1], y_std[known]
    # against the mean of six neighbours: smooth drift is no disorder
    around = cKDTree(position).query(position, k=7)[1][:, 1:]
    different = off_y - off_y[around].mean(axis=1)
    variance = (1.4826 * _median(np.abs(different))) ** 2 * 6 / 7
    return variance - _median(error) ** 2


def _of_shape(fitted: FittedImage, pixel_nm: float) -> Numbers:
    xx, xy, yy = fitted.shape
    (narrow, wide), axes = np.linalg.eigh(np.array([[xx, xy], [xy, yy]]))
    return {
        "microscope.ellipticity_deg": float(np.degrees(np.arctan2(axes[1, 0], axes[0, 0]))) % 180,
        "microscope.peak_width_nm": float((narrow * wide) ** -0.25) * pixel_nm,
        "microscope.ellipticity": float(np.sqrt(wide / narrow)),
    }


def _of_noise(fitted: FittedImage, flat: Array, where: NDArray[np.bool_], unit: float) -> Numbers:
    """Noise between atoms, how it grows on them, and how far neighbouring pixels share it; heights of an atom."""
    residual = np.where(where, (flat - fitted.model) / unit, 0.0)
    # a recipe counts what is on the ground: what is slow comes from elsewhere
    signal = np.where(where, (fitted.model - fitted.background) / unit, 0.0)
    noise: Noise = estimate_noise(residual, signal, where, sure=0.0)
    numbers = {
        "noise.between": float(np.sqrt(max(float(noise.variance(np.zeros(()))), 0.0))),
        "noise.shared": shared_noise(residual, where),
        "microscope.noise_lag": _lag(residual, where),
        "noise.gain": noise.gain,
        "noise.sure_gain": estimate_noise(residual, signal, where).gain,
    }
    return numbers


def _lag(residual: Array, where: NDArray[np.bool_]) -> float:
    """How much more of its noise a pixel shares with the next one along the line than with the one below."""
    shared = []
    for values, known in ((residual, where), (residual.T, where.T)):
        # across the lines only what changes from each to the next, along them no offset of the whole line
        rough = np.diff(values, axis=0)
        kept = ndimage.binary_erosion(known, np.ones((3, 3)))[1:]
        mean = np.where(kept, rough, 0.0).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)
        rough = np.where(kept, rough - mean[:, None], 0.0)
        size = float(np.sqrt(np.mean(rough[kept] ** 2))) if kept.any() else 0.0
        if size <= 0:
            return 0.0
        rough = np.clip(rough, -4 * size, 4 * size)
        pairs = kept[:, 1:] & kept[:, :-1]
        shared.append(float((rough[:, 1:] * rough[:, :-1])[pairs].mean() / (rough[kept] ** 2).mean()))
    return shared[0] - shared[1]


def shared_noise(residual: Array, where: NDArray[np.bool_] | None = None) -> float:
    """How much of the noise neighbouring pixels share: 0 if none, 1 if they are the same.

    The power of second differences along both axes against that of first ones, both 1 for white noise: what is as wide
    as an atom, such as a misfit of its shape, is in neither.
    """
    first = residual[1:, 1:] - residual[:-1, 1:] - residual[1:, :-1] + residual[:-1, :-1]
    second = np.diff(np.diff(residual, n=2, axis=0), n=2, axis=1)
    powers = []
    for values, norm, reach in ((first, 4.0, 1), (second, 36.0, 2)):
        squares = values**2
        if where is not None:
            kept = ndimage.binary_erosion(where, np.ones((3, 3)))[: len(values), : values.shape[1]]
            kept = ndimage.binary_erosion(kept, iterations=reach)
            squares = squares[kept] if kept.sum() > 100 else squares
            squares = np.minimum(squares, 25 * np.mean(squares))
        powers.append(float(np.sum(squares) / (norm * squares.size)))
    return float(np.clip(1 - powers[1] / powers[0], 0.0, 1.0)) if powers[0] > 0 else 0.0


def _of_lines(fitted: FittedImage, raw: Array, where: NDArray[np.bool_], unit: float, spacing: float) -> Numbers:
    """Offsets of scan lines, and streaks along them."""
    left = np.where(where, (raw - fitted.model) / unit, np.nan)
    n_known = where.sum(axis=1)
    rows = np.flatnonzero(n_known > 0.3 * raw.shape[1])
    numbers: Numbers = {}
    if len(rows) > 16 and np.ptp(rows) + 1 == len(rows):
        # an offset need not last a whole line, and may be like that of the line before; waves of the ground are slower
        width = int(np.clip(_STRETCH * spacing, 8, raw.shape[1]))
        n_parts = max(1, raw.shape[1] // width)
        parts = np.array_split(left[rows], n_parts, axis=1)
        along = np.diff(left[rows], n=2, axis=1)
        noise = float(np.nanmean(along**2)) / 6 / (raw.shape[1] / n_parts)
        variances = []
        for part in parts:
            known = np.isfinite(part)
            if known.mean() < 0.8:
                continue
            rough = np.diff(np.where(known, part, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
            variances.append(float(np.mean(np.clip(rough, *np.quantile(rough, [0.02, 0.98])) ** 2)) / 2)
        if variances:
            numbers["microscope.row_offset"] = float(np.mean(variances)) - noise
    smooth = ndimage.uniform_filter1d(np.nan_to_num(left), _STREAK_PX, axis=1)
    lone = smooth - 0.5 * (np.roll(smooth, 1, axis=0) + np.roll(smooth, -1, axis=0))
    lone = lone - np.median(lone, axis=1, keepdims=True)
    size = 1.4826 * float(np.median(np.abs(lone[where]))) or 1.0
    seen = np.where(where, np.abs(lone), 0.0)[1:-1] > max(_STREAK * size, _STREAK_HEIGHT)
    _, n_streaks = ndimage.label(seen, structure=np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]]))
    numbers["microscope.streaks"] = 100.0 * n_streaks / len(raw)
    return numbers


def _of_ground(
    fitted: FittedImage, raw: Array, where: NDArray[np.bool_], unit: float, image_size: int, pixel_nm: float
) -> Numbers:
    """Tilt, and the smooth background that the atoms stand on."""
    plane = raw - level_plane(raw)
    tilt = np.linalg.norm([np.nanmean(np.diff(plane, axis=axis)) for axis in (0, 1)]) * image_size / unit
    background = np.where(where, fitted.background / unit, np.nan)
    # as a recipe states it, within an image of its size: what is slower than that is not in there
    spread = float(np.sqrt(np.mean(_window_variances(background, image_size))))
    slopes = [np.diff(background, axis=axis) for axis in (0, 1)]
    slope = float(np.sqrt(np.nanmean([np.nanmean(part**2) for part in slopes])))
    numbers = {"microscope.tilt": float(tilt) ** 2, "microscope.background": spread**2}
    if slope > 0:
        numbers["microscope.background_size_nm"] = float(spread / (np.sqrt(2) * slope)) * pixel_nm
    return numbers


def _window_variances(values: Array, side: int) -> list[float]:
    """Variances of what is known in windows of a size; of the whole, if it is no larger."""
    variances = []
    for row in range(0, max(1, values.shape[0] - side + 1), max(1, side // 2)):
        for column in range(0, max(1, values.shape[1] - side + 1), max(1, side // 2)):
            window = values[row : row + side, column : column + side]
            known = window[np.isfinite(window)]
            if len(known) > 0.3 * window.size:
                variances.append(float(known.var()))
    return variances or [float(np.nanvar(values))]


def _median(values: Array) -> float:
    return float(np.median(values)) if len(values) else float("nan")
