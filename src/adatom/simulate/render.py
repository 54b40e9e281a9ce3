"""Atoms to pixels: their image as a sum of Gaussians, and the class map of discs that a network learns."""

import numpy as np
from numpy.typing import NDArray

from adatom.simulate.atoms_in_image import Specimen

Array = NDArray[np.float64]


def render_atoms(specimen: Specimen, size: int, precision: Array, row_shift: Array) -> Array:
    """Sum of the atoms' Gaussian images.

    Parameters
    ----------
    size : pixels a side.
    precision : (2, 2) inverse covariance of an atom's image (x, y) [px^-2].
    row_shift : (y,) sideways shift of each scan line [px].

    Returns
    -------
    (y, x); an atom of height 1 has a peak of 1, a wider one a lower peak and the same flux.
    """
    covariance = np.linalg.inv(precision)
    widest = 1.0 if specimen.width is None else specimen.width.max(initial=1.0)
    half = int(np.ceil(3.5 * widest * np.sqrt(np.max(np.linalg.eigvalsh(covariance))) + np.abs(row_shift).max()))
    row0, column0 = np.round(specimen.y).astype(int), np.round(specimen.x).astype(int)
    seen = (row0 >= -half) & (row0 < size + half) & (column0 >= -half) & (column0 < size + half)
    offsets = np.arange(-half, half + 1)
    rows = row0[seen][:, None, None] + offsets[None, :, None]  # (n, patch, 1)
    columns = column0[seen][:, None, None] + offsets[None, None, :]  # (n, 1, patch)
    # float32 is finer than any detector, and its exponentials take a fifth of the time
    dy = (rows - specimen.y[seen][:, None, None]).astype(np.float32)
    dx = np.empty((len(rows), len(offsets), len(offsets)), dtype=np.float32)
    left = columns - specimen.x[seen][:, None, None]
    np.subtract(left, row_shift[np.clip(rows, 0, size - 1)], out=dx, casting="same_kind")
    xx, xy, yy = precision[[0, 0, 1], [0, 1, 1]].astype(np.float32)
    exponent = xx * dx  # (n, patch, patch)
    exponent += 2 * xy * dy
    exponent *= dx
    exponent += yy * dy**2
    height = specimen.height[seen]
    if specimen.width is not None:
        width = specimen.width[seen]
        exponent /= width[:, None, None].astype(np.float32) ** 2
        height = height / width**2
    exponent *= np.float32(-0.5)
    values = np.exp(exponent, out=exponent)
    values *= height[:, None, None].astype(np.float32)
    # on a canvas that holds whole patches, as to leave parts of them out would take as long as to draw them
    side = size + 4 * half
    flat = (rows + 2 * half) * side + (columns + 2 * half)
    canvas = np.bincount(flat.ravel(), weights=values.ravel(), minlength=side * side).reshape(side, side)
    return canvas[2 * half : 2 * half + size, 2 * half : 2 * half + size].astype(float)


def render_labels(x: Array, y: Array, species: NDArray[np.int64], radius: float, size: int) -> NDArray[np.uint8]:
    """Class map (y, x): 0 background, 1 + species within `radius` [px] of an atom; the nearest atom wins."""
    half = int(np.ceil(radius))
    offsets = np.arange(-half, half + 1)
    rows = np.round(y).astype(int)[:, None, None] + offsets[None, :, None]
    columns = np.round(x).astype(int)[:, None, None] + offsets[None, None, :]
    distance = (rows - y[:, None, None]) ** 2 + (columns - x[:, None, None]) ** 2
    inside = (distance <= radius**2) & (rows >= 0) & (rows < size) & (columns >= 0) & (columns < size)
    flat, distance = (rows * size + columns)[inside], distance[inside]
    classes = np.broadcast_to(species[:, None, None] + 1, inside.shape)[inside]
    if np.bincount(flat, minlength=1).max() > 1:  # discs touch, which is rare, and sorting takes long
        far_first = np.argsort(-distance, kind="stable")
        flat, classes = flat[far_first], classes[far_first]
    label = np.zeros(size * size, dtype=np.uint8)
    label[flat] = classes
    return label.reshape(size, size)
