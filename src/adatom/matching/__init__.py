"""Recipes matched to an experiment: what an image says of the numbers that a recipe draws, and how well that holds."""

from adatom.matching.matching import Match, match

__all__ = ["Match", "match"]
