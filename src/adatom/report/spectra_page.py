"""One HTML file that says how well spectra are predicted from images, and by what."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from adatom.report.page import facts_part, figure_part, warnings_part, whole_page


def render_spectra_report(
    summary: Mapping[str, Any],
    tables: Mapping[str, pd.DataFrame],
    figures: Mapping[str, Figure],
    *,
    title: str,
    history: Iterable[str] = (),
) -> str:
    """A self-contained page.

    Parameters
    ----------
    summary : ``verdict``, ``warnings``, ``n_pairs``, ``n_left_out`` (reason to number), ``patch``, ``seconds``.
    tables : heading to table.
    figures : caption to figure.
    """
    facts = {
        "Pairs of patch and spectrum": f"{summary['n_pairs']}",
        "Patch": escape(str(summary["patch"])),
        **{f"Left out: {escape(reason)}": f"{n}" for reason, n in summary["n_left_out"].items() if n},
        "Time": f"{summary['seconds']:.0f} s",
    }
    steps = "".join(f"<li>{escape(str(step))}</li>" for step in history)
    parts = [
        f'<p class="file">{escape(title)}</p>',
        "<h1>From image to spectrum</h1>",
        f"<p><b>{escape(str(summary['verdict']))}</b></p>",
        warnings_part(summary.get("warnings") or ()),
        facts_part(facts),
        *(table_part(heading, table) for heading, table in tables.items()),
        *(figure_part(caption, figure) for caption, figure in figures.items()),
        f"<section><h2>Provenance</h2><ol>{steps}</ol></section>" if steps else "",
    ]
    return whole_page(parts, title=title)


def table_part(heading: str, table: pd.DataFrame) -> str:
    """A table under a heading."""
    heads = "".join(f"<th>{escape(str(name))}</th>" for name in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>\n"
        for row in table.itertuples(index=False, name=None)
    )
    return (
        f'<section><h2>{escape(heading)}</h2><div class="wide" tabindex="0"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.4g}" if isinstance(value, float) else escape(str(value))
