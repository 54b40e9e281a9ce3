"""The page of an analysis: what the atoms say in numbers with errors, in pictures, and defect by defect."""

from collections.abc import Mapping
from html import escape
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from adatom.report.page import facts_part, figure_part, warnings_part, whole_page

N_ROWS = 60


def render_analysis(
    summary: Mapping[str, Any], defects: pd.DataFrame, figures: Mapping[str, Figure | bytes], *, title: str
) -> str:
    """Write the page; it loads nothing and runs no script.

    Parameters
    ----------
    summary : of `adatom.analyser.Analysis`, with ``warnings`` if there are any.
    defects : one row a defect; the first ones are shown.
    figures : caption to figure.
    """
    n = sum(facts["n"] for facts in summary["defects"].values())
    body = [
        f'<p class="file">{escape(title)}</p>',
        f"<h1>{summary['n_atoms']} atoms, {n} {'defect' if n == 1 else 'defects'}</h1>",
        warnings_part(summary.get("warnings") or ()),
        facts_part(_facts(summary)),
        *(_lattice(facts, str(summary["units"])) for facts in summary["lattices"]),
        _kinds(summary),
        facts_part({"Events": _events(summary["movie"])}) if summary.get("movie") else "",
        *(figure_part(caption, figure) for caption, figure in figures.items()),
        _rows(defects, str(summary["units"])),
    ]
    return whole_page(body, title=title)


def _facts(summary: Mapping[str, Any]) -> dict[str, str]:
    units, coordination = escape(str(summary["units"])), summary["coordination"]
    facts = {
        "Bonds": f"{summary['n_bonds']}, in the median {summary['bond_length']}&nbsp;{units} long",
        "Neighbours": f"usually {coordination['usual']}; fewer at {coordination['n_under']} of "
        f"{coordination['n_asked']} atoms away from the border",
        "Density": f"{summary['density']} atoms on 1&nbsp;{units}<sup>2</sup>",
    }
    if summary["n_grains"] > 1:
        facts["Grains"] = f"{summary['n_grains']}, with {summary['n_boundary_atoms']} atoms at their boundaries"
    if summary["rings"]:
        facts["Rings"] = ", ".join(f"{count} of {size}" for size, count in summary["rings"].items())
    return facts


def _lattice(facts: Mapping[str, Any], units: str) -> str:
    unit = f"&nbsp;{escape(units)}"
    cell = (
        f"a = {facts['a']} &plusmn; {facts['a_std']:.2g}{unit}, b = {facts['b']} &plusmn; {facts['b_std']:.2g}{unit}, "
        f"angle {facts['angle_deg']} &plusmn; {facts['angle_std_deg']:.2g}&deg;; edge of the regular cell of the same "
        f"area {facts['edge']} &plusmn; {facts['edge_std']:.2g}{unit}"
    )
    strain = "; ".join(
        f"{name} {each['mean']:.2g}, spread {each['spread']:.2g} (error of one atom {each['typical_error'] or 0:.2g})"
        for name, each in facts["strain"].items()
    )
    name = f"Lattice of grain {facts['grain'] + 1}" if facts["grain"] else "Lattice"
    return facts_part({name: cell, "Strain against it": strain})


def _events(movie: Mapping[str, Any]) -> str:
    events = ", ".join(f"{n} {escape(str(kind))}" for kind, n in movie["events"].items()) or "none"
    return (
        f"{events}; {movie['n_unstable']} of {movie['n_sites']} sites change in {movie['n_frames']} frames, "
        f"{movie['n_unstable_expected']} are expected to"
    )


def _kinds(summary: Mapping[str, Any]) -> str:
    if not summary["defects"]:
        return "<section><h2>No defects</h2></section>"
    units = escape(str(summary["units"]))
    heads = ("defect", "kind", "found", "expected", "95 % interval", f"density [1/{units}²]", "at random? (p)")
    rows = []
    for name, facts in summary["defects"].items():
        low, high = facts["interval_95"]
        cells = (
            name,
            facts["kind"],
            facts["n"],
            "-" if facts["expected"] is None else f"{facts['expected']:.1f}",
            f"{low:.1f} to {high:.1f}",
            f"{facts['density']:.3g}",
            "-" if "p_value_random" not in facts else f"{facts['p_value_random']:.2g}",
        )
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    return _wide("Defects by name", heads, rows)


def _rows(defects: pd.DataFrame, units: str) -> str:
    if defects.empty:
        return ""
    names = ("kind", "name", "x", "y", "probability", "note", "atoms")
    heads = [f"{name} [{units}]" if name in ("x", "y") else name for name in names]
    rows = []
    for row in defects.head(N_ROWS)[list(names)].itertuples(index=False, name=None):
        cells = [
            f"{cell:.4g}" if isinstance(cell, float) and cell == cell else "-" if cell != cell else cell for cell in row
        ]
        rows.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    title = f"The first {N_ROWS} of {len(defects)} defects" if len(defects) > N_ROWS else "All defects"
    return _wide(title, heads, rows)


def _wide(title: str, heads: Any, rows: list[str]) -> str:
    head = "".join(f"<th>{escape(str(name))}</th>" for name in heads)
    return (
        f'<section><h2>{escape(title)}</h2><div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>'
        + "\n".join(rows)
        + "</tbody></table></div></section>"
    )
