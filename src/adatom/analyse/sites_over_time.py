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
    The likeliest finds come first: each opens a site, which takes all finds within reach that are free. A find far from
    its atom so leaves some of that atom's finds to another site; sites whose means are within reach of each other are
    one. Then each frame's find nearest to the mean of a site is its own.
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
    site, middle = _merged(site, positions, weight, reach)
    n_sites = len(middle)
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


def _merged(site: NDArray[np.int64], positions: Array, weight: Array, reach: float) -> tuple[NDArray[np.int64], Array]:
    """Sites of the finds (n,), and means (n_sites, 2), none of which is within reach of another."""
    while True:
        _, site = np.unique(site, return_inverse=True)
        total = np.maximum(np.bincount(site, weight), 1e-300)
        middle = np.column_stack([np.bincount(site, weight * positions[:, k]) / total for k in (0, 1)])
        pairs = cKDTree(middle).query_pairs(reach, output_type="ndarray")
        if not len(pairs):
            return site, middle
        apart = np.linalg.norm(middle[pairs[:, 0]] - middle[pairs[:, 1]], axis=1)
        into, taken = np.arange(len(middle)), np.zeros(len(middle), dtype=bool)
        for one, other in pairs[np.argsort(apart, kind="stable")]:  # the closest first, each once before means move
            if not taken[one] and not taken[other]:
                into[other], taken[one], taken[other] = one, True, True
        site = into[site]
