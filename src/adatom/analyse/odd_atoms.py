"""Atoms brighter or dimmer than their sublattice: where another element may stand, or one of two is missing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.analyse.sublattices import honeycomb_sublattices
from adatom.data.rounding import rounded

Array = NDArray[np.float64]

NAMES = ("A", "B")  # of the sublattices, the brighter one first
_FEWEST = 20  # atoms of a sublattice with a known flux
_START_SHARE = 0.05
_ROUNDS = 200
_REACH = 8.0  # odd fluxes are sought so far from the usual one, in standard deviations; the rest counts as there
_MOST_ODD = 0.5
_LIKELIER_THAN_NOT = 0.5


@dataclass(frozen=True)
class OddAtoms:
    """Atoms of a honeycomb against the others of their sublattice.

    Attributes
    ----------
    sublattice : (n,) 0 for A, the brighter one, 1 for B, -1 where it is not known.
    probability : (n,) that the atom's flux is not one of its sublattice's usual ones; NaN where not known.
    deviation : (n,) of the flux from the usual one, in the usual one's standard deviations; NaN where not known.
    flux, spread : (2,) usual flux of A and B, and its standard deviation.
    """

    sublattice: NDArray[np.int64]
    probability: Array
    deviation: Array
    flux: Array
    spread: Array


def find_odd_atoms(positions: Array, flux: Array) -> OddAtoms | None:
    """Weigh each atom of a honeycomb against its sublattice.

    Parameters
    ----------
    positions : (n, 2) x and y in any unit.
    flux : (n,) volumes of the peaks, NaN where unknown.

    Returns
    -------
    None where the atoms stand on no honeycomb in one orientation, or too few fluxes are known.

    Notes
    -----
    The fluxes of a sublattice are a mixture of usual ones, normally distributed, and of odd ones, which may be anything
    (uniform within eight standard deviations); expectation maximisation gives the share of the odd ones, and Bayes'
    rule the probability of each. What makes a flux odd is not known to it: another element, a vacancy of one of two
    atoms in a column, or dirt. Source: Hogg, Bovy & Lang 2010, arXiv:1008.4686 (a mixture that prunes outliers).
    """
    number = honeycomb_sublattices(positions)
    if number is None:
        return None
    known = np.isfinite(flux)
    if min(int((known & (number == k)).sum()) for k in (0, 1)) < _FEWEST:
        return None
    if np.median(flux[known & (number == 1)]) > np.median(flux[known & (number == 0)]):
        number = np.where(number < 0, -1, 1 - number)
    probability, deviation = np.full(len(flux), np.nan), np.full(len(flux), np.nan)
    usual, spread = np.zeros(2), np.zeros(2)
    for k in (0, 1):
        mine = known & (number == k)
        probability[mine], usual[k], spread[k] = _odd(flux[mine])
        deviation[mine] = (flux[mine] - usual[k]) / spread[k]
    return OddAtoms(number, probability, deviation, usual, spread)


def judge_sublattices(columns: Mapping[str, Array]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Columns ``sublattice`` and ``odd_probability`` for the atoms of a still, and what a summary has of them.

    Parameters
    ----------
    columns : ``x``, ``y``, ``flux`` and ``refined`` of all atoms; only fluxes of refined atoms are weighed.
    """
    flux = np.where(columns["refined"], columns["flux"], np.nan)
    found = find_odd_atoms(np.column_stack([columns["x"], columns["y"]]), flux)
    if found is None:
        return {}, None
    facts: dict[str, Any] = {}
    is_odd = found.probability > _LIKELIER_THAN_NOT
    for k, name in enumerate(NAMES):
        mine = found.sublattice == k
        facts[name] = {
            "n": int(mine.sum()),
            "flux": rounded(found.flux[k]),
            "spread": rounded(found.spread[k]),
            "n_brighter": int((mine & is_odd & (found.deviation > 0)).sum()),
            "n_dimmer": int((mine & is_odd & (found.deviation < 0)).sum()),
        }
    names = np.array([*NAMES, ""], dtype=object)
    return {"sublattice": names[found.sublattice], "odd_probability": found.probability}, facts


def _odd(flux: Array) -> tuple[Array, float, float]:
    """Probability (n,) that each flux is an odd one; mean and standard deviation of the usual ones."""
    mean = float(np.median(flux))
    least = 1e-9 * max(float(np.abs(flux).max()), 1e-300)  # where all are the same
    spread = max(1.4826 * float(np.median(np.abs(flux - mean))), least)
    share = _START_SHARE
    odd = np.zeros(len(flux))
    for _ in range(_ROUNDS):
        score = np.clip((flux - mean) / spread, -_REACH, _REACH)
        usual = (1 - share) * np.exp(-0.5 * score**2) / np.sqrt(2 * np.pi)
        before, odd = odd, share / (2 * _REACH) / (share / (2 * _REACH) + usual)
        if np.abs(odd - before).max() < 1e-6:
            break
        share = float(np.clip(odd.mean(), 1 / len(flux), _MOST_ODD))
        mean = float(np.average(flux, weights=1 - odd))
        spread = max(float(np.sqrt(np.average((flux - mean) ** 2, weights=1 - odd))), least)
    return odd, mean, spread
