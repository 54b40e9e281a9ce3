"""Instruments: one a file, and limits in front of all of them."""

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from adatom.errors import ArgumentError
from adatom.instruments.instrument import Instrument, ScanFrame, SpectrumSettings
from adatom.instruments.limits import Guarded, Limits, OnEvent, Used

# name -> (module, what opens it with settings by name); others come through the entry points ``adatom.instruments``
INSTRUMENTS = {
    "nanonis": ("adatom.instruments.nanonis", "open_nanonis"),
    "twin": ("adatom.instruments.twin", "open_twin"),
}
__all__ = [
    "INSTRUMENTS",
    "Guarded",
    "Instrument",
    "Limits",
    "OnEvent",
    "ScanFrame",
    "SpectrumSettings",
    "Used",
    "open_instrument",
]


def open_instrument(
    name: str,
    *,
    limits: Limits,
    used: Used | None = None,
    on_event: OnEvent | None = None,
    state: dict[str, Any] | None = None,
    **settings: Any,
) -> Guarded:
    """Open an instrument by name, behind its limits.

    Parameters
    ----------
    name : ``twin``, ``nanonis``, or one that a package brings.
    limits, used, on_event : see `Guarded`.
    state : of a twin that goes on.
    settings : of the instrument.

    Raises
    ------
    ArgumentError : if the name or a setting is unknown.
    InstrumentError : if it cannot be reached.
    """
    if name in INSTRUMENTS:
        module, function = INSTRUMENTS[name]
        opens = getattr(import_module(module), function)
    else:
        found = {each.name: each for each in entry_points(group="adatom.instruments")}
        if name not in found:
            known = ", ".join(sorted({*INSTRUMENTS, *found}))
            raise ArgumentError(f"instrument: expected one of {known}, got {name!r}.")
        opens = found[name].load()
    driver = opens(state=state, **settings) if state is not None else opens(**settings)
    return Guarded(driver, limits, used=used, on_event=on_event)
