"""What a material is to the generator: a cell and what stands in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Crystal:
    """A cell of a perfect crystal.

    Attributes
    ----------
    vectors : (2, 2) lattice vectors (x, y) [nm], one a row.
    basis : (n, 2) fractional coordinates.
    species : (n,) number of the species of each.
    height : (n,) height of each in the image.
    """

    vectors: NDArray[np.float64]
    basis: NDArray[np.float64]
    species: NDArray[np.int64]
    height: NDArray[np.float64]
