"""What every format hands over: a channel, described from the header, whose values are loaded when asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

# Name of the channel in formats that do not say what was measured.
UNNAMED = "image"


@dataclass(frozen=True)
class Channel:
    """One picture, or stack of pictures, in a file.

    Parameters
    ----------
    name : what was measured, in the file's words; `UNNAMED` if it does not say.
    shape : (y, x), or (frame, y, x) for a stack.
    dtype : as `load` returns it, in any byte order.
    load : takes the number of a frame and returns (y, x), or None and returns everything, in `shape`.
    units : unit of the values; "" if unknown.
    pixel_size : (y, x) [nm]; None if the file is not calibrated.
    metadata : what else the file says.
    history : what reading did to the values, a sentence a step.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[int | None], np.ndarray]
    units: str = ""
    pixel_size: tuple[float, float] | None = None
    metadata: Mapping[str, str | float] = field(default_factory=dict)
    history: tuple[str, ...] = ()

    @property
    def n_frames(self) -> int | None:
        """Number of frames of a stack, None for a single picture."""
        return self.shape[0] if len(self.shape) == 3 else None
