"""A latent space laid out: spectra decoded on a grid of two latent numbers, beside the patches that lie there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adatom.models.image_to_spectrum import ImageToSpectrum

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Manifold:
    """What lies on a grid of a latent space.

    Parameters
    ----------
    codes : (row, column, latent).
    spectra : (row, column, point), decoded by the first network.
    patches : (row, column, y, x), mean of the patches whose codes are nearest to a place of the grid; NaN where there
        is none.
    along : the two latent numbers that vary most; the others stand at their medians.
    """

    codes: Array
    spectra: Array
    patches: Array
    along: tuple[int, int]


def lay_out(model: ImageToSpectrum, patches: Array, *, side: int = 6) -> Manifold:
    """Lay out the latent space of a model over the patches (n, channel, y, x) that it was trained on."""
    codes = model._codes(model.patch_scale_.scaled(patches))
    spread = np.std(codes, axis=0)
    order = np.argsort(-spread, kind="stable")
    along = (int(order[0]), int(order[min(1, len(order) - 1)]))
    places = [np.quantile(codes[:, k], np.linspace(0.03, 0.97, side)) for k in along]
    grid = np.tile(np.median(codes, axis=0), (side, side, 1))
    grid[:, :, along[0]] = places[0][:, None]
    if along[1] != along[0]:
        grid[:, :, along[1]] = places[1][None, :]
    decoded = model.decode(grid.reshape(-1, codes.shape[1]))[:, 0]
    nearest = [np.abs(codes[:, k, None] - place).argmin(axis=1) for k, place in zip(along, places, strict=True)]
    mean = np.full((side, side, *patches.shape[2:]), np.nan)
    for row, column in np.ndindex(side, side):
        there = (nearest[0] == row) & (nearest[1] == column)
        if there.any():
            mean[row, column] = patches[there, 0].mean(axis=0)
    return Manifold(grid, decoded.reshape(side, side, -1), mean, along)
