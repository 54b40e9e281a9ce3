"""From a specimen to a measured image: probe, islands, steps, background, noise and the errors of scanning."""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage, signal

from adatom.prepare import resample
from adatom.simulate.atoms_in_image import Specimen
from adatom.simulate.expectation import Expectation
from adatom.simulate.fields import log_uniform, random_field
from adatom.simulate.film import draw_film
from adatom.simulate.optics import draw_optics
from adatom.simulate.probe_recipe import ScanErrors
from adatom.simulate.recipe import Defects, ImageRecipe, Microscope
from adatom.simulate.render import render_atoms
from adatom.simulate.scan import move_atoms, shifted_lines

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Exposure:
    """The image of a specimen.

    Attributes
    ----------
    image : (y, x), in units of an atom's height where the grey scale is straight.
    measured : (y, x) bool, False on an unmeasured border.
    flux_per_height : volume of the peak of an atom of height 1 [image unit x px^2].
    clean : (y, x) the same without noise, flicker of the beam and errors of lines, where that was asked for.
    """

    image: Array
    measured: NDArray[np.bool_]
    flux_per_height: float
    clean: Array | None = None


def expose(specimen: Specimen, recipe: ImageRecipe, rng: Generator, *, with_clean: bool = False) -> Exposure:
    """Take the image of a specimen; atoms that an island, a clump or a step hides are taken out of it.

    With `with_clean` also what it would be without noise; the image is the same either way.
    """
    microscope, defects, size = recipe.microscope, recipe.defects, recipe.microscope.image_size
    px_per_nm = specimen.px_per_nm
    optics = None
    if microscope.probe is not None:
        optics = draw_optics(microscope.probe, microscope, px_per_nm, rng)
        if isinstance(microscope.probe, ScanErrors):
            move_atoms(specimen, microscope.probe, size, rng)
    hidden = np.zeros((size, size))  # 0 crystal, 1 hidden
    relief = np.zeros((size, size))
    for draw in (_draw_islands, _draw_adsorbates):
        covered, height = draw(defects, size, px_per_nm, rng)
        hidden = np.maximum(hidden, covered)
        relief += height
    for probability, draw in ((defects.step_probability, _draw_step), (defects.bare_probability, _draw_bare)):
        if probability and rng.random() < probability:
            covered, height = draw(defects, size, px_per_nm, rng)
            hidden = np.maximum(hidden, covered)
            relief += height
    relief += _draw_support(defects, size, px_per_nm, rng)
    specimen.keep(hidden[_pixels(specimen, size)] < 0.5)

    row_shift = rng.uniform(*microscope.row_shift_nm) * px_per_nm * rng.standard_normal(size)
    if optics is not None:
        width = optics.width_px
    else:
        width = specimen.peak_width_px or rng.uniform(*microscope.peak_width_nm) * px_per_nm
    if recipe.film is not None:
        film = draw_film(recipe.film, size, px_per_nm, width, rng)
        relief += film.signal
        specimen.keep(film.holds[_pixels(specimen, size)])
    if optics is not None:
        image, flux_per_height = optics.take(specimen.scattering(), size, row_shift)
    elif specimen.particles is not None:
        image, flux_per_height = (
            shifted_lines(ndimage.gaussian_filter(specimen.particles.height, width), row_shift),
            0.0,
        )
    else:
        image = render_atoms(specimen.scattering(), size, _draw_probe(microscope, width, rng), row_shift)
        flux_per_height = 2 * np.pi * width**2
    if microscope.halo[1]:
        image += rng.uniform(*microscope.halo) * ndimage.gaussian_filter(image, rng.uniform(1.5, 4.0) * width)
    image, relief, background = _sampled(
        microscope, rng, image, relief, _draw_background(microscope, size, px_per_nm, rng)
    )
    expected = clean = image + relief + background
    if optics is not None:
        if with_clean:
            without_chance = cast(Generator, Expectation())
            clean = optics.detect(image, relief, 1.0, (size / len(image)) ** 2, without_chance) + background
        beam = _draw_beam(microscope, len(image), rng) if microscope.beam_flicker[1] else 1.0
        image = optics.detect(image, relief, beam, (size / len(image)) ** 2, rng)
    else:
        image = _count(image, relief, microscope, rng)
    image = image + background
    image += _draw_noise(microscope, len(image), rng)
    if microscope.noise_lag[1] and optics is None:
        image = expected + _lagging(image - expected, rng.uniform(*microscope.noise_lag))
    image += _draw_line_errors(microscope, len(image), rng)
    images = np.stack([image, clean]) if with_clean else image[None]
    images, gain = _distort_contrast(images, microscope, px_per_nm * len(image) / size, rng)
    if len(image) != size:
        images = np.stack([resample(each, (size / len(image),) * 2)[0] for each in images])
    measured = np.ones((size, size), dtype=bool)
    if rng.random() < microscope.border_probability:
        bottom, right = rng.integers(int(microscope.border_px[0]), int(microscope.border_px[1]) + 1, 2)
        measured[size - bottom :, :] = False
        measured[:, size - right :] = False
    return Exposure(images[0], measured, flux_per_height * gain, images[1] if with_clean else None)


