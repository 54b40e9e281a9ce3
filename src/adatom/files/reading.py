"""Read a file into an image, or say what is in it."""

import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Real
from operator import index
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adatom.data import make_image
from adatom.errors import AdatomError, ArgumentError, FileFormatError, MissingFileError
from adatom.files.channel import UNNAMED, Channel, Window
from adatom.files.formats import Format, recognise
from adatom.files.zarr_store import sniff as is_zarr_store


def read(
    path: str | os.PathLike[str],
    *,
    channel: str | None = None,
    frame: int | None = None,
    pixel_size: float | tuple[float, float] | None = None,
) -> xr.DataArray:
    """Read an image or a stack of images.

    The content of the file decides its format; a name that promises another format is an error. The file is opened for
    reading only.

    Parameters
    ----------
    path : a file in one of the formats of `adatom.files.FORMATS`.
    channel : one of the names that `info` lists; by default the first.
    frame : number of one frame of a stack, from 0; by default all of them.
    pixel_size : size of a pixel [nm], or (y, x) sizes; overrules the calibration in the file.

    Returns
    -------
    (y, x), (frame, y, x) for a stack, or (y, x, energy | bias | time) for a spectrum image, whose last axis has the
    unit eV, V or s; in the number type of the file. Where the file is not calibrated and
    `pixel_size` is not given, the axes count pixels (units ``"px"``).

    Raises
    ------
    MissingFileError : if there is no such file.
    FileFormatError : if the file is damaged, or of a format that is not read.
    ArgumentError : if there is no such channel or frame, or `pixel_size` is not a positive length.

    Notes
    -----
    Scans come as one looks at the sample: the first row is the top of the scan, and backward traces run from left to
    right like the forward ones.
    """
    path = _existing_file(path)
    given_size = None if pixel_size is None else _both(pixel_size)
    file_format, channels = _describe(path)
    chosen = _choose_channel(channels, channel)
    frame = _check_frame(chosen, frame)
    is_one_frame = frame is not None and chosen.n_frames is not None
    shape = chosen.shape[1:] if is_one_frame else chosen.shape
    with _file_errors(path, file_format):
        values = _native(chosen.load(frame if is_one_frame else None))
    if values.shape != shape:
        raise FileFormatError(f"{path.name}: expected values of shape {shape}, got {values.shape}. It may be damaged.")

    details = [file_format.name]
    details += [f"channel {chosen.name}"] if chosen.name != UNNAMED else []
    details += [f"frame {frame}"] if frame is not None else []
    history = [f"read {path.name} ({', '.join(details)})", *chosen.history]
    if given_size is not None:
        in_file = _size_in_words(chosen.pixel_size)
        history.append(f"set the pixel size to {_size_in_words(given_size)}, as asked (in the file: {in_file})")
    axis = chosen.spectral
    return make_image(
        values,
        pixel_size=given_size or chosen.pixel_size,
        dims=chosen.dims[1:] if is_one_frame else chosen.dims,
        coordinates=None if axis is None else {axis.name: (axis.values, axis.units)},
        signal="" if chosen.name == UNNAMED else chosen.name,
        units=chosen.units,
        source={"file": path.name, "sha256": _sha256(path)},
        metadata=chosen.metadata,
        history=history,
    )


def describe_one(
    path: str | os.PathLike[str],
    *,
    channel: str | None,
    frame: int | None,
    pixel_size: float | tuple[float, float] | None,
) -> dict[str, Any]:
    """What `adatom.files.LazyImage` holds, of one picture; nothing is loaded where the format reads windows."""
    path = _existing_file(path)
    file_format, channels = _describe(path)
    chosen = _choose_channel(channels, channel)
    frame = _check_frame(chosen, frame)
    if chosen.spectral is not None or (chosen.n_frames is not None and frame is None):
        raise ArgumentError(f"image: expected (y, x), got {chosen.dims} of shape {chosen.shape}. Choose a frame.")
    number = frame if chosen.n_frames is not None else None
    window = _window_of(path, file_format, chosen, number)

    def part(rows: slice, columns: slice) -> np.ndarray:
        return window(number, rows, columns)

    return {**_facts_of_windows(path, file_format, chosen, pixel_size), "_window": part}


