"""NeXus HDF5: each group of class NXdata with a signal of two or three axes is a channel.

What `write` makes is after NXem: ``/entry`` (NXentry, ``definition`` NXem) holds the plot ``/entry/image`` (NXdata)
with

- ``signal``: the values as they are, ``units`` and ``long_name``;
- one data set for each axis, named for its dimension (``frame``, ``y``, ``x``, ``energy``, ``bias``, ``time``), with
  ``units`` (nm, eV, V, s, px, or "" for frames) and ``long_name``;
- attributes ``signal``, ``axes`` and ``AXIS_indices`` of the group, as NeXus asks;

and ``/entry/adatom`` (NXnote), the rest of the image's attributes as JSON, which `read` takes back.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel, SpectralAxis, both_sides, distinct_names, most_image_like_first
from adatom.files.guard import HDF5_MAGIC
from adatom.files.hdf5_tree import (
    attribute,
    axis_values,
    check_dataset,
    flat_metadata,
    is_numeric,
    open_hdf5,
    spectral_axis,
    step_nm,
    text,
    walk,
    window_of,
)
from adatom.files.note import note_of

_MAX_NOTE = 2**24
_UNTOLD_AXIS = "."


def sniff(head: bytes, path: Path) -> bool:
    """Whether there is a group of class NXdata."""
    if not head.startswith(HDF5_MAGIC):
        return False
    with open_hdf5(path) as file:
        return any(text(thing, "NX_class") == "NXdata" for _, thing in walk(file))


def read_channels(path: Path) -> list[Channel]:
    """Describe the plots; a channel is named for the long name of its signal, or for its path."""
    with open_hdf5(path) as file:
        found = []
        note = _note(file)
        for place, group in walk(file):
            if text(group, "NX_class") == "NXdata":
                signal = _signal(group)
                if is_numeric(signal) and signal.ndim in (2, 3):
                    found.append((place, group, signal))
        if not found:
            raise FileFormatError(f"{path.name}: expected an NXdata group with an image as its signal, got none.")
        names = distinct_names([text(signal, "long_name") or place for place, _, signal in found])
        channels = [
            _channel(path, name, group, signal, note) for name, (_, group, signal) in zip(names, found, strict=True)
        ]
    return most_image_like_first(channels)


def _signal(group: Any) -> Any:
    name = text(group, "signal")
    if name:
        return group.get(name)
    marked = [
        each for each in group.values() if each is not None and attribute(each, "signal") in (1, "1")
    ]  # before 2014
    return marked[0] if marked else None


def _axis_names(group: Any, signal: Any) -> list[str]:
    told = attribute(group, "axes")
    told = attribute(signal, "axes") if told is None else told
    if isinstance(told, str):
        told = told.strip("[]").replace(",", ":").split(":")
    names = [str(each) for each in told or []]
    return names if len(names) == signal.ndim else [_UNTOLD_AXIS] * signal.ndim


def _channel(path: Path, name: str, group: Any, signal: Any, note: dict[str, Any]) -> Channel:
    check_dataset(path, signal)
    axes: list[tuple[str, np.ndarray, str]] = []
    for label, length in zip(_axis_names(group, signal), signal.shape, strict=True):
        dataset = group.get(label) if label != _UNTOLD_AXIS else None
        values = None if dataset is None else axis_values(path, dataset)
        if values is None or len(values) != length:
            values, dataset = np.arange(float(length)), None
        axes.append((label, values, "px" if dataset is None else text(dataset, "units")))
    last = spectral_axis(*axes[-1]) if len(axes) == 3 and axes[-1][0] not in ("x", "y") else None
    spectral: SpectralAxis | None = last
    y, x = axes[:2] if spectral is not None else axes[-2:]
    steps = [step_nm(values, units) for _, values, units in (y, x)]
    place = signal.name

    def load(frame: int | None) -> np.ndarray:
        with open_hdf5(path) as file:
            values: np.ndarray = file[place][()] if frame is None else file[place][frame]
            return values

    is_ours = bool(note)
    history = note.get("history", []) if is_ours else []
    if not is_ours and len(axes) == 3 and spectral is None and axes[0][0] != "frame":
        history = [f"numbered axis {axes[0][0]} as frames"]
    metadata = note.get("metadata", {}) if is_ours else {}
    return Channel(
        UNNAMED if is_ours and not note.get("signal") else name,
        tuple(int(n) for n in signal.shape),
        signal.dtype,
        load,
        units=text(signal, "units"),
        pixel_size=both_sides(steps),
        metadata={"path": place, **flat_metadata(signal), **metadata},
        history=tuple(str(each) for each in history),
        spectral=spectral,
        window=window_of(path, place) if spectral is None else None,
    )


def _note(file: Any) -> dict[str, Any]:
    """What `write` has put beside the image; {} in files of others."""
    dataset = file.get("entry/adatom/data")
    if dataset is None or getattr(dataset, "shape", None) != () or dataset.id.get_storage_size() > _MAX_NOTE:
        return {}
    try:
        note = json.loads(dataset.asstr()[()])
    except (TypeError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def write(path: Path, image: xr.DataArray) -> None:
    """Write an image, movie or spectrum image; see the head of this module for what is written."""
    import h5py

    from adatom import __version__

    with h5py.File(path, "w") as file:
        file.attrs["NX_class"] = "NXroot"
        file.attrs["default"] = "entry"
        file.attrs["creator"] = f"adatom {__version__}"
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry.attrs["default"] = "image"
        entry["definition"] = "NXem"
        group = entry.create_group("image")
        group.attrs["NX_class"] = "NXdata"
        group.attrs["signal"] = "signal"
        group.attrs["axes"] = [str(dim) for dim in image.dims]
        packing = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "chunks": True}
        signal = group.create_dataset("signal", data=image.values, **packing)
        signal.attrs["units"] = image.attrs.get("units", "")
        signal.attrs["long_name"] = image.attrs.get("signal", "") or UNNAMED
        for number, dim in enumerate(image.dims):
            axis = group.create_dataset(str(dim), data=np.asarray(image.coords[dim]))
            axis.attrs["units"] = image.coords[dim].attrs.get("units", "")
            axis.attrs["long_name"] = f"{dim} ({image.coords[dim].attrs.get('units') or 'number'})"
            group.attrs[f"{dim}_indices"] = number
        note = entry.create_group("adatom")
        note.attrs["NX_class"] = "NXnote"
        note["type"] = "application/json"
        note["data"] = json.dumps(note_of(image))
