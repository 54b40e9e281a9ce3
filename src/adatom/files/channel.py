"""What every format hands over: a channel, described from the header, whose values are loaded when asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

# Name of the channel in formats that do not say what was measured.
UNNAMED = "image"

# The spectral axes of a spectrum image, and the unit of each.
SPECTRAL_UNITS = {"energy": "eV", "bias": "V", "time": "s"}

# Takes the number of a frame (None where there are no frames), rows and columns; gives these pixels (y, x).
Window = Callable[[int | None, slice, slice], np.ndarray]


@dataclass(frozen=True)
class SpectralAxis:
    """The last axis of a spectrum image.

    Parameters
    ----------
    name : ``energy``, ``bias`` or ``time``.
    values : (n,) in the unit of that axis; a loop visits a value more than once.
    """

    name: str
    values: np.ndarray

    @property
    def units(self) -> str:
        return SPECTRAL_UNITS[self.name]


@dataclass(frozen=True)
class Channel:
    """One picture, stack of pictures, or spectrum image in a file.

    Parameters
    ----------
    name : what was measured, in the file's words; `UNNAMED` if it does not say.
    shape : (y, x), (frame, y, x) for a stack, or (y, x, spectral) for a spectrum image.
    dtype : as `load` returns it, in any byte order.
    load : takes the number of a frame and returns (y, x), or None and returns everything, in `shape`.
    units : unit of the values; "" if unknown.
    pixel_size : (y, x) [nm]; None if the file is not calibrated.
    metadata : what else the file says.
    history : what reading did to the values, a sentence a step.
    spectral : the last axis of a spectrum image; None for pictures.
    window : takes the number of a frame (or None where there are no frames), rows and columns as slices with a start
        and a stop, and returns these pixels without reading the others, or of a stack at least not the other frames;
        None where the format reads everything.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[int | None], np.ndarray]
    units: str = ""
    pixel_size: tuple[float, float] | None = None
    metadata: Mapping[str, str | float] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    spectral: SpectralAxis | None = None
    window: Window | None = None

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the axes of `shape`."""
        plane = ("y", "x") if self.spectral is None else ("y", "x", self.spectral.name)
        return ("frame", *plane) if len(self.shape) > len(plane) else plane

    @property
    def n_frames(self) -> int | None:
        """Number of frames of a stack, None for anything else."""
        return self.shape[0] if self.dims[0] == "frame" else None

    @property
    def is_sound(self) -> bool:
        """Whether shape and axes agree, and no side is empty."""
        fits = len(self.shape) == len(self.dims) and min(self.shape, default=0) >= 1
        return fits and (self.spectral is None or self.spectral.values.shape == self.shape[-1:])


def most_image_like_first(channels: list[Channel]) -> list[Channel]:
    """Pictures before stacks before spectrum images, larger before smaller; else the order of the file.

    The first channel is what `read` takes if nobody asks for another one.
    """
    return sorted(
        channels, key=lambda each: (each.spectral is not None, len(each.shape), -each.shape[-1] * each.shape[-2])
    )


def distinct_names(names: list[str]) -> list[str]:
    """The same names, those that occur more than once numbered: ``Z 0``, ``Z 1``."""
    seen: dict[str, int] = {}
    told = []
    for name in names:
        number = seen[name] = seen.get(name, -1) + 1
        told.append(f"{name} {number}" if names.count(name) > 1 else name)
    return told


def both_sides(sizes: Sequence[float | None]) -> tuple[float, float] | None:
    """(y, x) size of a pixel, or None where one of them is unknown."""
    y, x = sizes
    return None if y is None or x is None else (y, x)
