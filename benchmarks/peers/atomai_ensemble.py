"""Train and use AtomAI's ensemble; run by the python of ``.peers`` as ``atomai_ensemble.py DATA.npz RESULTS.npz``.

DATA.npz holds ``settings`` (JSON: n_models, cycles, batch_size, threads, classes), images scaled to 0..1 each and class
maps with the background as the last class, ``train_images``, ``train_labels``, ``validation_images``,
``validation_labels``, ``timed`` (sample, y, x), and sets to predict, ``test_<name>`` (sample, y, x). RESULTS.npz holds
``facts`` (JSON): processor seconds of the training, and of a prediction by one of its models and by all, each image
alone; and for each set ``<name>_atoms``, rows of image number, x, y, class, mean probability and variance there.
"""

import contextlib
import json
import resource
import sys
import time
from typing import Any

import numpy as np
import torch
from atomai_stand_ins import import_atomai


def main(data_file: str, results_file: str) -> None:
    """Everything, progress on standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        aoi = import_atomai()
        facts: dict[str, Any] = {"version": aoi.__version__}
        data = np.load(data_file)
        settings = json.loads(str(data["settings"]))
        torch.set_num_threads(settings["threads"])
        trainer = aoi.trainers.EnsembleTrainer("Unet", nb_classes=settings["classes"])
        trainer.compile_ensemble_trainer(
            training_cycles=settings["cycles"], batch_size=settings["batch_size"], compute_accuracy=False
        )
        started = time.process_time()
        parts = (data[f"{name}_{what}"] for name in ("train", "validation") for what in ("images", "labels"))
        net, ensemble = trainer.train_ensemble_from_scratch(*parts, n_models=settings["n_models"])
        facts["seconds_training"] = time.process_time() - started
        first = {next(iter(ensemble)): next(iter(ensemble.values()))}
        for name, members in (("one", first), ("all", ensemble)):
            predictor = aoi.predictors.EnsemblePredictor(net, members, nb_classes=settings["classes"], verbose=0)
            predictor.everbose = predictor.verbose = False
            seconds = []
            for image in data["timed"]:
                started = time.process_time()
                predictor.predict(image[None])
                seconds.append(time.process_time() - started)
            facts[f"seconds_{name}"] = float(np.median(seconds))
        sets = [name for name in data.files if name.startswith("test_")]
        found = {f"{name}_atoms": _atoms(aoi, predictor, data[name]) for name in sets}
        facts["peak_rss_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    np.savez(results_file, facts=json.dumps(facts), **found)


def _atoms(aoi: Any, predictor: Any, images: Any) -> Any:
    """As its tutorials find atoms in the mean of an ensemble: its Locator at half a probability."""
    rows = []
    for number, image in enumerate(images):
        mean, variance = predictor.predict(image[None])
        for row, column, kind in aoi.predictors.Locator(0.5).run(mean)[0]:
            at = (0, round(row), round(column), int(kind))
            rows.append([number, column, row, kind, mean[at], variance[at]])
    return np.array(rows).reshape(-1, 6)


if __name__ == "__main__":
    main(*sys.argv[1:])
