"""``maps.zarr``: what the network saw, the probability of each species, written part by part.

`xarray.open_zarr` and `adatom.read` open it; coordinates are in the unit of the image that was looked at.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data.span import Span

NAME = "maps.zarr"
_CHUNK = 512  # px
_DTYPE = np.float16


@dataclass(frozen=True)
class MapsPart:
    """Probabilities of a part of an image.

    Attributes
    ----------
    rows, columns : the part, in pixels of the maps.
    values : (class, y, x), the background left out.
    """

    rows: Span
    columns: Span
    values: NDArray[np.float16]


class MapsStore:
    """A zarr store in a folder of results: an array (y, x) for each class, and one for each axis."""

    def __init__(self, path: Path, classes: Sequence[str]) -> None:
        self._path, self._classes = path, classes

    @classmethod
    def opened(
        cls, folder: Path, classes: Sequence[str], axes: Mapping[str, NDArray[Any]], units: str, *, fresh: bool
    ) -> "MapsStore":
        """Go on with a store, or begin it anew.

        Parameters
        ----------
        axes : of ``y`` and ``x``, in that order, the coordinates of the pixels of the maps, in `units`.
        """
        import zarr

        path = folder / NAME
        if fresh or not path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            root = zarr.open_group(str(path), mode="w")
            shape = tuple(len(values) for values in axes.values())
            for name in classes:
                array = root.create_array(
                    name,
                    shape=shape,
                    chunks=tuple(min(n, _CHUNK) for n in shape),
                    dtype=_DTYPE,
                    dimension_names=list(axes),
                    config={"write_empty_chunks": True},  # a missing one means a store that is not whole
                )
                array.attrs.update({"signal": f"probability of {name}", "units": ""})
            for name, values in axes.items():
                axis = root.create_array(name, shape=values.shape, dtype=values.dtype, dimension_names=[name])
                axis[...] = values
                axis.attrs.update({"units": units})
        return cls(path, classes)

    def add(self, part: MapsPart) -> None:
        """Write a part; one that was written before is written again."""
        import zarr

        root: Any = zarr.open_group(str(self._path), mode="r+")
        for name, values in zip(self._classes, part.values, strict=True):
            root[name][part.rows.as_slice, part.columns.as_slice] = values


def write_maps(folder: Path, maps: xr.DataArray) -> None:
    """All of it at once: maps (class, y, x), background first, as `adatom.finder.search` gives them."""
    classes = [str(name) for name in maps["class"].values[1:]]
    axes = {dim: np.asarray(maps.coords[dim], dtype=float) for dim in ("y", "x")}
    store = MapsStore.opened(folder, classes, axes, str(maps["x"].attrs["units"]), fresh=True)
    rows, columns = (Span(0, len(values)) for values in axes.values())
    store.add(MapsPart(rows, columns, maps.isel({"class": slice(1, None)}).to_numpy().astype(_DTYPE)))


def part_of(values: NDArray[Any], rows: Span, columns: Span) -> MapsPart:
    """A part whose probabilities (class, y, x), background first, are known."""
    return MapsPart(rows, columns, values[1:].astype(_DTYPE))
