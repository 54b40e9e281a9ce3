"""Images of any atoms with nothing wrong with them, to which a test adds the one thing that it is about."""

from collections.abc import Callable
from typing import Any

import pytest

from adatom.simulate import ImageRecipe

Recipes = Callable[..., ImageRecipe]


@pytest.fixture(scope="session")
def any_atoms(tiny_recipe: ImageRecipe) -> Recipes:
    """A recipe of arrangements with the named values: clean, 96 x 96 px of 0.1 nm, atoms 8 px apart and 2 px wide."""
    plain = tiny_recipe.model_dump()
    plain["material"] = {
        "kind": "any_atoms",
        "arrangements": {"honeycomb": 1.0},
        "spacing_nm": [0.8, 0.8],
        "peak_width": [0.25, 0.25],
        "height_spread": [0.0, 0.0],
        "displacement_nm": [0.0, 0.0],
        "grains_probability": 0.0,
        "drift": [0.0, 0.0],
    }
    plain["defects"] |= {"vacancy": [0.0, 0.0], "substitution": [0.0, 0.0]}
    plain["microscope"] |= {
        "image_size": 96,
        "scale": [1.0, 1.0],
        "peak_width_nm": [0.05, 2.0],
        "noise": [0.0, 0.0],
        "scale_from": "atoms",
    }

    def recipe(**values: Any) -> ImageRecipe:
        content = {name: dict(part) if isinstance(part, dict) else part for name, part in plain.items()}
        for key, value in values.items():
            parts = ["material"] if key in content["material"] else ["defects", "microscope", "labels"]
            next(content[part] for part in parts if key in content[part])[key] = value
        return type(tiny_recipe).model_validate(content)

    return recipe
