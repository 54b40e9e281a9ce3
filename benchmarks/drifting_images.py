"""Simulated images of one material under a microscope whose conditions drift: training in the frame, five tests.

Dose, probe and scale drift together, in four growing steps away from the narrow ranges of the training. Two kinds of
columns, of which the dim one is easily taken for the bright one where either varies.
"""

from dataclasses import dataclass
from typing import Any

from adatom.models import Recipe
from adatom.simulate import SimulatedImage, simulate_image

NOTHING = [0.0, 0.0]
N_IMAGES = 32
_FAR = 2**42  # numbers of images that no training uses

_RECIPE: dict[str, Any] = {
    "name": "drift",
    "description": "Honeycombs of two kinds of columns, in narrow conditions.",
    "estimator": "Localizer",
    "material": {
        "kind": "hexagonal_two_atoms",
        "lattice_constant_nm": 1.2,
        "height_b": [0.5, 0.6],
        "height_spread": [0.05, 0.15],
        "displacement_nm": [0.0, 0.02],
    },
    "defects": {
        "vacancy": [0.0, 0.1],
        "vacancy_cluster": NOTHING,
        "vacancy_cluster_radius_nm": [0.1, 0.1],
        "substitution": [0.0, 0.2],
        "substitution_height": [1.0, 1.0],
        "island": NOTHING,
        "island_size_nm": [1.0, 1.0],
        "island_height": [1.0, 1.0],
        "island_roughness": NOTHING,
        "adsorbate": NOTHING,
        "adsorbate_height": [1.0, 1.0],
        "adsorbate_radius_nm": [0.1, 0.1],
        "step_probability": 0.0,
        "step_height": [1.0, 1.0],
    },
    "microscope": {
        "pixel_size_nm": 0.1,
        "image_size": 80,
        "scale": [0.97, 1.03],
        "rotation_deg": [0.0, 360.0],
        "strain": [-0.01, 0.01],
        "shear": [-0.01, 0.01],
        "peak_width_nm": [0.15, 0.17],
        "ellipticity": [1.0, 1.05],
        "noise": [0.01, 0.03],
        "noise_correlation_px": NOTHING,
        "counts_per_peak": [30.0, 45.0],
        "dark_level": [0.3, 0.3],
        "row_offset": NOTHING,
        "row_offset_probability": 0.0,
        "row_shift_nm": NOTHING,
        "streaks": NOTHING,
        "tilt": NOTHING,
        "background": [0.0, 0.1],
        "background_size_nm": [2.0, 4.0],
        "border_probability": 0.0,
        "border_px": NOTHING,
    },
    "labels": {"radius_nm": 0.2},
    "network": {"architecture": "folded_unet", "width": 16, "depth": 2},
    "training": {
        "steps": 600,
        "batch_size": 8,
        "learning_rate": 0.005,
        "ema_decay": 0.98,
        "validate_every": 150,
        "validation_images": 24,
        "seed": 1,
    },
}


@dataclass(frozen=True)
class Shift:
    """How far the conditions have drifted: dose, width of the probe and scale, each times a factor."""

    number: int
    dose: float
    probe: float
    scale: float

    def recipe(self) -> Recipe:
        """Of images under these conditions; every range as narrow as in the training."""
        recipe = training_recipe()
        low, high = recipe.microscope.counts_per_peak or (0.0, 0.0)
        changes = {
            "counts_per_peak": (self.dose * low, self.dose * high),
            "peak_width_nm": _times(recipe.microscope.peak_width_nm, self.probe),
            "scale": _times(recipe.microscope.scale, self.scale),
        }
        return recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update=changes)})

    def images(self, *, n: int = N_IMAGES, first: int = 0) -> list[SimulatedImage]:
        """Images number `first` and so on, which no training has seen; the first `N_IMAGES` are for the test."""
        recipe = self.recipe()
        return [simulate_image(recipe, seed=7, index=_FAR + first + k) for k in range(n)]


SHIFTS = (
    Shift(0, 1.0, 1.0, 1.0),
    Shift(1, 0.6, 1.08, 1.06),
    Shift(2, 0.35, 1.16, 1.12),
    Shift(3, 0.2, 1.24, 1.18),
    Shift(4, 0.12, 1.32, 1.24),
)


def training_recipe(**training: Any) -> Recipe:
    """What all models learn from; `training` changes its settings."""
    return Recipe.model_validate({**_RECIPE, "training": {**_RECIPE["training"], **training}})


def _times(limits: tuple[float, float], factor: float) -> tuple[float, float]:
    return limits[0] * factor, limits[1] * factor
