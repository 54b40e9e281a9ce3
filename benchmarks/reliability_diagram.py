"""Stated probabilities against how often they came true, as a picture for the documentation."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from adatom.report.canvas import FONT, INK, figure_png, make_figure, place_axes, style_chart
from adatom.report.histograms import BAR
from benchmarks.detection_scores import Reliability

SIDE = 1.9  # [inch], of a panel
Z = 1.96


def write_reliability(diagrams: Mapping[str, Reliability], path: Path) -> None:
    """Draw a panel for each title; bars are 95 % intervals of the shares (Wilson 1927, 10.2307/2276774)."""
    figure = make_figure(len(diagrams) * (SIDE + 0.25) + 0.55, SIDE + 0.85)
    for k, (title, diagram) in enumerate(diagrams.items()):
        axes = place_axes(figure, 0.5 + k * (SIDE + 0.25), 0.45, SIDE, SIDE)
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=(0, (4, 3)))
        n, share = diagram.n, diagram.observed
        middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
        axes.vlines(diagram.stated, middle - half, middle + half, color=BAR, linewidth=1.2)
        axes.scatter(diagram.stated, share, s=14, color=BAR, zorder=3)
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="stated probability")
        if k == 0:
            axes.set_ylabel("share that experts marked")
        else:
            axes.set_yticklabels([])
        axes.set_title(
            f"{title}\ncalibration error {diagram.expected_calibration_error:.3f}, {n.sum()} finds",
            fontsize=FONT - 1,
            color=INK,
        )
        style_chart(axes)
    path.write_bytes(figure_png(figure))
