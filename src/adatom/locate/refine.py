"""Refinement: where exactly in the measured image each atom sits, and how sure that is."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.locate.first_fit import fit_first
from adatom.locate.gaussians import Patches, Peaks, render, render_reshaped, render_slope
from adatom.locate.jitter import is_jitter, line_shifts
from adatom.locate.likelihood import Pairs, Sums, add_up, couple, move, row_information, share, solve, variances
from adatom.locate.noise import Noise, correlation_factors, estimate_noise
from adatom.prepare import subtract_background
from adatom.prepare.resample import local_mean

Array = NDArray[np.float64]
Floats = NDArray[np.float32]

_ROUNDS = 8  # of the likelihood fit, at most
_SHAPE_SETTLED = 2e-3  # of the inverse covariance
_SHARED = 3  # of these, the first that fit what all atoms share too, and estimate the noise anew
_ENOUGH = 1000  # pixels that tell the noise
_MANY, _BAND = 1_000_000, 64  # pixels that tell it to three digits; rows of a band of them
_SOME = 150  # atoms that tell the shape of all
_SLOW = 1.5  # spacings: the background is smooth over so much
_TELLING = 1.5  # times the median of mean squared residuals, up to which an atom tells the shape of all
_ASTRAY = 0.3  # spacings that a fit may well be from its start
_VAGUE = 30.0  # typical heights that a height may be from what the first fit says
_SETTLED = 0.05  # standard deviations: when hardly an atom moves further, all are done
# Beyond this median misfit, if it is so large a part of the heights, the first, more local fit is the better one.
_WRONG, _MUCH = 2.0, 0.02
_STILL = 0.3  # standard deviations an atom may have moved in the last round
_UNSEEN = 0.01  # widths: what nobody asks for
_NO_PEAK = 1e-4  # of the image's standard deviation: rounding
_MOST_OBLONG = 1.6  # axes of the ellipse; more is not one atom
_WIDEST, _NARROWEST = 0.4, 0.05  # spacings
_FAR = 4.0  # usual residuals: pixels further from the model count less
_HARDLY = 1.2  # times the variance that independent pixels give: hardly more
_UNUSUAL = 3.0  # standard deviations of a mean square, from which on the model does not fit an atom


@dataclass(frozen=True)
class FittedImage:
    """What the joint fit makes of the whole image, in its unit.

    Attributes
    ----------
    height : (n,) of each peak.
    model : (y, x) peaks, background and what shifts of the scan lines do.
    background : (y, x) what the peaks stand on.
    shape : inverse covariance (xx, xy, yy) of the peaks [1/px^2].
    jitter_variance : of the shifts of the scan lines [px^2], by noise also below 0, be it significant or not.
    """

    height: Array
    model: Array
    background: Array
    shape: tuple[float, float, float]
    jitter_variance: float


@dataclass(frozen=True)
class Refined:
    """Fitted Gaussians, in pixels of the image; one row an atom, in the order of the starts.

    Attributes
    ----------
    x, y : (n,) positions; the start where the fit failed.
    x_std, y_std : (n,) standard deviations; NaN where the fit failed.
    flux : (n,) volume of the peak [value unit x px^2]; NaN where the fit failed.
    converged : (n,) bool.
    empty : (n,) bool: the image shows that there is no peak, see `fit_first`.
    misfit : (n,) mean square of the residuals in units of the noise where it is significantly above 1, else 1.
    jitter_px : standard deviation of the shifts of the scan lines along x; 0 where none are seen.
    is_ideal : whether what the fit left over is nothing but noise that no two pixels share.
    width : (n,) standard deviation of the peaks [px].
    fitted : what the joint fit makes of the image; None if there are no atoms.
    """

    x: Array
    y: Array
    x_std: Array
    y_std: Array
    flux: Array
    converged: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    misfit: Array
    jitter_px: float = 0.0
    is_ideal: bool = True
    width: float | Array = np.nan
    fitted: "FittedImage | None" = None

    @property
    def snr(self) -> Array:
        """Signal-to-noise ratio (n,) of each peak, that of a matched filter; NaN where the fit failed.

        In white noise the deviation of a Gaussian's height is that of its position times height over width, over the
        root of two.
        """
        ratio: Array = np.sqrt(2) * self.width / np.sqrt(self.x_std * self.y_std)
        return ratio


def refine_positions(
    values: Array, x: Array, y: Array, *, spacing_px: float, taken_out: Array | None = None
) -> Refined:
    """Fit all atoms together by maximum likelihood, on a slowly varying background.

    Parameters
    ----------
    values : (y, x) image, best levelled, in which atoms are bright; NaN where nothing was measured.
    x, y : (n,) start positions [px].
    spacing_px : typical distance of neighbours [px].
    taken_out : (y, x) what levelling took out of the image: noise depends on what was measured.

    Returns
    -------
    Positions with standard deviations from the Fisher information of the joint fit: height, x and y of every atom are
    free, those of its neighbours too. Where the residuals are significantly larger than the noise, or correlated,
    deviations grow with them; they never shrink. A fit that leaves its start by more than a third of the spacing, is no
    surer than that, has not settled, or finds no peak, is refused.

    Notes
    -----
    Noise is estimated from the image: a constant and a part that grows with the signal (`adatom.locate.noise`). With
    weights of one over the model's variance, Fisher scoring solves the likelihood equations of Poisson counts exactly;
    of the sum of Poisson and Gaussian noise they are the quasi-likelihood. All atoms have one elliptical shape, and
    stand on one slowly varying background: one instrument, one shape, and at low dose a free one follows the noise. In
    an image of which that explains little, and for atoms where it fails, positions are those of the first fit, which is
    more local.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    n_atoms = len(x)
    start = np.column_stack([x, y]).astype(float).reshape(n_atoms, 2)
    if n_atoms == 0:
        none, never = np.zeros(0), np.zeros(0, dtype=bool)
        return Refined(none, none, none, none, none, never, never, none)
    known = np.isfinite(values)
    middle, scale = (float(of(values[known])) if known.any() else 0.0 for of in (np.mean, np.std))
    scale = scale or 1.0
    data = np.where(known, (values - middle) / scale, 0.0)  # numbers near 1: fits do not care for units
    flat = np.where(known, data, np.nan)
    first = fit_first(subtract_background(flat, sigma_px=spacing_px), start, spacing_px=spacing_px)
    extra = np.zeros_like(data)
    if taken_out is not None:
        extra = np.where(known & np.isfinite(taken_out), taken_out / scale, 0.0)
        extra -= float(np.median(extra))
    starts = Peaks(first.height, first.position, (first.width**-2, 0.0, first.width**-2))
    level = float(np.quantile(data[known], 0.1)) if known.any() else 0.0
    shape, level = _common_shape(data, known, extra, starts, level, spacing_px)
    fit = _Fit(data, known, extra, replace(starts, shape=shape), level, spacing_px, shape_is_free=False)
    fit.run()
    fit.judge()

    # Where most of what is left is not noise, weights by noise and a smooth ground are no gain; nor where a fit failed,
    # at a torn border, say.
    explains = np.median(fit.misfit) <= _WRONG or fit.rest <= _MUCH * float(np.median(fit.peaks.height))
    joint = fit.still & _accepted(fit.peaks, fit.variance, start, spacing_px) & explains
    converged = joint | _accepted(starts, first.variance, start, spacing_px)
    position = np.where(joint[:, None], fit.peaks.position, np.where(converged[:, None], first.position, start))
    variance = np.where(joint[:, None], fit.variance, np.where(converged[:, None], first.variance, np.nan))
    std = np.sqrt(variance)
    volume = 2 * np.pi * scale * np.where(joint, fit.peaks.height * fit.peaks.width**2, first.height * first.width**2)
    flux = np.where(converged, volume, np.nan)
    return Refined(
        position[:, 0],
        position[:, 1],
        std[:, 0],
        std[:, 1],
        flux,
        converged,
        first.empty,
        fit.misfit,
        fit.jitter_px,
        fit.is_ideal and fit.jitter_px == 0 and bool(np.median(fit.misfit) <= 1),
        np.where(joint, fit.peaks.width, first.width),
        fit.in_unit(middle, scale),
    )


