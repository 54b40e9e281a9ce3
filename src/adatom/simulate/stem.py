"""Scanning transmission electron microscopy in the incoherent approximation, for the dark and the bright field.

An atom scatters the electrons that meet it, and these follow the probe: the image is the sum of the probe's intensity
at the atoms, weighted by their heights. That holds for the annular dark field of thin specimens (Pennycook & Jesson,
Ultramicroscopy 37, 14 (1991), 10.1016/0304-3991(91)90004-P); in annular bright field it is the first order only, and
channelling along thick columns is not in it: `benchmarks/stem_against_multislice.py` says how far it carries.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import fft

from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.electrons import wavelength_nm
from adatom.simulate.fields import log_uniform
from adatom.simulate.placing import PointImage, oversampling_for, place_atoms
from adatom.simulate.probe_recipe import StemProbe
from adatom.simulate.recipe import Microscope

Array = NDArray[np.float64]

_NEGLIGIBLE = 1e-4  # of the transfer at frequency 0


@dataclass(frozen=True)
class Lens:
    """What forms the probe.

    Attributes
    ----------
    voltage_kv : acceleration voltage.
    semi_angle_mrad : convergence semi-angle.
    defocus_nm : positive for underfocus.
    c3_um : spherical aberration [um].
    astigmatism_nm, astigmatism_angle : twofold; angle in radians.
    source_nm : standard deviation of the Gaussian image of the electrons' source.
    atom_width_nm : standard deviation of what scatters in an atom or a column: vibration and size.
    """

    voltage_kv: float
    semi_angle_mrad: float
    defocus_nm: float = 0.0
    c3_um: float = 0.0
    astigmatism_nm: float = 0.0
    astigmatism_angle: float = 0.0
    source_nm: float = 0.0
    atom_width_nm: float = 0.0

    def image_of_one(self, pixel_size_nm: float) -> PointImage:
        """The probe's intensity [1 / its pixels], which sums to 1, and the blur of source and atom."""
        wavelength, angle = wavelength_nm(self.voltage_kv), 1e-3 * self.semi_angle_mrad
        blur_nm = float(np.hypot(self.source_nm, self.atom_width_nm))
        highest = angle / wavelength  # 1/nm
        band = min(2 * highest, np.sqrt(-np.log(_NEGLIGIBLE) / 2) / (np.pi * max(blur_nm, 1e-9)))
        # What the blur takes away anyway may be folded back by too coarse pixels, if it is not folded far.
        fine = max(oversampling_for(band * pixel_size_nm), int(np.ceil(2 * highest * pixel_size_nm / 0.6)))
        pixel = pixel_size_nm / fine
        side = 2 * fft.next_fast_len(int(np.ceil(self.reach_nm() / pixel)))
        along = np.fft.fftfreq(side, pixel)
        wave_number = np.hypot(along[:, None], along[None, :])
        aperture = np.clip((highest - wave_number) * side * pixel + 0.5, 0.0, 1.0)
        wave = fft.fft2(aperture * np.exp(-1j * self._aberration(along, wavelength)))
        intensity = fft.fftshift(wave.real**2 + wave.imag**2)
        return PointImage(intensity / intensity.sum(), blur_nm / pixel_size_nm, fine)

    def reach_nm(self) -> float:
        """Radius of the square in which the probe is computed: six rings, and what geometry adds."""
        wavelength, angle = wavelength_nm(self.voltage_kv), 1e-3 * self.semi_angle_mrad
        blunder = (abs(self.defocus_nm) + self.astigmatism_nm) * angle + 1e3 * abs(self.c3_um) * angle**3
        return 6 * 0.61 * wavelength / angle + blunder

    def _aberration(self, along: NDArray[np.floating], wavelength: float) -> Array:
        """Phase (y, x) of the lens at wave numbers along both axes [1/nm]."""
        square = along[:, None] ** 2 + along[None, :] ** 2
        phase = -np.pi * wavelength * self.defocus_nm * square
        if self.c3_um:
            phase += 0.5 * np.pi * 1e3 * self.c3_um * wavelength**3 * square**2
        if self.astigmatism_nm:
            twice = np.exp(-2j * self.astigmatism_angle)
            lobes = ((along[None, :] + 1j * along[:, None]) ** 2 * twice).real
            phase += np.pi * wavelength * self.astigmatism_nm * lobes
        return phase


