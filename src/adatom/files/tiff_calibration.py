"""The calibrations that microscope programs write into TIFF.

In order of trust: the private tags of DigitalMicrograph (also written by HyperSpy), OME-XML, and ImageJ, which names a
unit in the description and gives pixels per unit as resolution. Resolution per inch or centimetre, without more, is
meant for a printer and is not a calibration.
"""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np

from adatom.data import length_in_nm
from adatom.errors import UnitError

_DIGITAL_MICROGRAPH = ((65010, 65004), (65009, 65003))  # tags of scale and unit, for y and for x
_PRINTING = ("inch", "inches", "cm")
_PIXELS = ("pixel", "pixels")
_ANGSTROM = ("A", "\u00c5", "\u212b")  # the letter, and the sign that looks the same


def pixel_size_and_remark(tif: Any) -> tuple[tuple[float, float] | None, tuple[str, ...]]:
    """(y, x) size of a pixel [nm] or None, and a step for the history where there is a calibration but no length.

    Parameters
    ----------
    tif : an open `tifffile.TiffFile`.
    """
    tags = tif.pages[0].tags
    claims: list[Any] = [tuple((tags.valueof(scale), tags.valueof(unit)) for scale, unit in _DIGITAL_MICROGRAPH)]
    if tif.is_ome and tif.ome_metadata:
        pixels = ElementTree.fromstring(tif.ome_metadata).find(".//{*}Pixels")
        of = {} if pixels is None else pixels.attrib
        claims.append(tuple((of.get(f"PhysicalSize{axis}"), of.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "YX"))
    imagej = tif.imagej_metadata or {}
    if "unit" in imagej:
        y, x = (_inverse(tags.valueof(name)) for name in ("YResolution", "XResolution"))
        claims.append(((y, imagej.get("yunit", imagej["unit"])), (x, imagej["unit"])))
    for y, x in claims:
        # a file that states one side of its pixels means squares
        y_size = _length(*(x if y[0] is None else y))
        x_size = _length(*(y if x[0] is None else x))
        if y_size is not None and x_size is not None:
            return (y_size, x_size), ()
    strange = {str(unit)[:40] for _, (value, unit) in claims if value and unit and unit not in _PIXELS}
    remark = (f"left the axes in pixels (calibrated in {', '.join(sorted(strange))})",) if strange else ()
    return None, remark


def _inverse(resolution: Any) -> float | None:
    numerator, denominator = resolution or (0, 0)
    return denominator / numerator if numerator and denominator else None


def _length(value: Any, unit: Any) -> float | None:
    """Length [nm], or None where value or unit make none.

    ImageJ turns a resolution per inch or centimetre into a calibration in these units when it opens a file: they
    come from a printer and not from a microscope. ``A`` would be ampere elsewhere, but is ångström on an axis.
    """
    # letters only: pint would calculate whatever arithmetic stands in the unit
    name = str(unit or "").replace("\\u00B5", "\u00b5").strip("\x00 ")  # ImageJ writes the micro sign as an escape
    if not re.fullmatch("[A-Za-z\u00b5\u03bc\u00c5\u212b]{1,20}", name) or name in (*_PRINTING, *_PIXELS):
        return None
    try:
        length = length_in_nm(float(value), "angstrom" if name in _ANGSTROM else name)
    except (TypeError, ValueError, UnitError):
        return None
    return length if 0 < length < np.inf else None
