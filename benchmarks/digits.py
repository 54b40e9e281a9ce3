"""A variational autoencoder on turned and shifted digits: angles, content, time; beside AtomAI's rVAE (``make peers``).

Digits are turned by up to 60 degrees either way and shifted by up to 2 pixels; those that are judged were not learned
from. First with the peer's likelihood (pixels with a noise of 1, which is all of their range), its number of epochs and
of latent numbers: both bounds are then -1/2 times the sum of squares, minus the divergence from the prior. The peer
leaves the angle's mean out of its divergence, which flatters its bound; ours is whole. Then with our defaults, where
the noise is learned. All one after the other, with the same number of threads. Of our model with its defaults, and with
the peer's likelihood, there are three seeds; of what stands beside them, one.

``python -m benchmarks.digits --tiny`` tries the way and keeps no figures.
"""

import argparse
import json
import math
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import adatom as ad
from benchmarks.record import FOLDER, Recorder
from benchmarks.rotated_digits import (
    AngleScores,
    Digits,
    class_accuracy,
    mutual_information,
    rotated_digits,
    score_angles,
)

PEER_PYTHON = FOLDER.parent / ".peers" / "bin" / "python"
PEER_PROGRAM = FOLDER / "peers" / "atomai_rvae.py"
CONTENT = ["z1", "z2"]
ANGLE_STD = math.radians(60) / math.sqrt(3)  # of a uniform distribution of that reach
N_ALL = 1797


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    epochs: int = 30
    steps: int | None = None
    seeds: tuple[int, ...] = (0, 1, 2)


TINY = Size(epochs=1, steps=30, seeds=(0,))


def run(recorder: Recorder, size: Size = Size()) -> None:
    """With the peer's likelihood, with our own, and over the whole circle."""
    if not PEER_PYTHON.exists():
        raise SystemExit("benchmarks: expected the peer's environment, got none. Run `make peers` first.")
    train, test = rotated_digits(farthest_deg=60)
    _against_peer(recorder, train, test, size)
    _with_defaults(recorder, train, test, size)
    _whole_circle(recorder, size)


def _against_peer(recorder: Recorder, train: Digits, test: Digits, size: Size) -> None:
    peer = _peer(train, test, size)
    batch = 64
    steps = math.ceil(size.epochs * 0.9 * len(train.images) / batch)  # a tenth is held back
    runs = []
    for seed in size.seeds:
        settings = {"steps": steps, "batch_size": batch}
        model = ad.VariationalAutoencoder(angle_std=ANGLE_STD, noise=1.0, random_state=seed, training=settings)
        started = time.process_time()
        model.fit(train.images)
        seconds = (time.process_time() - started) / (steps * batch) * N_ALL
        scores = score_angles(model.encode(test.images)["angle"].to_numpy(), test)
        runs.append((model.score(test.images), seconds, scores))
    name = "vae/digits/noise_of_1"
    elbo, seconds = ([each[k] for each in runs] for k in (0, 1))
    peer_elbo = [each["test_elbo"] for each in peer["facts"]]
    peer_seconds = [each["cpu_seconds_an_epoch"] / len(train.images) * N_ALL for each in peer["facts"]]
    recorder.add(f"{name}/elbo", np.mean(elbo), peer=float(np.mean(peer_elbo)))
    recorder.add(f"{name}/elbo_lowest", min(elbo), peer=max(peer_elbo))
    recorder.add(f"{name}/elbo_lowest_above_highest_of_peer", min(elbo) - max(peer_elbo), goal=">= 0")
    recorder.add(f"{name}/cpu_seconds_an_epoch", np.mean(seconds), peer=float(np.mean(peer_seconds)))
    recorder.add(f"{name}/cpu_seconds_over_those_of_peer", np.mean(seconds) / np.mean(peer_seconds), goal="<= 0.5")
    _record_angles(recorder, name, [each[2] for each in runs], peer["scores"])


def _with_defaults(recorder: Recorder, train: Digits, test: Digits, size: Size) -> None:
    upright_train, upright_test = rotated_digits(farthest_deg=0)
    scores, accuracy, information, seconds = [], [], [], []
    for seed in size.seeds:
        started = time.process_time()
        model = _model(size, seed).fit(train.images)
        seconds.append(time.process_time() - started)
        tables = [model.encode(part.images) for part in (train, test)]
        contents = [table[CONTENT].to_numpy() for table in tables]
        scores.append(score_angles(tables[1]["angle"].to_numpy(), test))
        accuracy.append(class_accuracy(*contents, train, test))
        information.append(mutual_information(test.angle, contents[1]))
    upright = _accuracy_of(_model(size, size.seeds[0]), upright_train, upright_test)
    plain = _accuracy_of(_model(size, size.seeds[0], invariances=()), train, test)
    name = "vae/digits/defaults"
    _record_angles(recorder, name, scores, None)
    recorder.add(f"{name}/cpu_seconds_of_training", np.mean(seconds))
    recorder.add(f"{name}/accuracy_by_content", np.mean(accuracy))
    recorder.add(f"{name}/accuracy_by_content_lowest", min(accuracy))
    recorder.add(f"{name}/accuracy_by_content_of_upright_digits", upright)
    recorder.add(f"{name}/accuracy_less_that_of_upright_digits", np.mean(accuracy) - upright, goal=">= -0.03")
    recorder.add(f"{name}/accuracy_by_content_of_plain_autoencoder", plain)
    recorder.add(f"{name}/mutual_information_of_angle_with_content_nat", np.mean(information))
    model = _model(size, size.seeds[0], latent=8).fit(train.images)
    tables = [model.encode(part.images) for part in (train, test)]
    name = "vae/digits/8_numbers"
    _record_angles(recorder, name, [score_angles(tables[1]["angle"].to_numpy(), test)], None)
    contents = [table[[f"z{k}" for k in range(1, 9)]].to_numpy() for table in tables]
    recorder.add(f"{name}/accuracy_by_content", class_accuracy(*contents, train, test))


