"""The files that a search for particles leaves behind."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
import xarray as xr

from adatom.analyse.size_distribution import SizeDistribution
from adatom.data.atomic_file import write_atomically, write_json, write_table


def write_particle_results(
    folder: Path,
    image: xr.DataArray,
    particles: pd.DataFrame,
    instances: xr.DataArray,
    sizes: SizeDistribution,
    summary: Mapping[str, Any],
) -> None:
    """Write ``particles.csv``, ``particles.parquet``, ``instances.tif``, ``overlay.png``, ``histogram.png`` and, last,
    ``summary.json``; the overlay shows the first frame.
    """
    from adatom.report.canvas import figure_png
    from adatom.report.particle_figures import draw_particles, draw_sizes

    still, mask = (one if one.ndim == 2 else one.isel(frame=0) for one in (image, instances))
    is_cut = particles.loc[particles["frame"] == 0, "touches_border"].to_numpy(bool)
    numbers = io.BytesIO()
    numbered = instances.to_numpy()
    tifffile.imwrite(numbers, numbered.astype(np.uint16 if numbered.max() < 2**16 else np.uint32), compression="zlib")
    write_table(folder, "particles", particles, parquet=True)
    write_atomically(folder / "instances.tif", numbers.getvalue())
    write_atomically(folder / "overlay.png", figure_png(draw_particles(still, mask.to_numpy(), is_cut)))
    write_atomically(folder / "histogram.png", figure_png(draw_sizes(sizes, str(particles.attrs["units"]))))
    write_json(folder / "summary.json", summary)
