"""Adatom: microscope images into atoms, and atoms into physics.

>>> import adatom as ad
>>> image = ad.read("scan.sxm", channel="Z")  # xarray.DataArray
>>> atoms = ad.find(image)  # pandas.DataFrame
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Loaded when first asked for: `import adatom` pulls in neither torch nor matplotlib.
_ROOMS = {
    "read": "adatom.files",
    "make_image": "adatom.data",
    "adapt_to_images": "adatom.adapter",
    "analyse_atoms": "adatom.analyser",
    "explore_atoms": "adatom.explorer",
    "denoise": "adatom.noise_remover",
    "find": "adatom.finder",
    "find_particles": "adatom.particle_finder",
    "load": "adatom.models",
    "match": "adatom.matching",
    "Classifier": "adatom.models",
    "DeepKernelRegressor": "adatom.models",
    "Denoiser": "adatom.models",
    "Ensemble": "adatom.models",
    "GaussianProcessRegressor": "adatom.models",
    "ImageToSpectrum": "adatom.models",
    "Localizer": "adatom.models",
    "Regressor": "adatom.models",
    "Segmenter": "adatom.models",
    "SpectrumToImage": "adatom.models",
    "VariationalAutoencoder": "adatom.models",
}
__all__ = [
    "Classifier",
    "DeepKernelRegressor",
    "Denoiser",
    "Ensemble",
    "GaussianProcessRegressor",
    "ImageToSpectrum",
    "Localizer",
    "Regressor",
    "Segmenter",
    "SpectrumToImage",
    "VariationalAutoencoder",
    "__version__",
    "adapt_to_images",
    "analyse_atoms",
    "denoise",
    "explore_atoms",
    "find",
    "find_particles",
    "load",
    "make_image",
    "match",
    "read",
]

if TYPE_CHECKING:
    from adatom.adapter import adapt_to_images
    from adatom.analyser import analyse_atoms
    from adatom.data import make_image
    from adatom.explorer import explore_atoms
    from adatom.files import read
    from adatom.finder import find
    from adatom.matching import match
    from adatom.models import (
        Classifier,
        DeepKernelRegressor,
        Denoiser,
        Ensemble,
        GaussianProcessRegressor,
        ImageToSpectrum,
        Localizer,
        Regressor,
        Segmenter,
        SpectrumToImage,
        VariationalAutoencoder,
        load,
    )
    from adatom.noise_remover import denoise
    from adatom.particle_finder import find_particles


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'adatom' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
