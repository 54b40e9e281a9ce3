"""Known atoms to images: materials, defects, probes, noise and scan errors, each with the truth beside it."""

from adatom.simulate.generator import SimulatedImage, simulate_image
from adatom.simulate.recipe import ImageRecipe

__all__ = ["ImageRecipe", "SimulatedImage", "simulate_image"]
