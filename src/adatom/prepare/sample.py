"""A part of a large array that tells its median as well as the whole."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Arrays up to the first size are taken whole, of larger ones so many values: a median is then off by 1 % of the spread.
_WHOLE, _MANY = 2**15, 2**14


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