def _whole_circle(recorder: Recorder, size: Size) -> None:
    """Every angle: 6 and 9 are then told apart by details only."""
    train, test = rotated_digits(farthest_deg=180)
    model = _model(size, size.seeds[0], angle_std=None).fit(train.images)
    tables = [model.encode(part.images) for part in (train, test)]
    scores = score_angles(tables[1]["angle"].to_numpy(), test)
    name = "vae/digits/whole_circle"
    recorder.add(f"{name}/median_angle_error_deg", np.rad2deg(np.median(scores.without_symmetry("median"))))
    far = np.mean(scores.without_symmetry("far"))
    recorder.add(f"{name}/share_of_angles_off_by_more_than_45_deg", far)
    accuracy = class_accuracy(*(table[CONTENT].to_numpy() for table in tables), train, test)
    recorder.add(f"{name}/accuracy_by_content", accuracy)


def _model(size: Size, seed: int, **arguments: Any) -> ad.VariationalAutoencoder:
    training = {} if size.steps is None else {"steps": size.steps}
    return ad.VariationalAutoencoder(random_state=seed, training=training, **{"angle_std": ANGLE_STD, **arguments})


def _accuracy_of(model: ad.VariationalAutoencoder, train: Digits, test: Digits) -> float:
    model.fit(train.images)
    return class_accuracy(*(model.encode(part.images)[CONTENT].to_numpy() for part in (train, test)), train, test)


def _record_angles(recorder: Recorder, name: str, runs: list[AngleScores], peers: list[AngleScores] | None) -> None:
    """Of digits without symmetry; over seeds, the mean of what is typical and the worst of what is worst."""

    def over(scores: list[AngleScores], figure: str, of: Any) -> list[float]:
        return [float(of(each.without_symmetry(figure))) for each in scores]

    def mean(figure: str, of: Any) -> tuple[float, float | None]:
        return np.mean(over(runs, figure, of)), None if peers is None else float(np.mean(over(peers, figure, of)))

    rms, peer_rms = mean("rms", np.median)
    recorder.add(
        f"{name}/rms_angle_error_deg",
        np.rad2deg(rms),
        goal="<= 10",
        peer=None if peer_rms is None else float(np.rad2deg(peer_rms)),
    )
    recorder.add(f"{name}/rms_angle_error_deg_worst_seed", np.rad2deg(max(over(runs, "rms", np.median))), goal="<= 10")
    slope, peer_slope = mean("slope", np.median)
    recorder.add(f"{name}/slope", slope, peer=peer_slope)
    worst = max(abs(each - 1) for each in over(runs, "slope", np.median))
    recorder.add(f"{name}/slope_farthest_from_1_of_seeds", worst, goal="<= 0.1")
    correlation, peer_correlation = mean("correlation", np.median)
    recorder.add(f"{name}/circular_correlation", correlation, goal=">= 0.9", peer=peer_correlation)
    lowest, peer_lowest = mean("correlation", min)
    recorder.add(f"{name}/circular_correlation_of_worst_digit", lowest, goal=">= 0.9", peer=peer_lowest)
    far, peer_far = mean("far", np.mean)
    recorder.add(f"{name}/share_of_angles_off_by_more_than_45_deg", far, peer=peer_far)


def _peer(train: Digits, test: Digits, size: Size) -> dict[str, Any]:
    """What the peer's process says, and how good its angles are; whichever way round it counts them."""
    settings = {
        "epochs": size.epochs,
        "batch_size": 100,
        "threads": torch.get_num_threads(),
        "latent": len(CONTENT),
        "rotation_prior": math.radians(60),
        "seeds": [size.seeds[0]],
    }
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.npz", Path(folder) / "results.npz"
        np.savez(data, settings=json.dumps(settings), train_patches=train.images, test_patches=test.images)
        subprocess.run([PEER_PYTHON, PEER_PROGRAM, data, results], check=True, capture_output=True)
        with np.load(results) as file:
            facts, codes = json.loads(str(file["facts"])), file["test_codes"]
    print(f"  peer: {facts}", flush=True)
    both = [[score_angles(sign * each[:, 0], test) for sign in (1, -1)] for each in codes]
    scores = [min(each, key=lambda one: np.median(one.without_symmetry("rms"))) for each in both]
    return {"facts": facts, "scores": scores}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a try; nothing is kept")
    parser.add_argument("--tiny", action="store_true", help="a few steps")
    arguments = parser.parse_args()
    run(Recorder(command="a try"), TINY if arguments.tiny else Size())
