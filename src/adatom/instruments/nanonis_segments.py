"""A sweep as the bias spectroscopy of a Nanonis takes it: straight segments of even steps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adatom.errors import InstrumentError

MOST_SEGMENTS = 16


class Segment(NamedTuple):
    """From `start_V` to `end_V` in `points` points, both ends included."""

    start_V: float
    end_V: float
    points: int


def segments_of(values: NDArray[np.float64]) -> list[Segment]:
    """As few segments as hold all values, each value in one of them.

    Raises
    ------
    InstrumentError : if a sweep has more corners than the controller takes.
    """
    tolerance = 1e-6 * max(1.0, float(np.abs(values).max()))
    segments = []
    first = 0
    while first < len(values):
        end = first + 1
        if end < len(values):
            step = values[end] - values[first]
            even = np.abs(values[first:] - values[first] - step * np.arange(len(values) - first)) <= tolerance
            end = first + (len(even) if even.all() else int(np.argmin(even)))
        segments.append(Segment(float(values[first]), float(values[end - 1]), end - first))
        first = end
    if len(segments) > MOST_SEGMENTS:
        raise InstrumentError(
            f"values: expected a sweep of at most {MOST_SEGMENTS} straight pieces of even steps, got {len(segments)}."
        )
    return segments


def values_of(segments: list[Segment]) -> NDArray[np.float64]:
    """(points,) values that segments go through."""
    return np.concatenate([np.linspace(each.start_V, each.end_V, each.points) for each in segments])
