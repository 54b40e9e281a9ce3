"""A specimen: the atoms that an image shows, with what is known of each; or domains or whole particles instead."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.simulate.domains import Polarisation
from adatom.simulate.nanoparticles import ParticleImage

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """What scatters, where that is more than one thing at each atom or column.

    Attributes
    ----------
    owner : (m,) number of the atom that each belongs to.
    dx, dy : (m,) places against the owner's [px].
    share : (m,) of the owner's height.
    """

    owner: NDArray[np.int64]
    dx: Array
    dy: Array
    share: Array

    def of(self, kept: NDArray[np.bool_]) -> "Parts":
        """Those of the atoms that are kept (n,)."""
        mine = kept[self.owner]
        number = np.cumsum(kept) - 1
        return Parts(number[self.owner[mine]], self.dx[mine], self.dy[mine], self.share[mine])


@dataclass
class Specimen:
    """Atoms in the image's frame.

    Attributes
    ----------
    x, y : (n,) positions [px].
    species : (n,) numbers from 0.
    height : (n,) relative to a normal atom; 0 where a known site is empty.
    px_per_nm : pixels a nm, after the recipe's scale.
    peak_width_px : standard deviation of an atom's image, where it goes with the arrangement; else the microscope's.
    width : (n,) factors on that of single atoms, their flux unchanged, where they differ.
    defect : (n,) number of the point defect that an atom is, from 1, 0 for none; None where the material has none.
    parts : what scatters, where it is not one thing at the place of each atom.
    instances : (y, x) number of the particle that a pixel shows, from 1; None where the material has no particles.
    structure : `ase.Atoms` with x and y [A] in the frame of the image and the beam along z, as defects have left them,
        for engines that need three dimensions.
    polarisation : of a specimen of domains, which has no atoms that are seen.
    particles : of a specimen of particles, which has none either.
    """

    x: Array
    y: Array
    species: NDArray[np.int64]
    height: Array
    px_per_nm: float
    peak_width_px: float | None = None
    width: Array | None = None
    defect: NDArray[np.int64] | None = None
    parts: Parts | None = None
    instances: NDArray[np.uint16] | None = None
    structure: Any = None
    polarisation: Polarisation | None = None
    particles: ParticleImage | None = None

    def keep(self, mask: NDArray[np.bool_]) -> None:
        """Drop the atoms where `mask` is False."""
        self.x, self.y, self.height = self.x[mask], self.y[mask], self.height[mask]
        self.species = self.species[mask]
        self.width = None if self.width is None else self.width[mask]
        self.defect = None if self.defect is None else self.defect[mask]
        self.parts = None if self.parts is None else self.parts.of(mask)

    def scattering(self) -> "Specimen":
        """What a microscope takes the image of: the parts in the atoms' stead, where there are any."""
        parts = self.parts
        if parts is None:
            return self
        owner = parts.owner
        return replace(
            self,
            x=self.x[owner] + parts.dx,
            y=self.y[owner] + parts.dy,
            height=self.height[owner] * parts.share,
            species=self.species[owner],
            width=None if self.width is None else self.width[owner],
            defect=None,
            parts=None,
        )
