"""Hops: steps of linked atoms that are no scatter."""

import numpy as np
import pandas as pd

from adatom.analyse.diffusion import place_columns
from adatom.analyse.steps import follows, tracked

# Lengths of steps that are scatter alone go so far beyond their median in 1.5e-5 of all cases (a Rayleigh distribution:
# one half to the power of the square).
_LONG = 4.0
_COLUMNS = ["track", "frame", "x", "y", "to_x", "to_y", "length"]


def find_hops(atoms: pd.DataFrame, *, least: float | None = None, track: str = "track") -> pd.DataFrame:
    """All hops.

    Parameters
    ----------
    atoms : table with ``frame``, `track` and places (those without drift, where it was taken out).
    least : length of a hop at least, in the unit of the table; by default four times the median step, which tells hops
        where most atoms stay most of the time.

    Returns
    -------
    One row a hop: ``track``, ``frame`` (the first after it), ``x``, ``y``, ``to_x``, ``to_y``, ``length``. An atom that
    is back in the next frame has not hopped: its place was a wrong one.
    """
    names = place_columns(atoms)
    known = tracked(atoms, names, track)
    next_too = follows(known, track)
    places = known[list(names)].to_numpy(float)
    length = np.hypot(*np.diff(places, axis=0).T) if len(places) > 1 else np.zeros(0)
    if not next_too.any():
        return pd.DataFrame(columns=_COLUMNS)
    least = _LONG * float(np.median(length[next_too])) if least is None else least
    rows = np.flatnonzero(next_too & (length > least))
    # what comes after: the next frame if it has the atom, else nothing speaks against the hop
    last = len(places) - 1
    after = np.minimum(rows + 2, last)
    is_seen = (rows + 2 <= last) & np.r_[next_too, False][np.minimum(rows + 1, last)]
    is_back = is_seen & (np.hypot(*(places[after] - places[rows]).T) < np.hypot(*(places[after] - places[rows + 1]).T))
    # nor is the way back from a wrong place one
    came = np.maximum(rows - 1, 0)
    is_return = (rows >= 1) & next_too[came] & np.isin(came, rows[is_back])
    rows = rows[~is_back & ~is_return]
    return pd.DataFrame(
        {
            "track": known[track].to_numpy()[rows],
            "frame": known["frame"].to_numpy()[rows + 1],
            "x": places[rows, 0],
            "y": places[rows, 1],
            "to_x": places[rows + 1, 0],
            "to_y": places[rows + 1, 1],
            "length": length[rows],
        }
    )
