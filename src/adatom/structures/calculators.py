"""What computes energies and forces, by name."""

from typing import Any

from adatom.errors import ArgumentError

_TERSOFF, _EMT = "tersoff", "emt"
_LONGEST = 40  # characters of a name that an error repeats


def make_calculator(name: str, symbols: set[str]) -> Any:
    """A calculator of ase for a structure of these elements.

    Parameters
    ----------
    name : ``tersoff`` (carbon, silicon, germanium; `adatom.structures.tersoff`), ``emt`` (effective medium theory of
        ase, for metals: K. W. Jacobsen et al., Surf. Sci. 366, 394 (1996), 10.1016/0039-6028(96)00816-3), or the name
        that ase has for another one, with its default settings.

    Raises
    ------
    ArgumentError : if ase knows no such calculator, it is not installed, or it does not know an element.
    """
    wanted = name.strip().lower()
    if wanted == _TERSOFF:
        from adatom.structures.tersoff import ELEMENTS, TersoffPotential

        _check_elements(_TERSOFF, symbols, list(ELEMENTS))
        return TersoffPotential()
    if wanted == _EMT:
        from ase.calculators import emt

        metals = ["Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au"]
        _check_elements(_EMT, symbols, metals)
        return emt.EMT()
    return _by_ase(wanted, name)


def _by_ase(wanted: str, name: str) -> Any:
    from ase.calculators.calculator import get_calculator_class, names

    if wanted not in names:
        known = ", ".join(sorted(str(each) for each in names if each not in (_EMT, _TERSOFF)))
        raise ArgumentError(
            f"calculator: expected {_TERSOFF} (C, Si, Ge), {_EMT} (metals), or one that ase knows and you have "
            f"installed ({known}), got {name[:_LONGEST]!r}."
        )
    try:
        return get_calculator_class(wanted)()
    except Exception as error:  # each raises its own type where its program or its settings are missing
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ArgumentError(
            f"calculator: expected {wanted} to be installed and set up for ase, got {type(error).__name__}: {reason}. "
            f"{_TERSOFF} and {_EMT} need nothing."
        ) from error


def _check_elements(name: str, symbols: set[str], known: list[str]) -> None:
    unknown = sorted(symbols - set(known))
    if unknown:
        raise ArgumentError(
            f"calculator: expected elements that {name} knows ({', '.join(known)}), got {', '.join(unknown)}. Take "
            "another calculator."
        )
