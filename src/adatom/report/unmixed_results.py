"""The files of a spectrum image, or of the phases of a lattice, that was unmixed."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile

from adatom.analyse import LatticePhases, Unmixed
from adatom.data.atomic_file import write_atomically, write_json, write_table
from adatom.report.canvas import figure_png
from adatom.report.unmixed_figure import draw_phases, draw_unmixed


def write_unmixed(folder: Path, found: Unmixed | LatticePhases, summary: Mapping[str, Any]) -> None:
    """Write ``abundance.tif`` (one page a component), ``components.png``, of spectra ``spectra.csv``, of phases
    ``diffraction.tif``, and, last, ``summary.json``.
    """
    write_atomically(folder / "abundance.tif", _pages(found.abundance.to_numpy()))
    if isinstance(found, Unmixed):
        axis = str(found.spectra.dims[1])
        columns = {f"component_{k + 1}": one for k, one in enumerate(found.spectra.to_numpy())}
        table = pd.DataFrame({axis: found.spectra[axis].to_numpy(), **columns, "mean": found.mean.to_numpy()})
        write_table(folder, "spectra", table)
        figure = draw_unmixed(found)
    else:
        write_atomically(folder / "diffraction.tif", _pages(found.spectra.to_numpy()))
        figure = draw_phases(found)
    write_atomically(folder / "components.png", figure_png(figure))
    write_json(folder / "summary.json", summary)


def _pages(pictures: np.ndarray) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pictures.astype(np.float32), photometric="minisblack", compression="zlib")
    return stream.getvalue()