def describe_movie(
    path: str | os.PathLike[str], *, channel: str | None, pixel_size: float | tuple[float, float] | None
) -> dict[str, Any]:
    """What `adatom.files.LazyMovie` holds; nothing is loaded where the format reads windows of frames."""
    path = _existing_file(path)
    file_format, channels = _describe(path)
    chosen = _choose_channel(channels, channel)
    if chosen.n_frames is None:
        raise ArgumentError(f"image: expected (frame, y, x), got {chosen.dims} of shape {chosen.shape}.")
    window = _window_of(path, file_format, chosen, None)
    return {
        **_facts_of_windows(path, file_format, chosen, pixel_size),
        "n_frames": chosen.n_frames,
        "_window": window,
    }


def _window_of(path: Path, file_format: Format, chosen: Channel, frame: int | None) -> Window:
    """Windows of a channel; where its format has none, `frame` (or all of them) is read now, and parts given."""
    read_window = chosen.window
    if read_window is None:
        with _file_errors(path, file_format):
            values = chosen.load(frame)
        is_one_picture = values.ndim == 2

        def part(number: int | None, rows: slice, columns: slice) -> np.ndarray:
            return _native(values[rows, columns] if is_one_picture else values[number, rows, columns])

        return part

    def window(number: int | None, rows: slice, columns: slice) -> np.ndarray:
        with _file_errors(path, file_format):
            return _native(read_window(number, rows, columns))

    return window


def _facts_of_windows(
    path: Path, file_format: Format, chosen: Channel, pixel_size: float | tuple[float, float] | None
) -> dict[str, Any]:
    """What images and movies that are opened lazily say of themselves."""
    return {
        "name": path.name,
        "shape": chosen.shape[-2:],
        "dtype": chosen.dtype.newbyteorder("="),
        "pixel_size": _both(pixel_size) if pixel_size is not None else chosen.pixel_size,
        "signal": "" if chosen.name == UNNAMED else chosen.name,
        "units": chosen.units,
        "history": (f"read {path.name} ({file_format.name}) by windows", *chosen.history),
        "is_lazy": chosen.window is not None,
    }


def _native(values: np.ndarray) -> np.ndarray:
    """In the byte order of this machine, one row after the other."""
    return np.ascontiguousarray(values).astype(values.dtype.newbyteorder("="), copy=False)


