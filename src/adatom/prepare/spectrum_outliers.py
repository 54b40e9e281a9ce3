"""Which spectra of a spectrum image are broken, and which of their points are spikes, by robust rules.

The rules look at the spectra alone: no model, and no score of one, has a say, so what is left out is not chosen to
please a network.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.data.spectrum_image import check_spectrum_image, spectral_axis
from adatom.errors import ArgumentError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

REASONS = ("good", "not measured", "spikes", "unlike the others", "noise")

_SPIKE_SIGMAS = 6.0
_WINDOW = 5  # points of the running median; a spike of two points is seen
_SHARE_OF_RANGE = 0.15  # of a spectrum's own range that a point must leave at least, to be called a spike
_MOST_SPIKES = 1 / 3
_DISTANCE_SIGMAS = 4.0  # of the logarithm of a distance; distances are skew, their logarithms are not
_APART = 3.0  # standard deviations between two groups that are two; of one skew group, halves lie 1 to 2 apart
_LEAST_RATIO = 8.0  # of the distances of two groups: domain walls and second phases are unlike, but not so unlike
_MOST_BROKEN = 0.4
_LEAST_STRANGE = 4.0  # robust standard deviations; what is nearer is never broken
_LEAST_NOISE = 0.5  # of a spectrum that ten components leave
_N_COMPONENTS = 10
_ROUNDS = 3


@dataclass(frozen=True)
class CheckedSpectra:
    """A spectrum image without its spikes, and what is wrong with it.

    Parameters
    ----------
    spectra : (y, x, energy | bias | time), float64; spikes are replaced by the running median, broken spectra stand as
        they were measured.
    spikes : (y, x, energy | bias | time), points that were replaced; False in broken spectra.
    reason : (y, x), number of the word in `REASONS`; 0 is good.
    """

    spectra: xr.DataArray
    spikes: Mask
    reason: NDArray[np.int8]

    @property
    def good(self) -> Mask:
        """(y, x), spectra that are fit for use."""
        return self.reason == 0

    def counts(self) -> dict[str, int]:
        """Number of spectra by reason; every reason is named, good ones come first."""
        return {word: int((self.reason == number).sum()) for number, word in enumerate(REASONS)}


def check_spectra(spectra: xr.DataArray) -> CheckedSpectra:
    """Find spikes and broken spectra.

    A point is a spike if it leaves the running median of its spectrum by 6 robust standard deviations, of that
    spectrum, of the whole image, and of that point in all spectra, and by 15 % of the spectrum's range. A spectrum is
    broken if it was not measured (NaN), if more than a third of its points are spikes, if it is unlike the median
    spectrum and unlike its neighbours too (a second phase is like some of its neighbours), or if ten principal
    components of the good spectra leave most of it. How far is too far, the distances say themselves: if their
    logarithms fall into two groups that lie 3 standard deviations and a factor of 8 apart, the far group, else what
    lies beyond 4 robust standard deviations.

    Parameters
    ----------
    spectra : (y, x, energy | bias | time), in any order.

    Raises
    ------
    ShapeError : if `spectra` is no spectrum image.
    ArgumentError : if fewer than two of the spectra are good.
    """
    image = check_spectrum_image(spectra)
    axis = spectral_axis(image)
    image = image.transpose("y", "x", axis).astype(float)
    values = image.to_numpy().copy()
    known = np.isfinite(values).all(axis=-1)
    if known.sum() < 2:
        raise ArgumentError(f"spectra: expected at least two that were measured, got {known.sum()}.")
    cleaned, spikes = _without_spikes(values, known)
    reason = np.where(known, 0, REASONS.index("not measured")).astype(np.int8)
    reason[known & (spikes.mean(axis=-1) > _MOST_SPIKES)] = REASONS.index("spikes")
    for _ in range(_ROUNDS):  # what was broken no longer belongs to what the others are measured by
        before = reason.copy()
        good = reason == 0
        strangeness = np.minimum(_from_median(cleaned, good), _from_neighbours(cleaned, good))
        components = _from_components(cleaned, good)
        for word, distance, least in (
            ("unlike the others", strangeness, _LEAST_STRANGE),
            ("noise", components, _LEAST_NOISE),
        ):
            reason[(reason == 0) & _is_far(distance, good, least)] = REASONS.index(word)
        if (reason == before).all():
            break
    good = reason == 0
    if good.sum() < 2:
        raise ArgumentError(f"spectra: expected at least two good ones, got {good.sum()}. Are they spectra at all?")
    spikes &= good[:, :, None]
    kept = np.where(spikes, cleaned, values)
    share = 100 * spikes[good].mean()
    note = (
        f"replaced {spikes.sum()} spikes ({share:.1f} % of the points); {(~good).sum()} of {good.size} spectra broken"
    )
    result = image.copy(data=kept)
    result.attrs = {**image.attrs, "history": [*image.attrs.get("history", []), note]}
    return CheckedSpectra(result, spikes, reason)


def _without_spikes(values: Array, known: Mask) -> tuple[Array, Mask]:
    """Values with spikes replaced by the running median, and where they were."""
    filled = np.where(known[:, :, None], values, 0.0)
    smooth = ndimage.median_filter(filled, size=(1, 1, _WINDOW), mode="nearest")
    residual = filled - smooth
    # a narrow peak that spectra share is no spike: at its place all of them leave their running medians
    residual = np.abs(residual - np.median(residual[known], axis=0))
    own = 1.4826 * np.median(residual, axis=-1)
    at_its_place = 1.4826 * np.median(residual[known], axis=0)
    # an empty median (a spectrum of few digits) is no reason to call all else a spike
    common = float(np.median(own[known]))
    low, high = np.quantile(smooth, [0.1, 0.9], axis=-1)
    least = np.maximum(_SPIKE_SIGMAS * np.maximum(own, common), _SHARE_OF_RANGE * (high - low))
    least = np.maximum(least[:, :, None], _SPIKE_SIGMAS * at_its_place)
    spikes = known[:, :, None] & (residual > least)
    return np.where(spikes, smooth, filled), spikes


def _from_median(values: Array, good: Mask) -> Array:
    """Distance of each spectrum from the median spectrum, in robust standard deviations of each point (y, x)."""
    centre = np.median(values[good], axis=0)
    spread = 1.4826 * np.median(np.abs(values[good] - centre), axis=0)
    return _rms((values - centre) / np.maximum(spread, _least(spread)))


def _from_neighbours(values: Array, good: Mask) -> Array:
    """Distance of each spectrum from the second most similar of its eight good neighbours (y, x), in robust standard
    deviations of the differences of neighbours: at a wall between two phases, some neighbours are of the same phase.
    """
    rows, columns, _ = values.shape
    pairs = good[:, 1:] & good[:, :-1]
    differences = (values[:, 1:] - values[:, :-1])[pairs] if pairs.sum() > 1 else values[good] - values[good].mean(0)
    spread = 1.4826 * np.median(np.abs(differences), axis=0)
    spread = np.maximum(spread, _least(spread))
    distances = np.full((8, rows, columns), np.inf)
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    for number, (dy, dx) in enumerate(shifts):
        here = (slice(max(0, -dy), rows - max(0, dy)), slice(max(0, -dx), columns - max(0, dx)))
        there = (slice(max(0, dy), rows - max(0, -dy)), slice(max(0, dx), columns - max(0, -dx)))
        apart = _rms((values[here] - values[there]) / spread)
        distances[(number, *here)] = np.where(good[there], apart, np.inf)
    # where nothing good is around, the other distance alone decides
    return np.asarray(np.sort(distances, axis=0)[1])


def _from_components(values: Array, good: Mask) -> Array:
    """What ten principal components of the good spectra leave of each, relative to its own size (y, x)."""
    centre = np.median(values[good], axis=0)
    centred = values - centre
    size = np.maximum(_rms(centred), 1e-300)
    # each counts alike, so that no spectrum makes a component of its own by being large
    directions = np.linalg.svd(centred[good] / size[good][:, None], full_matrices=False)[2][:_N_COMPONENTS]
    return np.maximum(_rms(centred - centred @ directions.T @ directions) / size, 1e-12)


def _rms(values: Array) -> Array:
    return np.asarray(np.sqrt(np.mean(values**2, axis=-1)))


def _least(spread: Array) -> float:
    return max(1e-3 * float(np.median(spread)), 1e-300)


def _is_far(distance: Array, good: Mask, least: float) -> Mask:
    """Where a distance belongs to the far group of two, or is far above those of the good spectra."""
    from sklearn.mixture import GaussianMixture

    logarithm = np.log(np.maximum(distance, 1e-12))
    known = logarithm[good]
    spread = max(1.4826 * float(np.median(np.abs(known - np.median(known)))), 0.05)
    limit = float(np.median(known)) + _DISTANCE_SIGMAS * spread
    if len(known) >= 50:
        start = np.quantile(known, [0.3, 0.95])[:, None]
        groups = GaussianMixture(2, means_init=start, reg_covar=1e-4, random_state=0).fit(known[:, None])
        near, far = np.argsort(groups.means_[:, 0])
        apart = float(groups.means_[far, 0] - groups.means_[near, 0])
        is_apart = apart > max(np.log(_LEAST_RATIO), _APART * np.sqrt(groups.covariances_.mean()))
        if is_apart and groups.weights_[far] < _MOST_BROKEN:
            places = np.linspace(groups.means_[near, 0], groups.means_[far, 0], 200)
            is_near = groups.predict(places[:, None]) == near
            limit = min(limit, float(places[is_near][-1]))
    return np.asarray(logarithm > max(limit, np.log(least)))
