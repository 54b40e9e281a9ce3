"""Denoisers that learn nothing: references for those that do, each with its strength chosen by the image itself."""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError
from adatom.locate.noise import Noise, estimate_noise
from adatom.models.denoiser import as_dataset, stills
from adatom.models.noise_draws import NoiseDraws
from adatom.models.noisy_pairs import prepare

Array = NDArray[np.float64]
Smooth = Callable[[Array, float], Array]  # takes an image whose noise is about 1, and a strength

_BACKGROUND_PX = 20.0
_N_DRAWS = 8
_PROBE = 0.1  # of the noise: a change that is small, and larger than rounding


def _gaussian(values: Array, strength: float) -> Array:
    return np.asarray(ndimage.gaussian_filter(values, strength))


def _non_local_means(values: Array, strength: float) -> Array:
    from skimage.restoration import denoise_nl_means

    smoothed: Array = denoise_nl_means(values, patch_size=7, patch_distance=11, h=strength, sigma=1.0, fast_mode=True)
    return smoothed


def _wavelet(values: Array, strength: float) -> Array:
    from skimage.restoration import denoise_wavelet

    smoothed: Array = denoise_wavelet(values, sigma=strength, wavelet="sym4", mode="soft", rescale_sigma=False)
    return smoothed


def _total_variation(values: Array, strength: float) -> Array:
    from skimage.restoration import denoise_tv_chambolle

    smoothed: Array = denoise_tv_chambolle(values, weight=strength)
    return smoothed


# name -> what smooths, and the strengths to choose from
CLASSICAL: dict[str, tuple[Smooth, tuple[float, ...]]] = {
    "gaussian": (_gaussian, (0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8)),
    "non_local_means": (_non_local_means, (0.2, 0.4, 0.6, 0.8, 1.1)),
    "wavelet": (_wavelet, (0.5, 0.7, 1.0, 1.4, 2.0)),
    "total_variation": (_total_variation, (0.3, 0.5, 1.0, 1.5, 2.0, 3.0)),
}


def denoise_classically(image: xr.DataArray, method: str, *, random_state: int = 0) -> xr.Dataset:
    """An image without its noise, and the risk of that, as `Denoiser.predict` gives them.

    Parameters
    ----------
    image : (y, x) or (frame, y, x), at least 16 pixels a side.
    method : ``gaussian``, ``non_local_means``, ``wavelet`` (needs PyWavelets), ``total_variation``.

    Notes
    -----
    The noise is made even first: where it grows with the signal, as counts have it, by Anscombe's root (Biometrika 35,
    246 (1948), 10.1093/biomet/35.3-4.246). The strength is the one of least expected error by Stein's estimate, taken
    by a small random change of the image (Ramani, Blu & Unser, IEEE Trans. Image Process. 17, 1540 (2008),
    10.1109/TIP.2008.2001404).

    Raises
    ------
    ArgumentError, ShapeError : if there is no such method, or the image is too small or holds no number.
    """
    if method not in CLASSICAL:
        raise ArgumentError(f"method: expected one of {', '.join(CLASSICAL)}, got {method!r}.")
    if method == "wavelet" and find_spec("pywt") is None:
        raise ArgumentError(
            "method: expected PyWavelets to be installed for wavelet. Run pip install 'adatom[wavelets]'."
        )
    results = []
    for values in stills(image):
        denoise = ClassicalDenoiser(values, method)
        denoised = denoise(values)
        draws = NoiseDraws(values, denoised, np.random.default_rng([random_state, 2]))
        results.append((denoised, draws.risk(partial(_again, denoise), _N_DRAWS)))
    denoised, risk = (np.stack(each) for each in zip(*results, strict=True))
    return as_dataset(image, denoised, risk, by=method)


def _again(denoise: "ClassicalDenoiser", values: Array, number: int) -> Array:
    """What is made of a draw of noise, whose number makes no difference here."""
    del number
    return denoise(values)


class ClassicalDenoiser:
    """A classical method with noise and strength as one image (y, x) has them; takes that image or others like it."""

    def __init__(self, values: Array, method: str) -> None:
        self.smooth, _ = CLASSICAL[method]
        self.prepared = prepare(values, background_px=_BACKGROUND_PX)
        seen = self.prepared.values
        # a first look, by which the noise is told. Its second differences leave next to nothing of atoms: no need to
        # subtract these, and with them some of the noise
        overall = estimate_noise(seen, np.zeros_like(seen), self.prepared.known)
        even = _evened(seen, overall)
        first = _uneven(_gaussian(even, _best_strength(even, "gaussian")), overall)
        self.noise = estimate_noise(seen, first, self.prepared.known)
        self.strength = _best_strength(_evened(seen, self.noise), method)

    def __call__(self, values: Array) -> Array:
        """(y, x) without noise."""
        if not self.prepared.contrast:
            return self.prepared.back(self.prepared.values)
        even = _evened(self.prepared.like(values), self.noise)
        return self.prepared.back(_uneven(self.smooth(even, self.strength), self.noise))


def _evened(values: Array, noise: Noise) -> Array:
    """Values whose noise is about 1 everywhere."""
    if noise.gain <= 0:
        return np.asarray(values / np.sqrt(max(noise.constant, noise.least, 1e-30)))
    gain = noise.gain
    return np.asarray(2 / gain * np.sqrt(np.maximum(gain * values + noise.constant + 0.375 * gain**2, 0.0)))


def _uneven(values: Array, noise: Noise) -> Array:
    """The way back, without the bias that the root has of many counts."""
    if noise.gain <= 0:
        return np.asarray(values * np.sqrt(max(noise.constant, noise.least, 1e-30)))
    gain = noise.gain
    return np.asarray((0.5 * gain * values) ** 2 / gain - 0.125 * gain - noise.constant / gain)


def _best_strength(values: Array, method: str) -> float:
    """The strength of least expected error for an image whose noise is 1, by an estimate that needs no truth."""
    smooth, strengths = CLASSICAL[method]
    probe = np.random.default_rng(0).choice([-1.0, 1.0], size=values.shape)

    def expected_error(strength: float) -> float:
        smoothed = smooth(values, strength)
        moved = smooth(values + _PROBE * probe, strength) - smoothed
        return float(np.mean((smoothed - values) ** 2) + 2 * np.mean(probe * moved) / _PROBE)

    return min(strengths, key=expected_error)
