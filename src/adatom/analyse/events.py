"""Events in movies: atoms that come, go, hop, or are not where they were, from what was found with which probability.

A site is taken for a chain of two states, with an atom or without, that changes rarely. The probability with which an
atom was found in a frame is what that frame says; a frame in which it was overlooked says little against the many in
which it was seen. Forward and backward sums over all sequences of states give the probability that the site changed at
all, and when (Rabiner 1989, 10.1109/5.18626); the rates of change and of oversights are estimated from all sites
together (Baum-Welch).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from adatom.analyse.sites_over_time import SitesOverTime
from adatom.errors import ArgumentError

Array = NDArray[np.float64]

COLUMNS = ("kind", "probability", "frame", "x", "y", "to_x", "to_y", "site", "n_changes")
_ROUNDS = 30
# What a frame says is cut here: no single frame is surer than that.
_SUREST = 0.995
_LIKELIER_THAN_NOT = 0.5
# A place is another one from so many standard deviations on.
_FAR = 5.0


@dataclass(frozen=True)
class Occupation:
    """Whether sites hold an atom.

    Attributes
    ----------
    present : (t, n) probability that the site holds an atom in a frame, by all frames.
    changes : (t - 1, n) probability that it changed from one frame to the next.
    unstable : (n,) probability that it changed at all.
    rate : of changes from frame to frame, over all sites that change.
    share : of the sites that change.
    overlooked, invented : shares of frames in which a present atom is not found, and one that is not there is.
    """

    present: Array
    changes: Array
    unstable: Array
    rate: float
    share: float
    overlooked: float
    invented: float


def occupation(sites: SitesOverTime) -> Occupation:
    """Judge all sites.

    Raises
    ------
    ArgumentError : if there are fewer than two frames.

    Notes
    -----
    Each site is of one of three kinds: always with an atom, never with one (a site that a false find opened), or one
    that changes. Of a changing one both states are as likely at first.
    """
    stated = sites.probability
    if len(stated) < 2:
        raise ArgumentError(f"atoms: expected those of at least two frames, got {len(stated)}.")
    seen = np.clip(stated, 1 - _SUREST, _SUREST)
    kinds, rate, overlooked, invented = np.array([0.8, 0.1, 0.1]), 0.1, 0.05, 0.05
    for _ in range(_ROUNDS):
        # what a frame says: a find that is surely there is one with these rates, a doubtful one between
        with_atom = np.log(seen * (1 - overlooked) + (1 - seen) * overlooked)
        without = np.log(seen * invented + (1 - seen) * (1 - invented))
        always, never = with_atom.sum(axis=0), without.sum(axis=0)
        present, changes, changing = _forward_backward(with_atom, without, rate)
        # of a changing site, those sequences that never change are one of the other kinds
        constant = np.logaddexp(always, never) + np.log(0.5) + (len(seen) - 1) * np.log1p(-rate)
        changing = changing + np.log(np.maximum(-np.expm1(np.minimum(constant - changing, -1e-12)), 1e-12))
        scores = np.stack([always, never, changing]) + np.log(kinds)[:, None]
        belongs = np.exp(scores - np.logaddexp.reduce(scores, axis=0))
        held = belongs[0] + belongs[2] * present
        before = np.array([rate, overlooked, invented])
        kinds = np.clip(belongs.mean(axis=1), 1e-3, 1)
        kinds /= kinds.sum()
        rate = float(np.clip((belongs[2] * changes).sum() / max(1e-9, (belongs[2] * len(changes)).sum()), 0.01, 0.5))
        overlooked = float(np.clip((held * (1 - seen)).sum() / max(1e-9, held.sum()), 1e-3, 0.4))
        invented = float(np.clip(((1 - held) * seen).sum() / max(1e-9, (1 - held).sum()), 1e-3, 0.4))
        if np.abs(before - [rate, overlooked, invented]).max() < 1e-5:
            break
    return Occupation(held, belongs[2] * changes, belongs[2], rate, float(kinds[2]), overlooked, invented)


def find_events(sites: SitesOverTime, held: Occupation, *, spacing: float) -> pd.DataFrame:
    """All events, the likeliest first.

    Parameters
    ----------
    spacing : typical distance of neighbours, in the unit of the positions: hops go no farther than 1.5 of it.

    Returns
    -------
    One row an event: ``kind`` (``comes``, ``goes``, ``hops``, ``displaced``), ``probability``, ``frame`` (the first
    one after it), ``x``, ``y``, and ``to_x``, ``to_y`` of a hop or a displacement; ``site``; ``n_changes`` expected of
    the site in the whole movie.
    """
    rows: list[tuple[str, float, int, float, float, float, float, int, float]] = []
    expected = held.changes.sum(axis=0)
    found = _changes(held.changes)
    gone = {(t, s) for t, s in found if held.present[t, s] > held.present[t + 1, s]}
    come = set(found) - gone
    tree = cKDTree(sites.positions)
    for t, s in sorted(gone):
        near = [other for other in tree.query_ball_point(sites.positions[s], 1.5 * spacing) if (t, other) in come]
        frame, (x, y) = int(sites.frames[t + 1]), sites.positions[s].tolist()
        if near:
            to = min(near, key=lambda other: float(np.hypot(*(sites.positions[other] - (x, y)))))
            come.discard((t, to))
            to_x, to_y = sites.positions[to].tolist()
            both = found[t, s] * found[t, to]
            rows.append(("hops", both, frame, x, y, to_x, to_y, s, float(expected[s])))
        else:
            rows.append(("goes", found[t, s], frame, x, y, np.nan, np.nan, s, float(expected[s])))
    for t, s in sorted(come):
        frame, (x, y) = int(sites.frames[t + 1]), sites.positions[s].tolist()
        rows.append(("comes", found[t, s], frame, x, y, np.nan, np.nan, s, float(expected[s])))
    rows += _displaced(sites, held, expected)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values("probability", ascending=False, kind="stable").reset_index(drop=True)


def _changes(changes: Array) -> dict[tuple[int, int], float]:
    """(frame before it, site) and probability of each change, from those of every frame (t, n).

    One that may have been a frame earlier or later is one change, at its likeliest frame.
    """
    found: dict[tuple[int, int], float] = {}
    for s in np.flatnonzero(changes.sum(axis=0) > _LIKELIER_THAN_NOT):
        left = changes[:, s].copy()
        while True:
            t = int(left.argmax())
            around = slice(max(0, t - 1), t + 2)
            probability = float(left[around].sum())
            if probability <= _LIKELIER_THAN_NOT:
                break
            found[t, int(s)] = min(1.0, probability)
            left[around] = 0.0
    return found


def _displaced(
    sites: SitesOverTime, held: Occupation, expected: Array
) -> list[tuple[str, float, int, float, float, float, float, int, float]]:
    """Atoms that are seen far from where they are in the other frames, by their error bars and by the usual scatter."""
    middle_x, middle_y = np.nanmedian(sites.x, axis=0), np.nanmedian(sites.y, axis=0)
    off = np.hypot(sites.x - middle_x, sites.y - middle_y)
    usual = 1.4826 * np.nanmedian(off) / np.sqrt(2 * np.log(2))
    std = np.sqrt(np.nan_to_num(np.maximum(sites.x_std, sites.y_std)) ** 2 + usual**2)
    enough = np.isfinite(sites.x).sum(axis=0) >= 5
    far = (off > _FAR * std) & (held.present > _LIKELIER_THAN_NOT) & enough
    return [
        (
            "displaced",
            float(held.present[t, s] * sites.probability[t, s]),
            int(sites.frames[t]),
            float(middle_x[s]),
            float(middle_y[s]),
            float(sites.x[t, s]),
            float(sites.y[t, s]),
            int(s),
            float(expected[s]),
        )
        for t, s in np.argwhere(far)
    ]


def _forward_backward(with_atom: Array, without: Array, rate: float) -> tuple[Array, Array, Array]:
    """Of chains that change at a rate: probability of an atom (t, n), of changes (t - 1, n), and evidence (n,) [nat].

    Parameters
    ----------
    with_atom, without : (t, n) log-likelihoods of what each frame says.
    """
    stay, change = np.log1p(-rate), np.log(rate)
    n_frames = len(with_atom)
    says = np.stack([without, with_atom], axis=1)  # (t, 2, n)
    forward, backward = np.empty_like(says), np.zeros_like(says)
    forward[0] = np.log(0.5) + says[0]
    for t in range(1, n_frames):
        same, other = forward[t - 1] + stay, forward[t - 1, ::-1] + change
        forward[t] = np.logaddexp(same, other) + says[t]
    for t in range(n_frames - 2, -1, -1):
        after = backward[t + 1] + says[t + 1]
        backward[t] = np.logaddexp(after + stay, after[::-1] + change)
    evidence = np.logaddexp(forward[-1, 0], forward[-1, 1])
    present = np.exp(forward[:, 1] + backward[:, 1] - evidence)
    after = backward[1:] + says[1:]
    changes = np.exp(np.logaddexp(forward[:-1, 0] + after[:, 1], forward[:-1, 1] + after[:, 0]) + change - evidence)
    return present, changes, evidence
