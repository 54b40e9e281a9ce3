"""From a spectrum to the number that a search looks for.

Each is a function of places (point,) and spectra (n, point) that gives (n,), so that the descriptors of
`adatom.analyse.spectrum_descriptors`, or your own function, can stand in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adatom.decide.posterior import Array
from adatom.errors import ArgumentError, ShapeError

Scalariser = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class ValueAt:
    """The spectrum at a place of its axis, by a straight line between the points beside it. Of a sweep that comes back,
    the first pass counts.
    """

    place: float

    def __call__(self, places: Array, spectra: Array) -> Array:
        places, spectra = _checked(places, spectra)
        between = (places[1:] - self.place) * (places[:-1] - self.place) <= 0
        if not between.any():
            raise ArgumentError(f"place: expected {places.min():g} to {places.max():g}, got {self.place:g}.")
        left = int(np.argmax(between))
        step = places[left + 1] - places[left]
        share = 0.0 if step == 0 else (self.place - places[left]) / step
        return np.asarray(spectra[:, left] * (1 - share) + spectra[:, left + 1] * share)


@dataclass(frozen=True)
class AreaUnder:
    """The integral between two places of the axis, by trapezia between the points within; of a sweep that comes back,
    the area that its branches enclose.
    """

    low: float = -np.inf
    high: float = np.inf

    def __call__(self, places: Array, spectra: Array) -> Array:
        places, spectra = _checked(places, spectra)
        within = (places >= self.low) & (places <= self.high)
        if within.sum() < 2:
            raise ArgumentError(f"low, high: expected two points between them, got {within.sum()}.")
        return np.asarray(np.trapezoid(spectra[:, within], places[within], axis=1))


@dataclass(frozen=True)
class PeakPlace:
    """Where between two places of the axis the spectrum is highest, by a parabola through the highest point and those
    beside it.
    """

    low: float = -np.inf
    high: float = np.inf

    def __call__(self, places: Array, spectra: Array) -> Array:
        places, spectra = _checked(places, spectra)
        within = np.flatnonzero((places >= self.low) & (places <= self.high))
        within = within[np.argsort(places[within], kind="stable")]
        if len(within) < 3:
            raise ArgumentError(f"low, high: expected three points between them, got {len(within)}.")
        at, values = places[within], spectra[:, within]
        top = np.clip(values.argmax(axis=1), 1, len(within) - 2)
        rows = np.arange(len(values))
        # a parabola through three points, in the form of Newton
        x0, x1, x2 = at[top - 1], at[top], at[top + 1]
        y0, y1, y2 = (values[rows, top + shift] for shift in (-1, 0, 1))
        # of a sweep that comes back two points may share a place; then the highest point itself is the answer
        with np.errstate(divide="ignore", invalid="ignore"):
            rise = (y1 - y0) / (x1 - x0)
            bend = ((y2 - y1) / (x2 - x1) - rise) / (x2 - x0)
            vertex = 0.5 * (x0 + x1) - rise / (2 * bend)
        is_peak = np.isfinite(vertex) & (bend < 0)
        return np.where(is_peak, np.clip(vertex, x0, x2), at[values.argmax(axis=1)])


SCALARISERS: dict[str, type[ValueAt] | type[AreaUnder] | type[PeakPlace]] = {
    "value_at": ValueAt,
    "area_under": AreaUnder,
    "peak_place": PeakPlace,
}


def _checked(places: Array, spectra: Array) -> tuple[Array, Array]:
    places, spectra = np.asarray(places, dtype=float), np.asarray(spectra, dtype=float)
    if spectra.ndim != 2 or places.shape != spectra.shape[1:] or len(places) < 2:
        raise ShapeError(f"spectra: expected (n, point) for {places.shape} places, got {spectra.shape}.")
    return places, spectra
