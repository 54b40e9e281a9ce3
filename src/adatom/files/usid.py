"""USID HDF5 (pyUSID): main data sets of (position, spectroscopic value), whose axes stand in data sets beside them.

A main data set refers to four others: indices and values of positions, and of spectroscopic values. Positions on a
grid of x and y become (y, x), or (y, x, bias | energy | time) where there is more than one spectroscopic value.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel, both_sides, distinct_names, most_image_like_first
from adatom.files.guard import HDF5_MAGIC
from adatom.files.hdf5_tree import (
    attribute,
    check_dataset,
    flat_metadata,
    is_numeric,
    open_hdf5,
    spectral_axis,
    step_nm,
    text,
    walk,
)

_REFERENCES = ("Position_Indices", "Position_Values", "Spectroscopic_Indices", "Spectroscopic_Values")


def sniff(head: bytes, path: Path) -> bool:
    """Whether a data set refers to positions and spectroscopic values."""
    if not head.startswith(HDF5_MAGIC):
        return False
    with open_hdf5(path) as file:
        return any(_is_main(thing) for _, thing in walk(file))


def _is_main(thing: Any) -> bool:
    return is_numeric(thing) and thing.ndim == 2 and all(name in thing.attrs for name in _REFERENCES)


def read_channels(path: Path) -> list[Channel]:
    """Describe the main data sets that lie on a grid; a channel is named for its quantity."""
    with open_hdf5(path) as file:
        mains = [(place, thing) for place, thing in walk(file) if _is_main(thing)]
        names = distinct_names([text(thing, "quantity") or place for place, thing in mains])
        found = [_channel(path, file, name, place, main) for name, (place, main) in zip(names, mains, strict=True)]
    channels = [each for each in found if each is not None]
    if not channels:
        raise FileFormatError(f"{path.name}: expected positions on a grid of x and y in this USID file, got none.")
    return most_image_like_first(channels)


def _beside(path: Path, file: Any, main: Any, name: str, shape: tuple[int, int]) -> tuple[Any, np.ndarray]:
    dataset = file[main.attrs[name]]
    if not is_numeric(dataset) or dataset.ndim != 2 or shape not in (dataset.shape, dataset.shape[::-1]):
        raise FileFormatError(f"{path.name}: expected {name} of {main.name} to fit its shape {main.shape}, got others.")
    check_dataset(path, dataset)
    return dataset, np.asarray(dataset[()])


def _labels(dataset: Any, n: int) -> tuple[list[str], list[str]]:
    told = []
    for name in ("labels", "units"):
        value = attribute(dataset, name, "")
        listed = [str(each) for each in value] if isinstance(value, list) else [str(value)]
        told.append((listed + [""] * n)[:n])
    return told[0], told[1]


def _channel(path: Path, file: Any, name: str, place: str, main: Any) -> Channel | None:
    check_dataset(path, main)
    n_positions, n_values = main.shape
    n_axes = min(file[main.attrs["Position_Indices"]].shape or (0,), default=0)
    dataset, indices = _beside(path, file, main, "Position_Indices", (n_positions, n_axes))
    _, positions = _beside(path, file, main, "Position_Values", (n_positions, n_axes))
    if indices.shape[0] != n_positions:
        indices, positions = indices.T, positions.T
    labels, units = _labels(dataset, n_axes)
    axes = [next((k for k, label in enumerate(labels) if label.strip().lower() == wanted), None) for wanted in "yx"]
    if None in axes:
        return None
    y, x = (int(k) for k in axes if k is not None)
    sides = [int(indices[:, k].max()) + 1 for k in (y, x)]
    flat = (
        np.ravel_multi_index((indices[:, y].astype(int), indices[:, x].astype(int)), sides) if min(sides) > 0 else None
    )
    if prod(sides) != n_positions or flat is None or len(np.unique(flat)) != n_positions:
        return None
    order = np.argsort(flat)
    steps = [step_nm(np.unique(positions[:, k]), units[k]) for k in (y, x)]
    spectral = None
    history: tuple[str, ...] = ()
    if n_values > 1:
        k_axes = min(file[main.attrs["Spectroscopic_Values"]].shape or (0,), default=0)
        beside, spectroscopic = _beside(path, file, main, "Spectroscopic_Values", (k_axes, n_values))
        spectroscopic = spectroscopic if spectroscopic.shape[1] == n_values else spectroscopic.T
        names, told = _labels(beside, k_axes)
        spectral = next(
            (axis for k in range(k_axes) if (axis := spectral_axis(names[k], spectroscopic[k].astype(float), told[k]))),
            None,
        )
        if spectral is None:
            history = (f"numbered the spectroscopic values ({', '.join(names)}) as frames",)
    shape = (*sides, n_values) if spectral is not None else ((n_values, *sides) if n_values > 1 else tuple(sides))

    def load(frame: int | None) -> np.ndarray:
        with open_hdf5(path) as opened:
            if frame is not None:
                return opened[place][:, frame][order].reshape(sides)
            values = opened[place][()][order]
        return values.reshape(shape) if spectral is not None else values.T.reshape(shape)

    return Channel(
        name,
        shape,
        main.dtype,
        load,
        units=text(main, "units"),
        pixel_size=both_sides(steps),
        metadata={"path": place, **flat_metadata(main)},
        history=history,
        spectral=spectral,
    )
