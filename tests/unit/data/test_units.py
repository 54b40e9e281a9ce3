import pytest

from adatom.data import length_in_nm
from adatom.errors import UnitError


@pytest.mark.parametrize(
    ("value", "unit", "nm"),
    [
        (2.5, "nm", 2.5),
        (1, "Angstrom", 0.1),
        (1, "angstrom", 0.1),
        (1, "\u00c5", 0.1),  # the letter
        (1, "\u212b", 0.1),  # the sign
        (3e-9, "m", 3),
        (2, "um", 2000),
        (1, "inch", 2.54e7),
    ],
)
def test_lengths_come_out_in_nm(value, unit, nm):
    assert length_in_nm(value, unit) == pytest.approx(nm)


@pytest.mark.parametrize("unit", ["", "V", "banana", "px", "nm^2", "1/nm", "?!"])
def test_what_is_no_length_is_told(unit):
    with pytest.raises(UnitError, match="expected a length such as nm"):
        length_in_nm(1.0, unit)
