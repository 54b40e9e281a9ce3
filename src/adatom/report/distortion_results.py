"""The files of an analysis of distortions."""

from pathlib import Path

import xarray as xr

from adatom.analyse import Distortions
from adatom.data.atomic_file import write_atomically, write_table
from adatom.report.canvas import figure_png
from adatom.report.decomposition_figure import draw_decomposition
from adatom.report.domain_map import draw_domains
from adatom.report.mixture_figure import draw_mixture


def write_distortions(folder: Path, found: Distortions, image: xr.DataArray) -> None:
    """Write ``distortions.csv`` (the atoms with their scores, kinds and domains), ``domains.csv``, ``walls.csv``,
    ``components.png``, ``kinds.png`` and ``domains.png``.

    Parameters
    ----------
    image : (y, x) that the atoms were found in.
    """
    write_table(folder, "distortions", found.atoms)
    write_table(folder, "domains", found.domains.table)
    write_table(folder, "walls", found.domains.walls)
    figures = {
        "components.png": draw_decomposition(image, found.atoms, found.parts),
        "kinds.png": draw_mixture(found.parts, found.kinds),
        "domains.png": draw_domains(image, found.domains),
    }
    for name, figure in figures.items():
        write_atomically(folder / name, figure_png(figure))
