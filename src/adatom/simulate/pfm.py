"""Piezoresponse force microscopy of domains: what a lock-in amplifier tells of the cantilever's motion.

The vertical response goes with the polarisation along the normal, averaged over the field under the tip; an
electrostatic response is added to it, which takes amplitude from one kind of domain and gives it to the other (Balke et
al., ACS Nano 9, 6484 (2015), 10.1021/acsnano.5b02227).
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.lag import follow
from adatom.simulate.probe_recipe import PfmProbe
from adatom.simulate.scan import shifted_lines

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pfm:
    """A microscope as drawn for one image.

    Attributes
    ----------
    signal : ``piezoresponse``, ``amplitude`` or ``phase`` [pi].
    tip_px : standard deviation of the field under the tip [px].
    in_plane_response, offset, crosstalk, lock_in_noise : see `adatom.simulate.probe_recipe.PfmProbe`.
    lag_px : way along the scan in which the lock-in forgets to 1 / e.
    """

    signal: str
    tip_px: float
    in_plane_response: float
    offset: float
    crosstalk: float
    lock_in_noise: float
    lag_px: float

    @property
    def width_px(self) -> float:
        """Standard deviation of the field under the tip [px]."""
        return self.tip_px

    def take(self, specimen: Specimen, size: int, row_shift: Array) -> tuple[Array, float]:
        """Response (y, x) to the polarisation; there is no atom, hence no volume of its peak."""
        polarisation = specimen.polarisation
        assert polarisation is not None  # a recipe has this probe for such specimens only
        response = polarisation.out_of_plane + self.in_plane_response * polarisation.in_plane
        response = ndimage.gaussian_filter(response, self.tip_px)
        return shifted_lines(response, row_shift), 0.0

    def detect(self, image: Array, relief: Array, beam: Array | float, pixels: float, rng: Generator) -> Array:
        """What the lock-in tells of the response, with the noise of its two quadratures."""
        lag_px = self.lag_px * len(image) / np.sqrt(image.size * pixels)
        moved = follow(image + self.offset + self.crosstalk * relief, lag_px)
        noise = self.lock_in_noise * rng.standard_normal((2, *image.shape))
        in_phase, quadrature = moved + noise[0], noise[1]
        if self.signal == "piezoresponse":
            return in_phase
        if self.signal == "amplitude":
            return np.hypot(in_phase, quadrature)
        phase: Array = np.abs(np.arctan2(quadrature, in_phase)) / np.pi
        return phase


def draw_pfm(probe: PfmProbe, px_per_nm: float, rng: Generator) -> Pfm:
    """Draw the microscope of one image."""
    return Pfm(
        signal=probe.signal,
        tip_px=rng.uniform(*probe.tip_nm) * px_per_nm,
        in_plane_response=rng.uniform(*probe.in_plane_response),
        offset=rng.uniform(*probe.offset),
        crosstalk=rng.uniform(*probe.crosstalk),
        lock_in_noise=rng.uniform(*probe.lock_in_noise),
        lag_px=rng.uniform(*probe.feedback_lag_nm) * px_per_nm,
    )
