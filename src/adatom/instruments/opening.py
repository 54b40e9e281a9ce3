"""Instruments by name: those that ship, and those of installed packages."""

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from adatom.errors import AdatomError, ArgumentError, InstrumentError
from adatom.instruments.guarded import Event, Guarded
from adatom.instruments.instrument import Instrument
from adatom.instruments.limits import Limits, Used, limits_from

# name -> (module, what opens it)
INSTRUMENTS = {
    "twin": ("adatom.instruments.twin", "open_twin"),
    "nanonis": ("adatom.instruments.nanonis", "Nanonis"),
}
# A package names its instruments in this group of its entry points.
GROUP = "adatom.instruments"


def known_instruments() -> list[str]:
    """Names of all instruments, those that ship first."""
    return [*INSTRUMENTS, *(point.name for point in entry_points(group=GROUP) if point.name not in INSTRUMENTS)]


def open_instrument(
    name: str,
    *,
    limits: Limits | Mapping[str, Any],
    used: Used | None = None,
    on_event: Callable[[Event], None] | None = None,
    dead_man_s: float | None = None,
    grace_s: float = 30.0,
    **settings: Any,
) -> Guarded:
    """Open an instrument, behind its limits.

    Parameters
    ----------
    name : one of `known_instruments`.
    limits, used, on_event, dead_man_s, grace_s : see `Guarded`.
    settings : of the instrument; `state` is one of them all.

    Raises
    ------
    ArgumentError : if there is no such instrument, or it has no such setting.
    InstrumentError : if it cannot be reached.
    """
    allowed = limits_from(limits)
    opener = _opener(name)
    try:
        inspect.signature(opener).bind(**settings)
    except TypeError as error:
        raise ArgumentError(f"settings: expected those of {name}, but {error}.") from None
    guard = {"used": used, "on_event": on_event, "dead_man_s": dead_man_s, "grace_s": grace_s}
    try:
        driver = opener(**settings)
    except AdatomError:
        raise
    except Exception as error:  # a setting of another type than it expects, or whatever others' drivers do
        raise InstrumentError(f"{name}: could not be opened ({type(error).__name__}: {error}).") from error
    return Guarded(driver, allowed, **guard)  # type: ignore[arg-type]


def _opener(name: str) -> Callable[..., Instrument]:
    if name in INSTRUMENTS:
        module, made = INSTRUMENTS[name]
        opener: Callable[..., Instrument] = getattr(import_module(module), made)
        return opener
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                opener = point.load()
            except Exception as error:  # whatever a package does when it is imported
                raise ArgumentError(
                    f"name: {name!r} of {point.value} cannot be loaded ({type(error).__name__}: {error})."
                ) from error
            return opener
    raise ArgumentError(f"name: expected one of {', '.join(known_instruments())}, got {name!r}.")
