"""pyNSID HDF5 (the N-dimensional spectroscopy and imaging data of sidpy): data sets with a scale on each axis.

Axes stand in the order of the file, mostly x before y, and are brought to (y, x) or (y, x, bias | energy | time) by
their labels. The size of a pixel is the step of the coordinates: where a program has spread N pixels from 0 to the scan
range L, that is L / (N - 1). Values stand where the file puts them: no direction is turned, y grows downwards.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel, SpectralAxis, distinct_names, most_image_like_first
from adatom.files.guard import HDF5_MAGIC
from adatom.files.hdf5_tree import (
    axis_values,
    check_dataset,
    flat_metadata,
    is_numeric,
    open_hdf5,
    spectral_axis,
    step_nm,
    text,
    walk,
)

_MARKS = ("pyNSID_version", "sidpy_version")
_UNTOLD = ("generic", "unknown", "none", "")


class _Axis(NamedTuple):
    label: str
    kind: str
    values: np.ndarray
    units: str


def sniff(head: bytes, path: Path) -> bool:
    """Whether a data set or group bears the marks of pyNSID."""
    if not head.startswith(HDF5_MAGIC):
        return False
    with open_hdf5(path) as file:
        return any(mark in thing.attrs for _, thing in walk(file) for mark in _MARKS)


def read_channels(path: Path) -> list[Channel]:
    """Describe the main data sets; a channel is named for its quantity."""
    with open_hdf5(path) as file:
        places = [place for place, thing in walk(file) if is_numeric(thing) and "DIMENSION_LIST" in thing.attrs]
        sets = [(place, file[place], _axes(path, file[place])) for place in places]
        sets = [(place, each, axes) for place, each, axes in sets if axes is not None]
        if not sets:
            raise FileFormatError(
                f"{path.name}: expected a data set with an x and a y axis, got none in this NSID file."
            )
        known = [axis for _, _, axes in sets for axis in axes or [] if step_nm(axis.values, axis.units) is not None]
        names = distinct_names([_name(place, each) for place, each, _ in sets])
        channels = [
            _channel(path, name, place, each, axes or [], known)
            for name, (place, each, axes) in zip(names, sets, strict=True)
        ]
    return most_image_like_first(channels)


def _name(place: str, dataset: Any) -> str:
    quantity = text(dataset, "quantity")
    return place if quantity.lower() in _UNTOLD else quantity


def _axes(path: Path, dataset: Any) -> list[_Axis] | None:
    """The axes in the order of the file, or None where they are not those of an image."""
    if dataset.ndim not in (2, 3):
        return None
    axes = []
    for dimension in dataset.dims:
        if not len(dimension):
            return None
        scale = dimension[0]
        label = str(dimension.label or text(scale, "name"))
        kind = text(scale, "dimension_type").upper()
        axes.append(_Axis(label, kind, axis_values(path, scale), text(scale, "units")))
    if any(len(axis.values) != length for axis, length in zip(axes, dataset.shape, strict=True)):
        raise FileFormatError(f"{path.name}: expected axes as long as {dataset.name} {dataset.shape}, got others.")
    labels = [axis.label.lower() for axis in axes]
    return axes if "x" in labels and "y" in labels else None


def _channel(path: Path, name: str, place: str, dataset: Any, axes: list[_Axis], known: list[_Axis]) -> Channel:
    check_dataset(path, dataset)
    labels = [axis.label.lower() for axis in axes]
    order = [labels.index("y"), labels.index("x")]
    history, steps = [], []
    for number in order:
        step = step_nm(axes[number].values, axes[number].units)
        if (
            step is None
        ):  # the unit of the values, put on the axes by mistake: another data set has the same axis rightly
            same = [axis for axis in known if np.array_equal(axis.values, axes[number].values)]
            if same:
                step = step_nm(same[0].values, same[0].units)
                history.append(
                    f"took the unit of axis {axes[number].label} from another data set ({same[0].units}; "
                    f"this one says {axes[number].units or 'nothing'})"
                )
        steps.append(step)
    spectral: SpectralAxis | None = None
    rest = [number for number in range(len(axes)) if number not in order]
    for number in rest:
        spectral = spectral_axis(axes[number].label, axes[number].values, axes[number].units)
        if spectral is None:
            history.append(f"numbered axis {axes[number].label} ({axes[number].units}) as frames")
    order = order + rest if spectral is not None else rest + order
    shape = tuple(dataset.shape[number] for number in order)
    is_stack = bool(rest) and spectral is None

    def load(frame: int | None) -> np.ndarray:
        with open_hdf5(path) as file:
            if frame is None:
                return np.transpose(file[place][()], order)
            plane = file[place][tuple(frame if number == rest[0] else slice(None) for number in range(3))]
            return plane if order[1] < order[2] else plane.T

    y, x = steps
    return Channel(
        name,
        shape,
        dataset.dtype,
        load,
        units=text(dataset, "units"),
        pixel_size=None if y is None or x is None else (y, x),
        metadata={"path": place, **flat_metadata(dataset), **_original_metadata(dataset)},
        history=(
            *history,
            *(["turned (x, y) into (y, x)"] if order[-2 if is_stack else 0] > order[-1 if is_stack else 1] else []),
        ),
        spectral=spectral,
    )


def _original_metadata(dataset: Any) -> dict[str, str | float]:
    original = dataset.parent.get("original_metadata")
    return {} if original is None else flat_metadata(original)
