"""Padding of any size to one that a network divides evenly."""

import numpy as np
from numpy.typing import NDArray


def pad_to_multiple(values: NDArray[np.float32], multiple: int) -> NDArray[np.float32]:
    """Pad (..., y, x) with zeros below and to the right until both sides are multiples of `multiple`.

    A normalised image has median 0, so zeros are background; the networks have seen such borders in training. Cut back
    with ``[..., :y, :x]``.
    """
    rows, columns = values.shape[-2:]
    widths = [(0, 0)] * (values.ndim - 2) + [(0, -rows % multiple), (0, -columns % multiple)]
    return np.pad(values, widths)
