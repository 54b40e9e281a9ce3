"""Tracks taken apart into steps from a frame to the very next: what chains, lifetimes and diffusion are made of."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom.errors import ArgumentError


def tracked(atoms: pd.DataFrame, columns: Sequence[str], track: str = "track") -> pd.DataFrame:
    """The columns `track`, ``frame`` and these, of rows in which all are known, sorted by track and frame.

    Raises
    ------
    ArgumentError : if a column is missing, or an atom is twice in a frame.
    """
    for name in (*columns, track, "frame"):
        if name not in atoms.columns:
            raise ArgumentError(f"atoms: expected a column {name}, got {', '.join(map(str, atoms.columns))}.")
    known = atoms[list(dict.fromkeys([track, "frame", *columns]))].dropna()
    known = known[known[track] >= 0]
    if known.duplicated([track, "frame"]).any():
        raise ArgumentError("atoms: expected each track once in a frame, got one twice. Link the frames again.")
    return known.sort_values([track, "frame"])


def follows(known: pd.DataFrame, track: str = "track") -> NDArray[np.bool_]:
    """(n - 1,) whether the next row of a `tracked` table is the same atom in the next frame."""
    atom, frame = known[track].to_numpy(), known["frame"].to_numpy()
    same: NDArray[np.bool_] = (atom[1:] == atom[:-1]) & (frame[1:] == frame[:-1] + 1)
    return same


def check_interval(confidence: float, frame_time_s: float | None) -> None:
    """Refuse what is no confidence, or no time.

    Raises
    ------
    ArgumentError : if one of them is.
    """
    if not 0 < confidence < 1:
        raise ArgumentError(f"confidence: expected a number between 0 and 1, got {confidence}.")
    if frame_time_s is not None and not frame_time_s > 0:
        raise ArgumentError(f"frame_time_s: expected a time above 0, got {frame_time_s}.")
