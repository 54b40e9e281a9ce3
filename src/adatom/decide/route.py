"""In which order to visit places, so that the probe travels little."""

import numpy as np
from scipy.spatial.distance import cdist

from adatom.decide.posterior import Array, Indices


def route_length(places: Array, order: Indices, start: Array | None = None) -> float:
    """Way [nm] through the places (n, 2) in an order, from `start` (2,) on if it is given."""
    stops = places[order] if start is None else np.vstack([start, places[order]])
    return float(np.hypot(*np.diff(stops, axis=0).T).sum())


def short_route(places: Array, start: Array | None = None) -> Indices:
    """An order (n,) of the places that makes a short way: to the nearest place each time, then pieces are reversed as
    long as that shortens the way (2-opt). The way does not return. Without `start` (2,) it begins at the first place.

    Notes
    -----
    Source: G. A. Croes, Oper. Res. 6, 791 (1958), doi:10.1287/opre.6.6.791.
    """
    stops = np.vstack([places[:1] if start is None else start, places])
    apart = cdist(stops, stops)
    order = [0]
    left = set(range(1, len(stops)))
    while left:
        here = order[-1]
        order.append(min(left, key=lambda each: (apart[here, each], each)))
        left.remove(order[-1])
    return np.array(_reversed_pieces(order, apart)[1:], dtype=np.int64) - 1


def _reversed_pieces(order: list[int], apart: Array) -> list[int]:
    """An order in which no piece is better walked the other way; the first stop stays."""
    is_shorter = True
    while is_shorter:
        is_shorter = False
        for first in range(1, len(order) - 1):
            for last in range(first + 1, len(order)):
                before, begin, end = order[first - 1], order[first], order[last]
                change = apart[before, end] - apart[before, begin]
                if last + 1 < len(order):
                    change += apart[begin, order[last + 1]] - apart[end, order[last + 1]]
                if change < -1e-9:
                    order[first : last + 1] = order[first : last + 1][::-1]
                    is_shorter = True
    return order
