"""A model beside its baselines on blocks of the scan that neither has seen, with what chance may have done to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom.models.image_to_spectrum import ImageToSpectrum
from adatom.models.spectrum_baselines import BASELINES, Seen
from adatom.prepare.spectrum_pairs import Pairs

Array = NDArray[np.float64]

_N_DRAWS = 1000
_LEVEL = 0.9
NAMES = {"blend": "ImageToSpectrum", "network": "network alone"}


@dataclass(frozen=True)
class Comparison:
    """How well models predict spectra of places that they have not seen.

    Parameters
    ----------
    table : one row a model, the best first: ``model``, ``r2`` (of all points of all spectra, against the mean of the
        held-out spectra), ``r2_low`` and ``r2_high`` (90 %, by drawing pieces of the scan of one patch's size),
        ``rmse`` (in the unit of the spectra), ``is_baseline``.
    said : model to spectra (pair, spectrum, point); NaN for pairs that were never held out.
    verdict : one sentence, whether the model is better than the best baseline.
    gain : R^2 of the model less that of the best baseline, then its 90 % interval.
    """

    table: pd.DataFrame
    said: dict[str, Array]
    verdict: str
    gain: tuple[float, float, float]

    @property
    def beats_baselines(self) -> bool:
        """Whether the model is better than the best baseline, beyond chance."""
        return self.gain[1] > 0


def compare(model: ImageToSpectrum, pairs: Pairs, *, seed: int = 0) -> Comparison:
    """Set what `model` said of the blocks that it left out in its training beside what baselines say of them.

    Parameters
    ----------
    model : fitted to `pairs`; not loaded from a file.
    """
    held_out = model.held_out_
    said = {NAMES[name]: held_out.said[name] for name in ("blend", "network") if name in held_out.said}
    said |= baselines_say(model, pairs, seed=seed)
    return judge(said, pairs, model=next(iter(said)), seed=seed)


def baselines_say(model: ImageToSpectrum, pairs: Pairs, *, seed: int = 0) -> dict[str, Array]:
    """What each baseline says of the blocks that `model` left out."""
    flat = model.patch_scale_.scaled(pairs.patches).reshape(len(pairs), -1)
    seen = Seen(flat, np.column_stack([pairs.row, pairs.column]).astype(float))
    spectra = pairs.spectra.reshape(len(pairs), -1)
    said = {}
    for name, fit in BASELINES.items():
        said[name] = np.full(pairs.spectra.shape, np.nan)
        for fold in model.held_out_.folds:
            predict = fit(seen.take(fold.train), spectra[fold.train], seed)
            said[name][fold.test] = predict(seen.take(fold.test)).reshape(-1, *pairs.spectra.shape[1:])
    return said


def judge(said: Mapping[str, Array], pairs: Pairs, *, model: str, seed: int = 0) -> Comparison:
    """The comparison of what several models said of `pairs`; `model` is the one that has to beat the baselines."""
    known = np.isfinite(next(iter(said.values()))).all(axis=(1, 2))
    true = pairs.spectra[known]
    pieces = _pieces(pairs.take(known))
    squares = {name: ((true - each[known]) ** 2).sum(axis=(1, 2)) for name, each in said.items()}
    draws = {name: _drawn_r2(true, each, pieces, seed) for name, each in squares.items()}
    spread = float(((true - true.mean(axis=0)) ** 2).sum())
    tail = (1 - _LEVEL) / 2
    rows = [
        {
            "model": name,
            "r2": 1 - float(each.sum()) / spread,
            "r2_low": float(np.quantile(draws[name], tail)),
            "r2_high": float(np.quantile(draws[name], 1 - tail)),
            "rmse": float(np.sqrt(each.sum() / true.size)),
            "is_baseline": name in BASELINES,
        }
        for name, each in squares.items()
    ]
    table = pd.DataFrame(rows).sort_values("r2", ascending=False, kind="stable").reset_index(drop=True)
    best = next(row["model"] for row in table.to_dict("records") if row["is_baseline"])
    low, high = np.quantile(draws[model] - draws[best], [tail, 1 - tail])
    gain = float(squares[best].sum() - squares[model].sum()) / spread
    told = f"R2 differs by {gain:+.3f} ({low:+.3f} to {high:+.3f})"
    if low > 0:
        verdict = f"{model} is better than the best baseline, {best}: {told}."
    elif high < 0:
        verdict = f"{model} is WORSE than the best baseline, {best}: {told}. Use the baseline."
    else:
        verdict = f"{model} is NOT better than the best baseline, {best}, beyond chance: {told}."
    return Comparison(table, dict(said), verdict, (gain, float(low), float(high)))


def descriptor_table(
    comparison: Comparison, pairs: Pairs, describe: Callable[[Array, Array], dict[str, Array]]
) -> pd.DataFrame:
    """How well the descriptors of the first spectrum come out of predicted ones.

    Parameters
    ----------
    describe : places and spectra (n, point) to numbers (n,) by name, see `adatom.analyse.spectrum_descriptors`.

    Returns
    -------
    One row a model and descriptor: ``model``, ``descriptor``, ``n`` (spectra that have it, measured and predicted),
    ``median_error`` (of the absolute differences), ``correlation`` (of ranks), ``spread`` (median absolute deviation of
    what was measured: an error above it is no better than one number for all).
    """
    from scipy.stats import spearmanr

    first = next(iter(comparison.said.values()))
    known = np.isfinite(first).all(axis=(1, 2))
    measured = describe(pairs.axis.values, pairs.spectra[known, 0])
    rows = []
    for model, said in comparison.said.items():
        predicted = describe(pairs.axis.values, said[known, 0])
        for name, true in measured.items():
            both = np.isfinite(true) & np.isfinite(predicted[name])
            values, wanted = predicted[name][both], true[both]
            is_varied = both.sum() > 2 and np.ptp(values) > 0 and np.ptp(wanted) > 0
            rows.append(
                {
                    "model": model,
                    "descriptor": name,
                    "n": int(both.sum()),
                    "median_error": float(np.median(np.abs(values - wanted))) if both.any() else np.nan,
                    "spread": float(np.median(np.abs(wanted - np.median(wanted)))) if both.any() else np.nan,
                    "correlation": float(spearmanr(values, wanted).statistic) if is_varied else np.nan,
                }
            )
    return pd.DataFrame(rows)


def r2_score(true: Array, said: Array) -> float:
    """Share of the variance of all points (sample, ...) about their means that is predicted."""
    return 1 - float(((true - said) ** 2).sum() / ((true - true.mean(axis=0)) ** 2).sum())


def _pieces(pairs: Pairs) -> NDArray[np.intp]:
    """(pair,), number of the piece of the scan, of one patch's size: places in one piece are not independent."""
    sides = pairs.patch_px
    rows, columns = pairs.row // sides[0], pairs.column // sides[1]
    return np.unique(rows * (columns.max() + 1) + columns, return_inverse=True)[1]


def _drawn_r2(true: Array, squares: Array, pieces: NDArray[np.intp], seed: int) -> Array:
    """R^2 of samples whose pieces are drawn with replacement; the same seed draws the same pieces."""
    rng = np.random.default_rng(seed)
    n = int(pieces.max()) + 1
    flat = true.reshape(len(true), -1)
    flat = flat - flat.mean(axis=0)  # sums of squares about a far mean would lose digits
    count = np.bincount(pieces, minlength=n).astype(float)
    error = np.bincount(pieces, weights=squares, minlength=n)
    power = np.bincount(pieces, weights=(flat**2).sum(axis=1), minlength=n)
    sums = np.zeros((n, flat.shape[1]))
    np.add.at(sums, pieces, flat)
    times = rng.multinomial(n, np.full(n, 1 / n), size=_N_DRAWS).astype(float)  # (draw, piece)
    spread = times @ power - ((times @ sums) ** 2).sum(axis=1) / np.maximum(times @ count, 1)
    return np.asarray(1 - (times @ error) / np.maximum(spread, 1e-300))
