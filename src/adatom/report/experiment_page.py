"""One HTML file that says what an experiment found, how it went, and why it ended."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure

from adatom.report.page import facts_part, figure_part, warnings_part, whole_page


def render_experiment_report(
    summary: Mapping[str, Any],
    figures: Mapping[str, Figure | bytes],
    refusals: Sequence[Mapping[str, Any]],
    *,
    title: str,
) -> str:
    """A self-contained page.

    Parameters
    ----------
    summary : as `adatom.experiment.showing.summary_of` gives it.
    figures : caption to figure.
    refusals : ``time``, ``verb`` and ``reason`` of what the limits refused and what failed.
    """
    best = summary["best"]
    facts = {"Measured": f"{summary['n_measured']} of {summary['n_targets']} targets"}
    if best is not None:
        facts["Best"] = (
            f"{escape(summary['quantity'])} = {best['value']:.4g} at x = {best['x_nm']:.4g} nm, "
            f"y = {best['y_nm']:.4g} nm"
        )
    if summary["predicted"] is not None:
        facts["Predictions made before measuring"] = (
            f"{summary['predicted']['n']}, root mean square error {summary['predicted']['rms_error']:.4g}, "
            f"{summary['predicted']['within_2_std']:.0%} within ±2 stated deviations"
        )
    facts |= {
        "Instrument": escape(summary["instrument"]),
        "Policy": escape(f"{summary['acquisition']}, model {summary['model']}"),
        "Time of the instrument": f"{summary['instrument_s']:.4g} s",
        "Time for decisions": f"{summary['deciding_s']:.3g} s of {summary['wall_s']:.3g} s by the wall clock",
        "Sittings": f"{summary['n_sessions']}",
        "Failed or refused": f"{summary['n_failed']} failed, {summary['n_refused']} refused",
    }
    if summary["drift_nm"] is not None:
        facts["Drift at the end"] = "x {:.3g} nm, y {:.3g} nm".format(*summary["drift_nm"])
    rows = "".join(
        f"<tr><td>{escape(str(each['time']))}</td><td>{escape(str(each.get('verb', '')))}</td>"
        f"<td>{escape(str(each['reason']))}</td></tr>\n"
        for each in refusals
    )
    table = (
        '<section><h2>What was refused or failed</h2><div class="wide" tabindex="0"><table><thead><tr><th>time</th>'
        f"<th>verb</th><th>reason</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )
    parts = [
        f'<p class="file">{escape(title)}</p>',
        "<h1>An experiment</h1>",
        f"<p><b>{escape(summary['stop_reason'] or 'It has not come to its end.')}</b></p>",
        warnings_part(summary["warnings"]),
        facts_part(facts),
        *(figure_part(caption, figure) for caption, figure in figures.items()),
        table if rows else "",
    ]
    return whole_page(parts, title=title)
