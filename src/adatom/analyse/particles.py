"""Particles as instances: a mask that numbers them, by a threshold and watershed, or from a network's maps.

Everything here is in pixels, on square ones; `adatom.analyse.particle_table` measures what was found.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import local_maxima, remove_small_holes
from skimage.segmentation import expand_labels, watershed

from adatom.errors import ArgumentError, ShapeError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Instances = NDArray[np.int32]

# Smoothing [px] before the threshold; it grows, by this factor, until the threshold is so many deviations of the ground
# above it.
_LEAST_SMOOTHING, _MOST_SMOOTHING = 0.7, 4.0
_CLEAR, _MORE, _ROUNDS = 2.5, 1.35, 7
# Of half the width of large particles: what is finer is smoothed away.
_FINE = 0.05
_GLANCE_PX = 512  # a side, to see how large particles are, and whether they are dark
_SAMPLE = 2**16  # pixels, to find levels from
# There are particles only if their mean is so many deviations above the ground; in a Gaussian cut in half it is 0.8.
_ABOVE_GROUND = 2.0
# Of a particle's own height above the ground, where its outline is.
_OUTLINE = 0.38
# A phase is made of particles if it is so many times as round as the other one.
_ROUNDER = 1.5
# Two parts are one particle if the neck between them is nearly as wide as the narrower one, ...
_NECK = 0.95
# ... and the signal above the threshold does not fall below this share of the lower one's.
_DIP = 0.75
_RING = 0.25  # of the typical radius: how much the distance to the edge is smoothed
# Of what may be particle, how much more it is particle than boundary where it marks a particle.
_MARKS = 0.65
_SMALLEST_DIAMETER_PX = 3.0


@dataclass(frozen=True)
class Segmented:
    """Particles of one image.

    Attributes
    ----------
    instances : (y, x) number of the particle that a pixel belongs to, from 1; 0 for none.
    threshold : level between ground and particles, in units of the image; NaN where a network drew them.
    probability : (number of particles,) mean probability of their pixels; NaN without a network.
    """

    instances: Instances
    threshold: float
    probability: Array

    @property
    def n_particles(self) -> int:
        """Number of particles."""
        return len(self.probability)


def segment_by_threshold(
    values: Array, *, dark: bool = False, smallest_diameter_px: float = _SMALLEST_DIAMETER_PX, split: bool = True
) -> Segmented:
    """Particles that are brighter than the ground (or darker): Otsu's threshold, touching ones cut at their necks.

    Parameters
    ----------
    values : (y, x), square pixels; NaN where nothing was measured.
    dark : whether particles are darker than the ground.
    smallest_diameter_px : what is smaller is left out, and so are holes.
    split : whether to cut particles that touch.

    Notes
    -----
    The image is smoothed as its noise asks for, and a ground that is bent is straightened (a polynomial of second
    degree). What is above the threshold is nothing if it stands out of the ground no more than half of a Gaussian does.
    A foreground is cut by a watershed on the distance to its edge, and parts are joined again whose neck is more than
    0.95 as wide as the narrower of them, unless the signal dips there.
    """
    values = _checked(values)
    known = np.isfinite(values)
    none = Segmented(np.zeros(values.shape, np.int32), float("nan"), np.zeros(0))
    if not known.any():
        return none
    middle = float(np.median(values[known]))
    contrast = float(np.abs(values[known] - middle).max())
    if not 1e-12 * abs(middle) < contrast < np.inf:
        return none
    signal = np.where(known, values - middle, 0.0) / (-contrast if dark else contrast)
    instances, threshold = _segmented(signal, known, smallest_diameter_px, split, _pixels_to_join(signal, known))
    instances = _without_small(instances * known, smallest_diameter_px)
    threshold = middle + threshold * (-contrast if dark else contrast)
    return Segmented(instances, threshold, np.full(int(instances.max()), np.nan))


def segment_by_maps(
    particle: Array, boundary: Array, *, smallest_diameter_px: float = _SMALLEST_DIAMETER_PX, least: float = 0.5
) -> Segmented:
    """Particles from the probability maps of a network that knows particles and the boundaries between them.

    Parameters
    ----------
    particle, boundary : (y, x) probabilities, NaN where nothing was measured.
    least : probability of both together from which on a pixel is no ground.

    Notes
    -----
    What is particle rather than boundary, cut at its necks, are the markers; a watershed from these fills the rest.
    """
    particle, boundary = _checked(particle), _checked(boundary)
    if particle.shape != boundary.shape:
        raise ShapeError(f"maps: expected maps of one shape, got {particle.shape} and {boundary.shape}.")
    particle, boundary = np.nan_to_num(particle), np.nan_to_num(boundary)
    inside = particle + boundary
    foreground = _cleaned(inside >= least, smallest_diameter_px)
    lead = particle - boundary
    # where boundaries are left out, the necks between particles that a boundary has not quite parted are narrow
    markers = _cut(foreground & (lead > _MARKS * least), lead, 0.0)
    # a marker of a pixel or two is noise of the map, unless it is all that there is of a particle
    area = np.bincount(markers.ravel())
    markers[(area < 0.25 * _disc(smallest_diameter_px))[markers]] = 0
    lone, _ = ndimage.label(foreground)
    has_marker = np.zeros(int(lone.max()) + 1, dtype=bool)
    has_marker[lone[markers > 0]] = True
    markers = np.where(foreground & ~has_marker[lone], lone + int(markers.max()), markers)
    instances = _without_small(watershed(-lead, markers, mask=foreground), smallest_diameter_px)
    number = np.arange(1, int(instances.max()) + 1)
    probability = ndimage.mean(inside, instances, number) if len(number) else np.zeros(0)
    return Segmented(instances, float("nan"), np.clip(np.asarray(probability, float), 0.0, 1.0))


def _segmented(
    signal: Array, known: Mask, smallest_diameter_px: float, split: bool, join: int
) -> tuple[Instances, float]:
    """Instances and threshold, on pixels of which `join` by `join` are taken as one."""
    coarse, coarse_known = _reduced(signal, known, join)
    smooth, threshold, above = _two_levels(coarse, coarse_known, least_smoothing=_LEAST_SMOOTHING if join == 1 else 2.0)
    if above is None:
        return np.zeros(signal.shape, np.int32), float("nan")
    foreground = _cleaned(above, smallest_diameter_px / join)
    instances = _cut(foreground, smooth, threshold) if split else label(foreground).astype(np.int32)
    level, spread = _ground(_some(smooth[coarse_known]))
    instances = _to_own_level(instances, smooth, level, max(level + _CLEAR * spread, level))
    if join == 1:
        return instances, threshold
    # outlines between the large pixels: a smoothed mask of each, enlarged
    factor = np.array(signal.shape) / np.array(coarse.shape)
    inside = ndimage.gaussian_filter((instances > 0).astype(float), 1.0)
    fine = ndimage.zoom(inside, factor, order=1, mode="nearest", grid_mode=True) > 0.5
    near = ndimage.zoom(expand_labels(instances, 3), factor, order=0, mode="nearest", grid_mode=True)
    return np.where(fine, near, 0).astype(np.int32), threshold


def _to_own_level(instances: Instances, smooth: Array, level: float, least: float) -> Instances:
    """Outlines at the same share of each particle's own height above the ground, no lower than `least`.

    Dim ones, and those thin at their edges, are larger than a threshold for all of them says.
    """
    n = int(instances.max())
    if not n:
        return instances
    number = np.arange(n + 1)
    depth = ndimage.distance_transform_edt(instances > 0)
    deepest = np.asarray(ndimage.maximum(depth, instances, number))
    core = np.where(depth >= 0.5 * deepest[instances], instances, 0)
    height = np.asarray(ndimage.median(smooth, core, number)) - level
    near = expand_labels(instances, max(2.0, 0.5 * float(np.median(deepest[1:]))))
    inside = (near > 0) & (smooth > np.maximum(level + _OUTLINE * height, least)[near])
    # what is not connected with the particle is not part of it
    parts = label(np.where(inside, near, 0), connectivity=1)
    belongs = np.zeros(int(parts.max()) + 1, dtype=bool)
    belongs[parts[core > 0]] = True
    belongs[0] = False
    return np.where(belongs[parts], near, 0).astype(np.int32)


def _pixels_to_join(signal: Array, known: Mask) -> int:
    """Pixels in a row that are taken as one, as what is much finer than the particles, such as their lattice, is not
    their outline.
    """
    reduction = -(-max(signal.shape) // _GLANCE_PX)
    _, _, above = _two_levels(*_reduced(signal, known, reduction))
    if above is None:
        return 1
    half_width = reduction * float(np.percentile(ndimage.distance_transform_edt(above)[above], 95))
    return max(1, int(0.5 * _FINE * half_width))


def _reduced(signal: Array, known: Mask, factor: int) -> tuple[Array, Mask]:
    """Means of blocks of pixels; a block that is mostly missing is."""
    if factor == 1:
        return signal, known
    padding = [(0, -n % factor) for n in signal.shape]
    padded = np.pad(signal, padding, mode="edge"), np.pad(known, padding, mode="edge")
    blocks = [one.reshape(one.shape[0] // factor, factor, -1, factor).mean(axis=(1, 3)) for one in padded]
    return blocks[0], blocks[1] > 0.5


def is_dark(values: Array) -> bool:
    """Whether particles are the darker phase: if dark parts are rounder than bright ones, or as round but rarer."""
    values = _checked(values)
    known = np.isfinite(values)
    middle = float(np.median(values[known])) if known.any() else 0.0
    contrast = float(np.abs(values[known] - middle).max(initial=0.0))
    if not 0 < contrast < np.inf:
        return False
    signal = np.where(known, values - middle, 0.0) / contrast
    signal, known = _reduced(signal, known, -(-max(values.shape) // _GLANCE_PX))
    (_, _, above), (_, _, below) = _two_levels(signal, known), _two_levels(-signal, known)
    if above is None or below is None:
        return above is None and below is not None
    bright, dark = _roundness(above), _roundness(below)
    if max(bright, dark) < _ROUNDER * min(bright, dark):
        return bool(above.sum() > 2 * below.sum())
    return dark > bright


def _roundness(mask: Mask) -> float:
    """Mean over the pixels of 4 pi area / perimeter^2 of the part that each belongs to, at most 1; the border of the
    image is no perimeter.
    """
    parts, n = ndimage.label(mask)
    area = np.bincount(parts.ravel(), minlength=n + 1)[1:]
    sides = np.zeros(n + 1)
    for axis in (0, 1):
        one, other = np.moveaxis(parts, axis, 0)[:-1], np.moveaxis(parts, axis, 0)[1:]
        edge = (one > 0) != (other > 0)
        sides += np.bincount(np.maximum(one, other)[edge], minlength=n + 1)
    perimeter = np.maximum(0.25 * np.pi * sides[1:], 1.0)  # sides of pixels are longer than a smooth outline
    return float(np.average(np.minimum(4 * np.pi * area / perimeter**2, 1.0), weights=area))


def _checked(values: Array) -> Array:
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or min(values.shape) < 4:
        raise ShapeError(f"image: expected (y, x) of 4 pixels or more a side, got shape {values.shape}.")
    return values


def _two_levels(
    signal: Array, known: Mask, least_smoothing: float = _LEAST_SMOOTHING
) -> tuple[Array, float, Mask | None]:
    """The image as smooth as its noise asks for and on a flat ground, the threshold, and what is above it, or None."""
    sigma, ground = least_smoothing, np.zeros(signal.shape)
    most = max(_MOST_SMOOTHING, least_smoothing)
    for _ in range(_ROUNDS):
        smooth = ndimage.gaussian_filter(signal, sigma) - ground
        threshold = float(threshold_otsu(_some(smooth[known])))
        above = known & (smooth > threshold)
        below = known & ~above
        if not above.any() or not below.any():
            return smooth, threshold, None
        level, spread = _ground(_some(smooth[known]))
        bent = _bent(smooth, below & ~ndimage.binary_dilation(above, iterations=3))
        is_flat = np.ptp(bent) < 0.1 * (threshold - level)
        is_clear = threshold - level > _CLEAR * spread
        if is_flat and (is_clear or sigma >= most):
            break
        ground = ground + bent
        sigma = sigma if is_clear else min(_MORE * sigma, most)
    stands_out = float(smooth[above].mean()) - level > _ABOVE_GROUND * spread
    return smooth, threshold, above if stands_out else None


def _bent(values: Array, ground: Mask) -> Array:
    """A polynomial of second degree (y, x) through the ground, its mean over the ground taken out."""
    if ground.mean() < 0.1:
        return np.zeros(values.shape)
    thin = tuple(slice(None, None, 1 + n // 128) for n in values.shape)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in values.shape), indexing="ij", sparse=True)
    known = ground[thin]
    terms = [np.broadcast_to(term, values.shape)[thin][known] for term in (1.0, x, y, x * y, x**2, y**2)]
    fitted, *_ = np.linalg.lstsq(np.stack(terms, axis=-1), values[thin][known], rcond=None)
    surface: Array = fitted[1] * x + fitted[2] * y + fitted[3] * (x * y) + fitted[4] * x**2 + fitted[5] * y**2
    return surface - float(surface[thin][known].mean())


def _some(values: Array) -> Array:
    """Enough of the values (n,) to know how they are distributed."""
    return values[:: 1 + len(values) // _SAMPLE]


def _ground(values: Array) -> tuple[float, float]:
    """The commonest level, and the deviation of what is below it."""
    low, high = np.percentile(values, (0.5, 99.5))
    count, edges = np.histogram(values, bins=64, range=(low, high))
    count = ndimage.gaussian_filter1d(count.astype(float), 1.5)
    level = float(edges[count.argmax()] + 0.5 * (edges[1] - edges[0]))
    lower = values[values <= level]
    return level, float(np.sqrt(((level - lower) ** 2).mean())) if len(lower) else 0.0


def _disc(diameter: float) -> float:
    return float(0.25 * np.pi * diameter**2)


def _cleaned(foreground: Mask, smallest_diameter_px: float) -> Mask:
    if smallest_diameter_px <= 0 or not np.isfinite(smallest_diameter_px):
        raise ArgumentError(f"smallest diameter: expected a length above 0, got {smallest_diameter_px}.")
    holes_up_to = max(1, int(_disc(smallest_diameter_px)))
    cleaned: Mask = remove_small_holes(foreground, max_size=holes_up_to)
    return cleaned


def _without_small(instances: Instances, smallest_diameter_px: float) -> Instances:
    """The same numbered from 1 without gaps, in the order of rows; small ones are ground."""
    area = np.bincount(instances.ravel(), minlength=1)
    kept = area >= _disc(smallest_diameter_px) - 0.5
    kept[0] = False
    number = np.zeros(len(area), np.int32)
    number[kept] = np.arange(1, int(kept.sum()) + 1)
    return number[instances]


def _cut(foreground: Mask, smooth: Array, threshold: float) -> Instances:
    # beyond the border particles go on: there is no edge there
    padded = np.pad(foreground, 1, mode="edge")
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1]
    if not foreground.any():
        return np.zeros(foreground.shape, np.int32)
    typical = float(np.median(depth[local_maxima(depth) & foreground]))
    rounded = ndimage.gaussian_filter(depth, max(0.5, _RING * typical))
    peaks = local_maxima(rounded) & foreground
    instances = watershed(-rounded, label(peaks), mask=foreground)
    # what holds no maximum of the smoothed distance, such as a thin thread, is a part of its own
    left = foreground & (instances == 0)
    instances = np.where(left, label(left) + int(instances.max()), instances)
    return _joined(instances.astype(np.int32), depth, smooth - threshold)


def _joined(instances: Instances, depth: Array, signal: Array) -> Instances:
    """Join parts between which there is no neck and no dip, the widest necks first."""
    n = int(instances.max()) + 1
    numbers = np.arange(n)
    deepest = np.asarray(ndimage.maximum(depth, instances, numbers))
    middle = np.asarray(ndimage.median(signal, np.where(depth >= 0.5 * deepest[instances], instances, 0), numbers))
    neck, dip = _borders(instances, depth, signal)
    root = numbers.copy()

    def find(k: int) -> int:
        while root[k] != k:
            root[k] = root[root[k]]
            k = int(root[k])
        return k

    for (first, second), width in sorted(neck.items(), key=lambda item: -item[1]):
        a, b = find(first), find(second)
        if a == b:
            continue
        is_wide = width > _NECK * min(deepest[a], deepest[b])
        lower = min(middle[a], middle[b])
        if is_wide and dip[first, second] > _DIP * lower:
            root[b] = a
            deepest[a] = max(deepest[a], deepest[b])
            middle[a] = max(middle[a], middle[b])
    return np.array([find(k) for k in range(n)], np.int32)[instances]


def _borders(
    instances: Instances, depth: Array, signal: Array
) -> tuple[dict[tuple[int, int], float], dict[tuple[int, int], float]]:
    """Of each pair of parts that touch: half the width of the neck, and the median of the signal there."""
    pairs, widths, levels = [], [], []
    for axis in (0, 1):
        one = tuple(slice(None, -1) if a == axis else slice(None) for a in (0, 1))
        other = tuple(slice(1, None) if a == axis else slice(None) for a in (0, 1))
        touch = (instances[one] != instances[other]) & (instances[one] > 0) & (instances[other] > 0)
        pairs.append(np.sort(np.stack([instances[one][touch], instances[other][touch]], axis=1), axis=1))
        widths.append(np.maximum(depth[one][touch], depth[other][touch]))
        levels.append(0.5 * (signal[one][touch] + signal[other][touch]))
    pair, width, level = np.concatenate(pairs), np.concatenate(widths), np.concatenate(levels)
    neck: dict[tuple[int, int], float] = {}
    dip: dict[tuple[int, int], float] = {}
    if len(pair):
        unique, where = np.unique(pair, axis=0, return_inverse=True)
        number = np.arange(len(unique))
        widest, typical = ndimage.maximum(width, where.ravel(), number), ndimage.median(level, where.ravel(), number)
        for (a, b), w, s in zip(unique, widest, typical, strict=True):
            neck[int(a), int(b)] = float(w)
            dip[int(a), int(b)] = float(s)
    return neck, dip
