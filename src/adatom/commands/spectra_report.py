"""What `adatom spectra train` leaves behind: figures, tables and a page."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.analyse.spectrum_descriptors import Describe, descriptors_of
from adatom.data.atomic_file import write_atomically, write_json, write_table
from adatom.models.attribution import occlusion
from adatom.models.image_to_spectrum import ImageToSpectrum
from adatom.models.manifold import lay_out
from adatom.models.spectrum_comparison import Comparison, descriptor_table
from adatom.prepare.spectrum_outliers import REASONS, check_spectra
from adatom.prepare.spectrum_pairs import Pairs
from adatom.report import figure_png
from adatom.report.spectra_figures import (
    draw_attribution,
    draw_left_out,
    draw_manifold,
    draw_scan_maps,
    draw_spectra,
)
from adatom.report.spectra_page import render_spectra_report

Array = NDArray[np.float64]


def write_spectra_report(
    out: Path,
    model: ImageToSpectrum,
    pairs: Pairs,
    measured: xr.DataArray,
    structure: xr.DataArray,
    comparison: Comparison,
    summary: dict[str, Any],
) -> None:
    """Figures, tables and the page; the descriptors of measured and predicted spectra go into the summary."""
    held_out, axis = model.held_out_, pairs.axis
    known = np.isfinite(held_out.model).all(axis=(1, 2))
    true, said, std = pairs.spectra[known, 0], held_out.model[known, 0], held_out.std[known, 0]
    describe = descriptors_of(axis.name, axis.values)
    descriptors = descriptor_table(comparison, pairs, describe)
    summary["descriptors"] = json.loads(descriptors.to_json(orient="records", double_precision=6))
    scan = pairs.take(known)
    maps = {
        "measured: range of the spectrum": scan.on_grid(np.ptp(true, axis=1)),
        "predicted: range of the spectrum": scan.on_grid(np.ptp(said, axis=1)),
        "error (root mean square)": scan.on_grid(np.sqrt(np.mean((true - said) ** 2, axis=1))),
        "stated standard deviation": scan.on_grid(std.mean(axis=1)),
    }
    found = describe(axis.values, true)
    first = next(iter(found))
    maps |= {f"measured: {first}": scan.on_grid(found[first])}
    maps |= {f"predicted: {first}": scan.on_grid(describe(axis.values, said)[first])}
    manifold = lay_out(model, pairs.patches)
    middle = int(np.argsort(np.ptp(true, axis=1))[len(true) // 2])
    patch = scan.patches[middle]
    attributions = {"range of the spectrum": occlusion(model, patch, lambda spectra: np.ptp(spectra, axis=1))}
    for name in list(found)[:2]:
        attributions[name] = np.nan_to_num(occlusion(model, patch, partial(_number, describe, axis.values, name)))
    figures = {
        "Measured and predicted spectra of places that were left out of the training; bands hold 90 %": (
            "spectra.png",
            draw_spectra(axis.values, true, said, std, axis=axis.name, unit=axis.units),
        ),
        "Over the scan: what was measured, what was predicted, how far off that is and how far it says it is": (
            "maps.png",
            draw_scan_maps(maps),
        ),
        "The latent space of the first network": (
            "manifold.png",
            draw_manifold(
                manifold.codes, manifold.spectra, manifold.patches, axis.values, axis=axis.name, along=manifold.along
            ),
        ),
        "What covering a pixel of a patch takes from its prediction (red: it raised the number, blue: it lowered it)": (
            "attribution.png",
            draw_attribution(patch[0], attributions),
        ),
    }
    if model.clean:
        checked = check_spectra(measured)
        values = measured.transpose("y", "x", axis.name).to_numpy().astype(float)
        figures["Spectra that were left out, by a rule that knows no model"] = (
            "left_out.png",
            draw_left_out(axis.values, values, checked.reason, REASONS, axis=axis.name),
        )
    for name, figure in figures.values():
        write_atomically(out / name, figure_png(figure))
    write_table(out, "comparison", comparison.table)
    write_table(out, "descriptors", descriptors)
    page = render_spectra_report(
        summary,
        {"Models and baselines on blocks that were left out": comparison.table, "Descriptors": descriptors},
        {caption: figure for caption, (_, figure) in figures.items()},
        title=str(measured.attrs.get("source", {}).get("file", "spectra")),
        history=[*structure.attrs.get("history", []), *measured.attrs.get("history", [])],
    )
    write_atomically(out / "report.html", page)
    write_json(out / "summary.json", summary)


def _number(describe: Describe, places: Array, name: str, spectra: Array) -> Array:
    """One descriptor of spectra (n, point)."""
    return describe(places, spectra)[name]
