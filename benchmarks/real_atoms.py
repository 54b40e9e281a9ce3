"""Real atoms that experts marked: single Pt atoms on carbon, Re bipyridines and Pt porphyrins.

Zero-shot: the model that ships for single atoms, trained on simulations only; its own limit, "likelier than not", is
the threshold. Fine-tuned: adapted to marked images and scored on others, whole images at a time, with the threshold
that makes the expected F1 highest by the model's own probabilities. Few marks: the same
with what a user may have marked. The peer is a difference of Gaussians whose widths and threshold are the best for
these very images and marks. The marks are not complete, and experts judge one image more strictly than another:
differences below 0.03 mean nothing.

``python -m benchmarks.real_atoms`` runs the zero-shot part alone and keeps no figures.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

import adatom as ad
from adatom.data import pixel_size_nm
from adatom.models.adapting import adapt
from adatom.models.localizer import Localizer
from benchmarks.detection_scores import (
    Finds,
    Judged,
    Reliability,
    average_precision,
    best_limit,
    judge,
    paired_bootstrap,
    reliability,
    score,
)
from benchmarks.difference_of_gaussians import tuned_on
from benchmarks.marked_images import MarkedImage, molecule_images, pt_images
from benchmarks.matched_filter import matched_filter_snr
from benchmarks.record import Recorder
from benchmarks.reliability_diagram import write_reliability

TOLERANCES_PX = (6, 10)
MODEL = "single_atoms"
GOALS = {
    ("pt", "zero_shot", 6): {"f1": ">= 0.71", "average_precision": ">= 0.75"},
    ("pt", "fine_tuned", 6): {"f1": ">= 0.745", "average_precision": ">= 0.78"},
}
PANELS = {
    "Pt, simulation only": ("pt", "zero_shot"),
    "Pt, adapted to other images": ("pt", "fine_tuned"),
    "molecules, simulation only": ("molecules", "zero_shot"),
    "molecules, adapted to others": ("molecules", "fine_tuned"),
}
DIAGRAM = Path(__file__).parents[1] / "docs" / "images" / "real_atoms_reliability.png"
N_FOLDS = 4  # of the molecules; of the Pt images each is left out alone
FEW_MARKS = 20
N_DRAWS = 3  # of the images that a user may have marked
SNR_EDGES = (0.0, 3.0, 4.0, 5.0, 6.0, 8.0, np.inf)


def look(model: Localizer, image: MarkedImage) -> Finds:
    """All finds in an image, however unlikely, in px."""
    values = image.image.to_numpy()
    maps = model.look(values, model.working_factors(image.image)[0])
    peaks = model.peaks(maps, min_probability=0.0).within(np.ones(values.shape, dtype=bool))
    return Finds(np.column_stack([peaks.x, peaks.y]), peaks.probability)


def adapted_to(model: Localizer, images: Sequence[MarkedImage], n_marks: int | None = None, seed: int = 0) -> Localizer:
    """The model after it learned from marked images, or from `n_marks` of the marks of each."""
    tables = []
    for one in images:
        step_y, step_x = pixel_size_nm(one.image) or (1.0, 1.0)
        marks = one.marks if n_marks is None else np.random.default_rng(seed).permutation(one.marks)[:n_marks]
        tables.append(pd.DataFrame({"x": marks[:, 0] * step_x, "y": marks[:, 1] * step_y}))
    return adapt(model, [one.image for one in images], tables, seed=seed)[0]


def judged(finds: Iterable[Finds], images: Sequence[MarkedImage], tolerance_px: float) -> list[Judged]:
    return [judge(f, one.marks, tolerance_px=tolerance_px) for f, one in zip(finds, images, strict=True)]


def report(
    recorder: Recorder, group: str, setting: str, images: Sequence[MarkedImage], finds: list[Finds], limit: float
) -> None:
    """Figures of one group of images in one setting, beside those of the tuned difference of Gaussians."""
    peer_finds, peer_limit = tuned_on(
        [one.image.to_numpy().astype(float) for one in images], [one.marks for one in images], tolerance_px=6
    )
    for tolerance in TOLERANCES_PX:
        name = f"real_atoms/{group}/{setting}/{tolerance}px"
        goals = GOALS.get((group, setting, tolerance), {})
        ours, theirs = judged(finds, images, tolerance), judged(peer_finds, images, tolerance)
        counts, peer = score(ours, limit), score(theirs, peer_limit)
        for figure in ("precision", "recall", "f1"):
            recorder.add(
                f"{name}/{figure}", getattr(counts, figure), goal=goals.get(figure), peer=getattr(peer, figure)
            )
        precision = average_precision(ours)
        recorder.add(
            f"{name}/average_precision", precision, goal=goals.get("average_precision"), peer=average_precision(theirs)
        )
        difference, low, high = paired_bootstrap(ours, theirs, average_precision)
        print(
            f"      average precision over the peer's: {difference:+.3f}, 95 % of the draws {low:+.3f} to {high:+.3f}"
        )
        recorder.add(f"{name}/average_precision_over_peer_low", low)
    reliable = reliability(judged(finds, images, 6))
    recorder.add(f"real_atoms/{group}/{setting}/calibration_error", reliable.expected_calibration_error)
    for stated, observed, n in zip(reliable.stated, reliable.observed, reliable.n, strict=True):
        print(f"      of {n:4d} finds with a probability of about {stated:.2f}, {observed:.2f} are marked")
    return reliable


def report_snr(images: Sequence[MarkedImage], finds: list[Finds], limit: float) -> None:
    """How many of the finds of each matched-filter SNR the experts marked."""
    snr, right = [], []
    for one, found in zip(images, (f.likelier(limit) for f in finds), strict=True):
        order = np.argsort(-found.probability, kind="stable")
        snr.append(matched_filter_snr(one.image.to_numpy().astype(float), found.positions[order]))
        right.append(judge(found, one.marks, tolerance_px=6).is_right)
    all_snr, all_right = np.concatenate(snr), np.concatenate(right)
    for low, high in pairwise(SNR_EDGES):
        inside = (all_snr >= low) & (all_snr < high)
        if inside.any():
            print(f"      SNR {low:g} to {high:g}: {inside.sum()} finds, {all_right[inside].mean():.2f} of them marked")


def left_out(images: Sequence[MarkedImage], n_folds: int, learn: Callable[..., Localizer]) -> tuple[list[Finds], float]:
    """Finds in each image by a model that learned from images of the other folds, and the threshold that it expects the
    best F1 of, by its probabilities on the images that it learned from (the mean over the folds).
    """
    finds: dict[int, Finds] = {}
    limit = 0.0
    for fold in range(n_folds):
        learned_from = [one for k, one in enumerate(images) if k % n_folds != fold]
        model = learn(learned_from)
        limit += best_limit([look(model, one).probability for one in learned_from])
        finds |= {k: look(model, images[k]) for k in range(fold, len(images), n_folds)}
    return [finds[k] for k in range(len(images))], limit / n_folds


def few_marks(recorder: Recorder, model: Localizer, group: str, images: Sequence[MarkedImage]) -> None:
    """F1 on the images of which nothing was marked, against what was marked of others."""
    for what, n_images, n_marks in (
        ("20_atoms", 1, FEW_MARKS),
        ("1_image", 1, None),
        ("3_images", 3, None),
        ("5_images", 5, None),
        ("10_images", 10, None),
    ):
        if n_images >= len(images):
            break
        ours: list[Judged] = []
        before: list[Judged] = []
        for draw in range(N_DRAWS):
            chosen = np.random.default_rng(draw).permutation(len(images))[:n_images]
            others = [one for k, one in enumerate(images) if k not in chosen]
            learned = adapted_to(model, [images[k] for k in chosen], n_marks, seed=draw)
            ours += judged([look(learned, one) for one in others], others, 6)
            before += judged([look(model, one) for one in others], others, 6)
        recorder.add(
            f"real_atoms/{group}/few_marks/{what}/f1",
            score(ours, model.min_probability).f1,
            peer=score(before, model.min_probability).f1,
        )
        recorder.add(
            f"real_atoms/{group}/few_marks/{what}/average_precision",
            average_precision(ours),
            peer=average_precision(before),
        )
    print("      (here the peer is the model before it learned, on the same images)")


def zero_shot(
    recorder: Recorder, model: Localizer, groups: dict[str, list[MarkedImage]]
) -> dict[tuple[str, str], Reliability]:
    diagrams = {}
    for group, images in groups.items():
        finds = [look(model, one) for one in images]
        diagrams[group, "zero_shot"] = report(recorder, group, "zero_shot", images, finds, model.min_probability)
        report_snr(images, finds, 0.2)
    return diagrams


def by_default(recorder: Recorder, groups: dict[str, list[MarkedImage]]) -> None:
    """What a user gets who names no model: positions of `find`, and which model it chose."""
    for group, images in groups.items():
        right = n_found = n_marks = 0
        chosen: list[str] = []
        for one in images:
            atoms = ad.find(one.image)
            step_y, step_x = pixel_size_nm(one.image) or (1.0, 1.0)
            finds = Finds(atoms[["x", "y"]].to_numpy() / (step_x, step_y), atoms["probability"].to_numpy())
            counts = score([judge(finds, one.marks, tolerance_px=6)], 0.0)
            right, n_found, n_marks = right + counts.n_right, n_found + counts.n_found, n_marks + counts.n_marks
            chosen.append(atoms.attrs["summary"]["model"])
        recorder.add(f"real_atoms/{group}/default_find/6px/f1", 2 * right / max(1, n_found + n_marks))
        print(f"      {chosen.count(MODEL)} of {len(images)} handed over to {MODEL}")


def run(recorder: Recorder) -> None:
    model, groups = _model(), _groups()
    by_default(recorder, groups)
    diagrams = zero_shot(recorder, model, groups)
    recorder.save()  # each part takes minutes
    for group in ("pt", "molecules"):
        images = groups[group]
        finds, limit = left_out(images, len(images) if group == "pt" else N_FOLDS, partial(adapted_to, model))
        diagrams[group, "fine_tuned"] = report(recorder, group, "fine_tuned", images, finds, limit)
        recorder.save()
    shown = {title: diagrams[key] for title, key in PANELS.items()}
    write_reliability(shown, DIAGRAM)
    for group in ("pt", "bpy", "ptporph"):
        few_marks(recorder, model, group, groups[group])
        recorder.save()


def _model() -> Localizer:
    model = ad.load(MODEL)
    assert isinstance(model, Localizer)
    return model


def _groups() -> dict[str, list[MarkedImage]]:
    molecules = molecule_images()
    return {
        "pt": pt_images(),
        "molecules": molecules,
        "bpy": [one for one in molecules if one.family == "bpy"],
        "ptporph": [one for one in molecules if one.family == "ptporph"],
    }


if __name__ == "__main__":
    zero_shot(Recorder(command="a look"), _model(), _groups())
