"""The number that an experiment wants of each spectrum."""

import numpy as np
from numpy.typing import NDArray

from adatom.analyse.spectrum_descriptors import descriptors_of
from adatom.decide.scalarisers import SCALARISERS
from adatom.errors import ArgumentError
from adatom.experiment.plan import BETWEEN, Quantity

Array = NDArray[np.float64]


def value_of(quantity: Quantity, axis: str, places: Array, spectrum: Array) -> float:
    """The quantity of a spectrum (point,) along `axis` at `places` (point,); NaN where it has none.

    Raises
    ------
    ArgumentError : if spectra along this axis have no such descriptor.
    """
    if quantity.at is not None:
        # of a loop, which passes a bias twice, the mean of both branches
        nearest = np.abs(places - quantity.at)
        return float(spectrum[nearest <= nearest.min() + 1e-9 * max(float(np.ptp(places)), 1e-300)].mean())
    if quantity.name in BETWEEN:
        limits = {"low": quantity.low, "high": quantity.high}
        scalariser = SCALARISERS[quantity.name](**{name: limit for name, limit in limits.items() if limit is not None})
        return float(scalariser(places, spectrum[None])[0])
    described = descriptors_of(axis, places)(places, spectrum[None])
    if quantity.name not in described:
        known = ", ".join([*BETWEEN, *described])
        raise ArgumentError(
            f"quantity: expected value (with at) or one of {known}, which these spectra along {axis} have, got "
            f"{quantity.name!r}."
        )
    return float(described[quantity.name][0])