def info(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Say what is in a file, without loading its values.

    Parameters
    ----------
    path : a file in one of the formats of `adatom.files.FORMATS`.

    Returns
    -------
    ``format``, ``channels`` (names), and of the first channel: ``dims``, ``shape``, ``dtype``, ``pixel_size`` ([nm];
    one number if square to 0.1 %, else [y, x], None if unknown), ``units`` of the values ("" if unknown),
    ``spectral_axis`` (None, or ``name``, ``units``, ``n``, ``first``, ``last``, ``min``, ``max``), ``history`` and
    ``metadata``. ``contents`` says the same but metadata of every channel, by ``name``. Everything can be written as
    JSON.

    Raises
    ------
    MissingFileError : if there is no such file.
    FileFormatError : if the file is damaged, or of a format that is not read.
    """
    path = _existing_file(path)
    file_format, channels = _describe(path)
    contents = [_facts(each) for each in channels]
    return {
        "format": file_format.name,
        "channels": [each.name for each in channels],
        **{key: value for key, value in contents[0].items() if key != "name"},
        "contents": contents,
        "metadata": {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in channels[0].metadata.items()
        },
    }


def _facts(channel: Channel) -> dict[str, Any]:
    axis = channel.spectral
    return {
        "name": channel.name,
        "dims": list(channel.dims),
        "shape": list(channel.shape),
        "dtype": str(channel.dtype.newbyteorder("=")),
        "pixel_size": _size_as_json(channel.pixel_size),
        "units": channel.units,
        "spectral_axis": None
        if axis is None
        else {
            "name": axis.name,
            "units": axis.units,
            "n": len(axis.values),
            "first": float(axis.values[0]),
            "last": float(axis.values[-1]),
            "min": float(axis.values.min()),
            "max": float(axis.values.max()),
        },
        "history": list(channel.history),
    }


def _existing_file(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"path: expected the name of a file, got {path!r}.")
    path = Path(path)
    try:
        path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise MissingFileError(
            f"path: expected a file, got {str(path)!r}, which is not there. Check the name."
        ) from error
    if path.is_dir() and not is_zarr_store(b"", path):
        raise FileFormatError(f"path: expected a file, got the folder {str(path)!r}. Name a file in it.")
    if not path.is_file() and not path.is_dir():  # reading a pipe or a device could wait for ever
        raise FileFormatError(f"path: expected a file, got {str(path)!r}, which is a pipe or a device.")
    if not os.access(path, os.R_OK):
        raise FileFormatError(
            f"path: expected a file that may be read, got {str(path)!r}. Ask for the right to read it."
        )
    return path


@contextmanager
def _file_errors(path: Path, file_format: Format | None = None) -> Iterator[None]:
    """Turn whatever a library raises on a damaged file into one sentence about that file."""
    try:
        yield
    except AdatomError:
        raise
    except Exception as error:
        what = "file" if file_format is None else file_format.name
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise FileFormatError(
            f"{path.name}: expected a whole {what}, got one that cannot be decoded ({reason}). "
            "It may be damaged or truncated: copy it again."
        ) from error


def _describe(path: Path) -> tuple[Format, list[Channel]]:
    with _file_errors(path):
        file_format = recognise(path)
    with _file_errors(path, file_format):
        channels = file_format.load().read_channels(path)
    for each in channels:
        if each.dtype.kind not in "fiub":
            raise FileFormatError(f"{path.name}: expected real numbers, got values of type {each.dtype}.")
        if not each.is_sound:
            raise FileFormatError(
                f"{path.name}: expected (y, x), (frame, y, x) or (y, x, spectral) values, none of them empty, "
                f"got shape {each.shape}."
            )
        if each.spectral is not None and not np.isfinite(each.spectral.values).all():
            raise FileFormatError(f"{path.name}: expected finite values on the {each.spectral.name} axis, got others.")
    return file_format, channels


def _choose_channel(channels: list[Channel], name: str | None) -> Channel:
    if name is None:
        return channels[0]
    for each in channels:
        if each.name == name:
            return each
    there = ", ".join(each.name for each in channels)
    raise ArgumentError(f"channel: expected one of {there}, got {name!r}.")


def _check_frame(channel: Channel, frame: int | None) -> int | None:
    if frame is None:
        return None
    n_frames = channel.n_frames or 1
    try:
        number = index(frame)
    except TypeError:
        number = -1
    if not 0 <= number < n_frames:
        raise ArgumentError(f"frame: expected a whole number from 0 to {n_frames - 1}, got {frame!r}.")
    return number


def _both(pixel_size: float | tuple[float, float]) -> tuple[float, float]:
    sizes = (pixel_size, pixel_size) if isinstance(pixel_size, Real) else pixel_size
    try:
        y, x = (float(size) for size in sizes)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        y = x = math.nan
    if not (0 < y < math.inf and 0 < x < math.inf):
        raise ArgumentError(f"pixel_size: expected a positive length in nm, or (y, x) of them, got {pixel_size!r}.")
    return y, x


def _size_in_words(pixel_size: tuple[float, float] | None) -> str:
    size = _size_as_json(pixel_size)
    if size is None:
        return "unknown"
    return f"{size[0]:.6g} x {size[1]:.6g} nm (y, x)" if isinstance(size, list) else f"{size:.6g} nm"


def _size_as_json(pixel_size: tuple[float, float] | None) -> float | list[float] | None:
    if pixel_size is None:
        return None
    y, x = pixel_size
    return x if abs(y - x) <= 1e-3 * x else [y, x]


def _sha256(path: Path) -> str:
    """Hash of a file; of a folder, that of the names and hashes of all files in it."""
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file())
        lines = [f"{_sha256(each)}  {each.relative_to(path).as_posix()}" for each in inside]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
