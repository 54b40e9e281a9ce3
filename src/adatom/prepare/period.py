"""The scale of an image that says nothing of its scale: the periods at which it repeats itself.

Which of an image's periods is "the" spacing of its atoms depends on the material (a honeycomb repeats every 1.5 bonds,
Si(111)-7x7 every 7 lattice constants and every 2), so nothing here claims to know. A model measures the same periods on
the images it was trained on, and an image is brought to the model's scale by comparing like with like.
"""

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ShapeError
from adatom.prepare.level import level_lines, level_plane
from adatom.prepare.normalise import normalise

Array = NDArray[np.float64]


def image_periods(values: Array, *, n: int = 3, shortest: float = 3.0) -> list[tuple[float, float]]:
    """Periods that stand out of an image's power spectrum, the strongest first.

    Parameters
    ----------
    values : (y, x), square pixels.
    n : at most so many periods.
    shortest : shorter periods are not looked for [px].

    Returns
    -------
    (period [px], share of the power that stands out), at most `n`; empty if nothing does (a constant; nearly always
    noise).

    Notes
    -----
    Power is counted in rings of equal width in log frequency, above the ring's own median: a lattice puts its power
    into few points of a ring, while noise, islands and tilt fill a ring evenly. The period is the power-weighted mean
    over the neighbouring rings.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ShapeError(f"values: expected a (y, x) array, got shape {values.shape}.")
    if min(values.shape) < 4 * shortest:
        return []
    flat = level_lines(level_plane(values))
    flat = normalise(flat, background_px=min(values.shape) / 20)
    if not flat.any():
        return []
    window = np.hanning(flat.shape[0] + 2)[1:-1, None] * np.hanning(flat.shape[1] + 2)[None, 1:-1]
    power = np.abs(np.fft.rfft2(flat * window)) ** 2  # (y, x // 2 + 1)
    frequency = np.hypot(np.fft.fftfreq(flat.shape[0])[:, None], np.fft.rfftfreq(flat.shape[1])[None, :])
    # at least three periods must fit into the image's shorter side
    inside = (frequency > 3 / min(flat.shape)) & (frequency < 1 / shortest)
    if inside.sum() < 32:
        return []
    step = 0.06
    ring = np.floor(np.log(frequency[inside] / frequency[inside].min()) / step).astype(int)
    strength = power[inside]
    n_rings = ring.max() + 1
    order = np.argsort(ring, kind="stable")
    bounds = np.searchsorted(ring[order], np.arange(n_rings + 1))
    excess = np.zeros(n_rings)
    weighted = np.zeros(n_rings)
    floor = np.zeros(n_rings)
    limit = np.log(strength.size) + 4  # means of the noise: were these exact, it would pass in one image of exp(4)
    for r in range(n_rings):
        members = order[bounds[r] : bounds[r + 1]]
        # Small rings hold too few points for a median of their own: look a little around.
        wide = order[bounds[max(0, r - 2)] : bounds[min(n_rings, r + 3)]]
        floor[r] = np.median(strength[wide]) / np.log(2) if wide.size else 0.0  # mean of an exponential
        above = np.where(strength[members] > limit * floor[r], strength[members], 0.0)
        excess[r] = above.sum()
        weighted[r] = (above * np.log(frequency[inside][members])).sum()
    if not excess.any():
        return []
    kernel = np.array([0.5, 1.0, 1.0, 1.0, 0.5])
    smooth, smooth_weighted = (np.convolve(a, kernel, mode="same") for a in (excess, weighted))
    periods: list[tuple[float, float]] = []
    left = smooth.copy()
    while len(periods) < n and left.max() > 0.03 * smooth.max():
        r = int(left.argmax())
        periods.append((float(np.exp(-smooth_weighted[r] / smooth[r])), float(smooth[r] / excess.sum())))
        left[max(0, r - 4) : r + 5] = 0.0
    return periods
