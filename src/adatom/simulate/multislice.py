"""STEM by multislice, with abTEM (Madsen & Susi, Open Research Europe 1, 24 (2021), 10.12688/openreseurope.13015.2).

For materials whose atoms are known in three dimensions, where minutes an image are well spent: electrons that channel
along columns, a real detector. abTEM is under the GPL and therefore no part of Adatom: it comes with
``pip install 'adatom[multislice]'``.
"""

from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.electrons import wavelength_nm
from adatom.simulate.probe_recipe import StemProbe
from adatom.simulate.stem import Lens, Stem

Array = NDArray[np.float64]

_SLICE_A = 2.0  # about a layer of atoms
_SEED = 0  # of the vibrations: images differ by what a recipe draws, and are repeatable
_MARGIN_NM = 0.6  # around what is scanned, for the tails of the probe


def multislice_image(
    structure: Any,
    lens: Lens,
    detector_mrad: tuple[float, float],
    *,
    size: int,
    pixel_size_nm: float,
    n_configurations: int = 1,
) -> Array:
    """Share of the beam that meets an annular detector, at each pixel.

    Parameters
    ----------
    structure : `ase.Atoms`; x and y [A] in the frame of the image, the beam along z; its cell plays no part.
    lens : its `atom_width_nm` is how far atoms vibrate along each axis (standard deviation).
    detector_mrad : inner and outer angle.
    size : pixels a side.
    n_configurations : images of which the mean is taken, of atoms that are somewhere else in their vibration each time;
        1 for atoms at rest.

    Returns
    -------
    (y, x); scanned as finely as the probe demands, and interpolated.

    Raises
    ------
    ArgumentError : if abTEM is not installed, or no atom is near the image.
    """
    abtem = _import_abtem()
    wavelength_a = 10 * wavelength_nm(lens.voltage_kv)
    pixel_a, margin_a = 10 * pixel_size_nm, 10 * _MARGIN_NM
    # scanned beyond the image too, as far as the source's blur reaches and the interpolation needs two steps
    beyond = int(np.ceil(4 * lens.source_nm / pixel_size_nm))
    step_a = 0.8 * wavelength_a / (4e-3 * lens.semi_angle_mrad)
    n_steps = int(np.ceil((size + 2 * beyond) * pixel_a / step_a)) + 5
    side_a = (n_steps - 1) * step_a + 2 * margin_a
    atoms = structure.copy()
    atoms.positions[:, :2] += margin_a + 2 * step_a + beyond * pixel_a
    atoms = atoms[((atoms.positions[:, :2] > 0) & (atoms.positions[:, :2] < side_a)).all(axis=1)]
    if not len(atoms):
        raise ArgumentError("structure: expected atoms in or near the image, got none.")
    atoms.positions[:, 2] -= atoms.positions[:, 2].min() - _SLICE_A
    atoms.set_cell([side_a, side_a, atoms.positions[:, 2].max() + _SLICE_A])
    if n_configurations > 1:
        atoms = abtem.FrozenPhonons(atoms, n_configurations, sigmas=10 * lens.atom_width_nm, seed=_SEED)
    # two thirds of the highest frequency are free of aliases; somewhat more than the detector's edge is wanted
    sampling_a = wavelength_a / (3 * 1.1e-3 * max(detector_mrad[1], 2 * lens.semi_angle_mrad))
    potential = abtem.Potential(atoms, sampling=sampling_a, slice_thickness=_SLICE_A)
    probe = abtem.Probe(
        energy=1e3 * lens.voltage_kv,
        semiangle_cutoff=lens.semi_angle_mrad,
        C10=-10 * lens.defocus_nm,
        C12=10 * lens.astigmatism_nm,
        phi12=lens.astigmatism_angle,
        C30=1e4 * lens.c3_um,
    )
    end_a = margin_a + (n_steps - 1) * step_a
    scan = abtem.GridScan(start=(margin_a,) * 2, end=(end_a,) * 2, gpts=(n_steps,) * 2, endpoint=True)
    detector = abtem.AnnularDetector(inner=detector_mrad[0], outer=detector_mrad[1])
    with abtem.config.set({"diagnostics.progress_bar": False, "device": "cpu"}):
        measured = probe.scan(potential, scan=scan, detectors=detector).compute(scheduler="synchronous")
    coarse = np.asarray(measured.array, dtype=float).T  # abTEM has x first
    at = 2 + np.arange(size + 2 * beyond) * pixel_a / step_a
    image: Array = ndimage.map_coordinates(coarse, np.meshgrid(at, at, indexing="ij"), order=5, mode="nearest")
    if beyond:
        image = ndimage.gaussian_filter(image, lens.source_nm / pixel_size_nm)[beyond:-beyond, beyond:-beyond]
    return image


@dataclass(frozen=True)
class MultisliceStem:
    """A microscope as drawn for one image, whose atoms abTEM images.

    Attributes
    ----------
    stem : the same microscope with the fast engine, which counts the electrons of either.
    detector_mrad : inner and outer angle.
    n_configurations : of vibrating atoms.
    """

    stem: Stem
    detector_mrad: tuple[float, float]
    n_configurations: int

    @property
    def width_px(self) -> float:
        return self.stem.width_px

    def take(self, specimen: Specimen, size: int, row_shift: Array) -> tuple[Array, float]:
        """Image (y, x) in heights of an atom with the cross-section of the recipe, and the flux of one [px^2]."""
        if specimen.structure is None:
            raise ArgumentError(
                "engine: expected a material with a structure in three dimensions for multislice, got none. "
                "Take the engine convolution, or another material."
            )
        share = multislice_image(
            specimen.structure,
            self.stem.lens,
            self.detector_mrad,
            size=size,
            pixel_size_nm=1 / self.stem.px_per_nm,
            n_configurations=self.n_configurations,
        )
        image = share / self.stem.peak_share
        if self.stem.bright is not None:
            image = self.stem.bright - image
        if row_shift.any():
            rows, columns = np.mgrid[:size, :size]
            image = ndimage.map_coordinates(image, [rows, columns - row_shift[:, None]], order=3, mode="nearest")
        return image, 2 * np.pi * self.width_px**2

    def detect(self, image: Array, relief: Array, beam: Array | float, pixels: float, rng: Generator) -> Array:
        """Count electrons."""
        return self.stem.detect(image, relief, beam, pixels, rng)


def with_multislice(stem: Stem, probe: StemProbe) -> MultisliceStem:
    """The same microscope with the slow engine."""
    inner, outer = probe.collection_mrad(stem.lens.semi_angle_mrad)
    if stem.bright is not None:
        # what the detector collects of the cone of the probe where there is no atom
        edges = np.minimum([inner, outer], stem.lens.semi_angle_mrad)
        share = float(edges[1] ** 2 - edges[0] ** 2) / stem.lens.semi_angle_mrad**2
        stem = replace(stem, bright=share / stem.peak_share)
    return MultisliceStem(stem, (inner, outer), probe.n_configurations)


def _import_abtem() -> ModuleType:
    try:
        import abtem
    except ImportError as error:
        raise ArgumentError(
            "engine: expected abTEM, which computes multislice, got none installed. "
            "Install it: pip install 'adatom[multislice]'"
        ) from error
    return abtem
