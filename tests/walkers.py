"""Atoms whose ways are known."""

import numpy as np
import pandas as pd


def walkers(n: int, n_frames: int, coefficient: float, position_std: float, *, seed: int, step_s: float = 1.0):
    """An atom table with tracks of free diffusion, seen with an error."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, np.sqrt(2 * coefficient * step_s), (n, n_frames, 2))
    places = 5 + np.cumsum(steps, axis=1) + rng.normal(0, position_std, (n, n_frames, 2))
    return table_of(places)


def table_of(places: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """Of places (track, frame, 2)."""
    n, n_frames = places.shape[:2]
    table = pd.DataFrame(
        {
            "track": np.repeat(np.arange(n), n_frames),
            "frame": np.tile(np.arange(n_frames), n),
            "x": places[..., 0].ravel(),
            "y": places[..., 1].ravel(),
            **{name: np.ravel(values) for name, values in columns.items()},
        }
    )
    table.attrs["units"] = "nm"
    return table


def chains(n: int, n_frames: int, leave: tuple[float, float], *, seed: int) -> np.ndarray:
    """(track, frame) of states 1 and 2, which are left with these probabilities."""
    rng = np.random.default_rng(seed)
    state = np.ones((n, n_frames), dtype=int)
    state[:, 0] = 1 + (rng.random(n) < leave[0] / sum(leave))
    for frame in range(1, n_frames):
        goes = rng.random(n) < np.where(state[:, frame - 1] == 1, *leave)
        state[:, frame] = np.where(goes, 3 - state[:, frame - 1], state[:, frame - 1])
    return state
