"""Which atoms stand in a column, from the name of its species."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adatom.errors import AdatomError, ArgumentError
from adatom.simulate.columns import atomic_number

_TOKEN = re.compile(r"([A-Z][a-z]?)(\d{0,2})")
_MOST_ATOMS = 20  # in a column's name
_LONGEST = 40  # characters of a name that an error repeats
_EMPTY = ("none", "nothing", "")
_ON_TOP = ("ad", "i", "int")
_VACANCY = "V"

Symbols = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """What stands in the columns of a species.

    Attributes
    ----------
    symbols : element of each atom; none in an empty column.
    site : formula of the perfect column whose place it takes; "" for what stands on top.
    """

    symbols: Symbols
    site: str

    @property
    def formula(self) -> str:
        """Such as ``S2``; "none" for an empty column."""
        return formula_of(self.symbols) or _EMPTY[0]


def formula_of(symbols: Symbols) -> str:
    """Elements, the heaviest first, with their number where there are several: as `adatom.simulate.columns` has it."""
    counts = Counter(symbols)
    ordered = sorted(counts, key=lambda symbol: -atomic_number(symbol))
    return "".join(symbol + (str(counts[symbol]) if counts[symbol] > 1 else "") for symbol in ordered)


def read_formula(text: str) -> Symbols | None:
    """Elements of a formula such as ``Mo``, ``S2`` or ``SeS``; None if it is none."""
    symbols: list[str] = []
    if not text or len(text) > _LONGEST or not re.fullmatch(f"(?:{_TOKEN.pattern})+", text):
        return None
    for symbol, number in _TOKEN.findall(text):
        try:
            atomic_number(symbol)
        except AdatomError:
            return None
        symbols += [symbol] * int(number or 1)
    return tuple(symbols) if 0 < len(symbols) <= _MOST_ATOMS else None


def read_elements(assignments: Iterable[str]) -> dict[str, str]:
    """``NAME=FORMULA`` texts, several in one separated by commas, as a mapping.

    Raises
    ------
    ArgumentError : if one is of another form.
    """
    elements: dict[str, str] = {}
    for part in (part.strip() for text in assignments for part in text.split(",")):
        name, equals, formula = part.rpartition("=")
        if not equals or not name.strip():
            raise ArgumentError(
                f"elements: expected NAME=FORMULA, such as A=Mo, B=S2 or hole=none, got {part[:_LONGEST]!r}."
            )
        elements[name.strip()] = formula.strip()
    return elements


def columns_of(
    species: Iterable[str], *, elements: Mapping[str, str] | None = None, known_columns: Iterable[str] = ()
) -> dict[str, Column]:
    """The column that each species stands for.

    Parameters
    ----------
    species : names of the species of an atom table.
    elements : formulas for names that say none, or something else: ``{"A": "Mo", "B": "S2", "hole": "none"}``.
    known_columns : names of the perfect columns, where a crystal tells them; else those of `species` are.

    Returns
    -------
    ``Mo``: one atom; ``S2``: two of them, one above the other; ``V_S``: such a column (the smallest that holds S) that
    has lost an S; ``Mo_W``: Mo where W was, or, where no column is of W alone, in the stead of a W of a column;
    ``Fe_ad``: on top. ``V_X`` is always a vacancy: vanadium needs `elements`. Where these say that W is Mo, the W of
    ``V_W`` is too.

    Raises
    ------
    ArgumentError : if a name says no element, tells what to give; or is too long to be one.
    """
    given = dict(elements or {})
    names = list(dict.fromkeys(str(name) for name in species))
    if any(len(name) > _LONGEST for name in names):
        raise ArgumentError(
            f"species: expected names of at most {_LONGEST} characters, got {_short(max(names, key=len))}."
        )
    read = {name: _assigned(name, given[name]) for name in names if name in given}
    plain = {name: symbols for name in names if name not in given and (symbols := read_formula(name)) is not None}
    perfect = [symbols for symbols in (read_formula(name) for name in known_columns) if symbols is not None]
    perfect = perfect or [symbols for symbols in [*plain.values(), *read.values()] if symbols]
    columns: dict[str, Column] = {}
    for name in names:
        if name in read:
            site = _site(name, perfect, read)
            columns[name] = Column(read[name], formula_of(site or read[name]))
        elif name in plain:
            columns[name] = Column(plain[name], formula_of(plain[name]))
        else:
            columns[name] = _defect(name, perfect, read)
    return columns


def _assigned(name: str, formula: str) -> Symbols:
    if formula.lower() in _EMPTY:
        return ()
    symbols = read_formula(formula)
    if symbols is None:
        raise ArgumentError(
            f"elements: expected a formula such as Mo, S2 or none for {_short(name)}, got {_short(formula)}."
        )
    return symbols


def _defect(name: str, perfect: list[Symbols], read: Mapping[str, Symbols]) -> Column:
    """What a name of two parts stands for."""
    before, line, after = name.partition("_")
    symbols = read_formula(before)
    if line and after.lower() in _ON_TOP and symbols is not None:
        return Column(symbols, "")
    there = _part(after, read) if line else None
    if there is not None and before == _VACANCY:
        site = _site(name, perfect, read)
        if site is None:
            raise ArgumentError(
                f"elements: expected a column that holds {after} beside {_short(name)}, got none: how many atoms the "
                f"vacancy leaves is not known. Say it: --elements {name}=none, for example."
            )
        return Column(_without(site, there), formula_of(site))
    if there is None or symbols is None:
        raise ArgumentError(
            f"elements: expected a species that names its atoms, such as Mo, S2, V_S, Mo_W or Fe_ad, got "
            f"{_short(name)}. Say what its columns hold: --elements NAME=FORMULA, such as A=Mo or hole=none."
        )
    site = _holding(there, perfect) or there
    return Column((*symbols, *_without(site, there)), formula_of(site))


def _site(name: str, perfect: list[Symbols], read: Mapping[str, Symbols]) -> Symbols | None:
    """The perfect column whose place a species takes, by the second part of its name; None if that tells none."""
    before, line, after = name.partition("_")
    there = _part(after, read) if line else None
    if there is None:
        return None
    sure = before != _VACANCY or len(there) > 1  # of a vacancy of one atom the rest of its column is not known
    return _holding(there, perfect) or (there if sure else None)


def _part(text: str, read: Mapping[str, Symbols]) -> Symbols | None:
    """Atoms that a part of a name means."""
    return read[text] if read.get(text) else read_formula(text)


def _holding(wanted: Symbols, perfect: list[Symbols]) -> Symbols | None:
    """The smallest column that holds these atoms."""
    holding = [symbols for symbols in perfect if not Counter(wanted) - Counter(symbols)]
    return min(holding, key=len, default=None)


def _without(symbols: Symbols, taken: Symbols) -> Symbols:
    return tuple((Counter(symbols) - Counter(taken)).elements())


def _short(name: str) -> str:
    return repr(name if len(name) <= _LONGEST else name[:_LONGEST] + "...")
