"""A whole recipe for a crystal structure about which nothing else is known: wide ranges, to be narrowed by hand."""

from pathlib import Path
from typing import Any

from adatom.models.recipe import Recipe
from adatom.simulate.structure_recipe import Cell, Structure
from adatom.simulate.structures import is_known_structure, is_structure_file

# A pixel is this share of the shortest distance of two columns.
_PIXEL = 1 / 7


def is_structure(source: str | Path) -> bool:
    """Whether a recipe can be made for this: a name in the catalogue of structures, or a structure's file."""
    return is_structure_file(str(source)) or is_known_structure(str(source))


def starting_recipe(source: str | Path, zone_axis: tuple[int, int, int] | None = None) -> Recipe:
    """A recipe for a structure of the catalogue, or one in a CIF, POSCAR or extended-XYZ file.

    Notes
    -----
    All lengths follow from the shortest distance of two columns; noise, dose, background and scan errors span what
    STEM and STM images usually have. What is known of an experiment narrows them (`adatom.simulate.match`).
    """
    structure: str | Cell = Cell.read(Path(source)) if is_structure_file(str(source)) else str(source)
    return recipe_of(Structure(kind="structure", structure=structure, zone_axis=zone_axis), Path(source).stem)


def recipe_of(material: Structure, name: str) -> Recipe:
    """A recipe for a material, with everything else as wide as images usually are."""
    distance = material.shortest_distance_nm

    def nm(*shares: float) -> list[float]:
        return [float(f"{share * distance:.3g}") for share in shares]

    content: dict[str, Any] = {
        "name": "".join(c if c.isalnum() or c in "_.-" else "_" for c in name).lstrip("_.-") or "structure",
        "description": f"{', '.join(material.classes)} columns of {name}.",
        "estimator": "Localizer",
        "material": material.model_dump(),
        "defects": {
            "vacancy": [0.0, 0.03],
            "island": [0.0, 0.2],
            "island_probability": 0.3,
            "island_size_nm": nm(2.0, 6.0),
            "adsorbate": [0.0, 4.0],
            "adsorbate_radius_nm": nm(0.5, 1.5),
        },
        "microscope": {
            "pixel_size_nm": nm(_PIXEL)[0],
            "scale": [0.85, 1.18],
            "strain": [-0.04, 0.04],
            "shear": [-0.03, 0.03],
            "peak_width_nm": nm(0.18, 0.36),
            "ellipticity": [1.0, 1.3],
            "noise": [0.005, 0.3],
            "noise_correlation_px": [0.0, 1.0],
            "counts_per_peak": [4.0, 2000.0],
            "counts_probability": 0.7,
            "dark_level": [0.05, 1.0],
            "row_offset": [0.0, 0.3],
            "row_offset_probability": 0.25,
            "row_shift_nm": nm(0.0, 0.04),
            "tilt": [0.0, 3.0],
            "background": [0.0, 0.8],
            "background_size_nm": nm(2.5, 8.0),
        },
        "labels": {"radius_nm": nm(0.28)[0]},
        "network": {"architecture": "folded_unet", "width": 24, "depth": 3},
        "training": {
            "steps": 4000,
            "learning_rate": 0.003,
            "ema_decay": 0.998,
            "validate_every": 500,
            "validation_images": 48,
            "patience": 100,
            "precision": "float32",
        },
    }
    return Recipe.model_validate(content)
