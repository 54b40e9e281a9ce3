"""One HTML file that says what was found, how sure that is, and where it came from."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from adatom.data import check_atoms
from adatom.report.canvas import figure_png
from adatom.report.histograms import draw_histograms
from adatom.report.overlay import ODD
from adatom.report.palette import species_colour
from adatom.report.stylesheet import STYLE

N_ROWS = 20
PAGE_DPI = 150  # a page is read on a screen: half the bytes of a printed figure


def render_report(
    summary: Mapping[str, Any], atoms: pd.DataFrame, figures: Mapping[str, Figure | bytes], *, title: str
) -> str:
    """Write a self-contained page: it loads nothing, runs no script, and reads well on a phone and in the dark.

    Parameters
    ----------
    summary : what `summary.json` holds: `n_atoms`, `species` (counts by name), `spacing_nm`, `spacing_px`, `units`,
        `pixel_size` [nm], `model`, `model_sha256`, `warnings`, `seconds`, `lattice`, `file`. What is absent or None is
        left out.
    atoms : table whose first rows and distributions are shown, and whose history is told.
    figures : caption to figure, or to the bytes of a PNG.
    title : of the page.

    Raises
    ------
    ShapeError : if `atoms` lacks a column or its unit.
    """
    check_atoms(atoms)
    shown = {**figures}
    if len(atoms):
        shown["Distances to the nearest neighbour, and probabilities"] = draw_histograms(atoms)
    n_atoms = int(summary.get("n_atoms", len(atoms)))
    body = [
        f'<p class="file">{escape(title)}</p>',
        f"<h1>{n_atoms} {'atom' if n_atoms == 1 else 'atoms'} found</h1>",
        _species(summary.get("species") or {}),
        warnings_part(summary.get("warnings") or ()),
        facts_part(_findings(summary)),
        facts_part({"Lattice": _lattice(summary["lattice"])}) if summary.get("lattice") else "",
        *(figure_part(caption, figure) for caption, figure in shown.items()),
        _odd_atoms(atoms),
        _table(atoms, "atoms"),
        _provenance(summary, atoms.attrs.get("history") or ()),
    ]
    return whole_page(body, title=title)


def whole_page(parts: Iterable[str], *, title: str) -> str:
    """A self-contained page of HTML parts; empty ones are left out."""
    page = "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            # Said to the browser too: whatever stands in this page, it fetches nothing and runs nothing.
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
            '<link rel="icon" href="data:,">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *(part for part in parts if part),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )
    return page.encode("utf-8", "replace").decode("utf-8")  # a file name may hold bytes that are no text


def _species(counts: Mapping[str, int]) -> str:
    present = sorted(str(name) for name, count in counts.items() if count)  # as in the overlay: the colours agree
    colours = {name: species_colour(i) for i, name in enumerate(present)}
    items = "".join(
        f'<li><span class="dot" style="background:{colours.get(str(name), "transparent")}"></span>'
        f"{escape(str(name)) or 'atom'} <b>{int(count)}</b></li>"
        for name, count in sorted(counts.items(), key=lambda pair: str(pair[0]))
    )
    return f'<ul class="species">{items}</ul>' if items else ""


def warnings_part(warnings: Iterable[str]) -> str:
    """Sentences that stand out, or nothing."""
    items = "".join(f"<li>{escape(str(sentence))}</li>" for sentence in warnings)
    return f'<section class="warnings" role="alert"><h2>Warnings</h2><ul>{items}</ul></section>' if items else ""


def _findings(summary: Mapping[str, Any]) -> dict[str, str]:
    """What the page tells in short; every value already safe to print."""
    facts = {}
    spacing_nm, spacing_px = _number(summary.get("spacing_nm"), "nm"), _number(summary.get("spacing_px"), "px")
    if spacing_nm or spacing_px:
        facts["Spacing"] = f"{spacing_nm} ({spacing_px})" if spacing_nm and spacing_px else spacing_nm or spacing_px
    facts["Pixel size"] = _pixel_size(summary.get("pixel_size"))
    if summary.get("model"):
        sha = str(summary.get("model_sha256") or "")[:12]
        facts["Model"] = escape(str(summary["model"])) + (f" <code>{escape(sha)}</code>" if sha else "")
    if seconds := _number(summary.get("seconds"), "s", digits=2):
        facts["Time"] = seconds
    return facts


def facts_part(facts: Mapping[str, str]) -> str:
    """Names and values, which have to be safe to print."""
    return '<dl class="facts">' + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in facts.items()) + "</dl>"


def _number(value: Any, unit: str, digits: int = 4) -> str:
    if not isinstance(value, Real) or not np.isfinite(float(value)):
        return ""
    return f"{float(value):#.{digits}g}".removesuffix(".") + (f"\u00a0{unit}" if unit else "")


def _pixel_size(size: float | Sequence[float] | None) -> str:
    if size is None:
        return "unknown: positions are in pixels"
    sizes = [float(s) for s in np.atleast_1d(np.asarray(size, dtype=float))]
    if len(sizes) == 1 or np.isclose(sizes[0], sizes[1], rtol=1e-4):
        return _number(sizes[0], "nm")
    return f"{_number(sizes[1], 'nm')} along x, {_number(sizes[0], 'nm')} along y"


def _lattice(lattice: Mapping[str, Any]) -> str:
    size = lattice.get("pixel_size")
    parts = [f"{name} = {_number(lattice.get(key), 'px')}" for name, key in (("a", "a_px"), ("b", "b_px"))]
    parts.append(f"angle {_number(lattice.get('angle_deg'), '')}°")
    if stretch := _number(lattice.get("stretch"), ""):
        parts.append(f"stretch {stretch}")
    if size is not None:
        parts.append(f"pixel size from the lattice constant: {_pixel_size(size)}")
    return ", ".join(parts)


def figure_part(caption: str, figure: Figure | bytes) -> str:
    """A figure and its caption."""
    png = figure if isinstance(figure, bytes) else figure_png(figure, dpi=PAGE_DPI)
    text = escape(caption)
    source = f"data:image/png;base64,{b64encode(png).decode('ascii')}"
    return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _odd_atoms(atoms: pd.DataFrame) -> str:
    """Those that are likelier odd in their sublattice than not, the likeliest first."""
    if "odd_probability" not in atoms:
        return ""
    odd = atoms[atoms["odd_probability"] > ODD]
    return _table(odd.sort_values("odd_probability", ascending=False), "atoms brighter or dimmer than their sublattice")


def _table(atoms: pd.DataFrame, what: str) -> str:
    if atoms.empty:
        return ""
    units = escape(str(atoms.attrs["units"]))
    decimals = 4 if atoms.attrs["units"] == "nm" else 2
    formats = {
        "x": decimals,
        "y": decimals,
        "x_std": decimals + 1,
        "y_std": decimals + 1,
        "probability": 3,
        "odd_probability": 3,
    }
    names = [str(name) for name in atoms.columns]
    heads = "".join(f"<th>{escape(n)}{f' [{units}]' if n in ('x', 'y', 'x_std', 'y_std') else ''}</th>" for n in names)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(v, formats.get(n))}</td>" for n, v in zip(names, row, strict=True)) + "</tr>\n"
        for row in atoms.head(N_ROWS).itertuples(index=False, name=None)
    )
    first = f"The first {N_ROWS} of {len(atoms)} {what}" if len(atoms) > N_ROWS else f"All {what}"
    return (
        f'<section><h2>{first}</h2><div class="wide" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _cell(value: Any, decimals: int | None) -> str:
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            return "-"
        return f"{value:.{decimals}f}" if decimals is not None else f"{value:.4g}"
    return escape(str(value))


def _provenance(summary: Mapping[str, Any], history: Iterable[str]) -> str:
    steps = "".join(f"<li>{escape(str(step))}</li>" for step in history)
    facts = {}
    if summary.get("file"):
        facts["File"] = f"<code>{escape(str(summary['file']))}</code>"
    if summary.get("model_sha256"):
        facts["Model SHA-256"] = f"<code>{escape(str(summary['model_sha256']))}</code>"
    return (
        "<section><h2>Provenance</h2>" + (f"<ol>{steps}</ol>" if steps else "") + (facts_part(facts) if facts else "")
    ) + "</section>"
