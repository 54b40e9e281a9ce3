"""Omicron MATRIX images, through access2theMatrix (BSD, part of the extra `formats`).

A measurement is a file for each channel and cycle, named ``...--1_1.Z_mtrx`` and so on, and parameter files
``..._0001.mtrx`` beside them, without which no size or unit is known: both must keep their names. Each way that the tip
took is a channel: ``Z forward/up``, ``Z backward/up``, ``Z forward/down``, ``Z backward/down``. The library has turned
backward lines and downward scans already; its first row is the bottom of the scan and is put last here. The size of a
pixel is the width of the scan over the number of points. Spectra are no images. Tested on a generated measurement only.
"""

from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel
from adatom.files.hdf5_tree import as_nm

# what to import before the clock of the worker starts
libraries = ("access2thematrix",)
_MAGIC = b"ONTMATRX0101"
_DATA_BLOCK = b"TLKB"


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins with the magic number of MATRIX."""
    return head.startswith(_MAGIC)


def read_channels(path: Path) -> list[Channel]:
    """Describe the images of a data file.

    Raises
    ------
    FileFormatError : if the library is missing, the file is a parameter file or lacks one, or holds no image.
    """
    with open(path, "rb") as file:
        start = file.read(len(_MAGIC) + len(_DATA_BLOCK))
    if not start.endswith(_DATA_BLOCK):
        raise FileFormatError(
            f"{path.name}: expected a MATRIX data file such as NAME--1_1.Z_mtrx, got a parameter file. "
            "Name one of the data files beside it."
        )
    try:
        from access2thematrix import MtrxData
    except ImportError as error:
        raise FileFormatError(
            f"{path.name}: expected access2theMatrix, which reads Omicron MATRIX, got none installed. "
            "Install it: pip install 'adatom[formats]'"
        ) from error
    measurement = MtrxData()
    traces, message = measurement.open(str(path))
    images = [(str(trace), measurement.select_image(trace)[0]) for trace in traces.values()]
    images = [(trace, image) for trace, image in images if getattr(image, "data", np.zeros(0)).ndim == 2]
    if not images:
        raise FileFormatError(
            f"{path.name}: expected a MATRIX image with its parameter file (NAME_0001.mtrx) beside it, got none "
            f"({message.strip()}). Copy both, and keep their names."
        )
    return [_channel(trace, image, measurement.creation_comment) for trace, image in images]


def _channel(trace: str, image: Any, comment: str) -> Channel:
    values = np.asarray(image.data, dtype=np.float64)[::-1]
    n_y, n_x = values.shape
    y, x = (as_nm(abs(float(length)) / max(n, 1), "m") for length, n in ((image.height, n_y), (image.width, n_x)))
    name, unit = image.channel_name_and_unit
    return Channel(
        f"{name} {trace}",
        (n_y, n_x),
        values.dtype,
        lambda frame: values,
        units={"Meter": "m", "Ampere": "A", "Volt": "V", "Hertz": "Hz"}.get(unit, unit),
        pixel_size=None if y is None or x is None else (y, x),
        metadata={"direction": trace, "comment": str(comment)},
        history=("put the first row of the scan, its bottom, last",),
    )
