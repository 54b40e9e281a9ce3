"""Nion Swift: ndata (a zip of ``data.npy`` and ``metadata.json``) and HDF5 (``data`` with JSON ``properties``).

Both state a scale and a unit for each axis, and one for the values. Axes of a sequence or of a scan come first, those
of the picture or spectrum last.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel, SpectralAxis, Window, both_sides
from adatom.files.guard import HDF5_MAGIC
from adatom.files.hdf5_tree import as_nm, check_dataset, is_numeric, open_hdf5, spectral_axis, text, window_of
from adatom.files.zipped import is_zip, member_bytes, zipped_array, zipped_names


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file holds one of the two forms."""
    if is_zip(head):
        return {"data.npy", "metadata.json"} <= set(zipped_names(path))
    if not head.startswith(HDF5_MAGIC):
        return False
    with open_hdf5(path) as file:
        data = file.get("data")
        return is_numeric(data) and "properties" in data.attrs


def read_channels(path: Path) -> list[Channel]:
    """Describe the one data item."""
    with open(path, "rb") as file:
        is_hdf5 = file.read(8) == HDF5_MAGIC
    if is_hdf5:
        with open_hdf5(path) as opened:
            data = opened["data"]
            check_dataset(path, data)
            facts = json.loads(text(data, "properties"))
            shape, dtype = tuple(int(n) for n in data.shape), data.dtype

        def load_hdf5(frame: int | None) -> np.ndarray:
            with open_hdf5(path) as opened:
                values: np.ndarray = opened["data"][()] if frame is None else opened["data"][frame]
                return values

        return [_channel(path, shape, dtype, load_hdf5, facts, window_of(path, "data"))]
    facts = json.loads(member_bytes(path, "metadata.json"))
    shape, dtype, load = zipped_array(path, "data.npy")
    return [_channel(path, shape, dtype, lambda frame: load() if frame is None else load()[frame], facts)]


def _channel(
    path: Path, shape: tuple[int, ...], dtype: np.dtype, load: Any, facts: Any, window: Window | None = None
) -> Channel:
    if not isinstance(facts, dict):
        raise FileFormatError(f"{path.name}: expected the properties of a Nion data item, got something else.")
    if len(shape) not in (2, 3):
        raise FileFormatError(
            f"{path.name}: expected an image, a stack or a spectrum image, got a Nion data item of shape {shape}."
        )
    told = facts.get("dimensional_calibrations") or facts.get("spatial_calibrations") or []
    axes = [each if isinstance(each, dict) else {} for each in told] if len(told) == len(shape) else [{}] * len(shape)
    spectral = _spectral(axes[-1], shape[-1], facts) if len(shape) == 3 else None
    sizes = [_size(axis) for axis in (axes[:2] if spectral is not None else axes[-2:])]
    intensity = facts.get("intensity_calibration")
    units = str(intensity.get("units", "")) if isinstance(intensity, dict) else ""
    flat = {str(key): value for key, value in facts.items() if isinstance(value, (str, int, float))}
    return Channel(
        str(facts.get("title") or UNNAMED),
        shape,
        dtype,
        load,
        units=units,
        pixel_size=both_sides(sizes),
        metadata={key: value if isinstance(value, str) else float(value) for key, value in flat.items()},
        history=("kept the stored numbers: the calibration of the intensity is not applied",) if units else (),
        spectral=spectral,
        window=window if spectral is None else None,
    )


def _number(axis: dict[str, Any], name: str, default: float) -> float:
    value = axis.get(name, default)
    return float(value) if isinstance(value, (int, float)) else default


def _size(axis: dict[str, Any]) -> float | None:
    return as_nm(_number(axis, "scale", 0.0), str(axis.get("units", "")))


def _spectral(axis: dict[str, Any], n: int, facts: dict[str, Any]) -> SpectralAxis | None:
    if facts.get("datum_dimension_count", 1) != 1:
        return None
    values = _number(axis, "offset", 0.0) + _number(axis, "scale", 1.0) * np.arange(n)
    return spectral_axis("", values, str(axis.get("units", "")))
