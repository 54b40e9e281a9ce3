"""One large image through AtomAI's U-Net, in one piece as it does it; ``atomai_large.py IMAGE.npy OUT.json THREADS``.

The network is fresh: what it says does not matter to its speed. OUT.json holds ``seconds`` and ``peak_gib``.
"""

import contextlib
import json
import resource
import sys
import time

import numpy as np
import torch
from atomai_stand_ins import import_atomai


def main(image_file: str, results_file: str, threads: str) -> None:
    """Prediction alone, without finding atoms in it."""
    with contextlib.redirect_stdout(sys.stderr):
        aoi = import_atomai()
        torch.set_num_threads(int(threads))
        model = aoi.models.Segmentor("Unet", nb_classes=2)
        image = np.load(image_file)
        started = time.perf_counter()
        aoi.predictors.SegPredictor(model.net, nb_classes=2, verbose=0).predict(image)
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with open(results_file, "w", encoding="utf-8") as file:
        json.dump({"seconds": seconds, "peak_gib": peak}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