@dataclass(frozen=True)
class Stem:
    """A microscope as drawn for one image.

    Attributes
    ----------
    lens : what forms its probe.
    px_per_nm : pixels a nm.
    image_of_one : of an atom of height 1.
    width_px : standard deviation of a Gaussian of the same peak and flux [px].
    peak_share : of the electrons at the centre of an atom of height 1, how many it scatters.
    counts_per_peak : that times the electrons on a pixel; None without noise.
    dark, bright : electrons where no atom is, on either detector, in units of `peak_share`; `bright` is None for the
        dark field.
    """

    lens: Lens
    px_per_nm: float
    image_of_one: PointImage
    width_px: float
    peak_share: float
    counts_per_peak: float | None
    dark: float
    bright: float | None

    def take(self, specimen: Specimen, size: int, row_shift: Array) -> tuple[Array, float]:
        """Image (y, x) of the atoms in heights, and the flux of one of height 1 [px^2]."""
        image = place_atoms(specimen.x, specimen.y, specimen.height, size, self.image_of_one, row_shift)
        return image / self.image_of_one.peak(), 2 * np.pi * self.width_px**2

    def detect(self, image: Array, relief: Array, beam: Array | float, pixels: float, rng: Generator) -> Array:
        """Count electrons.

        Parameters
        ----------
        image, relief : (y, x) atoms, and what else lies there, in heights.
        beam : current, 1 in the mean.
        pixels : area of a pixel in pixels of the recipe.
        """
        signal = image + relief
        ground, sign = (self.dark - min(relief.min(), 0.0), 1) if self.bright is None else (self.bright, -1)
        if self.counts_per_peak is None:
            return sign * signal
        dose = self.counts_per_peak * pixels
        expected = dose * beam * np.maximum(ground + sign * signal, 0.0)
        return rng.poisson(expected) / dose - ground


def draw_stem(probe: StemProbe, microscope: Microscope, px_per_nm: float, rng: Generator) -> Stem:
    """Draw the microscope of one image."""
    lens = Lens(
        voltage_kv=rng.uniform(*probe.voltage_kv),
        semi_angle_mrad=rng.uniform(*probe.semi_angle_mrad),
        defocus_nm=rng.uniform(*probe.defocus_nm),
        c3_um=rng.uniform(*probe.c3_um),
        astigmatism_nm=rng.uniform(*probe.astigmatism_nm),
        astigmatism_angle=rng.uniform(0, np.pi),
        source_nm=rng.uniform(*probe.source_nm),
        atom_width_nm=rng.uniform(*probe.atom_width_nm),
    )
    cross_section, bright = log_uniform(probe.cross_section_a2, rng), rng.uniform(*probe.bright_share)
    image_of_one, pixel_a = lens.image_of_one(1 / px_per_nm), 10 / px_per_nm
    width_px = image_of_one.gaussian_width_px()
    peak_share = cross_section / (2 * np.pi * (width_px * pixel_a) ** 2)
    dose = None if probe.dose_e_per_a2 is None else log_uniform(probe.dose_e_per_a2, rng)
    return Stem(
        lens=lens,
        px_per_nm=px_per_nm,
        image_of_one=image_of_one,
        width_px=width_px,
        peak_share=peak_share,
        counts_per_peak=None if dose is None else dose * pixel_a**2 * peak_share,
        dark=rng.uniform(*microscope.dark_level),
        bright=None if probe.detector == "haadf" else bright / peak_share,
    )
