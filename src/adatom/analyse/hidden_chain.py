"""Transitions of states that are misjudged now and then.

One misjudged frame looks like two changes, there and back: rates that are counted come out too high. Here the true
states are a chain that is not seen, and what is seen is the true state or, with one probability for all, another one.
Chain, that probability and the states are drawn in turn from what each is given the others (Gibbs sampling; the states
of a whole track at once by forward filtering and backward sampling: Chib 1996, 10.1016/0304-4076(95)01770-4). A
probability for each pair of states would let a rare state stand for a part of a frequent one.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from numpy.typing import NDArray

from adatom.analyse.steps import check_interval, tracked
from adatom.analyse.transitions import Transitions, transitions

Array = NDArray[np.float64]

_SWEEPS, _WARM_UP = 450, 100
# Before the data speak, a state is misjudged in about one frame of fifty, as if fifty frames had said so.
_WRONG, _RIGHT = 1.0, 49.0
_CHAIN = 0.5  # Jeffreys' prior of probabilities


@dataclass(frozen=True)
class HiddenChain:
    """What lies behind the states that are seen.

    Attributes
    ----------
    changes : with intervals that hold what is not known of the states; counts are the expected ones, rounded.
    state_probability : (row, k) of the true state of each row that counts, in the order of `rows`.
    rows : index in the table.
    misjudged : expected share of frames whose state is another one than was seen.
    """

    changes: Transitions
    state_probability: Array
    rows: pd.Index
    misjudged: float


def hidden_chain(
    atoms: pd.DataFrame,
    column: str = "state",
    *,
    track: str = "track",
    frame_time_s: float | None = None,
    confidence: float = 0.95,
    random_state: int = 0,
) -> HiddenChain:
    """Transitions between states that may be misjudged; parameters as in `adatom.analyse.transitions.transitions`.

    Raises
    ------
    ArgumentError : if a column is missing, or a number is out of range.

    Notes
    -----
    All tracks are of one chain, and errors of frames are independent. Frames in which an atom is not seen say nothing,
    and it goes on through them. Where states change nearly each frame, changes and errors look alike: the prior
    decides.
    """
    check_interval(confidence, frame_time_s)
    known = tracked(atoms, [column], track)
    if pd.api.types.is_numeric_dtype(known[column]):
        known = known[known[column] != 0]
    classes = np.unique(known[column].to_numpy())
    k, rng = len(classes), np.random.default_rng(random_state)
    if not k:
        nothing = transitions(atoms, column, track=track, frame_time_s=frame_time_s, confidence=confidence)
        return HiddenChain(nothing, np.zeros((0, 0)), known.index, float("nan"))
    number = np.unique(known[track].to_numpy(), return_inverse=True)[1]
    frame = known["frame"].to_numpy(dtype=np.int64) - int(known["frame"].min())
    seen = np.full((number.max() + 1, frame.max() + 1), -1)
    seen[number, frame] = np.searchsorted(classes, known[column])
    is_seen = seen >= 0
    # a track is a chain from its first to its last frame
    lives = (np.cumsum(is_seen, axis=1) > 0) & (np.cumsum(is_seen[:, ::-1], axis=1)[:, ::-1] > 0)
    goes_on = lives[:, 1:] & lives[:, :-1]
    chain = np.full((k, k), 1.0 / k)
    error = _WRONG / (_WRONG + _RIGHT)
    step = 1.0 if frame_time_s is None else frame_time_s
    kept: dict[str, list[Array]] = {name: [] for name in ("chain", "counts", "rate")}
    held, wrong = np.zeros((*seen.shape, k)), 0.0
    for sweep in range(_SWEEPS):
        state = _draw_states(seen, is_seen, lives, chain, _confusion(k, error), rng)
        counts = np.zeros((k, k))
        np.add.at(counts, (state[:, :-1][goes_on], state[:, 1:][goes_on]), 1)
        chain = np.stack([rng.dirichlet(row + _CHAIN) for row in counts])
        n_wrong = int((state != seen)[is_seen].sum())
        error = float(rng.beta(_WRONG + n_wrong, _RIGHT + is_seen.sum() - n_wrong))
        if sweep < _WARM_UP:
            continue
        kept["chain"].append(chain)
        kept["counts"].append(counts)
        # a change comes in the middle of a step, on average
        at_risk = step * 0.5 * (counts.sum(axis=1) + np.diag(counts))[:, None]
        kept["rate"].append(rng.gamma(counts + _CHAIN) / np.where(at_risk > 0, at_risk, np.nan))
        held += state[..., None] == np.arange(k)
        wrong += n_wrong / is_seen.sum()
    n = len(kept["chain"])
    drawn = {name: np.array(each) for name, each in kept.items()}
    ends = [0.5 * (1 - confidence), 0.5 * (1 + confidence)]
    off = np.where(np.eye(k, dtype=bool), np.nan, 1.0)
    low, high = np.quantile(drawn["chain"], ends, axis=0)
    rate_low, rate_high = np.quantile(drawn["rate"], ends, axis=0)
    changes = Transitions(
        classes=classes,
        counts=np.rint(drawn["counts"].mean(axis=0)).astype(np.int64),
        probability=drawn["chain"].mean(axis=0),
        low=low,
        high=high,
        rate=off * drawn["rate"].mean(axis=0),
        rate_low=off * rate_low,
        rate_high=off * rate_high,
        confidence=confidence,
    )
    return HiddenChain(changes, held[number, frame] / n, known.index, wrong / n)


def _confusion(k: int, error: float) -> Array:
    """Probability (true, seen) of what is seen."""
    if k < 2:
        return np.ones((k, k))
    return np.full((k, k), error / (k - 1)) + (1 - error - error / (k - 1)) * np.eye(k)


def _draw_states(
    seen: NDArray[np.int64],
    is_seen: NDArray[np.bool_],
    lives: NDArray[np.bool_],
    chain: Array,
    confusion: Array,
    rng: Generator,
) -> NDArray[np.int64]:
    """States (track, frame) of all tracks; those outside of a track's life are drawn too, and say nothing."""
    n, n_frames = seen.shape
    k = len(chain)
    told = np.where(is_seen[..., None], confusion.T[np.maximum(seen, 0)], 1.0)  # (track, frame, state)
    filtered = np.empty((n, n_frames, k))
    before = np.full((n, k), 1.0 / k)
    for frame in range(n_frames):
        moved = before @ chain if frame else before
        moved = np.where(lives[:, frame, None] & ~lives[:, max(frame - 1, 0), None], 1.0 / k, moved)
        now = moved * told[:, frame]
        before = filtered[:, frame] = now / now.sum(axis=1, keepdims=True)
    state = np.empty((n, n_frames), dtype=np.int64)
    draws = rng.random((n, n_frames))
    weight = filtered[:, -1]
    for frame in range(n_frames - 1, -1, -1):
        if frame < n_frames - 1:
            weight = filtered[:, frame] * chain[:, state[:, frame + 1]].T
        total = np.cumsum(weight, axis=1)
        state[:, frame] = (draws[:, frame, None] * total[:, -1:] > total).sum(axis=1)
    return np.minimum(state, k - 1)
