"""Fit and ask AtomAI's dklGPR; run by the python of ``.peers`` as ``atomai_dkl.py DATA.npz RESULTS.npz``.

DATA.npz holds ``settings`` (JSON: threads, cycles, seed) and arrays: ``inputs`` (sample, number), scaled, ``targets``
(sample,), scaled, and ``which``, the samples that are learned. RESULTS.npz holds ``facts`` (JSON), ``mean``, ``std``
(sample,).
"""

import contextlib
import json
import sys
import time

import numpy as np
import torch
from atomai_stand_ins import import_atomai


def main(data_file: str, results_file: str) -> None:
    """As its own lesson fits and predicts; what it prints goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        aoi = import_atomai()
        data = np.load(data_file)
        settings = json.loads(str(data["settings"]))
        torch.set_num_threads(settings["threads"])
        inputs, targets, which = data["inputs"], data["targets"], data["which"]
        started = time.perf_counter()
        model = aoi.models.dklGPR(inputs.shape[1], embedim=2, precision="double", seed=settings["seed"])
        model.fit(inputs[which], targets[which], training_cycles=settings["cycles"], print_loss=10_000)
        fitted = time.perf_counter()
        mean, variance = model.predict(inputs, batch_size=len(inputs))
        facts = {
            "version": aoi.__version__,
            "seconds_fit": fitted - started,
            "seconds_predict": time.perf_counter() - fitted,
        }
    np.savez(results_file, facts=json.dumps(facts), mean=np.asarray(mean).ravel(), std=np.sqrt(variance).ravel())


if __name__ == "__main__":
    main(*sys.argv[1:])
