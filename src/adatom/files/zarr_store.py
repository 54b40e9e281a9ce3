"""Zarr stores (folders, version 2 or 3) as xarray writes them: each array of two or three axes is a channel.

An array is taken with its axes: an array of one axis, named like a dimension, with ``units`` among its attributes.
`write` makes such a store, which `xarray.open_zarr` opens too: the values as ``image``, one array for each axis, and
what else the image says as attributes of ``image`` (``signal``, ``units``, and ``adatom``: source, metadata, history).
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel, both_sides, most_image_like_first
from adatom.files.hdf5_tree import spectral_axis, step_nm
from adatom.files.note import note_of

# what to import before the clock of the worker starts
libraries = ("zarr",)
_VARIABLE = "image"
_MAX_AXIS = 2**20
_MAX_FILES = 100_000
_MAX_HEADER_BYTES = 2**22
_MAX_EMPTY_BYTES = 2**27
_LEAST_SIDE = 2
_CHUNK_SIDE = 1024


def sniff(head: bytes, path: Path) -> bool:
    """Whether the folder holds the description of a zarr group or array."""
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))


def read_channels(path: Path) -> list[Channel]:
    """Describe the arrays, named as in the store."""
    _check_sizes(path)
    root = _open(path)
    arrays = _arrays(root)
    channels = []
    for name, array in arrays.items():
        if array.ndim in (2, 3) and min(array.shape) >= _LEAST_SIDE and array.dtype.kind in "fiub":
            channels.append(_channel(path, name, array, arrays))
    if not channels:
        raise FileFormatError(f"{path.name}: expected an array with two or three axes in this zarr store, got none.")
    return most_image_like_first(channels)


def _open(path: Path) -> Any:
    import zarr

    return zarr.open(str(path), mode="r")


def _arrays(root: Any) -> dict[str, Any]:
    return {"": root} if hasattr(root, "ndim") else {str(name): array for name, array in sorted(root.arrays())}


def _check_sizes(path: Path) -> None:
    """Look at the descriptions before zarr does: none of them is large."""
    for number, each in enumerate(path.rglob("*")):
        if number > _MAX_FILES:
            break
        if (
            each.name in ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
            and each.stat().st_size > _MAX_HEADER_BYTES
        ):
            raise FileFormatError(f"{path.name}: expected descriptions of some kB, got {each.name} of another size.")


def _dims(array: Any) -> tuple[str, ...]:
    told = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if told and len(told) == array.ndim and all(isinstance(each, str) for each in told):
        return tuple(told)
    return ("", "y", "x")[-array.ndim :]


def _axis(name: str, length: int, arrays: dict[str, Any], path: Path) -> tuple[np.ndarray, str]:
    array = arrays.get(name)
    if array is None or array.shape != (length,) or array.dtype.kind not in "fiu" or length > _MAX_AXIS:
        return np.arange(float(length)), "px"
    _check_claim(path, name, array)
    return np.asarray(array[:], dtype=float), str(array.attrs.get("units", ""))


def _check_claim(path: Path, name: str, array: Any) -> None:
    claimed, chunk = prod(array.shape) * array.dtype.itemsize, prod(array.chunks) * array.dtype.itemsize
    folder = path / name
    stored = sum(each.stat().st_size for each in list(folder.rglob("*"))[:_MAX_FILES] if each.is_file())
    if claimed > max(_MAX_EMPTY_BYTES, 100 * stored) or chunk > max(_MAX_EMPTY_BYTES, 2 * claimed):
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values in {name}, as the store says, got {stored} packed ones. "
            "It is incomplete or damaged: copy it again."
        )


def _channel(path: Path, name: str, array: Any, arrays: dict[str, Any]) -> Channel:
    _check_claim(path, name, array)
    _check_chunks(path, name, array)
    dims = _dims(array)
    axes = [_axis(dim, length, arrays, path) for dim, length in zip(dims, array.shape, strict=True)]
    spectral = None
    if array.ndim == 3 and dims[-1] not in ("x", "y"):
        spectral = spectral_axis(dims[-1], *axes[-1])
    if spectral is None and array.ndim == 3 and dims[0] in ("x", "y"):
        raise FileFormatError(f"{path.name}: expected (frame, y, x) or (y, x, energy | bias | time), got {dims}.")
    y, x = axes[:2] if spectral is not None else axes[-2:]
    steps = [step_nm(*each) for each in (y, x)]
    note = array.attrs.get("adatom")
    note = note if isinstance(note, dict) else {}

    def stored() -> Any:
        opened = _open(path)
        return opened if name == "" else opened[name]

    def load(frame: int | None) -> np.ndarray:
        return np.asarray(stored()[:] if frame is None else stored()[frame])

    def window(frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        return np.asarray(stored()[rows, columns] if frame is None else stored()[frame, rows, columns])

    signal = str(array.attrs.get("signal", "")) or (UNNAMED if note else name or UNNAMED)
    others = {key: value for key, value in array.attrs.items() if isinstance(value, (str, int, float))}
    metadata = note.get("metadata") if isinstance(note.get("metadata"), dict) else None
    return Channel(
        signal,
        tuple(int(n) for n in array.shape),
        np.dtype(array.dtype),
        load,
        units=str(array.attrs.get("units", "")),
        pixel_size=both_sides(steps),
        metadata=others if metadata is None else metadata,
        history=tuple(str(each) for each in note.get("history", [])) if isinstance(note.get("history"), list) else (),
        spectral=spectral,
        window=window if spectral is None else None,
    )


def _check_chunks(path: Path, name: str, array: Any) -> None:
    """Zarr fills missing chunks in silence: a store that was copied in part would pass as whole."""
    n_there = getattr(array, "nchunks_initialized", None)
    if n_there is not None and n_there < array.nchunks and array.fill_value in (None, 0):
        raise FileFormatError(
            f"{path.name}: expected {array.nchunks} chunks of {name or 'values'}, got {n_there}. "
            "It is incomplete: copy it again."
        )


def write(path: Path, image: xr.DataArray) -> None:
    """Write an image, movie or spectrum image; see the head of this module for what is written."""
    import zarr

    note = note_of(image)
    root = zarr.open_group(str(path), mode="w")

    def add(
        name: str, values: np.ndarray, dims: list[str], chunks: tuple[int, ...], attributes: dict[str, Any]
    ) -> None:
        # also chunks that hold nothing but zeros: those missing mean a store that was copied in part
        array = root.create_array(
            name,
            shape=values.shape,
            chunks=chunks,
            dtype=values.dtype,
            dimension_names=dims,
            config={"write_empty_chunks": True},
        )
        array[...] = values
        array.attrs.update(attributes)

    dims = [str(dim) for dim in image.dims]
    chunks = tuple(1 if dim == "frame" else min(n, _CHUNK_SIDE) for dim, n in zip(dims, image.shape, strict=True))
    told = {"signal": note["signal"], "units": image.attrs.get("units", ""), "adatom": note}
    add(_VARIABLE, image.values, dims, chunks, told)
    for dim in dims:
        values = np.asarray(image.coords[dim])
        add(dim, values, [dim], values.shape, {"units": image.coords[dim].attrs.get("units", "")})
