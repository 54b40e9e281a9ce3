"""How many columns are found at which dose, light ones beside heavy ones, and whether probabilities are shares.

The finder that ships, without any setting, on `benchmarks.column_images`; a find is right within 4 px of a known
column, one to one; what is within 8 px of the border is left out, found or known. Peers on the same images, each with
the threshold that is best for these very images: the Laplacian of a Gaussian (which is also told the true spacing), and
AtomAI 0.8.1, trained on 256 hexagonal lattices of the same kind at 1 to 30 counts (``make peers``).

``python -m benchmarks.detection_against_dose --quick`` looks at a few images, without AtomAI, and keeps no figures.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

import adatom as ad
from adatom.locate import match_positions
from adatom.models.calibration import expected_calibration_error
from benchmarks.column_images import ColumnImage, draw_hexagonal, draw_perovskite
from benchmarks.counting import Counts
from benchmarks.record import FOLDER, Recorder

Array = NDArray[np.float64]

DOSES = {1.0: ">= 0.97", 4.0: ">= 0.995", 8.0: ">= 0.998", 30.0: ">= 0.999"}
LIGHT_DOSE = 125.0
TOLERANCE, BORDER = 4.0, 8.0  # px
N_IMAGES, N_PEER_TRAINING = 24, 256
LABEL_RADIUS_PX = 3.0
PEER_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
PEER_PYTHON, PEER_PROGRAM = FOLDER.parent / ".peers" / "bin" / "python", FOLDER / "peers" / "atomai_segmentor.py"
# Doses at which many columns are doubtful. Here chance has its share: of points thrown blindly, a fifth are "right".
DOUBTFUL_DOSES = (0.05, 0.1, 0.2, 0.4)


def counted(drawn: ColumnImage, found: Array) -> Counts:
    """Matched with the border, so that nothing is wrong for a neighbour that was left out; counted without it."""
    match = match_positions(found, drawn.positions, tolerance=TOLERANCE)
    known_inside = drawn.inside(drawn.positions, BORDER)
    unmatched = np.ones(len(found), dtype=bool)
    unmatched[match.found] = False
    hits = int(known_inside[match.known].sum())
    wrong = int((unmatched & drawn.inside(found, BORDER)).sum())
    return Counts(hits=hits, n_found=hits + wrong, n_known=int(known_inside.sum()))


def recall_of_light(drawn: ColumnImage, found: Array) -> tuple[int, int]:
    """Light columns that were found, and all there are, away from the border."""
    match = match_positions(found, drawn.positions, tolerance=TOLERANCE)
    asked = drawn.is_light & drawn.inside(drawn.positions, BORDER)
    return int(asked[match.known].sum()), int(asked.sum())


def ours(drawn: ColumnImage) -> Array:
    return ad.find(drawn.image)[["x", "y"]].to_numpy()


def blobs(drawn: ColumnImage) -> tuple[Array, Array]:
    """Maxima (n, 2) of the Laplacian of a Gaussian of a fifth of the true spacing, and their heights."""
    response = -ndimage.gaussian_laplace(drawn.values, 0.2 * drawn.spacing)
    top = response == ndimage.maximum_filter(response, size=2 * int(0.3 * drawn.spacing) + 1)
    row, column = np.nonzero(top & (response > 0))
    height = response[row, column]
    return np.column_stack([column, row]).astype(float), height / np.quantile(height, 0.99)


def best_of_blobs(images: list[ColumnImage]) -> Counts:
    """The counts at the threshold that suits these images best."""
    seen = [(drawn, *blobs(drawn)) for drawn in images]
    return max(
        (
            sum((counted(drawn, found[height > limit]) for drawn, found, height in seen), Counts())
            for limit in np.linspace(0.02, 0.9, 45)
        ),
        key=lambda counts: counts.f1,
    )


# -------------------------------------------------------------------------------------------------- AtomAI


def best_of_atomai(sets: dict[str, list[ColumnImage]]) -> dict[str, Counts]:
    """Its counts on each set at the threshold that suits that set best."""
    rng = np.random.default_rng(5)
    doses = np.exp(rng.uniform(0, np.log(30), N_PEER_TRAINING + 24))
    drawn = [draw_hexagonal(float(dose), "train", index) for index, dose in enumerate(doses)]
    settings = {
        "cycles": 110,
        "batch_size": 8,
        "threads": torch.get_num_threads(),
        "classes": 1,  # atom or not
        "thresholds": PEER_THRESHOLDS,
    }
    labels = np.stack([_label(each) for each in drawn])
    arrays = {
        "settings": json.dumps(settings),
        "train_images": _scaled(drawn[:N_PEER_TRAINING]),
        "train_labels": labels[:N_PEER_TRAINING],
        "validation_images": _scaled(drawn[N_PEER_TRAINING:]),
        "validation_labels": labels[N_PEER_TRAINING:],
        **{f"test_{name}": _scaled(images) for name, images in sets.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.npz", Path(folder) / "results.npz"
        np.savez(data, **arrays)
        subprocess.run([PEER_PYTHON, PEER_PROGRAM, data, results], check=True)
        with np.load(results) as file:
            atoms = {name: [file[f"test_{name}_atoms_{limit}"] for limit in PEER_THRESHOLDS] for name in sets}
    return {
        name: max(
            (
                sum((counted(each, found[found[:, 0] == k][:, 1:3]) for k, each in enumerate(images)), Counts())
                for found in atoms[name]
            ),
            key=lambda counts: counts.f1,
        )
        for name, images in sets.items()
    }


def _label(drawn: ColumnImage) -> NDArray[np.int64]:
    """Class map (y, x): 1 on a disc at each column, 0 elsewhere."""
    rows, columns = np.mgrid[: drawn.values.shape[0], : drawn.values.shape[1]]
    label = np.zeros(drawn.values.shape, dtype=np.int64)
    for x, y in drawn.positions:
        label[np.hypot(rows - y, columns - x) <= LABEL_RADIUS_PX] = 1
    return label


def _scaled(images: list[ColumnImage]) -> NDArray[np.float32]:
    return np.stack([each.values / max(each.values.max(), 1.0) for each in images]).astype(np.float32)


# -------------------------------------------------------------------------------------------------- figures


def calibration(doses: Iterable[float], n: int) -> tuple[float, Array]:
    """Expected calibration error of the probability, and a table of bins: mean probability, share right, finds."""
    stated, right = [], []
    for dose in doses:
        for index in range(n):
            drawn = draw_hexagonal(dose, "test", index)
            atoms = ad.find(drawn.image, min_probability=0.02)
            found = atoms[["x", "y"]].to_numpy()
            match = match_positions(found, drawn.positions, tolerance=TOLERANCE)
            is_right = np.zeros(len(found), dtype=bool)
            is_right[match.found] = True
            inner = drawn.inside(found, BORDER)
            stated.append(atoms["probability"].to_numpy()[inner])
            right.append(is_right[inner])
    probability, is_right = np.concatenate(stated), np.concatenate(right)
    number = np.minimum((10 * probability).astype(int), 9)
    bins = [
        (probability[number == k].mean(), is_right[number == k].mean(), (number == k).sum())
        for k in range(10)
        if (number == k).any()
    ]
    return expected_calibration_error(probability, is_right), np.array(bins)


def run(recorder: Recorder, *, n: int = N_IMAGES, with_atomai: bool = True) -> None:
    """Doses, light columns, calibration."""
    if with_atomai and not PEER_PYTHON.exists():
        raise SystemExit("benchmarks: expected the peer's environment, got none. Run `make peers` first.")
    sets = {f"dose{dose:g}": [draw_hexagonal(dose, "test", index) for index in range(n)] for dose in DOSES}
    atomai = best_of_atomai(sets) if with_atomai else {}
    for (name, images), goal in zip(sets.items(), DOSES.values(), strict=True):
        counts = sum((counted(drawn, ours(drawn)) for drawn in images), Counts())
        plain = best_of_blobs(images)
        recorder.add(f"localizer/simulated/detection/{name}/f1", counts.f1, goal=goal, peer=plain.f1)
        if name in atomai:
            recorder.add(f"localizer/simulated/detection/{name}/f1_against_atomai", counts.f1, peer=atomai[name].f1)
        print(f"      ours {counts}\n      blobs {plain}", flush=True)
    _light_columns(recorder, n)
    _calibration(recorder, n)


def _calibration(recorder: Recorder, n: int) -> None:
    for name, doses, goal in (("", DOSES, "<= 0.02"), ("_at_doubtful_doses", DOUBTFUL_DOSES, None)):
        error, bins = calibration(doses, max(2, n // 3))
        recorder.add(f"localizer/simulated/calibration_error{name}", error, goal=goal)
        for stated, share, number in bins:
            print(f"      probability {stated:.2f}: {share:.3f} of {number:.0f} finds are columns", flush=True)


def _light_columns(recorder: Recorder, n: int) -> None:
    images = [draw_perovskite(LIGHT_DOSE, "test", index) for index in range(n)]
    total, light_found, light_known = Counts(), 0, 0
    for drawn in images:
        found = ours(drawn)
        total += counted(drawn, found)
        n_found, n_known = recall_of_light(drawn, found)
        light_found, light_known = light_found + n_found, light_known + n_known

    plain = [(drawn, *blobs(drawn)) for drawn in images]

    def recall_and_precision(limit: float) -> tuple[float, float]:
        counts = sum((counted(drawn, found[height > limit]) for drawn, found, height in plain), Counts())
        recalled = [recall_of_light(drawn, found[height > limit]) for drawn, found, height in plain]
        hits, known = (sum(column) for column in zip(*recalled, strict=True))
        return hits / max(1, known), counts.precision

    peer = max((recall_and_precision(limit) for limit in np.geomspace(0.005, 0.9, 40)), key=_at_precision)
    recorder.add(
        "localizer/simulated/light_columns/recall", light_found / max(1, light_known), goal=">= 0.85", peer=peer[0]
    )
    recorder.add("localizer/simulated/light_columns/precision", total.precision, goal=">= 0.9", peer=peer[1])


def _at_precision(figures: tuple[float, float]) -> float:
    """Recall, where the precision is at least 0.9."""
    return figures[0] if figures[1] >= 0.9 else -1.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a look; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="a few images, without AtomAI")
    run(Recorder(command="a look"), n=4 if parser.parse_args().quick else N_IMAGES, with_atomai=False)
