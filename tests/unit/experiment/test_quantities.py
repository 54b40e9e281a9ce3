"""The number wanted of a spectrum."""

import numpy as np
import pytest

from adatom.errors import ArgumentError, RecipeError
from adatom.experiment.plan import Quantity, plan_of
from adatom.experiment.quantities import value_of

ENERGY = np.linspace(0, 4, 81)
PEAK = np.exp(-((ENERGY - 1.5) ** 2) / 0.08) + 2 * np.exp(-((ENERGY - 3.2) ** 2) / 0.08)


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ({"name": "value", "at": 1.5}, 1.0),
        ({"name": "peak_place"}, 3.2),
        ({"name": "peak_place", "high": 2.0}, 1.5),
        ({"name": "area_under", "high": 2.3}, np.sqrt(np.pi * 0.08)),
    ],
)
def test_known_spectra_have_known_numbers(quantity, expected) -> None:
    assert value_of(Quantity(**quantity), "energy", ENERGY, PEAK) == pytest.approx(expected, abs=0.01)


def test_what_does_not_go_together_is_told() -> None:
    with pytest.raises(ArgumentError, match=r"quantity: expected value .*peak_place"):
        value_of(Quantity(name="colour"), "energy", ENERGY, PEAK)
    with pytest.raises(ValueError, match="low and high go with"):
        Quantity(name="work", low=1)
    with pytest.raises(RecipeError, match="quantity"):
        plan_of({"quantity": {"name": "value"}})
