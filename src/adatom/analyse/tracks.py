"""Atoms of a movie that are one and the same: drift taken out of their places, and linked from frame to frame."""

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.data.atoms import check_atoms, spacing
from adatom.errors import ArgumentError

Array = NDArray[np.float64]

_ROUNDS = 20
# Within this share of the distance of neighbours an atom of one frame is that of the next.
REACH = 0.45
_LIKELIER_THAN_NOT = 0.5


def refine_drift(atoms: pd.DataFrame, drift: Array) -> Array:
    """The drift by the atoms that stay.

    Parameters
    ----------
    atoms : an atom table, see `adatom.data.atoms`; atoms likelier there than not count.
    drift : (frame, 2) shift along x and y since the first frame, in the unit of the table and right to less than half
        the distance of neighbours, such as `adatom.prepare.drift.find_drift` tells.

    Returns
    -------
    The same form; frames without an atom keep theirs.

    Raises
    ------
    ArgumentError : if the table has frames beyond `drift`.

    Notes
    -----
    Each frame is shifted by the median distance of its atoms to their sites, the sites are the means over the frames,
    and so on to rest. Half of the atoms may move, and an error does not add up from frame to frame: it is that of one
    position over the root of their number.
    """
    drift = np.asarray(drift, float)
    frame = _frames(check_atoms(atoms), drift)
    near = spacing(atoms)
    sure = atoms["probability"].fillna(1.0).to_numpy() >= _LIKELIER_THAN_NOT
    if not np.isfinite(near) or sure.sum() < 2:
        return drift
    positions, frame = atoms.loc[sure, ["x", "y"]].to_numpy(float), frame[sure]
    numbers = np.unique(frame)
    for _ in range(_ROUNDS):
        places = positions - drift[frame]
        site, middles = _sites(places, REACH * near)
        off = places - middles[site]
        step = np.zeros_like(drift)
        for number in numbers:
            step[number] = np.median(off[frame == number], axis=0)
        step[numbers] -= step[numbers[0]]  # the first frame stays where it is
        drift = drift + step
        if np.abs(step).max() < 1e-4 * near:
            break
    return drift


def without_drift(atoms: pd.DataFrame, drift: Array) -> pd.DataFrame:
    """Add the columns ``x_undrifted`` and ``y_undrifted``: places on the specimen as it lay in the first frame.

    Raises
    ------
    ArgumentError : if the table has frames beyond `drift`, see `refine_drift`.
    """
    frame = _frames(check_atoms(atoms), drift)
    table = atoms.copy()
    table.attrs = {**atoms.attrs, "history": [*atoms.attrs.get("history", []), "drift taken out of positions"]}
    for axis, name in enumerate(("x", "y")):
        table[f"{name}_undrifted"] = atoms[name].to_numpy(float) - drift[frame, axis]
    return table


def _frames(atoms: pd.DataFrame, drift: Array) -> NDArray[np.int64]:
    frame = atoms["frame"].to_numpy(dtype=np.int64)
    if len(frame) and not (frame.min() >= 0 and frame.max() < len(drift)):
        raise ArgumentError(f"drift: expected one row for each frame to {frame.max()}, got {len(drift)}.")
    return frame


def _sites(places: Array, reach: float) -> tuple[NDArray[np.int64], Array]:
    """The site of each place (n,), and the middles of the sites (k, 2)."""
    site, left = np.full(len(places), -1), np.arange(len(places))
    middles: list[Array] = []
    while len(left):
        # each place that has no earlier one of its kind within reach begins a site
        tree = cKDTree(places[left])
        earliest = np.array([min(near) for near in tree.query_ball_point(places[left], reach)])
        seeds = np.flatnonzero(earliest == np.arange(len(left)))
        distance, nearest = cKDTree(places[left][seeds]).query(places[left])
        taken = distance <= reach
        site[left[taken]] = len(middles) + nearest[taken]
        middles += list(places[left][seeds])
        left = left[~taken]
    count = np.maximum(np.bincount(site, minlength=len(middles)), 1)
    mean = np.column_stack([np.bincount(site, places[:, k], len(middles)) / count for k in (0, 1)])
    return site, mean


def link_atoms(atoms: pd.DataFrame, *, reach: float | None = None, memory: int = 2) -> pd.DataFrame:
    """Add the column ``track``: the number of the atom through the frames, from 0.

    Parameters
    ----------
    atoms : an atom table; ``x_undrifted`` and ``y_undrifted`` are taken where they are there.
    reach : an atom goes no farther from a frame to the next, in the unit of the table; by default 0.45 of the distance
        of neighbours. From half of that distance on atoms of a crystal are taken for their neighbours.
    memory : for so many frames an atom may be overlooked.

    Raises
    ------
    ArgumentError : if trackpy is not installed, or `reach` is not above 0, or so long that there are too many ways to
        link.

    Notes
    -----
    trackpy links so that the sum of squared ways is least (Crocker & Grier 1996, 10.1006/jcis.1996.0217).
    """
    check_atoms(atoms)
    try:
        import trackpy
        from trackpy.linking.utils import SubnetOversizeException
    except ImportError as error:
        raise ArgumentError(
            "atoms: expected trackpy, which links those of a movie from frame to frame, got none installed. "
            "Install it: pip install 'adatom[track]'"
        ) from error

    near = spacing(atoms)
    reach = REACH * near if reach is None else reach
    table = atoms.copy()
    table.attrs = {**atoms.attrs, "history": [*atoms.attrs.get("history", []), "atoms linked from frame to frame"]}
    if not len(atoms):
        table["track"] = np.zeros(0, dtype=np.int64)
        return table
    if not (np.isfinite(reach) and reach > 0):
        raise ArgumentError(f"reach: expected a length above 0, got {reach}. Lone atoms have no default.")
    names = ["x_undrifted", "y_undrifted"] if "x_undrifted" in atoms else ["x", "y"]
    places, frame = atoms[names].to_numpy(float), atoms["frame"].to_numpy(dtype=np.int64)
    rows = [np.flatnonzero(frame == number) for number in range(frame.min(), frame.max() + 1)]
    logger = logging.getLogger("trackpy")
    level = logger.level
    logger.setLevel(logging.WARNING)  # it tells each frame
    try:
        # arrays, not tables: what its tables ask of pandas changes with pandas
        linked = [ids for _, ids in trackpy.link_iter((places[mine] for mine in rows), reach, memory=memory)]
    except SubnetOversizeException as error:
        raise ArgumentError(
            f"reach: expected one with few candidates for each atom, got {reach:.3g} where neighbours are "
            f"{near:.3g} apart. Give a shorter one."
        ) from error
    finally:
        logger.setLevel(level)
    track = np.zeros(len(table), dtype=np.int64)
    for mine, ids in zip(rows, linked, strict=True):
        track[mine] = ids
    table["track"] = track
    return table
