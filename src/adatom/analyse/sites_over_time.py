"""The places where atoms of a movie are found, and what was found there in each frame."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SitesOverTime:
    """Sites of a movie.

    Attributes
    ----------
    positions : (n, 2) mean of what was found there, weighted by probability, in the unit of the table.
    frames : (t,) numbers of the frames.
    probability : (t, n) of the atom found there in each frame, 0 where none was.
    x, y, x_std, y_std : (t, n) its place and error; NaN where none was.
    row : (t, n) its row in the table, -1 where none was.
    """

    positions: Array
    frames: NDArray[np.int64]
    probability: Array
    x: Array
    y: Array
    x_std: Array
    y_std: Array
    row: NDArray[np.int64]


def follow_sites(
    atoms: pd.DataFrame, *, reach: float, box: tuple[float, float, float, float] | None = None
) -> SitesOverTime:
    """Put the atoms of all frames on common sites, which do not move.

    Parameters
    ----------
    atoms : an atom table of several frames, without drift, see `adatom.data.atoms`.
    reach : finds closer than this are one site's; well below half the distance of neighbours.
    box : left, top, right, bottom of the image; sites nearer to its border than `reach` are left out, as what the
        border cuts comes and goes by itself.

    Notes
    -----
    The likeliest finds come first: each opens a site, or belongs to the nearest one within reach. Then each site moves
    to the mean of its finds, and each frame's find nearest to it is its own.
    """
    positions = atoms[["x", "y"]].to_numpy(dtype=float)
    frames, frame = np.unique(atoms["frame"].to_numpy(), return_inverse=True)
    weight = np.nan_to_num(atoms["probability"].to_numpy(dtype=float), nan=1.0)
    near = cKDTree(positions).query_ball_point(positions, reach)
    site = np.full(len(positions), -1)
    n_sites = 0
    for row in np.argsort(-weight, kind="stable"):
        if site[row] >= 0:
            continue
        free = np.array([other for other in near[row] if site[other] < 0], dtype=np.int64)
        site[free] = n_sites
        n_sites += 1
    total = np.maximum(np.bincount(site, weight, n_sites), 1e-300)
    middle = np.column_stack([np.bincount(site, weight * positions[:, k], n_sites) / total for k in (0, 1)])
    found = np.full((len(frames), n_sites), -1)
    distance, nearest = cKDTree(middle).query(positions)
    best = np.full((len(frames), n_sites), np.inf)
    for row in np.flatnonzero(distance < reach):
        at = frame[row], nearest[row]
        if distance[row] < best[at]:
            best[at], found[at] = distance[row], row
    seen = found >= 0

    def column(name: str, nothing: float) -> Array:
        values = atoms[name].to_numpy(dtype=float)
        return np.where(seen, values[np.maximum(found, 0)], nothing)

    kept = seen.any(axis=0)
    if box is not None:
        left, top, right, bottom = box
        kept &= (middle[:, 0] > left + reach) & (middle[:, 0] < right - reach)
        kept &= (middle[:, 1] > top + reach) & (middle[:, 1] < bottom - reach)
    x, y, x_std, y_std = (column(name, np.nan)[:, kept] for name in ("x", "y", "x_std", "y_std"))
    return SitesOverTime(
        positions=middle[kept],
        frames=frames.astype(np.int64),
        probability=np.where(seen, weight[np.maximum(found, 0)], 0.0)[:, kept],
        x=x,
        y=y,
        x_std=x_std,
        y_std=y_std,
        row=np.where(seen, atoms.index.to_numpy()[np.maximum(found, 0)], -1)[:, kept],
    )
