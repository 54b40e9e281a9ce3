"""What an ensemble costs beside one model: time and memory of a prediction, each in a process of its own.

Times are the processor's, all threads together: what others do on a shared machine has less of a say in them.

Members are the finder that ships with weights a little changed, which cost as much as trained ones and find as many
atoms. AtomAI's EnsembleTrainer and EnsemblePredictor, where ``make peers`` was run, train ten models for a few cycles
in the same run, and predict images of the same size.
"""

import argparse
import copy
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adatom as ad
from adatom.data import make_image
from adatom.models import Ensemble, Localizer
from adatom.models.ensemble_training import Kind
from benchmarks.record import FOLDER, Recorder
from benchmarks.two_atom_images import draw_image

N_MEMBERS = 10
SIDE = 512
_REPEATS, _PEER_CYCLES, _PEER_IMAGES = 7, 2, 24
_CHANGE = 0.02  # of the weights, in their own spread
PEER_PYTHON = FOLDER.parent / ".peers" / "bin" / "python"


def run(recorder: Recorder) -> None:
    """Ratios to one model, then the peer."""
    with tempfile.TemporaryDirectory() as folder:
        files = make_models(Path(folder))
        facts = {name: _measured(file) for name, file in files.items()}
    for name, fact in facts.items():
        print(f"    {name}: {fact}", flush=True)
    peer = _peer_ratio()
    one = facts["one"]
    recorder.add("ensemble/one_model_512px_seconds", one["seconds"], peer=peer.get("seconds_one"))
    goals = {"seeds": ("<= 10.5", "<= 1.5"), "trunk": ("<= 3", "<= 1.5"), "trunk_of_5": ("<= 3", None)}
    for name, (time_goal, memory_goal) in goals.items():
        seconds = facts[name]["seconds"] / one["seconds"]
        of_peer = peer["seconds_all"] / peer["seconds_one"] if peer and name == "seeds" else None
        recorder.add(f"ensemble/{name}/seconds_over_one", seconds, goal=time_goal, peer=of_peer)
        memory = facts[name]["peak_mib"] / one["peak_mib"]
        recorder.add(f"ensemble/{name}/peak_memory_over_one", memory, goal=memory_goal)
        recorder.add(f"ensemble/{name}/megabytes", facts[name]["megabytes"])
    if peer:
        recorder.add("ensemble/seeds/512px_seconds", facts["seeds"]["seconds"], peer=peer["seconds_all"])


def make_models(folder: Path) -> dict[str, Path]:
    """Files of one model and of ensembles of it."""
    model = ad.load("any_atoms")
    assert isinstance(model, Localizer)
    files = {name: folder / f"{name}.safetensors" for name in ("one", "seeds", "trunk", "trunk_of_5")}
    model.save(files["one"])
    kinds: dict[str, tuple[Kind, int]] = {
        "seeds": ("seeds", N_MEMBERS),
        "trunk": ("trunk", N_MEMBERS),
        "trunk_of_5": ("trunk", 5),
    }
    for name, (kind, n) in kinds.items():
        Ensemble.of([_changed(model, kind, seed) for seed in range(n)], kind=kind).save(files[name])
    return files


def _changed(model: Localizer, kind: str, seed: int) -> Localizer:
    """The model with other weights; of a trunk those of the crown alone."""
    other = copy.copy(model)
    other.net_ = copy.deepcopy(model.net_)
    generator = torch.Generator().manual_seed(seed)
    names: Any = other.net_.crown
    crown = tuple(names())
    with torch.no_grad():
        for name, value in other.net_.named_parameters():
            if kind != "trunk" or name.startswith(crown):
                value += _CHANGE * value.std(unbiased=False) * torch.randn(value.shape, generator=generator)
    return other


def _measured(file: Path) -> dict[str, float]:
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.ensemble_cost", str(file)], check=True, capture_output=True, text=True
    )
    facts: dict[str, float] = json.loads(told.stdout)
    return facts


def measure(file: Path) -> dict[str, float]:
    """Least processor time of some predictions, and the most memory that the process had."""
    image = make_image(draw_image("noisy", "test", 1000, size=SIDE).values)
    model = ad.load(file)
    model.predict(image, factor=(1.0, 1.0))
    seconds = []
    for _ in range(_REPEATS):
        started = time.process_time()
        atoms = model.predict(image, factor=(1.0, 1.0))
        seconds.append(time.process_time() - started)
    return {
        "seconds": min(seconds),
        "n_atoms": len(atoms),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,  # of the whole process
        "megabytes": file.stat().st_size / 1e6,
    }


def _peer_ratio() -> dict[str, float]:
    """Facts of the peer; none where it is not installed."""
    if not PEER_PYTHON.exists():
        print("  no peer: run `make peers` first", flush=True)
        return {}
    images = [draw_image("noisy", "train", index) for index in range(_PEER_IMAGES)]
    settings = {
        "n_models": N_MEMBERS,
        "cycles": _PEER_CYCLES,
        "batch_size": 8,
        "threads": torch.get_num_threads(),
        "classes": 3,
    }
    scaled = np.stack([_scaled(drawn.values) for drawn in images])
    labels = np.stack([(drawn.label() + 2) % 3 for drawn in images]).astype(np.int64)  # its background is the last
    timed = np.stack([_scaled(draw_image("noisy", "test", 1000 + k, size=SIDE).values) for k in range(3)])
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.npz", Path(folder) / "results.npz"
        np.savez(
            data,
            settings=json.dumps(settings),
            train_images=scaled[8:],
            train_labels=labels[8:],
            validation_images=scaled[:8],
            validation_labels=labels[:8],
            timed=timed,
        )
        program = FOLDER / "peers" / "atomai_ensemble.py"
        # it leaves its models where it runs
        subprocess.run([PEER_PYTHON, program, data, results], check=True, capture_output=True, cwd=folder)
        with np.load(results) as file:
            facts: dict[str, float] = json.loads(str(file["facts"]))
    print(f"    peer: {facts}", flush=True)
    return facts


def _scaled(values: Any) -> Any:
    return ((values - values.min()) / np.ptp(values)).astype(np.float32)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One measurement, for `run`.")
    parser.add_argument("file", type=Path)
    print(json.dumps(measure(parser.parse_args().file)))
