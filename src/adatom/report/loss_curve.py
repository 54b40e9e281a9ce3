"""How a training went: losses, scores, and the step that was best."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from adatom.errors import ArgumentError
from adatom.report.canvas import FONT, INK, make_figure, place_axes, style_chart
from adatom.report.palette import species_colour

TRAINING, VALIDATION, IOU, F1 = (species_colour(i) for i in (1, 5, 6, 0))
SIZE = 3.0, 2.4  # [inch], of a panel


def draw_loss(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw the losses (left) and the scores (right) of a training against its steps.

    The best step is the one with the lowest `val_loss`, whose weights a training keeps; without one, the one with the
    highest `val_iou`.

    Parameters
    ----------
    history : one record a step with `step` and `loss`; now and then also `val_loss`, `val_iou` and `val_f1`, elsewhere
        absent or NaN.

    Raises
    ------
    ArgumentError : if a record says no step.
    """
    if any("step" not in record for record in history):
        raise ArgumentError("history: expected a 'step' in every record, got one without.")
    records = {key: _series(history, key) for key in ("loss", "val_loss", "val_iou", "val_f1")}
    best = _best_step(records)

    width, height = SIZE
    figure = make_figure(2 * width + 1.55, height + 0.8)
    losses = place_axes(figure, 0.6, 0.5, width, height)
    scores = place_axes(figure, width + 1.35, 0.5, width, height)
    steps = np.concatenate([series[0] for series in records.values()])
    for axes in (losses, scores):
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if len(steps):
            axes.set_xlim(steps.min(), max(steps.max(), steps.min() + 1))
        if best is not None:
            axes.axvline(best, color="#999999", linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)

    _draw_losses(losses, records)
    _draw_scores(scores, records)
    for axes in (losses, scores):
        style_chart(axes)
        _add_legend(axes)
    if best is not None:
        left, top = 0.6 / figure.get_figwidth(), 1 - 0.08 / figure.get_figheight()
        figure.text(left, top, _best_text(records, best), fontsize=FONT, color=INK, va="top")
    return figure


def _series(history: Sequence[Mapping[str, float]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the records that hold a finite value under this key."""
    pairs = [(record["step"], record[key]) for record in history if record.get(key) is not None]
    steps, values = np.asarray(pairs, float).reshape(-1, 2).T
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _best_step(records: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> float | None:
    for key, sign in (("val_loss", -1), ("val_iou", 1)):
        steps, values = records[key]
        if len(values):
            return float(steps[np.argmax(sign * values)])
    return None


def _best_text(records: Mapping[str, tuple[np.ndarray, np.ndarray]], best: float) -> str:
    found = []
    for key, name in (("val_loss", "validation loss"), ("val_iou", "IoU"), ("val_f1", "F1")):
        steps, values = records[key]
        if best in steps:
            found.append(f"{name} {values[steps == best][-1]:.3g}")
    return f"best step {best:g}: {', '.join(found)}"


def _draw_losses(axes: Axes, records: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    axes.set_ylabel("loss")
    steps, loss = records["loss"]
    val_steps, val_loss = records["val_loss"]
    everything = np.concatenate([loss, val_loss])
    if not len(everything):
        axes.text(0.5, 0.5, "no losses yet", transform=axes.transAxes, ha="center", fontsize=FONT, color="#777777")
        return
    log = bool((everything > 0).all())  # a likelihood can be negative
    if log:
        axes.set_yscale("log")
        # 0.1, 0.2, 0.5, 1: plain numbers, few of them, also where the losses span less than a decade
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.plot(steps, loss, color=TRAINING, linewidth=0.5, alpha=0.45)
    axes.plot(steps, _smooth(loss, log=log), color=TRAINING, linewidth=1.4, label="training")
    if len(val_loss):
        axes.plot(val_steps, val_loss, color=VALIDATION, linewidth=1.0, marker="o", markersize=2.6, label="validation")
    low, high = np.percentile(everything, (0, 99.5))  # the first steps may be far above everything else
    margin = (high / low) ** 0.06 if log else 0.06 * (high - low)
    if high > low:
        axes.set_ylim(*((low / margin, high * margin) if log else (low - margin, high + margin)))


def _draw_scores(axes: Axes, records: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    axes.set_ylabel("score on validation")
    axes.set_ylim(0, 1)
    axes.grid(axis="y", linewidth=0.4, color="#DDDDDD")
    for key, name, colour, mark in (("val_iou", "IoU", IOU, "o"), ("val_f1", "F1", F1, "s")):
        steps, values = records[key]
        if len(values):
            axes.plot(
                steps, values, color=colour, linewidth=1.0, marker=mark, markersize=2.6, label=name, clip_on=False
            )
    if not any(len(records[key][0]) for key in ("val_iou", "val_f1")):
        axes.text(0.5, 0.5, "no scores", transform=axes.transAxes, ha="center", fontsize=FONT, color="#777777")


def _smooth(values: np.ndarray, *, log: bool) -> np.ndarray:
    """Running mean over a twentieth of the training; geometric where the axis is logarithmic."""
    half = len(values) // 40
    if half < 1:
        return values
    terms = np.log(values) if log else values
    total = np.concatenate([[0.0], np.cumsum(terms)])
    centre = np.arange(len(values))
    start, stop = np.maximum(centre - half, 0), np.minimum(centre + half + 1, len(values))
    mean = (total[stop] - total[start]) / (stop - start)
    return np.exp(mean) if log else mean


def _add_legend(axes: Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=FONT - 1, labelcolor=INK, framealpha=0.85, edgecolor="none", loc="best")
