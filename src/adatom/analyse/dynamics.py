"""What linked atoms of a movie did: changes of state, lifetimes, hops and diffusion, with what a summary has of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from adatom.analyse.diffusion import Diffusion, diffusion, mean_square_displacement, place_columns
from adatom.analyse.hidden_chain import HiddenChain, hidden_chain
from adatom.analyse.hops import find_hops
from adatom.analyse.lifetimes import Lifetimes, lifetimes
from adatom.analyse.steps import tracked
from adatom.analyse.transitions import Transitions, transitions
from adatom.data.rounding import rounded

# Of a shorter track nobody asks how fast it diffuses.
_FEWEST_FRAMES = 6


@dataclass(frozen=True)
class Dynamics:
    """Everything that follows from tracks.

    Attributes
    ----------
    tracks : one row a track: ``track``, ``first``, ``last`` frame, ``n_frames``, mean ``x`` and ``y`` (without drift,
        where it was taken out), ``n_hops``, ``state`` (the most frequent), ``n_changes``, and ``diffusion``,
        ``diffusion_low``, ``diffusion_high`` [unit^2 / s, or / frame] of those that last.
    hops : see `adatom.analyse.hops.find_hops`.
    changes : between states, as they are seen.
    hidden : the same where states may be misjudged, see `adatom.analyse.hidden_chain`.
    lives : of the states.
    diffusion : of all tracks together.
    displacement : see `adatom.analyse.diffusion.mean_square_displacement`.
    frame_time_s : from one frame to the next, None where unknown.
    summary : JSON-serialisable.
    """

    tracks: pd.DataFrame
    hops: pd.DataFrame
    changes: Transitions
    hidden: HiddenChain
    lives: Lifetimes
    diffusion: Diffusion
    displacement: pd.DataFrame
    frame_time_s: float | None
    summary: dict[str, Any]


def analyse_tracks(
    atoms: pd.DataFrame, *, column: str = "state", frame_time_s: float | None = None, confidence: float = 0.95
) -> Dynamics:
    """Follow the atoms through their tracks.

    Parameters
    ----------
    atoms : table with ``track`` (`adatom.analyse.tracks.link_atoms`) and `column`, the state in each frame.
    frame_time_s : from one frame to the next [s].
    confidence : of all intervals.

    Raises
    ------
    ArgumentError : if a column is missing, or a number is out of range.
    """
    hops = find_hops(atoms)
    changes = transitions(atoms, column, frame_time_s=frame_time_s, confidence=confidence)
    hidden = hidden_chain(atoms, column, frame_time_s=frame_time_s, confidence=confidence)
    lives = lifetimes(atoms, column, frame_time_s=frame_time_s, confidence=confidence)
    moved = diffusion(atoms, frame_time_s=frame_time_s, confidence=confidence)
    tracks = _tracks(atoms, column, hops, frame_time_s, confidence)
    unit = "s" if frame_time_s is not None else "frame"
    off = changes.counts.sum() - np.trace(changes.counts)
    summary = {
        "n_frames": int(atoms["frame"].nunique()),
        "frame_time_s": rounded(frame_time_s),
        "n_tracks": len(tracks),
        "median_frames_of_a_track": rounded(float(tracks["n_frames"].median())) if len(tracks) else None,
        "n_changes_of_state": int(off),
        "n_hops": len(hops),
        "confidence": confidence,
        "transitions": _records(changes.table()),
        "hidden_transitions": _records(hidden.changes.table()),
        "misjudged": rounded(hidden.misjudged),
        "lifetimes": _records(lives.table),
        "lifetime_unit": lives.unit,
        "diffusion": {
            "coefficient": rounded(moved.coefficient),
            "low": rounded(moved.low),
            "high": rounded(moved.high),
            "position_std": rounded(moved.position_std),
            "n_steps": moved.n_steps,
            "unit": f"{atoms.attrs.get('units', 'px')}^2/{unit}",
        },
    }
    return Dynamics(
        tracks=tracks,
        hops=hops,
        changes=changes,
        hidden=hidden,
        lives=lives,
        diffusion=moved,
        displacement=mean_square_displacement(atoms, frame_time_s=frame_time_s),
        frame_time_s=frame_time_s,
        summary=summary,
    )


def _tracks(
    atoms: pd.DataFrame, column: str, hops: pd.DataFrame, frame_time_s: float | None, confidence: float
) -> pd.DataFrame:
    names = place_columns(atoms)
    known = tracked(atoms, names)
    by_track = known.groupby("track")
    table = by_track["frame"].agg(first="min", last="max", n_frames="count")
    table[["x", "y"]] = by_track[list(names)].mean()
    table["n_hops"] = hops.groupby("track").size().reindex(table.index, fill_value=0)
    stated = tracked(atoms, [column])
    if pd.api.types.is_numeric_dtype(stated[column]):
        stated = stated[stated[column] != 0]
    table["state"] = stated.groupby("track")[column].agg(lambda each: each.mode().iloc[0]).reindex(table.index)
    before = stated.groupby("track")[column].shift()
    table["n_changes"] = (before.notna() & (before != stated[column])).groupby(stated["track"]).sum()
    table["n_changes"] = table["n_changes"].fillna(0).astype(int)
    lasting = set(table.index[table["n_frames"] >= _FEWEST_FRAMES])
    moved = {
        number: diffusion(one, columns=names, frame_time_s=frame_time_s, confidence=confidence)
        for number, one in by_track
        if number in lasting
    }
    for name, part in (("diffusion", "coefficient"), ("diffusion_low", "low"), ("diffusion_high", "high")):
        table[name] = pd.Series({number: getattr(each, part) for number, each in moved.items()}, dtype=float)
    return table.reset_index()


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON, which knows no NaN and no infinity."""
    return [
        {
            str(name): (rounded(float(value)) if np.isfinite(value) else None)
            if isinstance(value, float | np.floating)
            else (int(value) if isinstance(value, int | np.integer) else str(value))
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]
