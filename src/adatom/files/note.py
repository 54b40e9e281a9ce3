"""What an image carries beside its values and axes, for writers whose format has no place for it."""

from math import isfinite
from typing import Any

import xarray as xr


def note_of(image: xr.DataArray) -> dict[str, Any]:
    """The attributes of an image that have no place of their own in a file, fit for JSON."""
    metadata = {
        str(key): value if isinstance(value, str) else float(value)
        for key, value in image.attrs.get("metadata", {}).items()
        if isinstance(value, str) or (isinstance(value, (int, float)) and isfinite(value))
    }
    return {
        "signal": image.attrs.get("signal", ""),
        "source": image.attrs.get("source", {}),
        "metadata": metadata,
        "history": list(image.attrs.get("history", [])),
    }
