"""Instruments: one a file, and limits in front of all of them."""

from adatom.instruments.instrument import Instrument, ScanFrame, SpectrumSettings

__all__ = ["Instrument", "ScanFrame", "SpectrumSettings"]
