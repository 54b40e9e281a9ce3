"""Phases of a lattice, by the Fourier transforms of windows that slide over the image.

Each window's spectrum is a sum of the spectra of the phases in it, as non-negative matrix factorisation wants it
(Vasudevan et al., Appl. Phys. Lett. 106, 091601 (2015), 10.1063/1.4914016).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import fft

from adatom.analyse.decomposition import decompose
from adatom.analyse.descriptors import Array, Descriptors
from adatom.data import check_image, pixel_size_nm
from adatom.errors import ArgumentError

_SMALLEST_PX = 8
_MOST_PHASES = 8  # that are suggested
_FEWEST_WINDOWS = 8  # without overlap, to suggest a number from
_MOST_NUMBERS = 2e8  # of all windows' spectra together
# Waves longer than this share of the window are background.
_LONGEST_WAVE = 1 / 3


@dataclass(frozen=True)
class LatticePhases:
    """What the windows of an image are made of.

    Attributes
    ----------
    spectra : (component, v, u) amplitudes; u and v are frequencies along x and y [1/nm, or 1/px], 0 in the middle.
    abundance : (component, y, x) share of each in the windows, whose centres are the coordinates; NaN where a window
        holds pixels without a value. Shares of a window sum up to 1.
    explained : share of variance of the principal components of all spectra.
    n_suggested : of them above the noise, as judged by windows that do not overlap; 1 with fewer than 8 of these.
    """

    spectra: xr.DataArray
    abundance: xr.DataArray
    explained: Array
    n_suggested: int


def lattice_phases(
    image: xr.DataArray,
    window: float,
    *,
    step: float | None = None,
    n_components: int | Literal["auto"] = "auto",
    random_state: int = 0,
) -> LatticePhases:
    """Tell phases of a lattice apart by their diffraction.

    Parameters
    ----------
    image : (y, x) of square pixels.
    window : side of a window in nm (px if the image is not calibrated): some lattice constants.
    step : from window to window; a quarter of the window by default.
    n_components : number of phases, or as many as stand above the noise (2 to 8): strain and defects count too.

    Raises
    ------
    ArgumentError : if the window is below 8 pixels or above the image, or no window is without missing pixels.

    Notes
    -----
    A plane is taken out of each window, and a Hann window laid over it. From the amplitudes the median at each radius
    is subtracted, as the background of all directions, and waves longer than a third of the window are left out.
    """
    image = check_image(image, ndim=2).transpose("y", "x")
    pixel = pixel_size_nm(image)
    if pixel is not None and abs(pixel[0] / pixel[1] - 1) > 0.01:
        raise ArgumentError(
            f"image: expected square pixels, got {pixel[0]:.4g} x {pixel[1]:.4g} nm. Resample it first."
        )
    width = 1.0 if pixel is None else pixel[1]
    side = 2 * round(window / width / 2) if np.isfinite(window) else 0
    if not _SMALLEST_PX <= side <= min(image.shape):
        raise ArgumentError(
            f"window: expected {_SMALLEST_PX * width:.3g} to {min(image.shape) * width:.3g}, got {window}."
        )
    if step is not None and not 0 < step < np.inf:
        raise ArgumentError(f"step: expected a length above 0, got {step}.")
    stride = max(1, round((0.25 * window if step is None else step) / width))
    values = np.asarray(image, dtype=float)
    tops, lefts = (np.arange(0, n - side + 1, stride) for n in values.shape)
    frequency, keeps = _frequencies(side)
    if len(tops) * len(lefts) * keeps.sum() > _MOST_NUMBERS:
        raise ArgumentError(f"step: expected fewer windows, got {len(tops) * len(lefts)}. Take a longer step.")
    rows, measured, places = [], [], []
    for top in tops:
        for left in lefts:
            places.append((top, left))
            cut = values[top : top + side, left : left + side]
            measured.append(bool(np.isfinite(cut).all()))
            if measured[-1]:
                rows.append(_spectrum(cut, frequency, keeps))
    if len(rows) < 3:
        raise ArgumentError(f"window: expected 3 windows or more without missing pixels, got {len(rows)}.")
    spectra = np.array(rows)
    typical = float(np.sqrt((spectra**2).mean())) or 1.0
    described = Descriptors(spectra / typical, np.arange(len(rows)), (int(keeps.sum()),))
    n_suggested = _n_differences(described, np.array(places)[measured], side)
    if n_components == "auto":
        # one phase more than there are differences, and so one more than principal components
        n_components = min(n_suggested + 1, _MOST_PHASES, len(rows) - 1)
    parts = decompose(described, method="nmf", n_components=n_components, random_state=random_state)
    size = parts.components.sum(axis=1)
    shares = parts.scores * size
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    number = np.arange(1, len(size) + 1)
    abundance = np.full((len(size), len(tops) * len(lefts)), np.nan)
    abundance[:, np.array(measured)] = shares.T
    units = "px" if pixel is None else "nm"
    centres = {
        name: (name, (first + 0.5 * (side - 1)) * width, {"units": units})
        for name, first in (("y", tops), ("x", lefts))
    }
    axis = fft.fftshift(fft.fftfreq(side, width))
    return LatticePhases(
        spectra=xr.DataArray(
            np.stack([_whole(part, keeps) for part in parts.components * typical]),
            dims=("component", "v", "u"),
            coords={"component": number, **{name: (name, axis, {"units": f"1/{units}"}) for name in "vu"}},
            name="spectra",
        ),
        abundance=xr.DataArray(
            abundance.reshape(len(size), len(tops), len(lefts)),
            dims=("component", "y", "x"),
            coords={"component": number, **centres},
            name="abundance",
            attrs={"window": side * width},
        ),
        explained=parts.explained,
        n_suggested=n_suggested,
    )


def _n_differences(described: Descriptors, places: NDArray[np.int64], side: int) -> int:
    """Principal components above the noise, in windows that do not overlap: others share their noise."""
    apart: list[int] = []
    for number, place in enumerate(places):
        if all((np.abs(place - places[other]) >= side).any() for other in apart):
            apart.append(number)
    if len(apart) < _FEWEST_WINDOWS:
        return 1
    some = Descriptors(described.values[apart], described.rows[apart], described.shape)
    return max(1, decompose(some, n_components=1).n_suggested)


def _frequencies(side: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Radius (v, u) of each frequency of a real transform, in waves along the side; and which are used: half of the
    plane, as the other half is the same.
    """
    v, u = fft.fftfreq(side, 1 / side)[:, None], np.arange(side // 2 + 1)[None, :]
    radius = np.hypot(v, u)
    return np.rint(radius).astype(np.int64), (radius >= 1 / _LONGEST_WAVE) & (radius <= side / 2)


def _spectrum(cut: Array, radius: NDArray[np.int64], keeps: NDArray[np.bool_]) -> Array:
    side = len(cut)
    along = np.linspace(-1, 1, side)
    level = cut - cut.mean()
    power = (along**2).sum() * side
    level -= (level * along[:, None]).sum() / power * along[:, None] + (level * along).sum() / power * along
    hann = 0.5 + 0.5 * np.cos(np.pi * along)
    amplitude = np.abs(fft.rfft2(level * hann[:, None] * hann))[keeps]
    order = np.argsort(radius[keeps], kind="stable")
    rings = np.split(amplitude[order], np.flatnonzero(np.diff(radius[keeps][order])) + 1)
    ground = np.concatenate([np.full(len(ring), np.median(ring)) for ring in rings])
    above = np.empty_like(amplitude)
    above[order] = np.maximum(amplitude[order] - ground, 0.0)
    return above


def _whole(part: Array, keeps: NDArray[np.bool_]) -> Array:
    """Amplitudes (v, u) of the whole plane, the frequency 0 in the middle."""
    side = len(keeps)
    half = np.zeros(keeps.shape)
    half[keeps] = part
    plane = np.zeros((side, side))
    plane[:, : keeps.shape[1]] = half
    negative = np.arange(1, (side + 1) // 2)
    plane[:, side - negative] = half[np.ix_(-np.arange(side) % side, negative)]
    return np.asarray(fft.fftshift(plane), float)
