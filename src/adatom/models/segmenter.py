"""The segmenter: for each pixel, the probability that an atom of each species is there."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from adatom.locate import Peaks, find_peaks
from adatom.models.batches import Sample, SimulatedSamples, StoredSamples, stack_labels
from adatom.models.image_model import Array, ImageModel, exactly
from adatom.models.maps import Factor, Maps
from adatom.models.support import support

# Limits of the probability that are tried on the validation images.
_LIMITS = (0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2)


class Segmenter(ImageModel):
    """Semantic segmentation of atoms by a U-Net, trained on images with known atoms.

    Parameters and attributes: see `adatom.models.image_model.ImageModel`. Each known atom is a disc in a class map,
    which the network learns; atoms are the maxima of its probability maps. Images without atoms whose class maps show
    regions, as domains are, it learns as such.
    """

    _stack = staticmethod(stack_labels)
    _knows_regions = True

    def predict(self, image: xr.DataArray, *, factor: Factor | None = None) -> xr.DataArray:
        """Probability maps of an image, see `predict_maps`."""
        return self.predict_maps(image, factor=factor)

    def support(self, maps: Maps) -> float:
        return support(maps.values)

    @property
    def min_probability(self) -> float:
        """The limit that gave the best F1 on the validation images; one half for models of before."""
        return float(self.figures_.get("min_probability", 0.5)) if hasattr(self, "figures_") else 0.5

    def _n_channels(self) -> int:
        return len(self.classes_) + 1

    def _conclude(self, source: SimulatedSamples | StoredSamples, validation: list[Sample]) -> None:
        """Choose the probability below which claims are best left out, and note the figures with it."""
        if self.is_of_regions:
            return
        maps = [self._see(exactly(self.net_), sample.image) for sample in validation]
        scores = {limit: self._score_maps(maps, validation, limit) for limit in _LIMITS}
        best = max(scores, key=lambda limit: scores[limit]["val_f1"])
        self.figures_ |= {"min_probability": best, **scores[best]}

    def _find(self, maps: Maps, min_probability: float, min_distance_px: float) -> Peaks:
        found = find_peaks(
            maps.values,
            radius_px=self.scale_["label_radius_px"],
            min_distance_px=min_distance_px,
            min_probability=min_probability,
        )
        # of single positions it knows no more than how far off they were in validation
        std = np.full(len(found.x), getattr(self, "figures_", {}).get("val_position_rms_px", np.nan) / np.sqrt(2))
        return replace(found, x_std=std, y_std=std)

    def _class_maps(self, maps: Maps) -> Array:
        return maps.values

    def _nothing(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.stack([np.full(shape, float(k == 0)) for k in range(len(self.classes_) + 1)])

    def _values(self, raw: torch.Tensor) -> NDArray[Any]:
        probability: Array = raw.softmax(dim=1).double().numpy()
        return probability
