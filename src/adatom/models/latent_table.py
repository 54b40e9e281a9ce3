"""What a variational autoencoder says of patches, as a table: one row a patch.

=============== ====================================================================================================
angle           how far the content is turned from x towards y [rad], -pi to pi
angle_probability that it is not turned quite otherwise: low where the content looks the same from several sides
shift_x,        where the content's middle lies, from the patch's [`units`]; ``shift`` for spectra
shift_y
scale           how large the content is, 1 as drawn
z1, z2, ...     what it is; standard normal numbers
value           the quantity that labels named, in their unit
class, kind     name or number of the class, or number of the kind; with the probability of each (``class_a``,
                ``kind_0``)
=============== ====================================================================================================

Each number has a standard deviation beside it (``angle_std``): what the noise of pixels leaves open. Where the model
cannot draw what a patch shows, the error is larger. ``attrs["units"]`` is the unit of lengths; there are only columns
for what the model tells apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom.errors import ArgumentError
from adatom.models.patch_stack import Frame

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """Pose and content of patches as the network has them: lengths in halves of the longer side.

    Parameters
    ----------
    angle : (n,) [rad].
    shift : (n, 2), x first.
    log_scale : (n,).
    content : (n, values + latent).
    kind : (n,) numbers from 0.
    """

    angle: Array
    shift: Array
    log_scale: Array
    content: Array
    kind: NDArray[np.int64]


@dataclass(frozen=True)
class LatentTable:
    """Which columns a model's table has, and what they are to its network.

    Parameters
    ----------
    frame : of the patches.
    invariances, latent : of the model.
    kinds : names of classes or kinds, none where there is only one.
    kind_column : ``class`` or ``kind``.
    value_scale : mean and spread of known values, where there are such labels.
    """

    frame: Frame
    invariances: tuple[str, ...]
    latent: int
    kinds: tuple[str, ...] = ()
    kind_column: str = "kind"
    value_scale: tuple[float, float] | None = None

    @property
    def pose_columns(self) -> list[str]:
        """Columns of the pose, in the network's order."""
        shifts = ["shift_x", "shift_y"] if self.frame.shape[0] > 1 else ["shift"]
        return (
            ["angle"] * ("rotation" in self.invariances)
            + shifts * ("translation" in self.invariances)
            + ["scale"] * ("scale" in self.invariances)
        )

    @property
    def content_columns(self) -> list[str]:
        """Columns of the content, in the network's order."""
        return ["value"] * (self.value_scale is not None) + [f"z{k + 1}" for k in range(self.latent)]

    def table(self, numbers: Numbers, std: Array, angle_probability: Array, kind_probability: Array) -> pd.DataFrame:
        """The table of what was found.

        Parameters
        ----------
        std : (n, pose and content) standard deviations in the network's units.
        angle_probability : (n,).
        kind_probability : (n, kind).
        """
        half = self.frame.half
        scale = np.exp(numbers.log_scale)
        value_mean, value_spread = self.value_scale or (0.0, 1.0)
        known: dict[str, tuple[Array, Array | float]] = {
            "angle": (np.angle(np.exp(1j * numbers.angle)), 1.0),
            "shift": (numbers.shift[:, 0] * half, half),
            "shift_x": (numbers.shift[:, 0] * half, half),
            "shift_y": (numbers.shift[:, 1] * half, half),
            "scale": (scale, scale),
        }
        for number, name in enumerate(self.content_columns):
            told: Array = numbers.content[:, number]
            known[name] = (told, 1.0) if name != "value" else (told * value_spread + value_mean, value_spread)
        columns: dict[str, NDArray[np.generic]] = {}
        for number, name in enumerate([*self.pose_columns, *self.content_columns]):
            values, factor = known[name]
            columns[name], columns[f"{name}_std"] = values, std[:, number] * factor
        if "angle" in columns:
            columns["angle_probability"] = angle_probability
        if self.kinds:
            are_numbers = self.kinds == tuple(str(k) for k in range(len(self.kinds)))
            columns[self.kind_column] = numbers.kind if are_numbers else np.array(self.kinds)[numbers.kind]
            columns |= {f"{self.kind_column}_{name}": kind_probability[:, k] for k, name in enumerate(self.kinds)}
        table = pd.DataFrame(columns)
        table.attrs["units"] = self.frame.units
        return table

    def numbers(self, table: pd.DataFrame) -> Numbers:
        """The inverse of `table`; a pose that is not in it is the one in which the content is drawn.

        Raises
        ------
        ArgumentError : if a column of the content is missing, has a value that is not a number, or a kind is unknown.
        """
        if not isinstance(table, pd.DataFrame):
            raise ArgumentError(f"table: expected what encode gives, got {type(table).__name__}.")
        needed = [*self.content_columns, *([self.kind_column] if self.kinds else [])]
        missing = [name for name in needed if name not in table]
        if missing:
            raise ArgumentError(f"table: expected columns {', '.join(needed)}, got none named {missing[0]!r}.")
        given = {}
        for name, default in (("angle", 0.0), ("shift_x", 0.0), ("shift_y", 0.0), ("shift", 0.0), ("scale", 1.0)):
            is_there = name in self.pose_columns and name in table
            given[name] = _finite(table, name) if is_there else np.full(len(table), default)
        if not (given["scale"] > 0).all():
            raise ArgumentError(f"table: expected a positive scale, got {given['scale'].min()}.")
        content = np.stack([_finite(table, name) for name in self.content_columns], axis=1)
        if self.value_scale is not None:
            content[:, 0] = (content[:, 0] - self.value_scale[0]) / self.value_scale[1]
        half = self.frame.half
        shift = np.stack([(given["shift_x"] + given["shift"]) / half, given["shift_y"] / half], axis=1)
        kind = np.zeros(len(table), dtype=np.int64)
        if self.kinds:
            kind = self.number_of_kind(table[self.kind_column])
        return Numbers(given["angle"], shift, np.log(given["scale"]), content, kind)

    def number_of_kind(self, names: "pd.Series[str] | Sequence[str]") -> NDArray[np.int64]:
        """Numbers of classes or kinds.

        Raises
        ------
        ArgumentError : if there is no such class or kind.
        """
        number = {name: k for k, name in enumerate(self.kinds)}
        unknown = [name for name in names if str(name) not in number]
        if unknown:
            raise ArgumentError(f"{self.kind_column}: expected one of {', '.join(self.kinds)}, got {unknown[0]!r}.")
        return np.array([number[str(name)] for name in names], dtype=np.int64)


def _finite(table: pd.DataFrame, name: str) -> Array:
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float)
    is_finite = np.isfinite(values)
    if not is_finite.all():
        raise ArgumentError(
            f"table: expected finite numbers in column {name}, got {table[name].iloc[int(np.argmin(is_finite))]!r}."
        )
    return values
