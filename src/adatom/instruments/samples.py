"""What lies under the probe of a twin or of a simulator: asked at any place, it says what is seen there.

Places are in nm, (0, 0) in the middle of the sample. Beyond its edge a sample goes on as it ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
import yaml
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from adatom.data import pixel_size_nm
from adatom.data.spectrum_image import check_spectrum_image, spectral_axis
from adatom.errors import ArgumentError, InstrumentError, MissingFileError, RecipeError, ShapeError, UnitError
from adatom.simulate.generator import simulate_image
from adatom.simulate.loops import domain_polarisation, loop_parameters, loops_of, triangle_sweep
from adatom.simulate.recipe import ImageRecipe

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Offer:
    """What can be measured of a sample.

    Parameters
    ----------
    channels : names of what a scan shows, to their units.
    width_nm, height_nm : of the sample.
    axis, values, units : of the spectra that it usually gives.
    signal : what a spectrum records.
    """

    channels: Mapping[str, str]
    width_nm: float
    height_nm: float
    axis: str
    values: Array
    units: str
    signal: str


class Sample(Protocol):
    """Anything that can be looked at."""

    offer: Offer

    def look(self, channel: str, x_nm: Array, y_nm: Array) -> Array:
        """What a scan shows at places, in the form of `x_nm`."""

    def respond(self, x_nm: float, y_nm: float, values: Array) -> Array:
        """(points,) spectrum at a place along `offer.axis`."""


class _Map:
    """An image with its middle at (0, 0), bilinear between its pixels."""

    def __init__(self, values: Array, pixel_nm: tuple[float, float]) -> None:
        known = np.isfinite(values)
        self.values = np.where(known, values, np.median(values[known]) if known.any() else 0.0)
        self.pixel_nm = pixel_nm

    def pixels(self, x_nm: Any, y_nm: Any) -> tuple[Array, Array]:
        """Row and column, fractions included."""
        rows, columns = self.values.shape
        return np.asarray(y_nm / self.pixel_nm[0] + (rows - 1) / 2), np.asarray(
            x_nm / self.pixel_nm[1] + (columns - 1) / 2
        )

    def at(self, x_nm: Array, y_nm: Array) -> Array:
        return np.asarray(ndimage.map_coordinates(self.values, self.pixels(x_nm, y_nm), order=1, mode="nearest"))


class RecordedSample:
    """A measured spectrum image played back, with images beside it.

    A place answers with the spectrum of the nearest measured one: nothing is made up between them. A sweep with other
    values than the recorded ones is refused, as a loop tells nothing of other sweeps. The spectra's first point is a
    channel too, named after their signal, as is each image.

    Parameters
    ----------
    spectra : (y, x, bias or energy or time), calibrated.
    images : (y, x) channels with names in `signal`, each with its middle on the middle of the spectra.

    Raises
    ------
    ShapeError : if `spectra` is no spectrum image.
    UnitError : if an image has no pixel size.
    ArgumentError : if two channels have one name.
    """

    def __init__(self, spectra: xr.DataArray, images: Sequence[xr.DataArray] = ()) -> None:
        axis = spectral_axis(check_spectrum_image(spectra))
        self._spectra = spectra.transpose("y", "x", axis).to_numpy().astype(float)
        signal = str(spectra.attrs.get("signal") or "Signal")
        first = spectra.isel({axis: 0}, drop=True).assign_attrs(spectra.attrs)
        self._maps: dict[str, _Map] = {}
        units: dict[str, str] = {}
        for image in (first, *images):
            size = pixel_size_nm(image)
            if size is None:
                raise UnitError("images: expected a calibrated image, got one without a pixel size.")
            name = str(image.attrs.get("signal") or f"Channel {len(units)}")
            if name in units or name in ("x", "y"):
                raise ArgumentError(f"images: expected channels of different names, none x or y, got {name!r}.")
            self._maps[name] = _Map(image.transpose("y", "x").to_numpy().astype(float), size)
            units[name] = str(image.attrs.get("units", ""))
        grid = self._maps[signal]
        self._grid = grid
        rows, columns = grid.values.shape
        self.offer = Offer(
            units,
            columns * grid.pixel_nm[1],
            rows * grid.pixel_nm[0],
            axis,
            spectra[axis].to_numpy().astype(float),
            str(spectra.attrs.get("units", "")),
            signal,
        )

    def look(self, channel: str, x_nm: Array, y_nm: Array) -> Array:
        return self._maps[channel].at(x_nm, y_nm)

    def respond(self, x_nm: float, y_nm: float, values: Array) -> Array:
        recorded = self.offer.values
        if values.shape != recorded.shape or not np.allclose(values, recorded, rtol=0, atol=1e-3 * np.ptp(recorded)):
            raise InstrumentError(
                f"values: expected the {recorded.size} recorded ones from {recorded[0]:g} to {recorded[-1]:g}, got "
                "others. Take those that describe() gives."
            )
        row, column = self._grid.pixels(x_nm, y_nm)
        rows, columns = self._grid.values.shape
        place = int(np.clip(np.rint(row), 0, rows - 1)), int(np.clip(np.rint(column), 0, columns - 1))
        return self._spectra[place].copy()


class LoopSample:
    """A simulated ferroelectric with domains, whose loops follow from the polarisation; any sweep is answered."""

    def __init__(self, *, size_px: int = 64, pixel_nm: float = 20.0, bias_V: float = 8.0, seed: int = 0) -> None:
        polarisation = domain_polarisation(size_px, np.random.default_rng([seed, 0]))
        size = (pixel_nm, pixel_nm)
        self._map = _Map(polarisation, size)
        parameters = loop_parameters(polarisation, bias_v=bias_V, reach_px=1.5)
        self._parameters = {name: _Map(values, size) for name, values in parameters.items()}
        edge = size_px * pixel_nm
        sweep = triangle_sweep(64, bias_V)
        self.offer = Offer({"Polarisation": ""}, edge, edge, "bias", sweep, "", "Piezoresponse")

    def look(self, channel: str, x_nm: Array, y_nm: Array) -> Array:
        return self._map.at(x_nm, y_nm)

    def respond(self, x_nm: float, y_nm: float, values: Array) -> Array:
        here = np.array([[x_nm]]), np.array([[y_nm]])
        parameters = {name: each.at(*here) for name, each in self._parameters.items()}
        return np.asarray(loops_of(values, parameters)[0, 0])


class AtomSample:
    """A simulated image of atoms; a spectrum on an atom has a peak that tells its species.

    The peak of species number k lies at ``peaks[k]`` of the axis, and fades with the distance from the atom.

    Parameters
    ----------
    recipe : of the image.
    index : number of the image in the stream of `seed`.

    Raises
    ------
    ShapeError : if the recipe draws regions, which have no atoms.
    """

    _PEAK_WIDTH_V = 0.12
    _REACH_NM = 0.15

    def __init__(self, recipe: ImageRecipe, *, seed: int = 0, index: int = 0) -> None:
        drawn = simulate_image(recipe, seed=seed, index=index)
        if not drawn.x.size:
            raise ShapeError("recipe: expected one that draws atoms, got an image without any.")
        pixel_nm = recipe.microscope.pixel_size_nm
        self._map = _Map(drawn.image.astype(float), (pixel_nm, pixel_nm))
        rows, columns = drawn.image.shape
        self.x_nm = (drawn.x - (columns - 1) / 2) * pixel_nm
        self.y_nm = (drawn.y - (rows - 1) / 2) * pixel_nm
        self.species = drawn.species
        self._tree = cKDTree(np.stack([self.x_nm, self.y_nm], axis=1))
        sweep = np.linspace(-1.5, 1.5, 61)
        self.peaks = np.linspace(-1.0, 1.0, int(drawn.species.max()) + 2)[: int(drawn.species.max()) + 1]
        self.offer = Offer(
            {"Z": "atom heights"}, columns * pixel_nm, rows * pixel_nm, "bias", sweep, "", "Differential conductance"
        )

    def look(self, channel: str, x_nm: Array, y_nm: Array) -> Array:
        return self._map.at(x_nm, y_nm)

    def respond(self, x_nm: float, y_nm: float, values: Array) -> Array:
        distance, nearest = self._tree.query([x_nm, y_nm])
        height = np.exp(-0.5 * (distance / self._REACH_NM) ** 2)
        peak = self.peaks[self.species[nearest]]
        background = 0.2 + 0.3 * values**2
        return np.asarray(background + height * np.exp(-0.5 * ((values - peak) / self._PEAK_WIDTH_V) ** 2))


def recorded_sample(spectra: str | Path, images: Sequence[str | Path] = ()) -> RecordedSample:
    """A sample from files: the first spectrum image in one, and all image channels of others.

    Raises
    ------
    MissingFileError, FileFormatError : as `adatom.read`.
    ArgumentError : if the first file holds no spectrum image.
    """
    from adatom.files import info, read

    channels = []
    for path in images:
        for each in info(path)["contents"]:
            if each["dims"] == ["y", "x"]:
                channels.append(read(path, channel=each["name"]))
    for each in info(spectra)["contents"]:
        if each["spectral_axis"] is not None:
            return RecordedSample(read(spectra, channel=each["name"]), channels)
    raise ArgumentError(f"data: expected a file with a spectrum image, got {Path(spectra).name} without one.")


def atom_sample(recipe: str | Path, *, seed: int, index: int = 0) -> AtomSample:
    """A sample from a recipe file, of which only the parts that draw an image count.

    Raises
    ------
    MissingFileError : if there is no such file.
    RecipeError : if it is no recipe.
    """
    path = Path(recipe)
    if not path.is_file():
        raise MissingFileError(f"recipe: expected a file, got {path}, which is none.")
    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8"))
        drawn = ImageRecipe.model_validate({name: facts[name] for name in ImageRecipe.model_fields if name in facts})
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path.name}: {error}") from error
    return AtomSample(drawn, seed=seed, index=index)
