"""Novelty: what looks least like anything that was measured."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from adatom.decide.acquisition import Situation
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class Novelty:
    """Distance of an input to the nearest one measured, each number in units of its spread (no model needed; the idea:
    Lehman & Stanley, 2011, 10.1162/EVCO_a_00025)."""

    needs_model: bool = False

    def __call__(self, situation: Situation) -> Array:
        """(n,)."""
        flat = np.asarray(situation.inputs, dtype=float).reshape(len(situation.places), -1)
        spread = flat.std(axis=0)
        flat = (flat - flat.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        if not len(situation.measured):
            return -np.linalg.norm(flat, axis=1)  # the most usual one first
        distance, _ = cKDTree(flat[situation.measured]).query(flat)
        result: Array = distance
        return result
