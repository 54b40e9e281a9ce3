"""`ImageToSpectrum`: the spectrum that a place of an image would give, from the structure around it."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data import pixel_size_nm
from adatom.data.image import make_image
from adatom.errors import ShapeError, UnitError
from adatom.models.pair_model import Opinion, PairModel
from adatom.prepare.spectrum_pairs import check_channels, cut_patches
from adatom.train import Record

Array = NDArray[np.float64]


class ImageToSpectrum(PairModel):
    """Spectra from image patches, with error bars.

    Parameters: see `adatom.models.pair_model.PairModel`.

    Attributes
    ----------
    net_ : the networks.
    student_ : the small network that predicts in their place, or None.
    blend_ : weight of the networks (``network``), of ridge regression and of trees in the prediction.
    figures_ : R^2 on blocks that were left out, of each of them (``val_r2_...``) and of the blend.
    axis_ : of the spectra.
    history_ : records of the trainings.
    """

    _forwards = True

    def fit(
        self,
        image: xr.DataArray | Sequence[xr.DataArray],
        spectra: xr.DataArray | Sequence[xr.DataArray],
        *,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train from scratch.

        Parameters
        ----------
        image : (y, x), or several channels.
        spectra : (y, x, energy | bias | time), or several of one axis, of the same place.
        on_record : called after each step, see `adatom.train.train`, with the number of the ``member``.
        """
        return self.fit_pairs(self.pair(image, spectra), on_record=on_record)

    def predict_patches(self, patches: Array, *, opinion: Opinion = "blend") -> tuple[Array, Array]:
        """Spectra (n, spectrum, point) of patches (n, channel, y, x), and their standard deviations; of the blend, by
        its student where there is one; with ``opinion="whole"`` by all of it, with ``"network"`` of the networks alone.
        """
        self._check_fitted("predict")
        arguments = self.architecture_["arguments"]
        expected = (arguments["channels"], *self.patch_px_)
        if np.shape(patches)[1:] != expected:
            raise ShapeError(f"patches: expected (n, {', '.join(map(str, expected))}), got {np.shape(patches)}.")
        scaled, std = self._say(self.patch_scale_.scaled(np.asarray(patches, dtype=float)), opinion)
        return self.spectrum_scale_.back(scaled), self.spectrum_scale_.std_back(std)

    def predict(self, image: xr.DataArray | Sequence[xr.DataArray]) -> xr.Dataset:
        """The spectrum at each pixel of an image.

        Returns
        -------
        ``spectrum`` and ``spectrum_std``: (y, x, energy | bias | time), of several spectra (spectrum, y, x, ...); NaN
        where a patch reaches over the border and the model leaves those out, or was not measured.

        Raises
        ------
        ShapeError : if the number of channels is not the model's.
        UnitError : if pixels are not as large as those of the training.
        """
        self._check_fitted("predict")
        channels, patches, where = self._patches(image)
        mean, std = self.predict_patches(patches)
        maps = {"spectrum": _on_image(mean, where), "spectrum_std": _on_image(std, where)}
        return xr.Dataset({name: self._as_image(values, channels[0]) for name, values in maps.items()})

    def transform(self, image: xr.DataArray | Sequence[xr.DataArray]) -> xr.DataArray:
        """Latent numbers (y, x, latent) at each pixel of an image, by the first network; NaN as in `predict`."""
        self._check_fitted("transform")
        channels, patches, where = self._patches(image)
        codes = self._codes(self.patch_scale_.scaled(patches))
        coords: dict[str, Any] = {dim: channels[0][dim] for dim in ("y", "x")}
        return xr.DataArray(_on_image(codes, where), dims=("y", "x", "latent"), coords=coords, name="latent")

    def decode(self, codes: Array) -> Array:
        """Spectra (n, spectrum, point) of latent numbers (n, latent), by the first network."""
        self._check_fitted("decode")
        return self.spectrum_scale_.back(self._decoded(np.asarray(codes, dtype=float)))

    def _wanted_back(self, scaled: Array) -> Array:
        return self.spectrum_scale_.back(scaled)

    def _wanted_std_back(self, scaled: Array, std: Array) -> Array:
        return self.spectrum_scale_.std_back(std)

    @property
    def _shape_out(self) -> tuple[int, ...]:
        arguments = self.architecture_["arguments"]
        return arguments["spectra"], arguments["length"]

    def _patches(self, image: xr.DataArray | Sequence[xr.DataArray]) -> tuple[list[xr.DataArray], Array, Any]:
        """Channels, whole patches (n, channel, y, x), and the pixels (y, x) that have one."""
        channels = check_channels(image)
        n_channels = self.architecture_["arguments"]["channels"]
        if len(channels) != n_channels:
            raise ShapeError(f"image: expected {n_channels} channels, as in the training, got {len(channels)}.")
        check_pixels(channels[0], self.pixel_nm_)
        shape = channels[0].shape
        rows, columns = (each.ravel() for each in np.indices(shape))
        patches, has_patch = cut_patches(channels, rows, columns, self.patch_px_, border=self.border)
        is_whole = np.isfinite(patches).all(axis=(1, 2, 3))
        where = has_patch.copy()
        where[has_patch] = is_whole
        return channels, patches[is_whole], where.reshape(shape)

    def _as_image(self, values: Array, image: xr.DataArray) -> xr.DataArray:
        """(y, x, spectrum, point) to an image, or a stack of them by spectrum."""
        axis = self.axis_
        each = [
            make_image(
                values[:, :, number], dims=("y", "x", axis.name), coordinates={axis.name: (axis.values, axis.units)}
            ).assign_coords(y=image["y"], x=image["x"])
            for number in range(values.shape[2])
        ]
        return each[0] if len(each) == 1 else xr.concat(each, dim="spectrum")


def _on_image(values: Array, where: NDArray[np.bool_]) -> Array:
    result = np.full((*where.shape, *values.shape[1:]), np.nan)
    result[where] = values
    return result


def check_pixels(image: xr.DataArray, trained: tuple[float, float] | None) -> None:
    """Raise an error if an image has other pixels than those that a model was trained on.

    Raises
    ------
    UnitError : if they differ by more than 2 %, or one is calibrated and the other is not.
    """
    size = pixel_size_nm(image)
    if (size is None) != (trained is None):
        told = "in pixels" if size is None else "calibrated"
        raise UnitError(f"image: expected axes as in the training, got an image {told}. Give, or drop, the pixel size.")
    if size is not None and trained is not None and not np.allclose(size, trained, rtol=0.02):
        raise UnitError(
            f"image: expected pixels of {trained[1]:.4g} x {trained[0]:.4g} nm, as in the training, got "
            f"{size[1]:.4g} x {size[0]:.4g} nm. Resample the image."
        )
