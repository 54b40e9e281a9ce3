"""FAST-STM movies: one HDF5 data set ``data``, the raw stream of samples, whose attributes say how the tip moved.

The tip swings along x like a sine, once forth and back a line, while y goes up and down like a triangle: a line of the
stream holds X_Points samples forward, then as many backward, and Y_Points lines up are followed by as many down. The
four movies come as the channels ``up forward``, ``up backward``, ``down forward``, ``down backward``, each turned so
that all show the sample alike: backward lines run from left to right, the first row is the top of the scan. X_Phase
samples at the beginning are left out (the delay between drive and tip), likewise Y_Phase lines; the rest of an
unfinished image at the end is not shown.

Samples are even in time. The image is even in x: sample i of n is at x = (1 - cos(pi (i + 1/2) / n)) / 2 of the
amplitude, and each line is interpolated linearly to n even places. Source of the sinusoid: Patera et al., Rev. Sci.
Instrum. 88 (2017), how FAST modules drive a scanner. Pixels have a size where the file has an x and a y calibration
(length per volt) and amplitudes in volt.
"""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel
from adatom.files.guard import HDF5_MAGIC
from adatom.files.hdf5_tree import as_nm, check_dataset, flat_metadata, is_numeric, open_hdf5

_CHANNELS = ("up forward", "down forward", "up backward", "down backward")
_MAX_POINTS = 2**16


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file holds a stream called data with the points of a scanner."""
    if not head.startswith(HDF5_MAGIC):
        return False
    with open_hdf5(path) as file:
        data = file.get("data")
        return is_numeric(data) and data.ndim == 1 and "Scanner.X_Points" in data.attrs


def read_channels(path: Path) -> list[Channel]:
    """Describe the four movies."""
    with open_hdf5(path) as file:
        data = file["data"]
        check_dataset(path, data)
        facts = flat_metadata(data)
        n_samples, dtype = int(data.shape[0]), data.dtype
    n_x, n_y = (_whole(path, facts, f"Scanner.{axis}_Points", 1) for axis in "XY")
    x_phase, y_phase = (
        _whole(path, facts, name if name in facts else name.replace("Acquisition", "Acquisiton"), 0, default=0)
        for name in ("Acquisition.X_Phase", "Acquisition.Y_Phase")
    )
    start = x_phase + y_phase * 2 * n_x
    image = 4 * n_x * n_y
    n_frames = max(n_samples - start, 0) // image
    if n_frames < 1:
        raise FileFormatError(
            f"{path.name}: expected at least one image of {image} samples after the first {start}, "
            f"got {n_samples} in all."
        )
    y_size, x_size = (_size(facts, axis, points) for axis, points in (("Y", n_y), ("X", n_x)))
    frequency = facts.get("Scanner.Y_Frequency")
    if isinstance(frequency, float) and 0 < frequency < np.inf:
        facts["frame_interval_s"] = 1 / frequency

    def channel(name: str) -> Channel:
        half, direction = name.split()

        def load(frame: int | None) -> np.ndarray:
            first, count = (0, n_frames) if frame is None else (frame, 1)
            with open_hdf5(path) as file:
                stream = file["data"][start + first * image : start + (first + count) * image]
            stream = stream.reshape(count, 2, n_y, 2, n_x)[:, 0 if half == "up" else 1]
            lines = stream[:, ::-1] if half == "up" else stream
            lines = lines[:, :, 0] if direction == "forward" else lines[:, :, 1, ::-1]
            values = _evenly_spaced(lines.astype(np.float32))
            return values if frame is None else values[0]

        return Channel(
            name,
            (n_frames, n_y, n_x),
            np.dtype(np.float32),
            load,
            pixel_size=None if y_size is None or x_size is None else (y_size, x_size),
            metadata={**facts, "stored_dtype": str(dtype)},
            history=(
                f"left out the first {start} samples (phase of the tip behind its drive)",
                *(["flipped top to bottom (scanned upwards)"] if half == "up" else []),
                *(["mirrored left to right (backward scan)"] if direction == "backward" else []),
                "interpolated lines from even times of a sinusoidal scan to even x",
            ),
        )

    return [channel(name) for name in _CHANNELS]


def _evenly_spaced(lines: np.ndarray) -> np.ndarray:
    """Values (..., x) at even times of half a swing, linearly interpolated to even places."""
    n = lines.shape[-1]
    measured = (1 - np.cos(np.pi * (np.arange(n) + 0.5) / n)) / 2
    wanted = np.clip((np.arange(n) + 0.5) / n, measured[0], measured[-1])
    left = np.clip(np.searchsorted(measured, wanted, side="right") - 1, 0, max(n - 2, 0))
    if n < 2:
        return lines
    weight = ((wanted - measured[left]) / (measured[left + 1] - measured[left])).astype(lines.dtype)
    return lines[..., left] * (1 - weight) + lines[..., left + 1] * weight


def _whole(path: Path, facts: dict[str, Any], name: str, least: int, default: int | None = None) -> int:
    value = facts.get(name, default)
    try:
        number = int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not least <= number <= (_MAX_POINTS if least else 2**40):
        raise FileFormatError(f"{path.name}: expected a whole number from {least} in {name}, got {value!r}.")
    return number


def _size(facts: dict[str, Any], axis: str, n_points: int) -> float | None:
    """Size of a pixel [nm]: amplitude [V] times calibration [length/V], over the number of points."""
    amplitude, calibration = (facts.get(f"Scanner.{axis}_{name}") for name in ("Amplitude", "Calibration"))
    unit = str(facts.get(f"Scanner.{axis}_Calibration.Unit", "")).removesuffix("/V")
    if not isinstance(amplitude, float) or not isinstance(calibration, float):
        return None
    return as_nm(abs(prod((amplitude, calibration))) / n_points, unit)
