"""The scale of an image for a model that knows no material: look at several, and keep the one that shows most.

A model that was trained on atoms 5 to 14 pixels apart sees atoms at two or three of the scales of a geometric series,
and next to nothing at the others. The distance of the atoms found there then says which scale is right.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adatom.data import nearest_distances
from adatom.locate import Peaks

# Working pixels a pixel of the image at the finest scale looked at, and the ratio of each to the next.
_FINEST, _RATIO = 2.6, 1.6
# An image that would become smaller than this, along its longer and its shorter side, shows nothing [px].
_SMALLEST = (24, 6)
# Atoms so far apart, in working pixels, tell the scale; further apart they may well be isolated.
_TELLING = (3.5, 14.0)
_ENOUGH = 8
# With this support atoms are plain, and no other scale of the series is looked at.
_PLAIN = 0.7
# The scale is settled in so many rounds at most, when a round would change it by less than this share; a scale that is
# supported by less than this share of another is not taken for its sake.
_ROUNDS, _NEAR, _NEARLY = 4, 0.1, 0.8
# A finer look, by one of these factors, wins if it shows so many times more atoms, with this share of the support (dim
# atoms are doubtful ones); of several that do, the coarsest that shows nearly as many as any.
_FINER, _MANY_MORE, _KNOWS, _NEARLY_ALL = (1.5, 2.0, 2.7), 1.4, 0.7, 0.9
# One that shows the same atoms wins if their positions are so many times surer.
_SHARPER = 1.3
_SURE = 0.85  # the probability of an atom that is surely one
# Finer than an image's own pixels its noise is smooth, and the grains of it look like lone atoms.
FINEST_FOR_LONE = 1.1


@dataclass(frozen=True)
class Look:
    """What a model saw at one scale: how far it knows what it saw (`support`), the pixels of the image that it looked
    at (`area`), and the atoms in them.
    """

    factor: float
    support: float
    area: float
    peaks: Callable[[], Peaks]

    @property
    def density(self) -> float:
        """Atoms a pixel of the image."""
        return len(self.peaks().x) / self.area

    @property
    def density_of_sure(self) -> float:
        """The same of atoms that are surely some."""
        return float((self.peaks().probability > _SURE).sum()) / self.area

    @property
    def position_std(self) -> float:
        """Median standard deviation of the positions of these [px of the image]; infinite where none is stated."""
        std = self.peaks().x_std[self.peaks().probability > _SURE]
        return float(np.median(std)) if np.isfinite(std).any() else np.inf


def find_scale(look: Callable[[list[float]], list[Look]], shape: tuple[int, ...], *, spacing_px: float) -> Look:
    """The scale at which `look` is best supported, and its atoms are `spacing_px` apart.

    Parameters
    ----------
    look : takes factors, working pixels a pixel of the image.
    shape : (y, x) of the image.
    spacing_px : distance of neighbours at which the model sees best, in working pixels.
    """
    factors = _factors(shape)
    # most atoms are seen at one of the first scales, and plainly so if they are plain
    first = factors[2:7:2] or factors
    seen = look(first)
    others = [factor for factor in factors if factor not in first]
    if others and max(each.support for each in seen) < _PLAIN:
        seen += look(others)
    best = _settle(max(seen, key=lambda each: each.support), look, spacing_px)
    # Seen too coarsely, a dim kind of atoms between bright ones vanishes, and the bright ones alone look well. Where
    # there are no more atoms to be seen, a finer look finds as many.
    finer = look([ratio * best.factor for ratio in _FINER])
    richer = [each for each in finer if _shows_more(each, best)]
    if not richer:
        # atoms far apart are small where their distances are right: too small to be placed well
        return next((each for each in finer if _is_sharper(each, best)), best)
    # the coarsest that shows nearly all of them: finer ones take longer
    most = max(each.density for each in richer)
    best = next(each for each in richer if each.density > _NEARLY_ALL * most)
    settled = _settle(best, look, spacing_px)
    # dim atoms fade where the bright ones are seen best
    keeps = min(settled.density / best.density, settled.density_of_sure / max(best.density_of_sure, 1e-12))
    return settled if keeps > _NEARLY_ALL else best


def _shows_more(finer: Look, best: Look) -> bool:
    """Whether a finer look finds many more atoms, and knows what it sees."""
    more = finer.density > _MANY_MORE * best.density or finer.density_of_sure > _MANY_MORE * best.density_of_sure > 0
    return more and finer.support >= _KNOWS * best.support


def _is_sharper(finer: Look, best: Look) -> bool:
    """Whether a finer look finds the same atoms, and is much surer of where they are."""
    same = min(finer.density, finer.density_of_sure / max(best.density_of_sure, 1e-12) * best.density)
    return (
        finer.position_std < best.position_std / _SHARPER
        and same > _NEARLY_ALL * best.density
        and finer.support > _NEARLY_ALL * best.support
    )


def find_lone_scale(look: Callable[[list[float]], list[Look]], shape: tuple[int, ...]) -> Look:
    """The scale at which `look` is sure of the most atoms, where their distances say nothing."""
    factors = _factors(shape)
    coarse = [factor for factor in factors if factor < FINEST_FOR_LONE] or factors[-1:]
    return max(look(coarse), key=lambda each: each.density_of_sure)


def _factors(shape: tuple[int, ...]) -> list[float]:
    """The scales to look at."""
    factors = [_FINEST / _RATIO**k for k in range(24)]
    least = max(_SMALLEST[0] / max(shape), _SMALLEST[1] / min(shape))
    return [factor for factor in factors if factor >= least] or [least]


def _settle(best: Look, look: Callable[[list[float]], list[Look]], spacing_px: float) -> Look:
    """Change the scale until the atoms found are `spacing_px` apart."""
    for _ in range(_ROUNDS):
        peaks = best.peaks()
        if len(peaks.x) < _ENOUGH:
            break
        distance = float(np.median(nearest_distances(np.column_stack([peaks.x, peaks.y]))))
        if not _TELLING[0] < distance * best.factor < _TELLING[1]:
            break
        factor = float(np.clip(spacing_px / distance, best.factor / 2, 2 * best.factor))
        if abs(factor / best.factor - 1) < _NEAR:
            break
        (other,) = look([factor])
        if other.support < _NEARLY * best.support:
            break
        best = other
    return best
