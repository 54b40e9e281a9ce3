"""Train and use AtomAI's ImSpec; run by the python of ``.peers`` as ``atomai_imspec.py DATA.npz RESULTS.npz``.

DATA.npz holds ``settings`` (JSON: epochs, threads, latent, n_timed) and arrays: ``train_patches``, ``test_patches``
(sample, y, x) and ``train_spectra``, ``test_spectra`` (sample, length), scaled by the training part. RESULTS.npz holds
``facts`` (JSON) and ``predicted`` (sample, length).
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
    """As its own im2spec lesson trains and predicts; what it prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        aoi = import_atomai()
        data = np.load(data_file)
        settings = json.loads(str(data["settings"]))
        torch.set_num_threads(settings["threads"])
        patches, spectra = data["train_patches"], data["train_spectra"]
        model = aoi.models.ImSpec(patches.shape[1:], spectra.shape[1:], latent_dim=settings["latent"])
        facts: dict[str, Any] = {
            "version": aoi.__version__,
            "n_weights": sum(weight.numel() for weight in model.net.parameters()),
        }
        facts["seconds_fit"], facts["seconds_test"] = _fit(model, data, settings)
        predicted = model.predict(data["test_patches"], norm=False, verbose=False)
        seconds = []
        for _ in range(settings["n_timed"]):
            started = time.perf_counter()
            model.predict(data["test_patches"], norm=False, verbose=False)
            seconds.append(time.perf_counter() - started)
        facts["seconds_predict"] = float(np.median(seconds))
    np.savez(results_file, facts=json.dumps(facts), predicted=predicted)


def _fit(model: Any, data: Any, settings: dict[str, Any]) -> tuple[float, float]:
    """Seconds of the whole fit, and of its test steps, which it insists on."""
    spent = 0.0
    step = model.test_step

    def clocked(*arguments: Any) -> Any:
        nonlocal spent
        started = time.perf_counter()
        result = step(*arguments)
        spent += time.perf_counter() - started
        return result

    model.test_step = clocked
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        model.fit(
            data["train_patches"],
            data["train_spectra"],
            data["test_patches"],
            data["test_spectra"],
            full_epoch=True,
            training_cycles=settings["epochs"],
            swa=True,
            plot_training_history=False,
            filename=str(Path(folder) / "model"),
        )
        return time.perf_counter() - started, spent


if __name__ == "__main__":
    main(*sys.argv[1:])
