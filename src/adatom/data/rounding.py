"""Numbers for people and for JSON."""

import numpy as np


def rounded(value: float | None) -> float | None:
    """Six figures, and None for NaN, as JSON has none."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")
