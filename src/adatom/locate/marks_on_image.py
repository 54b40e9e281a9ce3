"""Whether the marks of an image lie on its atoms, or would if they were read in another way."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError
from adatom.prepare import levelled

Array = NDArray[np.float64]

# Another reading of the marks is the right one if the image is so many times as bright (or dark) there as where they
# are said to be, and by so many standard deviations of a mean over places taken at random.
_FAR_BETTER, _SURELY = 2.0, 5.0
_FEWEST = 5  # marks: of fewer, all may lie on bright spots by chance
_PEAK_PX, _GROUND_PX = 1.0, 12.0  # Gaussians whose difference is "bright": an atom, and what is around it
_SWAPPED, _UPWARDS = "x and y swapped (--swap-xy)", "y counted upwards (--flip-y)"
_BOTH = "x and y swapped and y counted upwards (--swap-xy --flip-y)"


def check_marks(
    values: Array, x: Array, y: Array, *, step: tuple[float, float] | None = None, force: bool = False, name: str = ""
) -> float:
    """Refuse marks that lie outside the image, or that fit it far better when read in another way.

    Parameters
    ----------
    values : (y, x) image, NaN where not measured.
    x, y : (n,) marked positions [px].
    step : size of a pixel along (y, x) [nm], where the image has one.
    force : take marks inside the image as they are.
    name : of the marks, for the error.

    Returns
    -------
    How bright the image is at the marks: mean over them, in standard deviations of the image without its slow part.
    Below 0 where atoms are dark.

    Raises
    ------
    ArgumentError : if there are no marks, or as said; names the reading that fits.
    """
    marks = f"atoms {name}".strip()
    if not len(x):
        raise ArgumentError(f"{marks}: expected a table of marked atoms, got an empty one.")
    rows, columns = values.shape
    bright = _brightness(values)
    given, others = _score(bright, x, y), _other_readings(x, y, rows, step)
    outside = ~_inside(x, y, rows, columns)
    if outside.any():
        fitting = [each for each, places in others.items() if _inside(*places, rows, columns).all()]
        first = int(np.argmax(outside))
        hint = max(fitting, key=lambda each: abs(_score(bright, *others[each])), default=None)
        remedy = f"They would all be inside with {hint}." if hint else "Are they of another image, or in another unit?"
        raise ArgumentError(
            f"{marks}: expected positions inside the image, {columns} x {rows} px, got {int(outside.sum())} of "
            f"{len(x)} outside, the first at x = {x[first]:.4g} px, y = {y[first]:.4g} px. {remedy}"
        )
    if force or len(x) < _FEWEST:
        return given
    # marks that all fall on one spot say nothing, however bright it is
    wide = [each for each, places in others.items() if np.ptp(places, axis=1).max() >= 0.5 * max(np.ptp(x), np.ptp(y))]
    best = max(wide, key=lambda each: abs(_score(bright, *others[each])))
    score = _score(bright, *others[best])
    is_better = abs(score) > _FAR_BETTER * abs(given) and (abs(score) - abs(given)) * np.sqrt(len(x)) > _SURELY
    if is_better:
        raise ArgumentError(
            f"{marks}: expected positions on the atoms of the image, got some that fit far better with {best}: there "
            f"the image is {score:+.1f} standard deviations from its mean, where they are said to be {given:+.1f}. "
            "--force takes them as they are."
        )
    return given


def _other_readings(x: Array, y: Array, rows: int, step: tuple[float, float] | None) -> dict[str, tuple[Array, Array]]:
    readings = {_SWAPPED: (y, x), _UPWARDS: (x, rows - 1 - y), _BOTH: (y, rows - 1 - x)}
    if step is not None:
        step_y, step_x = step
        # swapped before they were brought to pixels
        readings[_SWAPPED] = (y * step_y / step_x, x * step_x / step_y)
        readings[_BOTH] = (readings[_SWAPPED][0], rows - 1 - readings[_SWAPPED][1])
        readings["pixels as their unit (--in-pixels)"] = (x * step_x, y * step_y)
        readings["nm as their unit (--in-nm)"] = (x / step_x, y / step_y)
    return readings


def _brightness(values: Array) -> Array:
    """The image without its slow part and its finest noise, in standard deviations; 0 where not measured."""
    flat = levelled(values)
    known = np.isfinite(flat)
    filled = np.where(known, flat, np.median(flat[known]) if known.any() else 0.0)
    peaks, ground = (ndimage.gaussian_filter(filled, sigma) for sigma in (_PEAK_PX, _GROUND_PX))
    bright: Array = np.where(known, peaks - ground, 0.0)
    return bright / (float(bright.std()) or 1.0)


def _score(bright: Array, x: Array, y: Array) -> float:
    """Mean brightness at those places that lie inside; 0 if some do not."""
    rows, columns = bright.shape
    if not _inside(x, y, rows, columns).all():
        return 0.0
    return float(np.mean(ndimage.map_coordinates(bright, [y, x], order=1, mode="nearest")))


def _inside(x: Array, y: Array, rows: int, columns: int) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (x >= -0.5) & (x < columns - 0.5) & (y >= -0.5) & (y < rows - 0.5)
    return inside
