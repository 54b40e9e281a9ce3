"""Kinds of atoms: how many there are, and their scores."""

import numpy as np
from matplotlib.figure import Figure

from adatom.analyse import Decomposition, Mixture
from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart
from adatom.report.component_rows import LEFT, TAKEN, name_panel
from adatom.report.palette import species_colour

_MOST_POINTS = 20_000


def draw_mixture(parts: Decomposition, kinds: Mixture) -> Figure:
    """Draw the criterion of each number of kinds, and the first two scores of atoms in their kinds' colours."""
    figure = make_figure(6.6, 3.0)
    left, right = place_axes(figure, 0.75, 0.5, 2.3, 2.1), place_axes(figure, 3.8, 0.5, 2.6, 2.1)
    for axes in (left, right):
        style_chart(axes)
    numbers, values = list(kinds.criterion), list(kinds.criterion.values())
    left.plot(numbers, values, "o-", color=LEFT, markersize=4, linewidth=0.8)
    left.plot([len(kinds.weights)], [kinds.criterion[len(kinds.weights)]], "o", color=TAKEN, markersize=6)
    left.set_xticks(numbers)
    left.set_xlabel("number of kinds")
    left.set_ylabel("Bayesian information criterion")
    name_panel(left, "The lowest is best")
    scores = parts.scores
    two = scores[:, :2] if scores.shape[1] > 1 else np.column_stack([scores[:, 0], np.zeros(len(scores))])
    shown = np.random.default_rng(0).permutation(len(two))[:_MOST_POINTS]
    for kind in range(1, len(kinds.weights) + 1):
        mine = shown[kinds.component[shown] == kind]
        right.plot(*two[mine].T, ".", color=species_colour(kind - 1), markersize=3, label=f"kind {kind}: {len(mine)}")
    right.set_xlabel(parts.names[0])
    right.set_ylabel(parts.names[1] if scores.shape[1] > 1 else "")
    right.legend(fontsize=FONT - 1.5, frameon=False, labelcolor=INK)
    name_panel(right, "Scores of all atoms")
    return figure
