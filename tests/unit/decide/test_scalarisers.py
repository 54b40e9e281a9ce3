import numpy as np
import pytest

from adatom.decide.scalarisers import SCALARISERS
from adatom.errors import ArgumentError, ShapeError

ENERGY = np.linspace(0, 4, 41)
PARABOLAS = np.stack([3 - (ENERGY - 1.23) ** 2, 3 - (ENERGY - 2.5) ** 2])


def test_numbers_of_known_spectra():
    assert SCALARISERS["value_at"](1.23)(ENERGY, PARABOLAS)[0] == pytest.approx(3, abs=0.01)
    assert SCALARISERS["peak_place"]()(ENERGY, PARABOLAS) == pytest.approx([1.23, 2.5])
    assert SCALARISERS["peak_place"](low=2)(ENERGY[::-1], PARABOLAS[:, ::-1])[1] == pytest.approx(2.5)
    assert SCALARISERS["area_under"](1, 2)(ENERGY, np.ones((2, 41))) == pytest.approx([1, 1])


def test_of_a_sweep_that_comes_back():
    bias = np.concatenate([ENERGY, ENERGY[-2::-1]])
    loop = np.concatenate([np.zeros(41), np.ones(40)])[None]
    assert SCALARISERS["value_at"](1.0)(bias, loop) == pytest.approx([0])
    assert abs(SCALARISERS["area_under"]()(bias, loop)[0]) == pytest.approx(4, abs=0.1)
    assert np.isfinite(SCALARISERS["peak_place"]()(bias, loop)).all()


def test_faults_are_told():
    with pytest.raises(ArgumentError, match="place: expected 0 to 4"):
        SCALARISERS["value_at"](5)(ENERGY, PARABOLAS)
    with pytest.raises(ArgumentError, match="expected two points"):
        SCALARISERS["area_under"](5, 6)(ENERGY, PARABOLAS)
    with pytest.raises(ShapeError, match="spectra: expected"):
        SCALARISERS["peak_place"]()(ENERGY[:4], PARABOLAS)
