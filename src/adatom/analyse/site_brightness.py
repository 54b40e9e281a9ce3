"""How bright an image is at sites where no atom was found, against those where one was."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage, special

from adatom.data import check_image, pixel_size_nm
from adatom.errors import UnitError

Array = NDArray[np.float64]

# An atom is looked at in a Gaussian as wide as this share of the distance of neighbours, on a ground so many wide.
_ATOM, _GROUND = 0.18, 1.5
_BETWEEN = 0.05  # quantile of the image that stands for what is between atoms
_FEWEST = 12
_MOST = 20.0  # log-odds that a picture alone may give
_ROUNDS = 50


@dataclass(frozen=True)
class View:
    """An image in which sites are looked at.

    Attributes
    ----------
    image : (y, x), atoms bright or dark.
    step : size of a pixel along (y, x), in the unit of the positions.
    apart : distance of nearest neighbours, in the same unit.
    """

    image: xr.DataArray
    step: tuple[float, float]
    apart: float

    @classmethod
    def of(cls, image: xr.DataArray, units: str, apart: float) -> "View":
        """The view of an image for positions in `units`.

        Raises
        ------
        UnitError : if the positions are in nm, and the image has no pixel size.
        """
        image = check_image(image, ndim=2).transpose("y", "x")
        size = pixel_size_nm(image)
        if units == "nm" and size is None:
            raise UnitError("image: expected a pixel size, as the atoms are in nm, got none. Give it one.")
        return cls(image, size if units == "nm" and size is not None else (1.0, 1.0), apart)

    @cached_property
    def spots(self) -> Array:
        """Brightness (y, x) of a spot as wide as an atom, on its own surroundings; NaN where nothing was measured."""
        values = np.asarray(self.image.to_numpy(), dtype=float)
        known = np.isfinite(values)
        if not known.any():
            return values
        filled = np.where(known, values, np.median(values[known]))
        sigma = np.array([self.apart / self.step[0], self.apart / self.step[1]])
        spots = ndimage.gaussian_filter(filled, _ATOM * sigma) - ndimage.gaussian_filter(filled, _GROUND * sigma)
        return np.where(known, spots, np.nan)

    def probability_of_emptiness(self, empty: Array, taken: Array) -> Array:
        """Probability (k,) that sites are empty, by their brightness alone; NaN where the image says nothing.

        Parameters
        ----------
        empty : (k, 2) sites in question, x and y.
        taken : (n, 2) atoms of the same sublattice.

        Notes
        -----
        The brightness of all sites is a mixture of two normal distributions: about that of most sites, and about that
        between the atoms, both with the scatter of most sites; expectation maximisation gives the share of the empty
        ones. That no atom was found at a site is not counted beside: it was not found because it was dim. Brighter than
        an atom is as an atom, and darker than the ground as the ground.
        """
        nothing = np.full(len(empty), np.nan)
        if not len(empty) or len(taken) < _FEWEST:
            return nothing
        every, everywhere = self._at(np.concatenate([empty, taken])), self.spots[np.isfinite(self.spots)]
        known = np.isfinite(every)
        if known.sum() < _FEWEST:
            return nothing
        middle = float(np.median(every[known]))
        sign = 1.0 if middle > np.median(everywhere) else -1.0  # dark atoms
        atom, ground = sign * middle, float(np.quantile(sign * everywhere, _BETWEEN))
        scatter = 1.4826 * float(np.median(np.abs(every[known] - middle)))
        if not (atom > ground and scatter > 0):
            return nothing
        seen = np.clip(sign * every, ground, atom)
        odds = np.clip(((seen - atom) ** 2 - (seen - ground) ** 2) / (2 * scatter**2), -_MOST, _MOST)
        share = 0.5
        for _ in range(_ROUNDS):
            is_empty = special.expit(odds + special.logit(share))
            share = float(np.clip(np.nanmean(is_empty), 0.5 / len(every), 0.5))
        return np.where(known, is_empty, np.nan)[: len(empty)]

    def _at(self, positions: Array) -> Array:
        """Brightness (n,) of spots at positions (n, 2); NaN outside the image."""
        rows, columns = positions[:, 1] / self.step[0], positions[:, 0] / self.step[1]
        found: Array = ndimage.map_coordinates(self.spots, [rows, columns], order=1, cval=np.nan)
        return found
