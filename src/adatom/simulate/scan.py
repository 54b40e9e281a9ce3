"""Errors of a scan. Slow ones move what the image shows, and the known positions of the atoms with it."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import special

from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.probe_recipe import ScanErrors

Array = NDArray[np.float64]

_CREEP_START = 0.01  # of the time that the image takes, from which on the logarithm is felt


def move_atoms(specimen: Specimen, errors: ScanErrors, size: int, rng: Generator) -> None:
    """Move atoms to where a scan with drift, creep and fly-back shows them; rows are scanned from the top."""
    drift, creep, flyback = (
        rng.uniform(*bounds) * specimen.px_per_nm for bounds in (errors.drift_nm, errors.creep_nm, errors.flyback_nm)
    )
    length = rng.uniform(*errors.flyback_length_nm) * specimen.px_per_nm
    angles, bend = rng.uniform(0, 2 * np.pi, 2), np.exp(rng.uniform(-0.7, 0.7))
    time = np.clip((specimen.y + 0.5) / size, 0.0, 1.0)
    way_drift = drift * (time**bend - 0.5)  # at an uneven speed: at an even one it would be a shear
    way_creep = creep * (1 - np.log1p(time / _CREEP_START) / np.log1p(1 / _CREEP_START))
    specimen.x = specimen.x + way_drift * np.cos(angles[0]) + way_creep * np.cos(angles[1])
    specimen.y = specimen.y + way_drift * np.sin(angles[0]) + way_creep * np.sin(angles[1])
    if flyback > 0:
        specimen.x = specimen.x + flyback_shift(specimen.x, flyback, length)


def flyback_shift(x: Array, amount: float, length: float) -> Array:
    """How far right of `x` [px] an atom is seen by a probe that is amount * exp(-column / length) behind its column.

    The column solves column - amount * exp(-column / length) = x, which Lambert's W does.
    """
    shift: Array = length * special.lambertw(amount / length * np.exp(-np.maximum(x, 0.0) / length)).real
    return shift


def shifted_lines(image: Array, row_shift: Array) -> Array:
    """Image (y, x) with each scan line moved sideways by its shift (y,) [px]; lines go on as they end."""
    if not row_shift.any():
        return image
    columns = np.arange(image.shape[1])
    return np.stack([np.interp(columns - shift, columns, row) for row, shift in zip(image, row_shift, strict=True)])
