"""Figures and pages: what one puts into a paper, and what one opens on a phone.

matplotlib is loaded when a figure is first asked for, not when this room is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

_ROOMS = {
    "draw_contact_sheet": "adatom.report.training_samples",
    "draw_decoded": "adatom.report.decoded",
    "draw_histograms": "adatom.report.histograms",
    "draw_loss": "adatom.report.loss_curve",
    "draw_maps": "adatom.report.maps",
    "draw_match": "adatom.report.match_figure",
    "draw_overlay": "adatom.report.overlay",
    "draw_samples": "adatom.report.training_samples",
    "figure_png": "adatom.report.canvas",
    "render_report": "adatom.report.page",
    "result_folders": "adatom.report.results",
    "write_analysis": "adatom.report.analysis_results",
    "write_results": "adatom.report.results",
}
__all__ = [
    "draw_contact_sheet",
    "draw_decoded",
    "draw_histograms",
    "draw_loss",
    "draw_maps",
    "draw_match",
    "draw_overlay",
    "draw_samples",
    "figure_png",
    "render_report",
    "result_folders",
    "write_analysis",
    "write_results",
]

if TYPE_CHECKING:
    from adatom.report.analysis_results import write_analysis
    from adatom.report.canvas import figure_png
    from adatom.report.decoded import draw_decoded
    from adatom.report.histograms import draw_histograms
    from adatom.report.loss_curve import draw_loss
    from adatom.report.maps import draw_maps
    from adatom.report.match_figure import draw_match
    from adatom.report.overlay import draw_overlay
    from adatom.report.page import render_report
    from adatom.report.results import result_folders, write_results
    from adatom.report.training_samples import draw_contact_sheet, draw_samples


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'adatom.report' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
