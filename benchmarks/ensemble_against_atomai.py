"""Five models of ours beside five of AtomAI's EnsembleTrainer, on the same narrow conditions, there and after a drift.

Both learn from images of one recipe (`benchmarks.drifting_images`): ours from as many new ones as its steps take, the
peer from 1200 of them in as many steps of as many images, at its own settings. A find is right within 0.35 spacings of
an atom of its class. Doubt of a find: ours that it is no atom of its species; the peer's the variance of its models at
the atom, or one minus their mean, whichever ranks errors better. Times are the processor's, all threads together.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from adatom.locate import match_positions
from adatom.models import Ensemble
from adatom.simulate import SimulatedImage, simulate_image
from benchmarks.drifting_images import SHIFTS, training_recipe
from benchmarks.ensemble_drift import N_MEMBERS, TOLERANCE, judge
from benchmarks.record import FOLDER, Recorder

PEER_PYTHON, PEER_PROGRAM = FOLDER.parent / ".peers" / "bin" / "python", FOLDER / "peers" / "atomai_ensemble.py"
_SHIFTS = SHIFTS[:3]
_N_TRAINING, _N_VALIDATION = 1200, 24


def run(recorder: Recorder) -> None:
    recipe = training_recipe()
    network = {"net": recipe.network.architecture, "width": recipe.network.width, "depth": recipe.network.depth}
    started = time.process_time()
    ensemble = Ensemble(n_members=N_MEMBERS, **network).fit(recipe)
    seconds = time.process_time() - started
    facts, atoms = _peer()
    recorder.add("ensemble_against_atomai/training_seconds", seconds, peer=facts.get("seconds_training"))
    spacing = ensemble.scale_["spacing_px"]
    for shift in _SHIFTS:
        images = shift.images()
        ours = judge(ensemble, images)
        f1, auroc = None, None
        if facts:
            f1, auroc = _judge_peer(atoms[f"test_{shift.number}_atoms"], images, TOLERANCE * spacing)
        recorder.add(f"ensemble_against_atomai/shift{shift.number}/f1", ours.f1, peer=f1)
        recorder.add(f"ensemble_against_atomai/shift{shift.number}/auroc", ours.auroc, peer=auroc)


def _peer() -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Facts and finds of the peer; none where it is not installed."""
    if not PEER_PYTHON.exists():
        print("  no peer: run `make peers` first", flush=True)
        return {}, {}
    recipe = training_recipe()
    drawn = [simulate_image(recipe, seed=3, index=k) for k in range(_N_TRAINING + _N_VALIDATION)]
    images = np.stack([_scaled(one) for one in drawn])
    labels = np.stack([(one.label.astype(int) + 2) % 3 for one in drawn])  # its background is the last
    settings = {
        "n_models": N_MEMBERS,
        "cycles": recipe.training.steps,
        "batch_size": recipe.training.batch_size,
        "threads": torch.get_num_threads(),
        "classes": 3,
    }
    tests = {f"test_{shift.number}": np.stack([_scaled(one) for one in shift.images()]) for shift in _SHIFTS}
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.npz", Path(folder) / "results.npz"
        np.savez(
            data,
            settings=json.dumps(settings),
            train_images=images[_N_VALIDATION:],
            train_labels=labels[_N_VALIDATION:],
            validation_images=images[:_N_VALIDATION],
            validation_labels=labels[:_N_VALIDATION],
            timed=images[:3],
            **tests,
        )
        # it leaves its models where it runs
        subprocess.run([PEER_PYTHON, PEER_PROGRAM, data, results], check=True, capture_output=True, cwd=folder)
        with np.load(results) as file:
            facts: dict[str, Any] = json.loads(str(file["facts"]))
            atoms = {name: file[name] for name in file.files if name.endswith("_atoms")}
    print(f"    peer: {facts}", flush=True)
    return facts, atoms


def _judge_peer(atoms: NDArray[np.float64], images: list[SimulatedImage], tolerance: float) -> tuple[float, float]:
    """F1 of place and class, and how its better doubt ranks what is wrong."""
    hits = total = 0
    wrong = []
    for number, drawn in enumerate(images):
        found = atoms[atoms[:, 0] == number]
        match = match_positions(found[:, 1:3], np.column_stack([drawn.x, drawn.y]), tolerance=tolerance)
        right = np.zeros(len(found), dtype=bool)
        right[match.found] = found[match.found, 3].astype(int) == drawn.species[match.known]
        hits, total = hits + int(right.sum()), total + match.n_found + match.n_known
        wrong.append(~right)
    is_wrong = np.concatenate(wrong)
    doubts = (1 - atoms[:, 4], atoms[:, 5])
    mixed = is_wrong.any() and not is_wrong.all()
    auroc = max(float(roc_auc_score(is_wrong, doubt)) for doubt in doubts) if mixed else float("nan")
    return 2 * hits / max(1, total), auroc


def _scaled(drawn: SimulatedImage) -> NDArray[np.float32]:
    values = drawn.image.astype(float)
    return ((values - values.min()) / np.ptp(values)).astype(np.float32)
