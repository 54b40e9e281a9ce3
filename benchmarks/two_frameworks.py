"""The two-layer regressor in PyTorch and in Keras 3 on its torch backend: same data, same loop, the losses at the end.

Of three seeds each; the noise that was laid over the data (a variance of 0.16) is what no regressor can lose. Needs the
extra keras.
"""

import sys

import numpy as np

from benchmarks.record import FOLDER, Recorder

sys.path.insert(0, str(FOLDER.parent / "tests"))
from two_layers import in_keras, in_torch, learned

SEEDS = (0, 1, 2)


def run(recorder: Recorder) -> None:
    losses = {make.__name__: [learned(make(seed)) for seed in SEEDS] for make in (in_torch, in_keras)}
    means = {name: float(np.mean(each)) for name, each in losses.items()}
    for name, mean in means.items():
        recorder.add(f"frameworks/{name}/loss", mean)
    recorder.add("frameworks/relative_difference", abs(means["in_keras"] / means["in_torch"] - 1), goal="<= 0.01")
