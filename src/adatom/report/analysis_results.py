"""The files that an analysis leaves behind, each written whole or not at all."""

from pathlib import Path

import xarray as xr

from adatom.analyse.analysis import Analysis
from adatom.analyse.movie import MovieEvents
from adatom.data.atomic_file import write_atomically, write_json, write_table
from adatom.report.analysis_figures import (
    draw_defect_crops,
    draw_defects,
    draw_displacements,
    draw_rings,
    draw_statistics,
    draw_strain,
)
from adatom.report.analysis_page import render_analysis
from adatom.report.canvas import figure_png
from adatom.report.events_figures import draw_event_crops, draw_sites_over_time

# A crop of a defect shows so many bonds to each side.
_CROP_BONDS = 3.5


def write_analysis(
    folder: Path,
    found: Analysis,
    image: xr.DataArray | None,
    *,
    title: str,
    movie: MovieEvents | None = None,
    frames: xr.DataArray | None = None,
) -> None:
    """Write ``atoms``, ``bonds``, ``rings`` and ``defects`` as CSV and parquet, the figures, ``report.html`` and, last,
    ``summary.json``.

    Parameters
    ----------
    image : (y, x) that the atoms were found in, where it is at hand.
    movie : what happened in all frames; its events are written as ``events.csv`` and parquet.
    frames : (frame, y, x), where they are at hand.
    """
    atoms, defects, units = found.atoms, found.defects, str(found.atoms.attrs["units"])
    figures = {"defects.png": ("Defects", draw_defects(image, atoms, defects, found.box))}
    if image is not None and len(defects):
        bond = found.summary["bond_length"] or 1.0
        crops = draw_defect_crops(image, defects, 2 * _CROP_BONDS * bond, units)
        figures["defect_crops.png"] = ("The likeliest defects of each name, with their probability", crops)
    if found.summary["lattices"]:
        figures["strain.png"] = ("Strain and rotation around each atom", draw_strain(atoms, found.box))
        figures["displacements.png"] = ("Displacement of the atoms", draw_displacements(atoms, found.box))
    if len(found.rings):
        figures["rings.png"] = (
            "Rings of bonds, by the number of their atoms",
            draw_rings(atoms, found.rings, found.box),
        )
    curves, level = {}, []
    if found.pairs is not None:
        curves["pair distribution g(r)"] = found.pairs
        level.append(1.0)
    for name, each in found.scattered.items():
        curves[f"L(r) - r of {name}, p = {each.p_value:.2g}"] = each
        level.append(0.0)
    shown = {name: (each.distance, each.value, each.low, each.high) for name, each in list(curves.items())[:8]}
    if shown:
        figures["statistics.png"] = (
            "How atoms and defects lie; grey: 95 % of as many points at random",
            draw_statistics(shown, units, level=level),
        )
    tables = {"atoms": atoms, "bonds": found.bonds, "rings": found.rings, "defects": defects}
    if movie is not None:
        tables["events"] = movie.events
        sites, held = movie.sites, movie.held
        drawn = draw_sites_over_time(sites.positions, held.unstable, sites.probability, sites.frames, found.box)
        figures["sites_over_time.png"] = ("Sites that change, and what was found at the likeliest of them", drawn)
        if frames is not None and len(movie.events):
            crops = draw_event_crops(frames, movie.events, movie.spacing, units)
            figures["event_crops.png"] = ("The likeliest events, before and after", crops)
    for name, table in tables.items():
        write_table(folder, name, table, parquet=True)
    for file, (_, figure) in figures.items():
        write_atomically(folder / file, figure_png(figure))
    page = render_analysis(found.summary, defects, dict(figures.values()), title=title)
    write_atomically(folder / "report.html", page)
    write_json(folder / "summary.json", found.summary)
