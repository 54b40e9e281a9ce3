"""A short way through some places."""

import numpy as np

from adatom.decide.posterior import Array, Indices


def short_route(places: Array, start: Array | None = None) -> Indices:
    """The order (n,) of a short way through places (n, 2), from `start` on where that is given.

    Nearest neighbours first, then stretches of the way are turned round as long as that makes it shorter (2-opt; G. A.
    Croes, Operations Research 1958, 10.1287/opre.6.6.791).
    """
    n = len(places)
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    at = np.asarray(start, dtype=float) if start is not None else places[0]
    left, order = list(range(n)), []
    while left:
        nearest = min(left, key=lambda k: (float(np.hypot(*(places[k] - at))), k))
        left.remove(nearest)
        order.append(nearest)
        at = places[nearest]
    points = np.vstack([places[order][:1] if start is None else np.asarray(start, dtype=float)[None], places[order]])
    # the first point stays where it is: the start, or the first place, which is there twice
    shorter = True
    while shorter:
        shorter = False
        for first in range(1, n):
            for last in range(first + 1, n + 1):
                before, after = points[first - 1], points[last + 1] if last < n else None
                gain = _far(before, points[first]) - _far(before, points[last])
                if after is not None:
                    gain += _far(points[last], after) - _far(points[first], after)
                if gain > 1e-9 * (1 + _far(before, points[first])):
                    points[first : last + 1] = points[first : last + 1][::-1]
                    order[first - 1 : last] = order[first - 1 : last][::-1]
                    shorter = True
    return np.array(order, dtype=np.int64)


def length_of(places: Array, order: Indices, start: Array | None = None) -> float:
    """Length of a way through places (n, 2)."""
    points = places[order]
    if start is not None:
        points = np.vstack([start, points])
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def _far(one: Array, other: Array) -> float:
    return float(np.hypot(*(one - other)))