def _count(image: Array, relief: Array, microscope: Microscope, rng: Generator) -> Array:
    """Image and relief with the Poisson noise of counts, where they are counted."""
    counts = microscope.counts_per_peak
    if counts is not None and (microscope.counts_probability == 1 or rng.random() < microscope.counts_probability):
        dose = log_uniform(counts, rng)
        base = relief - min(relief.min(), 0.0) + rng.uniform(*microscope.dark_level)
        signal = np.maximum(image, 0.0) + base
        if microscope.beam_flicker[1]:
            signal *= _draw_beam(microscope, len(signal), rng)
        image = rng.poisson(dose * signal) / dose - base
    return image + relief


def _pixels(specimen: Specimen, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(row, column) of the pixel nearest to each atom."""
    row, column = (np.clip(np.round(at), 0, size - 1).astype(np.int64) for at in (specimen.y, specimen.x))
    return row, column


def _sampled(microscope: Microscope, rng: Generator, *signals: Array) -> tuple[Array, ...]:
    """Signals on the pixels that they are measured with, where these are coarser than those of the working scale.

    An image is enlarged to the working scale, its noise with it: that is not to be taken for atoms.
    """
    if not microscope.coarse_probability or rng.random() >= microscope.coarse_probability:
        return signals
    factor = 1 / rng.uniform(*microscope.coarseness)
    return tuple(resample(signal, (factor, factor))[0] for signal in signals)


def _draw_probe(microscope: Microscope, width: float, rng: Generator) -> Array:
    """Inverse covariance (2, 2) of an atom's image [px^-2], `width` its mean standard deviation [px]."""
    ratio = rng.uniform(*microscope.ellipticity)
    stated = microscope.ellipticity_deg
    angle = rng.uniform(0, np.pi) if stated is None else np.deg2rad(rng.uniform(*stated))
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return axes.T @ np.diag([1 / (width**2 * ratio), ratio / width**2]) @ axes


def _draw_islands(defects: Defects, size: int, px_per_nm: float, rng: Generator) -> tuple[Array, Array]:
    share = rng.uniform(*defects.island)
    if share <= 0 or (defects.island_probability < 1 and rng.random() >= defects.island_probability):
        return np.zeros((size, size)), np.zeros((size, size))
    correlation = rng.uniform(*defects.island_size_nm) * px_per_nm
    outline = random_field(size, correlation, rng)
    edge = rng.uniform(0.05, 0.4)  # blurred by the tip as islands are higher than atoms
    covered = 1 / (1 + np.exp(-np.clip((outline - np.quantile(outline, 1 - share)) / edge * 4, -30, 30)))
    bumps = random_field(size, max(1.0, rng.uniform(0.15, 0.6) * px_per_nm), rng)
    height = rng.uniform(*defects.island_height) + rng.uniform(*defects.island_roughness) * bumps
    # covered > 0.15 is no longer clean crystal
    return np.clip(covered / 0.3, 0, 1), covered * height


def _draw_adsorbates(defects: Defects, size: int, px_per_nm: float, rng: Generator) -> tuple[Array, Array]:
    covered, relief = np.zeros((size, size)), np.zeros((size, size))
    along = np.arange(size)
    area = (size / px_per_nm) ** 2
    for _ in range(rng.poisson(rng.uniform(*defects.adsorbate) * area / 100)):
        centre = rng.uniform(0, size, 2)
        radius = rng.uniform(*defects.adsorbate_radius_nm) * px_per_nm
        clump = (along[:, None] - centre[0]) ** 2 + (along[None, :] - centre[1]) ** 2
        clump *= -0.5
        clump /= radius**2
        np.exp(clump, out=clump)
        relief += rng.uniform(*defects.adsorbate_height) * clump
        covered = np.maximum(covered, clump)
    return covered, relief


def _draw_step(defects: Defects, size: int, px_per_nm: float, rng: Generator) -> tuple[Array, Array]:
    """A wavy step edge: the terrace rises by the step height, and no atom is resolved along the edge."""
    rows, columns = np.mgrid[:size, :size]
    angle = rng.uniform(0, 2 * np.pi)
    wave = rng.uniform(0, 0.08) * size * random_field(size, size / 5, rng)
    start = rng.uniform(-0.3, 0.3) * size
    distance = (columns - size / 2) * np.cos(angle) + (rows - size / 2) * np.sin(angle) - start + wave
    width = rng.uniform(0.15, 0.5) * px_per_nm
    rise = 1 / (1 + np.exp(-np.clip(distance / width, -30, 30)))
    return np.exp(-0.5 * (distance / (2.0 * width)) ** 2), rng.uniform(*defects.step_height) * rise


def _draw_bare(defects: Defects, size: int, px_per_nm: float, rng: Generator) -> tuple[Array, Array]:
    """The crystal ends: a particle, a flake, a hole. What lies beside it is flat, at a level of its own."""
    outline = random_field(size, rng.uniform(0.15, 0.6) * size, rng)
    share, edge = rng.uniform(0.1, 0.8), rng.uniform(0.01, 0.2)
    bare = 1 / (1 + np.exp(-np.clip((outline - np.quantile(outline, 1 - share)) / edge * 4, -30, 30)))
    return np.clip(bare / 0.6, 0, 1), rng.uniform(*defects.bare_height) * bare


def _draw_support(defects: Defects, size: int, px_per_nm: float, rng: Generator) -> Array:
    """An amorphous support: grains of two sizes, one of them about that of atoms; on half of the images."""
    strength = rng.uniform(*defects.support) if defects.support[1] else 0.0
    if not strength or rng.random() < 0.5:
        return np.zeros((size, size))
    fine, coarse = np.sort([log_uniform(defects.support_size_nm, rng) * px_per_nm for _ in range(2)])
    share = rng.uniform(0, 1)
    grain = share * random_field(size, max(0.5, fine), rng) + (1 - share) * random_field(size, 2 * coarse, rng)
    return strength * grain / np.hypot(share, 1 - share)


def _distort_contrast(images: Array, microscope: Microscope, px_per_nm: float, rng: Generator) -> tuple[Array, float]:
    """What lies between the signal and the file: hum, a changed tip, a crooked or saturated scale of grey.

    The first of the images (n, y, x) sets that scale. Returns the images, and what becomes of a height of 1 on a
    middling ground.
    """
    size, gain = images.shape[1], 1.0
    if microscope.waves_probability and rng.random() < microscope.waves_probability:
        angle, period = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(0.5), np.log(8.0))) * 0.16 * px_per_nm
        along = np.arange(size) * 2 * np.pi / max(period, 2.5)
        phase = along[None, :] * np.cos(angle) + along[:, None] * np.sin(angle) + rng.uniform(0, 2 * np.pi)
        # fine hum must stay below the atoms, or it would look like their rows
        images = images + rng.uniform(*microscope.waves) * min(1.0, period / (0.6 * px_per_nm)) * np.sin(phase)
    if microscope.tip_change_probability and rng.random() < microscope.tip_change_probability:
        row = int(rng.integers(size))
        images = images.copy()
        images[:, row:] = images[:, row:] * rng.uniform(0.5, 1.5) + rng.normal(0, 1.0)
    if microscope.gamma[0] < microscope.gamma[1] and rng.random() < 0.5:
        low, high = np.quantile(images[0], [0.0, 0.999])
        exponent, span = rng.uniform(*microscope.gamma), max(high - low, 1e-9)
        ground = max(float(np.median(images[0])) - low, 0.0) / span
        gain = (ground + 1 / span) ** exponent - ground**exponent
        images = np.clip((images - low) / span, 0, None) ** exponent
    if microscope.saturated_probability and rng.random() < microscope.saturated_probability:
        images = np.minimum(images, np.quantile(images[0], rng.uniform(0.9, 0.995)))
    return images, float(gain)