def _accepted(peaks: Peaks, variance: Array, start: Array, spacing_px: float) -> NDArray[np.bool_]:
    """Which fits (n,) found a peak near their start, and are sure of it."""
    near = np.hypot(*(peaks.position - start).T) < spacing_px / 3
    sure = (np.isfinite(variance) & (variance > 0) & (variance < (spacing_px / 3) ** 2)).all(axis=1)
    accepted: NDArray[np.bool_] = near & sure & (peaks.height > _NO_PEAK)
    return accepted


def _common_shape(
    data: Array, known: NDArray[np.bool_], extra: Array, peaks: Peaks, level: float, spacing_px: float
) -> tuple[tuple[float, float, float], float]:
    """The shape of all peaks and the level of the background, from a part of the image that holds some atoms."""
    central = np.argsort(np.hypot(*(peaks.position - np.median(peaks.position, axis=0)).T), kind="stable")[:_SOME]
    margin = 8 * peaks.width
    low = np.maximum(np.floor(peaks.position[central].min(axis=0) - margin), 0).astype(int)
    high = np.ceil(peaks.position[central].max(axis=0) + margin).astype(int) + 1
    part = (slice(low[1], high[1]), slice(low[0], high[0]))
    if min(data[part].shape) < 3:
        return peaks.shape, level
    position = peaks.position - low
    near = ((position > -3 * peaks.width) & (position < np.array(data[part].shape[::-1]) + 3 * peaks.width)).all(axis=1)
    some = Peaks(peaks.height[near], position[near], peaks.shape)
    fit = _Fit(data[part], known[part], extra[part], some, level, spacing_px, shape_is_free=True)
    fit.run()
    return fit.peaks.shape, float(np.median(fit.background))


