"""The finder that ships, on two-atom honeycombs that nothing here was trained on: any scale, any fault, no setting.

Images are uncalibrated (but those with oblong pixels), no model is named, and atoms count up to the border. A find is
right within 0.3 bonds of a known atom, one to one; counts are added up over the images. A fault's loss is against the
same images without it.

``python -m benchmarks.finder_simulated --quick --only step`` looks at a few images and keeps no figures.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np

import adatom as ad
from benchmarks.counting import Counts, count
from benchmarks.record import Recorder
from benchmarks.two_atom_images import FAULTS, Kind, TwoAtomImage, draw_image, resampled

TOLERANCE = 0.3  # bonds
FACTORS = (0.4, 0.5, 0.7, 1.5, 3.0)
KINDS: tuple[Kind, ...] = ("clean", "noisy")
N_PLAIN, N_RESAMPLED, N_FAULT = 64, 24, 16  # images of each kind
LISTED_BELOW = 0.97  # the F1 below which an image is listed

Change = Callable[[TwoAtomImage, int], TwoAtomImage]


def search(drawn: TwoAtomImage, *, what: str = "", index: int = 0) -> Counts:
    """Find the atoms of one image and count; lists the image where few of them were right."""
    started = time.perf_counter()
    atoms = ad.find(drawn.image)
    seconds = time.perf_counter() - started
    found = atoms[["x", "y"]].to_numpy()
    unjudged = None
    if drawn.unjudged is not None:
        column, row = np.round(found).astype(int).T
        rows, columns = drawn.unjudged.shape
        unjudged = drawn.unjudged[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
    counts = count(
        found,
        drawn.positions,
        tolerance=TOLERANCE * drawn.bond,
        at_border=drawn.at_border(found),
        unjudged=unjudged,
    )
    if counts.f1 < LISTED_BELOW:
        summary = atoms.attrs["summary"]
        known = {name: summary.get(name) for name in ("model", "working_factor", "support")}
        said = [warning for warning in summary["warnings"] if not warning.startswith("The file states no pixel size")]
        print(
            f"    {what} test image {index}: bond {drawn.bond:.3g}, {counts}; {seconds:.1f} s, {known}, {said}",
            flush=True,
        )
    return counts


def _unchanged(drawn: TwoAtomImage, index: int) -> TwoAtomImage:
    del index
    return drawn


def pooled(kind: Kind, n: int, change: Change = _unchanged, *, what: str) -> Counts:
    """Counts over the first `n` test images, each changed first."""
    total = Counts()
    for index in range(n):
        total += search(change(draw_image(kind, "test", index), index), what=what, index=index)
    return total


@cache
def _plain(kind: Kind, index: int) -> Counts:
    return search(draw_image(kind, "test", index), what=kind, index=index)


def plain(kind: Kind, n: int) -> Counts:
    """Counts over the first `n` test images as they are, each searched once."""
    return sum((_plain(kind, index) for index in range(n)), Counts())


def _fault(name: str) -> Change:
    return lambda drawn, index: FAULTS[name](drawn, np.random.default_rng([index, len(name)]))


def _inverted(drawn: TwoAtomImage, index: int) -> TwoAtomImage:
    del index
    return replace(drawn, values=-drawn.values)


def _resampled(factor: float) -> Change:
    return lambda drawn, index: resampled(drawn, factor)


def parts(recorder: Recorder, *, few: bool) -> Iterator[tuple[str, Callable[[], None]]]:
    """The names of all parts, and what runs each."""
    n_plain, n_resampled, n_fault = (4, 3, 2) if few else (N_PLAIN, N_RESAMPLED, N_FAULT)

    def add(figure: str, counts: Counts, goal: str | None) -> None:
        recorder.add(f"finder/two_atoms/{figure}/f1", counts.f1, goal=goal)
        print(f"      {counts}", flush=True)

    def as_they_are(kind: Kind) -> None:
        counts = plain(kind, n_plain)
        add(kind, counts, {"clean": ">= 0.99", "noisy": ">= 0.975"}[kind])
        recorder.add(f"finder/two_atoms/{kind}/precision", counts.precision)
        recorder.add(f"finder/two_atoms/{kind}/recall", counts.recall)
        recorder.add(f"finder/two_atoms/{kind}/rms_px", counts.rms)

    def at_scale(kind: Kind, factor: float) -> None:
        counts = pooled(kind, n_resampled, _resampled(factor), what=f"{kind} x{factor:g}")
        add(f"{kind}_x{factor:g}", counts, ">= 0.97" if kind == "clean" else None)

    def inverted(kind: Kind) -> None:
        add(f"{kind}_inverted", pooled(kind, n_resampled, _inverted, what=f"{kind} inverted"), None)

    def with_fault(name: str) -> None:
        for kind in KINDS:
            counts = pooled(kind, n_fault, _fault(name), what=f"{kind} {name}")
            same = plain(kind, n_fault)
            recorder.add(f"finder/two_atoms/{kind}_{name}/loss_of_f1", same.f1 - counts.f1, goal="<= 0.01")
            print(f"      {counts}; F1 without the fault {same.f1:.4f}", flush=True)

    for kind in KINDS:
        yield kind, lambda kind=kind: as_they_are(kind)
    for factor in FACTORS:
        for kind in KINDS:
            yield f"{kind}_x{factor:g}", lambda kind=kind, factor=factor: at_scale(kind, factor)
    for kind in KINDS:
        yield f"{kind}_inverted", lambda kind=kind: inverted(kind)
    for name in FAULTS:
        yield name, lambda name=name: with_fault(name)


def run(recorder: Recorder, *, few: bool = False, only: list[str] | None = None) -> None:
    """All parts, or those named in `only`."""
    for name, part in parts(recorder, few=few):
        if not only or any(word in name for word in only):
            part()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a look at some figures; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="a few images of each part")
    parser.add_argument("--only", nargs="*", help="words: the parts whose names hold one of them")
    arguments = parser.parse_args()
    run(Recorder(command="a look"), few=arguments.quick, only=arguments.only)
