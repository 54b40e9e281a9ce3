"""Training and test parts of pairs that come from one scan.

Patches of neighbouring places share pixels. A random split therefore tests on what it was trained with; published
figures often rest on one. Here blocks of the scan are held out, and places whose patch shares a pixel with a held-out
patch take no part in training.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError
from adatom.prepare.spectrum_pairs import Pairs

Indices = NDArray[np.intp]


class LeakageWarning(UserWarning):
    """What is tested was partly seen in training."""


@dataclass(frozen=True)
class Fold:
    """Numbers of the pairs for training, and of those held out."""

    train: Indices
    test: Indices


def blocked_folds(pairs: Pairs, n_folds: int = 5) -> list[Fold]:
    """Hold out each of `n_folds` compact blocks of the scan in turn, with a gap of one patch around it.

    The scan is halved again and again across its longer side, so that every block has the same number of pairs.

    Raises
    ------
    ArgumentError : if there are not two pairs for each block, or nothing is left for training beside one.
    """
    if n_folds < 2 or len(pairs) < 2 * n_folds:
        raise ArgumentError(
            f"n_folds: expected 2 to {max(2, len(pairs) // 2)} for {len(pairs)} pairs, got {n_folds}. "
            "Measure more spectra."
        )
    folds = []
    for test in _blocks(pairs, np.arange(len(pairs)), n_folds):
        train = np.flatnonzero(~shares_pixels(pairs, test))
        if len(train) < 2:
            raise ArgumentError(
                f"n_folds: expected pairs for training one patch away from a held-out block, got {len(train)}. "
                "Take a smaller patch or more folds."
            )
        folds.append(Fold(train, np.sort(test)))
    return folds


def random_folds(pairs: Pairs, n_folds: int = 5, *, random_state: int = 0) -> list[Fold]:
    """Split pairs by chance, with a warning: patches of the parts share pixels, and figures are too good.

    Raises
    ------
    ArgumentError : if there are not two pairs for each fold.
    """
    if n_folds < 2 or len(pairs) < 2 * n_folds:
        raise ArgumentError(f"n_folds: expected 2 to {max(2, len(pairs) // 2)}, got {n_folds}.")
    warnings.warn(
        "split: a random split leaks: patches and spectra of neighbouring places are in both parts, so figures are too "
        "good. Use blocked_folds.",
        LeakageWarning,
        stacklevel=2,
    )
    parts = np.array_split(np.random.default_rng(random_state).permutation(len(pairs)), n_folds)
    return [Fold(np.sort(np.concatenate([p for p in parts if p is not part])), np.sort(part)) for part in parts]


def shares_pixels(pairs: Pairs, some: Indices) -> NDArray[np.bool_]:
    """(pair,), whether a patch has a pixel in common with one of `some` patches."""
    rows, columns = int(pairs.row.max()) + 1, int(pairs.column.max()) + 1
    middles = np.zeros((rows, columns), dtype=bool)
    middles[pairs.row[some], pairs.column[some]] = True
    sides = pairs.patch_px
    for axis, side in enumerate(sides):  # half a patch from here and half from there, mirrored at the border or not
        middles = ndimage.maximum_filter1d(middles, 4 * (side // 2) + 1, axis=axis, mode="constant", cval=0)
    return np.asarray(middles[pairs.row, pairs.column])


def _blocks(pairs: Pairs, which: Indices, n: int) -> Iterator[Indices]:
    if n == 1:
        yield which
        return
    extents = [np.ptp(places[which]) for places in (pairs.row, pairs.column)]
    along, across = (pairs.row, pairs.column) if extents[0] > extents[1] else (pairs.column, pairs.row)
    order = which[np.lexsort((across[which], along[which]))]
    few = n // 2
    cut = round(len(order) * few / n)
    yield from _blocks(pairs, order[:cut], few)
    yield from _blocks(pairs, order[cut:], n - few)
