"""Instruments: one a file, and limits in front of all of them."""

from adatom.instruments.guarded import Guarded
from adatom.instruments.instrument import Instrument, ScanFrame, SpectrumSettings
from adatom.instruments.limits import Dose, Limits, Used
from adatom.instruments.opening import INSTRUMENTS, known_instruments, open_instrument

__all__ = [
    "INSTRUMENTS",
    "Dose",
    "Guarded",
    "Instrument",
    "Limits",
    "ScanFrame",
    "SpectrumSettings",
    "Used",
    "known_instruments",
    "open_instrument",
]
