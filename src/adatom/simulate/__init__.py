"""Known atoms to images: materials, defects, probes, noise and scan errors, each with the truth beside it.

`match`, which narrows a recipe around what an image shows, stands here for the user; as it looks for atoms first, its
code is above the finder, in `adatom.matching`, and is loaded when asked for.
"""

from importlib import import_module
from typing import Any

from adatom.simulate.generator import SimulatedImage, simulate_image
from adatom.simulate.recipe import ImageRecipe
from adatom.simulate.stream import simulate_images

__all__ = ["ImageRecipe", "SimulatedImage", "match", "simulate_image", "simulate_images"]


def __getattr__(name: str) -> Any:
    if name != "match":
        raise AttributeError(f"module 'adatom.simulate' has no attribute {name!r}")
    return import_module("adatom.matching").match
