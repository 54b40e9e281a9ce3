"""Images in their eight orientations, for what does not depend on them."""

import numpy as np
import torch
from torch import Tensor


def turned_by_chance(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Each square image (n, channels, y, x) in one of its eight orientations."""
    result = images.clone()
    drawn = rng.integers(0, 8, len(images))
    for way in range(1, 8):
        some = torch.from_numpy(np.flatnonzero(drawn == way))
        turned = torch.rot90(images[some], way % 4, (2, 3))
        result[some] = turned.flip(3) if way > 3 else turned
    return result
