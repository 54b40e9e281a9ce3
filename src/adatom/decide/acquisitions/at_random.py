"""Anywhere."""

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


class AtRandom:
    """Every candidate alike."""

    needs_model = False
    is_order = True

    def __call__(self, outlook: Outlook) -> Array:
        return outlook.rng.random(len(outlook.numbers))
