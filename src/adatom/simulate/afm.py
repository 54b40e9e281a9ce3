"""Dynamic force microscopy at constant height: the shift of the cantilever's resonance over atoms.

For an amplitude small against the gap the shift goes with the second derivative of the potential along the surface
normal (Giessibl, Rev. Mod. Phys. 75, 949 (2003), 10.1103/RevModPhys.75.949, eq. 14). Each atom adds its own: a
Lennard-Jones potential ``s^-12 - 2 s^-6`` of the distance s in units of that of its minimum. An apex that bends aside,
as CO does, is not in it, nor is the force of what lies deeper than the atoms.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.corrugation import corrugation
from adatom.simulate.fields import pink_noise
from adatom.simulate.lag import follow
from adatom.simulate.placing import PointImage, oversampling_for, place_atoms
from adatom.simulate.probe_recipe import AfmProbe

Array = NDArray[np.float64]

# Beyond so many gaps the shift has fallen below 1e-3 of that over the atom.
_REACH = 2.5
# Corrugations below this share of the shift over a lone atom are not enlarged to a height of 1.
_FAINTEST = 0.02
# Frequency above which the image of an atom at a gap of 1 nm holds less than 1e-4 [1/nm].
_HIGHEST = 2.8


def shift_over_atom(distance: Array, gap: float, equilibrium: float) -> Array:
    """Second derivative of the potential along the surface normal, in units of its depth by `equilibrium` squared.

    Parameters
    ----------
    distance : along the surface from the atom, of any shape.
    gap : height of the apex over the atom, in the same unit as the others.
    equilibrium : distance of apex and atom at which the potential is lowest.
    """
    away = np.sqrt(distance**2 + gap**2) / equilibrium
    upright = (gap / equilibrium / away) ** 2  # squared cosine of the angle with the normal
    slope = -12 * away**-13 + 12 * away**-7
    curvature = 156 * away**-14 - 84 * away**-8
    shift: Array = curvature * upright + slope / away * (1 - upright)
    return shift


@dataclass(frozen=True)
class Afm:
    """A microscope as drawn for one image.

    Attributes
    ----------
    gap_nm : between the apex and the atoms.
    equilibrium_nm : distance of apex and atom at which the potential is lowest.
    weights : factor on the force of each class; empty for none.
    lag_px : way along the scan in which the loop corrects to 1 / e.
    pink_noise : standard deviation of 1/f noise, in heights.
    """

    px_per_nm: float
    gap_nm: float
    equilibrium_nm: float
    weights: Array
    lag_px: float
    pink_noise: float

    @property
    def width_px(self) -> float:
        """Standard deviation of a Gaussian as curved at its top as the shift over an atom [px]."""
        step = 0.02 * self.gap_nm
        top, beside = shift_over_atom(np.array([0.0, step]), self.gap_nm, self.equilibrium_nm)
        return float(step / np.sqrt(2 * np.log(top / beside))) * self.px_per_nm

    def image_of_one(self) -> PointImage:
        """The shift over one atom, 1 above it."""
        fine = oversampling_for(_HIGHEST / self.gap_nm / self.px_per_nm)
        pixel = 1 / (self.px_per_nm * fine)
        along = pixel * np.arange(-(half := int(np.ceil(_REACH * self.gap_nm / pixel))), half + 1)
        distance = np.hypot(along[:, None], along[None, :])
        shift = shift_over_atom(distance, self.gap_nm, self.equilibrium_nm)
        return PointImage(shift / shift[half, half], 0.0, fine)

    def take(self, specimen: Specimen, size: int, row_shift: Array) -> tuple[Array, float]:
        """Shift (y, x) in units of its corrugation, and the volume of the peak of a lone atom of height 1 [px^2]."""
        weight = specimen.height
        if len(self.weights):
            weight = weight * self.weights[specimen.species]
        image = place_atoms(specimen.x, specimen.y, weight, size, self.image_of_one(), row_shift)
        height = max(corrugation(image, specimen, 1.0), _FAINTEST)
        return image / height, 2 * np.pi * self.width_px**2 / height

    def detect(self, image: Array, relief: Array, beam: Array | float, pixels: float, rng: Generator) -> Array:
        """Follow the shift with a loop that lags, and add 1/f noise; there is no beam to flicker."""
        followed = follow(image + relief, self.lag_px * len(image) / np.sqrt(image.size * pixels))
        return followed + self.pink_noise * pink_noise(len(image), rng) if self.pink_noise else followed


def draw_afm(probe: AfmProbe, px_per_nm: float, rng: Generator) -> Afm:
    """Draw the microscope of one image."""
    equilibrium = rng.uniform(*probe.equilibrium_nm)
    return Afm(
        px_per_nm=px_per_nm,
        gap_nm=rng.uniform(*probe.gap) * equilibrium,
        equilibrium_nm=equilibrium,
        weights=np.array([rng.uniform(*bounds) for bounds in probe.weight]),
        lag_px=rng.uniform(*probe.feedback_lag_nm) * px_per_nm,
        pink_noise=rng.uniform(*probe.pink_noise),
    )
