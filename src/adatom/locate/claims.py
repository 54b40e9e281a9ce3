"""Claims of a localising network to atoms: one pass, no threshold but on the probability of the whole atom."""

from math import comb

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError, ShapeError
from adatom.locate.peaks import Peaks, suppress_close
from adatom.nets.claims import N_NUMBERS, read_claims

Array = NDArray[np.float64]

# Less probable atoms are not even looked at.
_LEAST = 0.02


def find_claimed(
    raw: NDArray[np.float32], *, min_distance_px: float, min_probability: float = _LEAST, reach_px: int = 1
) -> Peaks:
    """Find atoms in what a localising network gives.

    Parameters
    ----------
    raw : (channel, y, x), see `adatom.nets.claims`.
    min_distance_px : of two atoms closer than this the less probable goes.
    min_probability : less probable atoms go; those below 0.02 in any case.
    reach_px : over so many pixels around the one that most likely holds an atom its probability is spread; >= 1.

    Returns
    -------
    One peak an atom: where the smoothed probability has a maximum, the claims around it are summed up. Their sum
    is the probability that an atom is there; its species is the one with the largest share; position and flux are their
    weighted means; the standard deviations hold both what each claim states and what they disagree in. Uncalibrated.
    """
    if raw.ndim != 3 or raw.shape[0] < N_NUMBERS + 2:
        raise ShapeError(f"raw: expected (channel, y, x) with at least {N_NUMBERS + 2} channels, got {raw.shape}.")
    if not 0 <= min_probability <= 1 or min_distance_px < 0:
        raise ArgumentError(
            f"find_claimed: expected a distance from 0 up and a probability, got {min_distance_px}, {min_probability}."
        )
    claimed = atom_probability(raw)
    window = np.arange(-reach_px, reach_px + 1)
    order = 2 * reach_px**2  # of a binomial, with a standard deviation of 0.7 reaches
    binomial = np.array([comb(order, k) for k in range(order + 1)], dtype=np.float32)
    smoothing = binomial / binomial.sum()  # along each axis
    smooth = ndimage.convolve1d(
        ndimage.convolve1d(claimed, smoothing, axis=0, mode="constant"), smoothing, mode="constant"
    )
    size = 2 * reach_px + 1
    top = smooth >= _LEAST * smoothing.max() ** 2
    top &= smooth == ndimage.maximum_filter(smooth, size=size, mode="constant")
    row, column = np.nonzero(top)
    rows, columns = claimed.shape
    down, right = (each.ravel() for each in np.meshgrid(window, window, indexing="ij"))  # (pixel,)
    near_row, near_column = row[:, None] + down, column[:, None] + right  # (n, pixel)
    inside = (near_row >= 0) & (near_row < rows) & (near_column >= 0) & (near_column < columns)
    index = np.clip(near_row, 0, rows - 1) * columns + np.clip(near_column, 0, columns - 1)
    by_pixel = np.moveaxis(raw, 0, -1).reshape(rows * columns, len(raw))
    claims = read_claims(torch.from_numpy(np.take(by_pixel, index, axis=0).astype(np.float32, copy=False)))
    share = claims.log_probability[..., 1:].exp().numpy() * inside[:, :, None]  # (n, pixel, species)
    numbers, std = claims.numbers.numpy(), claims.std.numpy()  # (n, pixel, 3), from the pixel in the middle
    numbers[:, :, 0] += right.astype(np.float32)
    numbers[:, :, 1] += down.astype(np.float32)
    of_pixel, of_species = share.sum(axis=2), share.sum(axis=1).astype(float)
    total = of_species.sum(axis=1)
    weight = of_pixel / np.maximum(total, 1e-9)[:, None].astype(np.float32)
    mean = np.einsum("np,npk->nk", weight, numbers)
    deviation = std[..., :2] ** 2 + (numbers[..., :2] - mean[:, None, :2]) ** 2
    spread = np.sqrt(np.einsum("np,npk->nk", weight, deviation)).astype(float)
    of_species /= np.maximum(total, 1e-9)[:, None]
    species = of_species.argmax(axis=1)
    found = Peaks(
        column + mean[:, 0].astype(float),
        row + mean[:, 1].astype(float),
        species,
        np.minimum(total, 1.0),
        spread[:, 0],
        spread[:, 1],
        np.exp(mean[:, 2].astype(float)),
        of_species.max(axis=1, initial=0),
        of_species,
    )
    found = found.of(found.probability >= max(min_probability, _LEAST))
    return found.of(suppress_close(np.column_stack([found.x, found.y]), found.probability, min_distance_px))


def atom_probability(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability that an atom of any species has its centre in a pixel (y, x), of (channel, y, x)."""
    n_classes = len(raw) - N_NUMBERS
    logits = torch.from_numpy(np.ascontiguousarray(raw[:n_classes]))
    if n_classes == 2:
        return (logits[1] - logits[0]).sigmoid().numpy()
    return 1 - logits.softmax(dim=0)[0].numpy()
