"""Known atoms to images: materials, defects, probes, noise and scan errors, each with the truth beside it."""

from adatom.simulate.generator import SimulatedImage, simulate_image
from adatom.simulate.recipe import ImageRecipe
from adatom.simulate.stream import simulate_images

__all__ = ["ImageRecipe", "SimulatedImage", "simulate_image", "simulate_images"]
