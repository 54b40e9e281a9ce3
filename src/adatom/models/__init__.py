"""Estimators: what a user holds in the hand. ``fit``, ``predict``, ``save``, and ``adatom.load``."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Loaded when first asked for: listing the models that ship, or reading a recipe, needs no torch.
_MEMBERS = {
    "Classifier": "adatom.models.classifier",
    "DeepKernelRegressor": "adatom.models.deep_kernel_regressor",
    "Denoiser": "adatom.models.denoiser",
    "Ensemble": "adatom.models.ensemble",
    "GaussianProcessRegressor": "adatom.models.gaussian_process_regressor",
    "ImageToSpectrum": "adatom.models.image_to_spectrum",
    "Localizer": "adatom.models.localizer",
    "Recipe": "adatom.models.recipe",
    "Regressor": "adatom.models.regressor",
    "Segmenter": "adatom.models.segmenter",
    "SpectrumToImage": "adatom.models.spectrum_to_image",
    "VariationalAutoencoder": "adatom.models.variational_autoencoder",
    "load": "adatom.models.catalogue",
    "load_recipe": "adatom.models.recipe",
    "shipped_models": "adatom.models.catalogue",
}
__all__ = [
    "Classifier",
    "DeepKernelRegressor",
    "Denoiser",
    "Ensemble",
    "GaussianProcessRegressor",
    "ImageToSpectrum",
    "Localizer",
    "Recipe",
    "Regressor",
    "Segmenter",
    "SpectrumToImage",
    "VariationalAutoencoder",
    "load",
    "load_recipe",
    "shipped_models",
]

if TYPE_CHECKING:
    from adatom.models.catalogue import load, shipped_models
    from adatom.models.classifier import Classifier
    from adatom.models.deep_kernel_regressor import DeepKernelRegressor
    from adatom.models.denoiser import Denoiser
    from adatom.models.ensemble import Ensemble
    from adatom.models.gaussian_process_regressor import GaussianProcessRegressor
    from adatom.models.image_to_spectrum import ImageToSpectrum
    from adatom.models.localizer import Localizer
    from adatom.models.recipe import Recipe, load_recipe
    from adatom.models.regressor import Regressor
    from adatom.models.segmenter import Segmenter
    from adatom.models.spectrum_to_image import SpectrumToImage
    from adatom.models.variational_autoencoder import VariationalAutoencoder


def __getattr__(name: str) -> Any:
    if name not in _MEMBERS:
        raise AttributeError(f"module 'adatom.models' has no attribute {name!r}")
    return getattr(import_module(_MEMBERS[name]), name)
