"""The files that a search leaves behind, each written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from adatom.data.atomic_file import write_atomically, write_json, write_table


def write_results(
    folder: Path,
    image: xr.DataArray,
    atoms: pd.DataFrame,
    maps: xr.DataArray | None,
    summary: Mapping[str, Any],
    doubts: xr.Dataset | None = None,
    *,
    with_pages: bool = True,
) -> None:
    """Write ``atoms.csv``, ``atoms.parquet``, if asked for what `write_pages` writes, and, last, ``summary.json``."""
    write_table(folder, "atoms", atoms, parquet=True)
    if with_pages:
        write_pages(folder, image, atoms, maps, summary, doubts)
    write_json(folder / "summary.json", summary)


def write_pages(
    folder: Path,
    image: xr.DataArray,
    atoms: pd.DataFrame,
    maps: xr.DataArray | None,
    summary: Mapping[str, Any],
    doubts: xr.Dataset | None = None,
) -> None:
    """Write ``overlay.png`` and ``report.html``; of several species ``decoded.png`` too, and ``uncertainty.png`` where
    an ensemble looked. Pictures are those of the first frame.
    """
    from adatom.report.canvas import figure_png
    from adatom.report.decoded import draw_decoded
    from adatom.report.maps import draw_maps
    from adatom.report.overlay import draw_overlay
    from adatom.report.page import render_report
    from adatom.report.uncertainty import draw_uncertainty

    still = image if image.ndim == 2 else image.isel(frame=0)
    first = atoms[atoms["frame"] == 0]
    first.attrs = atoms.attrs
    overlay = draw_overlay(still, first)
    title = str(summary.get("file", "atoms"))
    figures: dict[str, Any] = {"The image and the atoms found in it": overlay}
    decoded = draw_decoded(still, first) if len(set(first["species"])) > 1 else None
    if decoded is not None:
        figures["Each atom in the colour of its species"] = decoded
    if maps is not None:
        shown = still.interp(y=maps["y"], x=maps["x"], method="nearest", kwargs={"fill_value": "extrapolate"})
        figures["What the network says: probability of each species"] = draw_maps(
            shown, maps.isel({"class": slice(1, None)})
        )
    uncertainty = None
    if doubts is not None:
        shown = still.interp(y=doubts["y"], x=doubts["x"], method="nearest", kwargs={"fill_value": "extrapolate"})
        uncertainty = draw_uncertainty(shown, doubts)
        figures["What data leave open, and what the models of the ensemble disagree in"] = uncertainty
    page = render_report(summary, atoms, figures, title=title)
    write_atomically(folder / "overlay.png", figure_png(overlay))
    if decoded is not None:
        write_atomically(folder / "decoded.png", figure_png(decoded))
    if uncertainty is not None:
        write_atomically(folder / "uncertainty.png", figure_png(uncertainty))
    write_atomically(folder / "report.html", page)
