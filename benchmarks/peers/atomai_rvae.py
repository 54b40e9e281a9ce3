"""Train and use AtomAI's rVAE; run by the python of ``.peers`` as ``atomai_rvae.py DATA.npz RESULTS.npz``.

DATA.npz holds ``settings`` (JSON: epochs, batch_size, threads, latent, rotation_prior, seeds) and ``train_patches``,
``test_patches`` (sample, y, x) between 0 and 1. RESULTS.npz holds ``facts`` (JSON, one dictionary a seed) and, a seed,
the means that the encoder gives: ``train_codes`` and ``test_codes`` (seed, sample, number): angle, shift x, shift y,
content.
"""

import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from atomai_stand_ins import import_atomai


def main(data_file: str, results_file: str) -> None:
    """As its own rVAE lesson trains and encodes; what it prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        aoi = import_atomai()
        data = np.load(data_file)
        settings = json.loads(str(data["settings"]))
        torch.set_num_threads(settings["threads"])
        facts, codes = [], {"train_codes": [], "test_codes": []}
        for seed in settings["seeds"]:
            model = aoi.models.rVAE(data["train_patches"].shape[1:], latent_dim=settings["latent"], seed=seed)
            facts.append({"version": aoi.__version__, **_fit(model, data, settings)})
            for part in ("train", "test"):
                codes[f"{part}_codes"].append(model.encode(data[f"{part}_patches"])[0])
    np.savez(results_file, facts=json.dumps(facts), **{name: np.stack(each) for name, each in codes.items()})


def _fit(model: Any, data: Any, settings: dict[str, Any]) -> dict[str, float]:
    """Seconds of the processor an epoch, and the lower bound on test images, as it computes it."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        model.fit(
            data["train_patches"],
            training_cycles=settings["epochs"],
            batch_size=settings["batch_size"],
            rotation_prior=settings["rotation_prior"],
            filename=str(Path(folder) / "model"),
        )
        seconds = time.process_time() - started
    model.test_iterator = model._set_data(data["test_patches"])
    bounds = [model.evaluate_model() for _ in range(5)]  # it draws
    return {
        "cpu_seconds_an_epoch": seconds / settings["epochs"],
        "train_elbo": float(model.loss_history["train_loss"][-1]),
        "test_elbo": float(np.mean(bounds)),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
