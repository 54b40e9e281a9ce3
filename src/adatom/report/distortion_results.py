"""The files of an analysis of distortions."""

from pathlib import Path

import xarray as xr

from adatom.analyse import Distortions
from adatom.data.atomic_file import write_atomically
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
    write_atomically(folder / "distortions.csv", found.atoms.to_csv(index=False))
    write_atomically(folder / "domains.csv", found.domains.table.to_csv(index=False))
    write_atomically(folder / "walls.csv", found.domains.walls.to_csv(index=False))
    figures = {
        "components.png": draw_decomposition(image, found.atoms, found.parts),
        "kinds.png": draw_mixture(found.parts, found.kinds),
        "domains.png": draw_domains(image, found.domains),
    }
    for name, figure in figures.items():
        write_atomically(folder / name, figure_png(figure))