def _draw_background(microscope: Microscope, size: int, px_per_nm: float, rng: Generator) -> Array:
    ramp = np.linspace(-0.5, 0.5, size)
    tilt = rng.uniform(*microscope.tilt)
    angle = rng.uniform(0, 2 * np.pi)
    plane = tilt * (np.cos(angle) * ramp[None, :] + np.sin(angle) * ramp[:, None])
    smooth = random_field(size, rng.uniform(*microscope.background_size_nm) * px_per_nm, rng)
    return plane + rng.uniform(*microscope.background) * smooth


def _draw_noise(microscope: Microscope, size: int, rng: Generator) -> Array:
    noise = rng.standard_normal((size, size))
    correlation = rng.uniform(*microscope.noise_correlation_px)
    if correlation > 0.3:
        noise = ndimage.gaussian_filter(noise, correlation)
        noise /= noise.std()
    return log_uniform(microscope.noise, rng) * noise


def _lagging(noise: Array, share: float) -> Array:
    """Noise as a slow detector or feedback has it: it forgets the pixel before but for a share."""
    lagging: Array = signal.lfilter([1 - share], [1, -share], noise, axis=1)
    return lagging


def _draw_beam(microscope: Microscope, size: int, rng: Generator) -> Array:
    """Beam current (y, x) about 1: another on each line, and changing along it in about the time of half a line."""
    current = ndimage.gaussian_filter1d(rng.standard_normal((size, size)), size / 2, axis=1, mode="wrap")
    return np.maximum(1 + rng.uniform(*microscope.beam_flicker) * current / current.std(), 0.0)


def _draw_line_errors(microscope: Microscope, size: int, rng: Generator) -> Array:
    errors = np.zeros((size, size))
    if rng.random() < microscope.row_offset_probability:
        errors += rng.uniform(*microscope.row_offset) * rng.standard_normal(size)[:, None]
    for _ in range(rng.poisson(rng.uniform(*microscope.streaks) * size / 100)):
        row, start = rng.integers(size), rng.integers(size)
        errors[row, start : start + rng.integers(2, max(3, size // 3))] += rng.normal(0, 1.5)
    return errors
