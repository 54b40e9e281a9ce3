"""Train and use AtomAI's Segmentor; run by the python of ``.peers`` as ``atomai_segmentor.py DATA.npz RESULTS.npz``.

DATA.npz holds ``settings`` (JSON: cycles, batch_size, threads, classes, and thresholds where more than the default are
wanted), images scaled to 0..1 each and class maps with the
background as the last class: ``train_images``, ``train_labels``, ``validation_images``, ``validation_labels``, then
sets to predict, ``test_<name>`` (sample, y, x), and ``timed`` (sample, y, x).

RESULTS.npz holds ``facts`` (JSON) and, for each set, ``test_<name>_atoms`` (``..._atoms_<threshold>`` for each of the
thresholds): rows of image number, x, y, class.
"""

import contextlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from atomai_stand_ins import import_atomai
from numpy.typing import NDArray


def main(data_file: str, results_file: str) -> None:
    """Everything, progress on standard error."""
    started = time.perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        aoi = import_atomai()
        facts: dict[str, Any] = {"seconds_import": time.perf_counter() - started, "version": aoi.__version__}
        data = np.load(data_file)
        settings = json.loads(str(data["settings"]))
        torch.set_num_threads(settings["threads"])
        model = aoi.models.Segmentor(nb_classes=settings["classes"])
        facts["n_weights"] = sum(weight.numel() for weight in model.net.parameters())
        facts |= _train(model, data, settings)
        if settings["classes"] > 1:
            facts["iou_validation"] = _iou(
                model, data["validation_images"], data["validation_labels"], settings["classes"]
            )
        results = {}
        for name in data.files:
            if name.startswith("test_"):
                for threshold in settings.get("thresholds", [None]):
                    ending = "" if threshold is None else f"_{threshold}"
                    results[f"{name}_atoms{ending}"] = _atoms(model, data[name], threshold or 0.5)
        if "timed" in data.files:
            facts["seconds_an_image"] = _timed(model, data["timed"])
        facts["peak_rss_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    np.savez(results_file, facts=json.dumps(facts), **results)


def _train(model: Any, data: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """As its own tutorial trains; test steps and accuracies are timed apart, so that they can be left out."""
    spent = {"train_step": 0.0, "test_step": 0.0}

    def clocked(name: str) -> Any:
        step = getattr(model, name)

        def run(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = step(*arguments)
            spent[name] += time.perf_counter() - started
            return result

        return run

    for name in spent:
        setattr(model, name, clocked(name))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        model.fit(
            data["train_images"],
            data["train_labels"],
            data["validation_images"],
            data["validation_labels"],
            training_cycles=settings["cycles"],
            batch_size=settings["batch_size"],
            compute_accuracy=True,
            swa=True,
            plot_training_history=False,
            print_loss=10,
            filename=str(Path(folder) / "model"),
        )
        seconds = time.perf_counter() - started
    return {
        "seconds_fit": seconds,
        "seconds_train_steps": spent["train_step"],
        "seconds_test_steps": spent["test_step"],
        "losses": [float(loss) for loss in model.loss_acc["train_loss"]],
    }


def _iou(model: Any, images: NDArray[Any], labels: NDArray[Any], n_classes: int) -> float:
    """Mean over all classes of the intersection over union of the likeliest class, pixels of all images added up."""
    counts = np.zeros((n_classes, n_classes))
    for image, label in zip(images, labels, strict=True):
        claimed = model.predict(image, compute_coords=False, verbose=False)[0].argmax(axis=-1)
        np.add.at(counts, (label.ravel(), claimed.ravel()), 1)
    hits = np.diag(counts)
    return float(np.mean(hits / (counts.sum(axis=0) + counts.sum(axis=1) - hits)))


def _atoms(model: Any, images: NDArray[Any], threshold: float) -> NDArray[Any]:
    """Each image alone: a stack would be scaled as a whole, to its disadvantage."""
    rows = []
    for number, image in enumerate(images):
        _, found = model.predict(image, thresh=threshold, verbose=False)
        row, column, species = found[0].T
        rows.append(np.column_stack([np.full(len(row), number), column, row, species]))
    return np.concatenate(rows)


def _timed(model: Any, images: NDArray[Any]) -> list[float]:
    """Seconds of network and Locator for each image; the first call is not counted."""
    model.predict(images[0], verbose=False)
    seconds = []
    for image in images:
        started = time.perf_counter()
        model.predict(image, verbose=False)
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
