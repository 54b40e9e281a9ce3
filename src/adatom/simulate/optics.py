"""Microscopes that are more than a Gaussian: what they share, and which there are."""

from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.afm import draw_afm
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.pfm import draw_pfm
from adatom.simulate.probe_recipe import AfmProbe, PfmProbe, Probe, StmProbe
from adatom.simulate.recipe import Microscope
from adatom.simulate.stem import draw_stem
from adatom.simulate.stm import draw_stm

Array = NDArray[np.float64]


class Optics(Protocol):
    """A microscope as drawn for one image."""

    @property
    def width_px(self) -> float:
        """Standard deviation of a Gaussian like the image of an atom [px]."""

    def take(self, specimen: Specimen, size: int, row_shift: Array) -> tuple[Array, float]:
        """Image (y, x) of the specimen, 1 at an atom of height 1, and the volume of such an atom's peak [px^2]."""

    def detect(self, image: Array, relief: Array, beam: Array | float, pixels: float, rng: Generator) -> Array:
        """What is measured of atoms and relief (y, x), with the noise of this kind of measurement."""


def draw_optics(probe: Probe, microscope: Microscope, px_per_nm: float, rng: Generator) -> Optics:
    """Draw the microscope of one image from the probe of its recipe."""
    if isinstance(probe, StmProbe):
        return draw_stm(probe, microscope, px_per_nm, rng)
    if isinstance(probe, AfmProbe):
        return draw_afm(probe, px_per_nm, rng)
    if isinstance(probe, PfmProbe):
        return draw_pfm(probe, px_per_nm, rng)
    stem = draw_stem(probe, microscope, px_per_nm, rng)
    if probe.engine == "convolution":
        return stem
    from adatom.simulate.multislice import with_multislice

    return with_multislice(stem, probe)
