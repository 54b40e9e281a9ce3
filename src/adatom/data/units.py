"""Units: users think in nm, and so does every public length in Adatom."""

from functools import lru_cache
from typing import Any

from adatom.errors import UnitError


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint  # 0.3 s: only where a unit that is not already nm has to be read

    return pint.UnitRegistry()


def length_in_nm(value: float, unit: str) -> float:
    """Convert a length to nm.

    Parameters
    ----------
    value : the number.
    unit : any length that pint reads (``m``, ``um``, ``Angstrom``, ...).

    Raises
    ------
    UnitError : if `unit` is unknown or not a length.
    """
    if unit == "nm":
        return float(value)
    registry = _registry()
    try:
        if unit == "px":  # to pint, 1/96 inch
            raise ValueError("a pixel is no length")
        return float(registry.Quantity(value, unit.replace("Angstrom", "angstrom")).to("nm").magnitude)
    except Exception as error:  # pint raises a dozen types, some of them not its own
        raise UnitError(f"unit: expected a length such as nm, Angstrom or m, got {unit!r}.") from error
