"""Hysteresis loops of known dependence on a pattern of domains: the truth by which predictors of spectra are judged.

At each pixel the loop follows from the polarisation around it: its height and offset from the local polarisation, its
width from the distance to the next domain wall, its shift (imprint) from the gradient across the wall. On top comes a
variation that no image shows, of a share that is chosen: what is left of the variance is what a perfect predictor
reaches, its ceiling.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from adatom.data import make_image
from adatom.errors import ArgumentError, ShapeError
from adatom.simulate.fields import random_field

Array = NDArray[np.float64]

_STEEPNESS_V = 1.0  # bias over which a branch switches


@dataclass(frozen=True)
class SimulatedLoops:
    """A simulated scan.

    Parameters
    ----------
    image : (y, x), what a microscope shows of the structure: the polarisation, with noise.
    spectra : (y, x, bias), loops as measured.
    from_structure : (y, x, bias), the part of the loops that the structure determines.
    ceiling : R^2 that this part reaches of the measured spectra.
    parameters : (y, x) maps of what the loops were made of: ``coercive_v``, ``imprint_v``, ``height``, ``offset``.
    """

    image: xr.DataArray
    spectra: xr.DataArray
    from_structure: xr.DataArray
    ceiling: float
    parameters: dict[str, Array]


def domain_polarisation(size: int, rng: Generator, *, width_px: float = 6.0) -> Array:
    """Polarisation (y, x) between -1 and 1: up and down domains of random shape, with walls some pixels wide."""
    field = random_field(size, width_px, rng)
    return np.asarray(np.tanh(2.5 * field))


def simulate_loops(
    polarisation: Array,
    rng: Generator,
    *,
    determined: float = 0.95,
    n_points: int = 64,
    bias_v: float = 8.0,
    reach_px: float = 1.5,
    image_noise: float = 0.02,
    pixel_size: float | None = None,
) -> SimulatedLoops:
    """Make loops for a map of the polarisation.

    Parameters
    ----------
    polarisation : (y, x), mostly between -1 and 1.
    determined : share of the variance of the loops that follows from the polarisation; the rest is drawn for each pixel
        anew, as changes of the same parameters and as noise, half each; above 0, at most 1.
    n_points : of a loop.
    bias_v : highest bias [V].
    reach_px : how far around a pixel its loop feels the polarisation: standard deviation of a Gaussian [px].
    image_noise : standard deviation of the noise in the image.
    pixel_size : [nm].

    Raises
    ------
    ShapeError : if `polarisation` has not two dimensions of at least 4 pixels.
    ArgumentError : if `determined` is not a share.
    """
    structure = np.asarray(polarisation, dtype=float)
    if structure.ndim != 2 or min(structure.shape) < 4:
        raise ShapeError(f"polarisation: expected (y, x) of at least 4 pixels, got shape {structure.shape}.")
    if not 0 < determined <= 1:
        raise ArgumentError(f"determined: expected a share above 0 and up to 1, got {determined!r}.")
    bias = triangle_sweep(n_points, bias_v)
    parameters = loop_parameters(structure, bias_v=bias_v, reach_px=reach_px)
    told = loops_of(bias, parameters)
    spread = float(np.var(told, axis=(0, 1)).mean())
    hidden = spread * (1 - determined) / determined
    changes = {name: rng.standard_normal(structure.shape) for name in ("height", "offset")}
    direction = loops_of(bias, {name: values + 0.1 * changes.get(name, 0.0) for name, values in parameters.items()})
    varied = direction - told
    # a half of what is hidden looks like loops, so that no smoothing along a spectrum takes it away
    power = float(np.mean(varied**2))
    varied *= np.sqrt(0.5 * hidden / power) if power > 0 else 0.0
    noise = rng.standard_normal(told.shape) * np.sqrt(0.5 * hidden)
    measured = told + varied + noise
    rest = float(np.mean((measured - told) ** 2))
    coordinates = {"bias": (bias, "V")}
    dims = ("y", "x", "bias")
    seen = structure + image_noise * rng.standard_normal(structure.shape)
    return SimulatedLoops(
        make_image(seen, pixel_size=pixel_size, signal="Polarisation"),
        make_image(measured, pixel_size=pixel_size, dims=dims, coordinates=coordinates, signal="Loops"),
        make_image(told, pixel_size=pixel_size, dims=dims, coordinates=coordinates, signal="Loops"),
        1 - rest / float(np.var(measured, axis=(0, 1)).mean()),
        parameters,
    )


def triangle_sweep(n_points: int, bias_v: float) -> Array:
    """Bias of a cycle: from zero up, down, and back to zero, in equal steps."""
    phase = np.arange(n_points) / n_points
    return bias_v * np.asarray(np.interp(phase, [0, 0.25, 0.75, 1], [0, 1, -1, 0]))


def loop_parameters(polarisation: Array, *, bias_v: float, reach_px: float) -> dict[str, Array]:
    """Maps (y, x) of what loops are made of.

    Coercive bias: lower near a wall, where switching starts from what is switched already. Imprint: towards the
    polarisation around. Height: lower near a wall. Offset: with the local polarisation.
    """
    local = ndimage.gaussian_filter(polarisation, reach_px, mode="reflect")
    from_wall = 1 - np.exp(-(local**2) / 0.2)  # 0 on a wall, 1 inside a domain
    steepness = np.hypot(*np.gradient(local))
    return {
        "coercive_v": bias_v * (0.15 + 0.3 * from_wall),
        "imprint_v": bias_v * 0.15 * local,
        "height": 0.4 + 0.6 * from_wall,
        "offset": 0.3 * local - 0.5 * steepness,
    }


def loops_of(bias: Array, parameters: dict[str, Array]) -> Array:
    """Loops (y, x, point): on each branch a smooth step at its coercive bias, shifted by the imprint."""
    rises = np.roll(bias, -1) > np.roll(bias, 1)
    sign = np.where(rises, 1.0, -1.0)  # rising bias switches at positive bias
    maps = {name: values[:, :, None] for name, values in parameters.items()}
    place = maps["imprint_v"] + sign * maps["coercive_v"]
    return np.asarray(maps["offset"] + maps["height"] * np.tanh((bias - place) / _STEEPNESS_V))
