"""Bright and dim columns: a split of the fluxes where no species were taught, with the error that it must make."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_NAMES = {1: ("all",), 2: ("bright", "dim"), 3: ("bright", "middle", "dim")}
_FEWEST = 10  # atoms of a group, and this share of all
_SMALLEST_SHARE = 0.03
# A split that is wrong of more atoms than this share separates nothing; and it has to be this much better than none by
# the Bayesian information criterion, where 10 is called very strong evidence (Kass & Raftery 1995,
# 10.1080/01621459.1995.10476572).
_MOST_WRONG = 0.1
_VERY_STRONG = 10.0


@dataclass(frozen=True)
class BrightnessGroups:
    """Groups of atoms by flux, the brightest first.

    Attributes
    ----------
    names : of the groups.
    group : (n,) number of each atom's group, -1 where its flux is unknown.
    flux, spread : (groups,) mean and standard deviation of the flux.
    error_rate : expected share of atoms in the wrong group, from the overlap of the groups.
    """

    names: tuple[str, ...]
    group: NDArray[np.int64]
    flux: Array
    spread: Array
    error_rate: float


def split_by_flux(flux: Array) -> BrightnessGroups | None:
    """Split atoms into bright and dim ones, or bright, middle and dim ones, if their fluxes show it.

    Parameters
    ----------
    flux : (n,) volumes of the peaks, NaN where unknown.

    Returns
    -------
    Groups of a mixture of normal distributions, whose number the Bayesian information criterion chooses; None where one
    group explains the fluxes as well, or groups overlap so much that a tenth of the atoms would be in the wrong one.

    Notes
    -----
    A group of few atoms, or two that differ in width and not in brightness, is none. The error rate is right as far as
    fluxes are normally distributed in each group; a thickness that changes over the image makes them anything else.
    """
    from sklearn.mixture import GaussianMixture

    known = np.isfinite(flux)
    values = flux[known]
    least = max(_FEWEST, _SMALLEST_SHARE * len(values))
    if len(values) < 2 * _FEWEST or np.ptp(values) <= 0:
        return None
    centre, scale = np.median(values), 1.4826 * np.median(np.abs(values - np.median(values))) or np.ptp(values)
    score = np.clip((values - centre) / scale, -20, 20)[:, None]
    single = GaussianMixture(1, random_state=0).fit(score).bic(score)
    best, found = single - _VERY_STRONG, None
    for n in (2, 3):
        start = np.quantile(score, np.linspace(0, 1, 2 * n + 1)[1::2])[:, None]
        mixture = GaussianMixture(n, means_init=start, reg_covar=1e-4, random_state=0).fit(score)
        shares = mixture.predict_proba(score)
        wrong = float((1 - shares.max(axis=1)).mean())
        smallest = np.bincount(shares.argmax(axis=1), minlength=n).min()
        if (
            mixture.bic(score) < best
            and wrong <= _MOST_WRONG
            and smallest >= least
            and _are_apart(mixture.means_[:, 0], np.sqrt(mixture.covariances_[:, 0, 0]))
        ):
            best, found = mixture.bic(score), (mixture, shares, wrong)
    if found is None:
        return None
    mixture, shares, wrong = found
    order = np.argsort(-mixture.means_[:, 0])
    group = np.full(len(flux), -1)
    group[known] = np.argsort(order)[shares.argmax(axis=1)]
    return BrightnessGroups(
        _NAMES[len(order)],
        group,
        centre + scale * mixture.means_[order, 0],
        scale * np.sqrt(mixture.covariances_[order, 0, 0]),
        wrong,
    )


def _are_apart(means: Array, widths: Array) -> bool:
    """Whether each two neighbouring groups are at least as far apart as twice the narrower of them is wide."""
    order = np.argsort(means)
    narrower = np.minimum(widths[order][1:], widths[order][:-1])
    return bool((np.diff(means[order]) > 2 * narrower).all())
