"""A part of a large array that tells its median as well as the whole."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Arrays up to the first size are taken whole, of larger ones so many values: a median is then off by 1 % of the spread.
_WHOLE, _MANY = 2**15, 2**14
# Images of more pixels may be too large to be held at once. What is learned from some of their pixels is learned in a
# way that needs no others, so that it is the same be they in memory or in a file that is read by windows.
LARGE_PX = 2**20
_PARTS, _PART_SIDE = 3, 384  # of a large image that tell its contrast: along each side, and pixels of each


def is_large(shape: Sequence[int]) -> bool:
    """Whether an image of this shape (y, x) is treated as one that may not fit in memory."""
    return shape[0] * shape[1] > LARGE_PX


def telling_parts(shape: Sequence[int]) -> list[tuple[slice, slice]]:
    """The parts of an image (y, x) that tell what is common to all of it: of a large one some from all over it, else
    the whole.
    """
    if not is_large(shape):
        return [(slice(0, shape[0]), slice(0, shape[1]))]
    spans = []
    for n in shape:
        side = min(n, _PART_SIDE)
        starts = sorted({round(k * (n - side) / (_PARTS - 1)) for k in range(_PARTS)})
        spans.append([slice(start, start + side) for start in starts])
    return [(rows, columns) for rows in spans[0] for columns in spans[1]]


def sampled(values: Array) -> Array:
    """The finite ones of all `values`; of a large array those at random places, always the same ones."""
    values = values.ravel()
    if values.size > _WHOLE:
        # at random: a regular choice could see only one phase of a lattice
        some = _finite(values[np.random.default_rng(0).integers(values.size, size=_MANY)])
        if some.size > _MANY // 8:
            return some
    return _finite(values)


def median(values: Array) -> float:
    """Median of what is finite, of a large array that of a sample; 0 where nothing is."""
    finite = sampled(values)
    return float(np.median(finite)) if finite.size else 0.0


def _finite(values: Array) -> Array:
    known = np.isfinite(values)
    return values if known.all() else values[known]
