"""Scanning tunnelling microscopy at constant current, with s waves of the tip and of each atom.

The current goes with the density of states at the centre of the tip's curvature (Tersoff & Hamann, Phys. Rev. B 31,
805 (1985), 10.1103/PhysRevB.31.805). An atom adds to it weight * exp(-2 kappa r) at a distance r; the feedback loop
holds the sum, so that the height of the tip is its logarithm by 2 kappa. The sum is taken on one plane, which the small
corrugation of atoms allows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.corrugation import corrugation
from adatom.simulate.electrons import decay_per_nm
from adatom.simulate.fields import log_uniform, pink_noise
from adatom.simulate.lag import follow
from adatom.simulate.placing import PointImage, oversampling_for, place_atoms
from adatom.simulate.probe_recipe import StmProbe
from adatom.simulate.recipe import Microscope

Array = NDArray[np.float64]

# A density is left out where it has fallen by this in its logarithm, in space and in frequency.
_NEGLIGIBLE = np.log(1e4)
# Modulations of the density below this are below what the sum is good for, and are not enlarged to a height of 1.
_FAINTEST = 1e-3


@dataclass(frozen=True)
class Tip:
    """The end of a tip.

    Attributes
    ----------
    distance_nm : from the atoms to the centre of its curvature.
    second_nm : (x, y) to a second apex; None for a single tip.
    second_height_nm : how much farther from the surface that one is.
    """

    distance_nm: float
    second_nm: tuple[float, float] | None = None
    second_height_nm: float = 0.0

    def image_of_one(self, kappa: float, pixel_size_nm: float) -> PointImage:
        """Density of states of an atom of weight 1 over the surface, 1 above it; a second apex adds its own.

        Parameters
        ----------
        kappa : decay constant of the wave functions [1/nm].
        """
        distance = self.distance_nm
        # the transform of exp(-2 kappa r) on the plane falls with exp(-distance * sqrt(4 kappa^2 + (2 pi q)^2))
        steep = 2 * kappa + _NEGLIGIBLE / distance
        fine = oversampling_for(float(np.sqrt(steep**2 - 4 * kappa**2)) / (2 * np.pi) * pixel_size_nm)
        pixel = pixel_size_nm / fine
        reach = np.sqrt((distance + _NEGLIGIBLE / (2 * kappa)) ** 2 - distance**2)
        apart = (0.0, 0.0) if self.second_nm is None else self.second_nm
        half = int(np.ceil((reach + max(abs(apart[0]), abs(apart[1]))) / pixel))
        along = pixel * np.arange(-half, half + 1)

        def density(x: NDArray[np.floating], y: NDArray[np.floating]) -> Array:
            away = np.sqrt(x[None, :] ** 2 + y[:, None] ** 2 + distance**2) - distance
            fallen: Array = np.exp(-2 * kappa * away)
            return fallen

        values = density(along, along)
        if self.second_nm is not None:
            # the image of an atom under the second apex appears where the first one is then
            second = density(along + apart[0], along + apart[1])
            values += np.exp(-2 * kappa * self.second_height_nm) * second
        return PointImage(values, 0.0, fine)


@dataclass(frozen=True)
class Stm:
    """A microscope as drawn for one image.

    Attributes
    ----------
    kappa : decay constant [1/nm].
    tips : one, or two of which the second takes over at `change_row`.
    ground : density of states beside the atoms, in that above one of weight 1.
    weights : factor on the density of states of each class; empty for none.
    lag_px : way along the scan in which the feedback corrects to 1 / e.
    pink_noise : standard deviation of 1/f noise, in heights.
    """

    kappa: float
    px_per_nm: float
    tips: tuple[Tip, ...]
    change_row: int
    ground: float
    weights: Array
    lag_px: float
    pink_noise: float

    @property
    def width_px(self) -> float:
        """Standard deviation of a Gaussian as curved at its top as an atom's density [px]."""
        return float(np.sqrt(self.tips[0].distance_nm / (2 * self.kappa))) * self.px_per_nm

    def take(self, specimen: Specimen, size: int, row_shift: Array) -> tuple[Array, float]:
        """Topograph (y, x) in units of its corrugation, and the volume of a lone atom of height 1 [px^2]."""
        weight = specimen.height
        if len(self.weights):
            weight = weight * self.weights[specimen.species]
        images = [tip.image_of_one(self.kappa, 1 / self.px_per_nm) for tip in self.tips]
        topographs = [
            self.topograph(place_atoms(specimen.x, specimen.y, weight, size, one, row_shift)) for one in images
        ]
        alone = float(np.log1p(1 / self.ground)) / (2 * self.kappa)
        height = max(corrugation(topographs[0], specimen, alone), _FAINTEST / (2 * self.kappa))
        lone = np.log1p(images[0].values / self.ground).sum() / images[0].oversampling ** 2 / (2 * self.kappa)
        topograph = topographs[0]
        if len(topographs) > 1:
            after = topographs[1][self.change_row :]
            topograph = np.concatenate([topograph[: self.change_row], after])
        return topograph / height, float(lone) / height

    def topograph(self, density: Array) -> Array:
        """Height of the tip over its height beside the atoms [nm] from the density of states of the atoms."""
        return np.log1p(np.maximum(density, 0.0) / self.ground) / (2 * self.kappa)

    def detect(self, image: Array, relief: Array, beam: Array | float, pixels: float, rng: Generator) -> Array:
        """Follow the surface with the feedback loop, which lags, and add 1/f noise; there is no beam to flicker."""
        followed = follow(image + relief, self.lag_px * len(image) / np.sqrt(image.size * pixels))
        return followed + self.pink_noise * pink_noise(len(image), rng) if self.pink_noise else followed


def draw_stm(probe: StmProbe, microscope: Microscope, px_per_nm: float, rng: Generator) -> Stm:
    """Draw the microscope of one image."""
    bias = rng.uniform(*probe.bias_v)
    weights = probe.weight_filled if bias < 0 else probe.weight_empty
    changes = probe.tip_change_probability > 0 and rng.random() < probe.tip_change_probability
    return Stm(
        kappa=decay_per_nm(rng.uniform(*probe.work_function_ev) - abs(bias) / 2),
        px_per_nm=px_per_nm,
        tips=tuple(_draw_tip(probe, rng) for _ in range(2 if changes else 1)),
        change_row=int(rng.integers(1, microscope.image_size)) if changes else 0,
        ground=log_uniform(probe.ground, rng),
        weights=np.array([rng.uniform(*bounds) for bounds in weights]),
        lag_px=rng.uniform(*probe.feedback_lag_nm) * px_per_nm,
        pink_noise=rng.uniform(*probe.pink_noise),
    )


def _draw_tip(probe: StmProbe, rng: Generator) -> Tip:
    distance = rng.uniform(*probe.tip_radius_nm) + rng.uniform(*probe.gap_nm)
    if rng.random() >= probe.second_apex_probability:
        return Tip(distance)
    apart, angle = rng.uniform(*probe.second_apex_nm), rng.uniform(0, 2 * np.pi)
    return Tip(distance, (apart * np.cos(angle), apart * np.sin(angle)), rng.uniform(*probe.second_apex_height_nm))
