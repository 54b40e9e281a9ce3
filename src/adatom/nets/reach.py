"""How far a network sees: measured, so that it holds for any network, also one that a user brings."""

from collections.abc import Callable

import numpy as np
import torch

from adatom.errors import ArgumentError

_SIDES = (384, 768, 1536)  # of the image that is looked at, until the network sees less than half of it [px]


def measure_reach(run: Callable[[torch.Tensor], torch.Tensor], multiple: int) -> int:
    """The distance [px] at which a change of an image changes nothing of what `run` says; a multiple of `multiple`.

    Parameters
    ----------
    run : images (n, 1, y, x), sides multiples of `multiple`, to logits (n, channel, y, x).

    Notes
    -----
    A block in the middle of an image is changed, as large as the network's coarsest pixel, so that no place in it
    matters.

    Raises
    ------
    ArgumentError : if there is no such distance, as in networks that look at the mean of the whole image.
    """
    for side in _SIDES:
        side -= side % multiple
        middle = side // 2 - (side // 2) % multiple
        images = np.random.default_rng(0).normal(size=(2, 1, side, side)).astype(np.float32)
        images[1] = images[0]
        images[1, 0, middle : middle + multiple, middle : middle + multiple] += 3.0
        said = run(torch.from_numpy(images)).float()
        changed = np.nonzero((said[0] != said[1]).any(dim=0).numpy())
        if not len(changed[0]):
            return multiple
        low, high = min(each.min() for each in changed), max(each.max() for each in changed)
        reach = max(middle - int(low), int(high) - middle - multiple + 1)
        if low > 0 and high < side - 1:
            return -(-reach // multiple) * multiple
    raise ArgumentError(
        "model: expected a network that looks at a part of an image at a time, got one that looks at all of it. "
        "Search the image whole."
    )