class _Fit:
    """The state of the likelihood fit of one image."""

    def __init__(
        self,
        data: Array,
        known: NDArray[np.bool_],
        extra: Array,
        peaks: Peaks,
        level: float,
        spacing_px: float,
        *,
        shape_is_free: bool,
    ) -> None:
        self.data, self.known, self.extra = data, known, extra
        self.peaks, self.start, self.spacing_px = peaks, peaks.position, spacing_px
        self.shape_is_free = shape_is_free
        self.background = np.full_like(data, level)
        self.shifted = np.zeros_like(data)  # what shifts of the scan lines do to the model
        self.noise = Noise(0.0, 1.0, 1.0)
        self.jitter_px, self.jitter_variance = 0.0, 0.0
        self._sample = _bands(*data.shape)
        self._drawn_of: tuple[object, ...] = ()
        self._cut_patches()

    def run(self) -> None:
        """All rounds."""
        self._see_noise()
        prior, expected = self._prior()
        for number in range(_ROUNDS):
            shares = self.shape_is_free or number < _SHARED
            left, weight = self._left()
            images = [left]
            if shares:
                images.append(self.known.astype(np.float32))
            if shares and self.shape_is_free:
                changes = render_reshaped(self.peaks, self.patches, self.data.shape)
                images += [image.astype(np.float32) for image in changes]
            sums = add_up(self.peaks, self.patches, images, weight)
            sums.gradient[:, :, 0] -= prior * (np.column_stack([self.peaks.height, self.peaks.position]) - expected)
            if shares:
                self.blocks = couple(self.peaks, self.patches, self.pairs, weight)
            steps = solve(sums, self.pairs, self.blocks, prior)
            step = steps[:, :, 0]
            if shares:
                telling = self._telling(sums)
                step, change, left, unit = share(self.peaks, self.patches, images, steps, weight, telling)
                ground = self._slow(left, unit, weight) * (number >= 3 or not self.shape_is_free)
                column, row = self._nearest_pixel()
                step = step - steps[:, :, 1] * ground[row, column, None]
                self.background = self.background + change[0] + ground
                if self.shape_is_free:
                    self._reshape(change[1:])
                    settled = bool((np.abs(change[1:]) < _SHAPE_SETTLED * self.peaks.width**-2).all())
            self.peaks = move(self.peaks, step)
            size = np.sqrt(np.maximum(np.linalg.inv(_safe(sums.normal))[:, [1, 2], [1, 2]], 1e-30))
            # against the deviation, as misfit widens it, and what nobody will miss
            size = np.maximum(size * np.sqrt(np.maximum(sums.chi2, 1.0))[:, None], _UNSEEN * self.peaks.width)
            moved = np.abs(step[:, 1:]) / size
            if shares:
                if self.shape_is_free or number + 1 < _SHARED:
                    self._cut_patches()
                self._see_noise()
            if self.shape_is_free:
                if settled and number >= _SHARED:
                    break
            elif not shares and np.quantile(moved, 0.95) < _SETTLED:
                break
        self.still = (moved < _STILL).all(axis=1)

    def _prior(self) -> tuple[Array, Array]:
        """What is known of height, x and y (n, 3) beforehand: information, and what it expects.

        Next to nothing, but that a fit may not go far astray; of atoms beyond the border the image says little, and
        they shall not do harm.
        """
        rows, columns = self.data.shape
        x, y = self.start.T
        beyond = (x < -0.5) | (x > columns - 0.5) | (y < -0.5) | (y > rows - 0.5)
        typical = float(np.median(np.abs(self.peaks.height[~beyond]))) if not beyond.all() else 1.0
        typical = typical or 1.0
        known = np.where(beyond, 0.5, _VAGUE)[:, None] * np.array([typical, self.spacing_px, self.spacing_px])
        known[:, 1:] *= np.where(beyond, 0.2, _ASTRAY / _VAGUE)[:, None]
        height = np.where(beyond, typical, self.peaks.height)
        return known**-2.0, np.column_stack([height, self.start])

    def _inner(self) -> NDArray[np.bool_]:
        """Where (y, x) atoms that are not known, beyond the border, are not seen."""
        inset = min(3 * self.patches.row.shape[1] // 2, min(self.data.shape) // 4)
        inner = np.zeros(self.data.shape, dtype=bool)
        inner[inset : self.data.shape[0] - inset, inset : self.data.shape[1] - inset] = True
        return inner

    def _telling(self, sums: Sums) -> NDArray[np.bool_]:
        """The pixels (y, x) that tell shape and level: none around the atoms that the model fits badly."""
        telling = self._inner()
        column, row = self._nearest_pixel()
        inside = telling[row, column]
        if not inside.any():
            return self.known
        bad = sums.chi2 > _TELLING * np.median(sums.chi2[inside])
        telling.ravel()[self.patches.index[bad].ravel()] = False
        return telling & self.known if telling.any() else self.known

    def _nearest_pixel(self) -> NDArray[np.int64]:
        """Columns and rows (2, n) of the pixels nearest to the atoms."""
        return np.clip(np.round(self.peaks.position), 0, np.array(self.data.shape[::-1]) - 1).astype(np.int64).T

    def judge(self) -> None:
        """What the fit says of each atom: `variance` (n, 2) of its position, `misfit` (n,)."""
        self._see_jitter()
        left, weight = self._left()
        sums = add_up(self.peaks, self.patches, [left], weight)
        self.misfit = _misfit(sums)
        usual = max(1.0, float(np.sqrt(np.median(self.misfit))))
        # around atoms that it describes: of others that were missed, their misfit has spoken
        plain = np.zeros(self.data.size, dtype=bool)
        plain[self.patches.index[self.misfit <= max(1.0, float(np.median(self.misfit)))].ravel()] = True
        plain[self.patches.index[self.misfit > max(1.0, float(np.median(self.misfit)))].ravel()] = False
        size = np.where(self._inner() & plain.reshape(left.shape), left * np.sqrt(weight), 0.0).astype(float)
        shared = correlation_factors(np.clip(size, -_FAR * usual, _FAR * usual), self.peaks.width)
        self.is_ideal = max(shared) < _HARDLY
        self.rest = float(np.sqrt(np.mean(left[self.known] ** 2))) if self.known.any() else 0.0
        self.variance = variances(sums, self.pairs, self.blocks) * self.misfit[:, None] * np.array(shared)
        if self.jitter_px:
            information = row_information(self.peaks, self.patches, weight, 0)
            share = information / np.maximum(information.sum(axis=1), 1e-30)[:, None]
            self.variance[:, 0] += self.jitter_px**2 * (share**2).sum(axis=1)

    def in_unit(self, middle: float, scale: float) -> FittedImage:
        """The fit in the unit of an image that was shifted by `middle` and divided by `scale`."""
        return FittedImage(
            scale * self.peaks.height,
            middle + scale * self._model(),
            middle + scale * self.background,
            self.peaks.shape,
            self.jitter_variance,
        )

    def _cut_patches(self) -> None:
        self.patches = Patches.around(self.peaks.position, self.known, self.peaks.width)
        self.pairs = Pairs.within(self.peaks.position, self.peaks.width)

    def _model(self) -> Array:
        """Peaks, background and shifts (y, x), drawn once for each state."""
        state = (self.peaks, self.patches, self.background, self.shifted)
        if [id(part) for part in state] != [id(part) for part in self._drawn_of]:
            self._drawn = render(self.peaks, self.patches, self.data.shape) + self.background + self.shifted
            self._drawn_of = state
        return self._drawn

    def _left(self) -> tuple[Floats, Floats]:
        """What the model leaves (y, x), and one over the variance of the noise; 0 where nothing is known."""
        model = self._model()
        variance = self.noise.variance(model + self.extra).astype(np.float32)
        residual = (self.data - model).astype(np.float32)
        residual[~self.known] = 0.0
        weight = np.divide(1.0, variance, out=np.zeros_like(variance), where=self.known & (variance > 0))
        # what is not in the model, a missed atom, a fault, must not pull at those that are (Huber's weights)
        size = np.abs(residual) * np.sqrt(weight)
        some, known = size[self._sample.rows], self.known[self._sample.rows]
        usual = max(1.0, 1.4826 * float(np.median(some[known]))) if known.any() else 1.0
        weight /= np.maximum(size / np.float32(_FAR * usual), 1.0)
        return residual, weight

    def _slow(self, left: Floats, unit: Floats, weight: Floats) -> Array:
        """What the slow part of the background lacks (y, x).

        A background that is too low is made good by higher peaks: only what they cannot make good of a unit of it tells
        how much, by a regression in a window around each pixel.
        """
        inner = self._inner()
        power, product = (
            local_mean((weight * inner * unit * part).astype(float), _SLOW * self.spacing_px) for part in (unit, left)
        )
        return product / np.maximum(power, 1e-3 * float(power.max()) + 1e-30)

    def _see_noise(self) -> None:
        """The noise of what is left, from some bands of the image."""
        rows = self._sample.rows
        model, known = self._model()[rows], self.known[rows]
        residual = np.where(known, self.data[rows] - model, 0.0)
        inner = known & self._inner()[rows] & ~self._sample.ends[:, None]
        seen = inner if inner.sum() > _ENOUGH else known & ~self._sample.ends[:, None]
        noise = estimate_noise(residual, model + self.extra[rows], seen)
        # noiseless images have rounding, and the misfit of the model
        floor = 1e-4 * float(np.mean(residual**2)) + 1e-12
        self.noise = Noise(
            noise.gain, max(noise.constant, floor) if not noise.gain else noise.constant, max(noise.least, floor)
        )

    def _reshape(self, change: Array) -> None:
        """Change the common shape, if it stays one that atoms may have."""
        xx, xy, yy = (float(value) for value in np.array(self.peaks.shape) + change)
        least, most = np.linalg.eigvalsh(np.array([[xx, xy], [xy, yy]]))
        if least <= 0 or most / least > _MOST_OBLONG**2:
            return
        width = (least * most) ** -0.25 / self.spacing_px
        if _NARROWEST < width < _WIDEST:
            self.peaks = replace(self.peaks, shape=(xx, xy, yy))

    def _see_jitter(self) -> None:
        """Shifts of the scan lines; the columns, which have none, tell how much of it is misfit of the model."""
        residual, weight = self._left()
        left, weights = np.where(weight > 0, residual, 0.0).astype(float), weight.astype(float)
        seen = []
        for axis, lines in enumerate((self.patches.row, self.patches.column)):
            slope = render_slope(self.peaks, self.patches, self.data.shape, axis=axis)
            information = row_information(self.peaks, self.patches, weight, axis)
            turned = [image if axis == 0 else image.T for image in (left, weights, slope)]
            seen.append((*line_shifts(turned[0], turned[1], turned[2], information, lines), slope))
        rows, columns = seen
        self.jitter_variance = rows[0] - max(0.0, columns[0])
        if is_jitter(rows[:3], columns[:3]):
            self.jitter_px = float(np.sqrt(self.jitter_variance))
            self.shifted = rows[2][:, None] * rows[3]
            self._see_noise()


@dataclass(frozen=True)
class _Bands:
    """Some rows of an image, in bands: enough to tell what all pixels share.

    Attributes
    ----------
    rows : (m,) numbers of the rows, ascending; or all.
    ends : (m,) bool, first and last row of a band, beside which others are missing.
    """

    rows: NDArray[np.int64] | slice
    ends: NDArray[np.bool_]


def _bands(rows: int, columns: int) -> _Bands:
    """Bands all over an image of so many rows and columns; the whole of it where it is not large."""
    n_bands = _MANY // (_BAND * columns)
    if rows * columns <= 2 * _MANY or n_bands < 2:
        return _Bands(slice(None), np.zeros(rows, dtype=bool))
    first = np.linspace(0, rows - _BAND, n_bands).astype(np.int64)
    at = np.arange(_BAND)
    return _Bands((first[:, None] + at).ravel(), np.tile((at == 0) | (at == _BAND - 1), n_bands))


def _misfit(sums: Sums) -> Array:
    """How far the residuals of each atom are above the noise (n,), 1 where they are not significantly."""
    expected = np.sqrt(2 / np.maximum(sums.n_pixels - 4, 1))
    # few counts scatter more than a Gaussian
    scatter = 1.4826 * float(np.median(np.abs(sums.chi2 - np.median(sums.chi2))))
    usual = np.clip(scatter, expected, 2 * expected)
    return np.where(sums.chi2 > 1 + _UNUSUAL * usual, sums.chi2, 1.0)


def _safe(matrices: Array) -> Array:
    """Symmetric matrices (n, k, k) made surely invertible."""
    trace = np.einsum("nii->n", matrices)
    return matrices + (1e-9 * trace + 1e-30)[:, None, None] * np.eye(matrices.shape[-1])
