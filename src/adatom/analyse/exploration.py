"""What windows around atoms say: latent numbers, states, and in movies their changes."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse.descriptors import Descriptors
from adatom.analyse.dynamics import Dynamics
from adatom.analyse.states import States


class Encoder(Protocol):
    """What a figure needs to know of a model: `adatom.VariationalAutoencoder` is one."""

    latent: int

    def decode(self, table: pd.DataFrame) -> xr.DataArray:
        """Windows (sample, y, x) of latent numbers."""

    def manifold(self, n: int = ...) -> xr.DataArray:
        """Windows (row, column, y, x) decoded on a grid over the first two latent numbers."""


@dataclass
class Exploration:
    """What windows around atoms say.

    Attributes
    ----------
    atoms : all atoms; those that were looked at with the columns ``z1``, ..., of the pose (``angle``, ``shift_x``,
        ...), each with ``_std``, ``state`` (0 for none) and ``state_probability``; of movies ``x_undrifted``,
        ``y_undrifted`` and ``track``. Others have NaN, state 0 and track -1.
    image : what windows were cut from.
    windows : of the atoms whose window lies in the image, and which rows of the table they are.
    model : the `VariationalAutoencoder` which encoded them.
    states : of their latent numbers.
    dynamics : what tracks say; None for a still.
    drift : (frame, 2) of the specimen, in the unit of the table; None for a still.
    summary : the content of ``summary.json``.
    """

    atoms: pd.DataFrame
    image: xr.DataArray
    windows: Descriptors
    model: Encoder
    states: States
    dynamics: Dynamics | None = None
    drift: NDArray[np.float64] | None = None
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def latent_columns(self) -> list[str]:
        """Names of the latent numbers: z1, z2, ..."""
        return [f"z{k + 1}" for k in range(self.model.latent)]
