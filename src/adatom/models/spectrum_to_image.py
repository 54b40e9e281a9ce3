"""`SpectrumToImage`: the structure around a place, from the spectrum measured there."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data.spectrum_image import check_spectrum_image, spectral_axis
from adatom.errors import ShapeError
from adatom.models.pair_model import PairModel
from adatom.train import Record

Array = NDArray[np.float64]


class SpectrumToImage(PairModel):
    """Image patches from spectra, with error bars; the reverse of `ImageToSpectrum`.

    Where many structures give one spectrum, it predicts their mean.

    Parameters, attributes: see `adatom.models.pair_model.PairModel` and `ImageToSpectrum`.
    """

    _forwards = False

    def fit(
        self,
        spectra: xr.DataArray | Sequence[xr.DataArray],
        image: xr.DataArray | Sequence[xr.DataArray],
        *,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train from scratch; arguments as of `ImageToSpectrum.fit`, what is known before what is wanted."""
        return self.fit_pairs(self.pair(image, spectra), on_record=on_record)

    def predict_spectra(self, spectra: Array) -> tuple[Array, Array]:
        """Patches (n, channel, y, x) of spectra (n, spectrum, point), and their standard deviations."""
        self._check_fitted("predict")
        arguments = self.architecture_["arguments"]
        expected = (arguments["spectra"], arguments["length"])
        if np.shape(spectra)[1:] != expected:
            raise ShapeError(f"spectra: expected (n, {expected[0]}, {expected[1]}), got {np.shape(spectra)}.")
        scaled, std = self._say(self.spectrum_scale_.scaled(np.asarray(spectra, dtype=float)))
        return self._wanted_back(scaled), self._wanted_std_back(scaled, std)

    def predict(self, spectra: xr.DataArray | Sequence[xr.DataArray]) -> xr.Dataset:
        """The patch around each place of a spectrum image.

        Returns
        -------
        ``patch`` and ``patch_std``: (y, x, channel, patch_y, patch_x), the last two in pixels about the middle; NaN
        where a spectrum was not measured.

        Raises
        ------
        ShapeError : if the spectra are not those of the training: their number, or their axis.
        """
        self._check_fitted("predict")
        first, values, where = self._values(spectra)
        mean, std = self.predict_spectra(values)
        dims = ("y", "x", "channel", "patch_y", "patch_x")
        coords: dict[str, Any] = {dim: first[dim] for dim in ("y", "x")}
        for dim, side in zip(("patch_y", "patch_x"), self.patch_px_, strict=True):
            coords[dim] = (dim, np.arange(side) - side // 2, {"units": "px"})
        maps = {}
        for name, each in (("patch", mean), ("patch_std", std)):
            on_grid = np.full((*where.shape, *each.shape[1:]), np.nan)
            on_grid[where] = each
            maps[name] = (dims, on_grid)
        return xr.Dataset(maps, coords=coords)

    def transform(self, spectra: xr.DataArray | Sequence[xr.DataArray]) -> xr.DataArray:
        """Latent numbers (y, x, latent) of each spectrum, by the first network; NaN as in `predict`."""
        self._check_fitted("transform")
        first, values, where = self._values(spectra)
        codes = np.full((*where.shape, self.latent_), np.nan)
        codes[where] = self._codes(self.spectrum_scale_.scaled(values))
        coords: dict[str, Any] = {dim: first[dim] for dim in ("y", "x")}
        return xr.DataArray(codes, dims=("y", "x", "latent"), coords=coords, name="latent")

    def decode(self, codes: Array) -> Array:
        """Patches (n, channel, y, x) of latent numbers (n, latent), by the first network."""
        self._check_fitted("decode")
        return self.patch_scale_.back(self._decoded(np.asarray(codes, dtype=float)))

    def _wanted_back(self, scaled: Array) -> Array:
        return self.patch_scale_.back(scaled)

    def _wanted_std_back(self, scaled: Array, std: Array) -> Array:
        return self.patch_scale_.std_back(scaled, std)

    @property
    def _shape_out(self) -> tuple[int, ...]:
        arguments = self.architecture_["arguments"]
        return arguments["channels"], *self.patch_px_

    def _values(self, spectra: xr.DataArray | Sequence[xr.DataArray]) -> tuple[xr.DataArray, Array, NDArray[np.bool_]]:
        """A spectrum image, measured spectra (n, spectrum, point), and where (y, x) they are."""
        every = [spectra] if isinstance(spectra, xr.DataArray) else list(spectra)
        n = self.architecture_["arguments"]["spectra"]
        if len(every) != n:
            raise ShapeError(f"spectra: expected {n} spectrum images, as in the training, got {len(every)}.")
        for each in every:
            axis = spectral_axis(check_spectrum_image(each))
            places = each[axis].to_numpy().astype(float)
            expected = self.axis_.values
            if axis != self.axis_.name or places.shape != expected.shape or not np.allclose(places, expected):
                raise ShapeError(
                    f"spectra: expected the {self.axis_.name} axis of the training ({len(expected)} points), got a "
                    f"different {axis} axis ({len(places)} points). Interpolate the spectra."
                )
        values = np.stack([each.transpose("y", "x", axis).to_numpy().astype(float) for each in every], axis=2)
        where = np.isfinite(values).all(axis=(2, 3))
        return every[0], values[where], where
