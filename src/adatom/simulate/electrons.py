"""Two lengths of electrons: the wavelength of fast ones, and the decay of those that tunnel (CODATA 2018)."""

import numpy as np


def wavelength_nm(voltage_kv: float) -> float:
    """De Broglie wavelength [nm] after acceleration by `voltage_kv` [kV]; relativistic."""
    volts = 1e3 * voltage_kv
    return 1.226425981 / np.sqrt(volts * (1 + 0.9784755e-6 * volts))


def decay_per_nm(barrier_ev: float) -> float:
    """Decay constant kappa [1/nm] of a wave function under a barrier; the current falls with exp(-2 kappa z)."""
    return 5.123168 * float(np.sqrt(barrier_ev))
