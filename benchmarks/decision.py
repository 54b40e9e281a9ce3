"""One decision: a deep kernel learns from measured patches and is asked about 2,500 places.

A real PFM image (PbTiO3, 256 x 256): patches of 8 x 8 pixels of the height channel at 50 x 50 places; what is measured
is another channel in the middle of the patch: amplitude, deflection or phase. Beside it, on the same points, a plain
Gaussian process of scikit-learn over five principal components, and AtomAI's dklGPR (``make peers``), for which inputs
and targets are scaled, as it does not scale them. Errors and the share of truths within two stated deviations are taken
at the places that were not measured. Times are wall times with two threads, the three one after the other.

``python -m benchmarks.decision --tiny`` tries the way without the peer and keeps no figures.
"""

import argparse
import json
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

import adatom as ad
from benchmarks.record import FOLDER, Recorder

Array = NDArray[np.float64]

FILE = FOLDER.parent.parent / "shared" / "data" / "pfm" / "PTO_Funakubo0001.h5"
PEER_PYTHON = FOLDER.parent / ".peers" / "bin" / "python"
PEER_PROGRAM = FOLDER / "peers" / "atomai_dkl.py"
INPUT, TARGETS = "HeightRetrace", ("AmplitudeRetrace", "DeflectionRetrace", "PhaseRetrace")
PATCH, GRID, N_MEASURED, N_SEEDS, N_PEER_SEEDS = 8, 50, 200, 10, 2
PEER_CYCLES, THREADS = 200, 2


def run(recorder: Recorder, *, n_seeds: int = N_SEEDS, n_peer_seeds: int = N_PEER_SEEDS) -> None:
    """All targets, over seeds that choose the measured places."""
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    height = ad.read(FILE, channel=INPUT).to_numpy()
    patches = sliding_window_view(height, (PATCH, PATCH))
    at = np.linspace(0, len(patches) - 1, GRID).astype(int)
    inputs = patches[np.ix_(at, at)].reshape(-1, PATCH, PATCH).copy()
    spent = []
    for target in TARGETS:
        values = ad.read(FILE, channel=target).to_numpy()[np.ix_(at + PATCH // 2, at + PATCH // 2)].ravel()
        figures: dict[str, list[tuple[float, float, float]]] = {"ours": [], "plain": [], "atomai": []}
        deep = 0
        for seed in range(n_seeds):
            order = np.random.default_rng(seed).permutation(len(values))
            measured, others = order[:N_MEASURED], order[N_MEASURED:]
            started = time.monotonic()
            model = ad.DeepKernelRegressor(random_state=seed).fit(inputs[measured], values[measured], all_inputs=inputs)
            told = model.predict(inputs)
            spent.append(time.monotonic() - started)
            deep += model.chosen_ == "deep kernel"
            mean, std = told["value"].to_numpy(), told["value_std"].to_numpy()
            figures["ours"].append((*_judged(mean, std, values, others), spent[-1]))
            figures["plain"].append(_plain(inputs, values, measured, others))
            if seed < n_peer_seeds and PEER_PYTHON.exists():
                figures["atomai"].append(_peer(inputs, values, measured, others, seed))
        name = f"decision/{target.removesuffix('Retrace').lower()}"
        recorder.add(f"{name}/deep_kernel_chosen", deep / n_seeds)
        for who, rows in figures.items():
            if rows:
                error, inside, seconds = np.median(rows, axis=0)
                recorder.add(f"{name}/{who}/rms_error_over_spread", error)
                recorder.add(f"{name}/{who}/inside_two_deviations", inside, goal=">= 0.9" if who == "ours" else None)
                recorder.add(f"{name}/{who}/seconds", seconds)
        ours, plain = (np.array(figures[who])[:, 0] for who in ("ours", "plain"))
        recorder.add(f"{name}/largest_share_inside", max(row[1] for row in figures["ours"]))
        recorder.add(f"{name}/error_over_plain_process", float(np.median(ours / plain)), goal="<= 1")
    recorder.add("decision/seconds", float(np.median(spent)), goal="<= 2")
    recorder.add("decision/seconds_longest", float(np.max(spent)))
    torch.set_num_threads(threads)


def _judged(mean: Array, std: Array, values: Array, others: NDArray[np.int64]) -> tuple[float, float]:
    error = (mean - values)[others]
    return float(np.sqrt(np.mean(error**2)) / values.std()), float(np.mean(np.abs(error) <= 2 * std[others]))


def _plain(
    inputs: Array, values: Array, measured: NDArray[np.int64], others: NDArray[np.int64]
) -> tuple[float, float, float]:
    started = time.monotonic()
    components = PCA(5).fit_transform(inputs.reshape(len(inputs), -1))
    components /= components.std(axis=0)
    kernel = ConstantKernel() * RBF(np.ones(1)) + WhiteKernel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a hyperparameter at its bound
        model = GaussianProcessRegressor(kernel, normalize_y=True).fit(components[measured], values[measured])
    mean, std = model.predict(components, return_std=True)
    return *_judged(mean, std, values, others), time.monotonic() - started


def _peer(
    inputs: Array, values: Array, measured: NDArray[np.int64], others: NDArray[np.int64], seed: int
) -> tuple[float, float, float]:
    flat = inputs.reshape(len(inputs), -1)
    middle, spread = values[measured].mean(), values[measured].std()
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.npz", Path(folder) / "results.npz"
        np.savez(
            data,
            settings=json.dumps({"threads": THREADS, "cycles": PEER_CYCLES, "seed": seed}),
            inputs=(flat - flat.mean(axis=0)) / flat.std(axis=0),
            targets=(values - middle) / spread,
            which=measured,
        )
        subprocess.run([PEER_PYTHON, PEER_PROGRAM, data, results], check=True, capture_output=True)
        told = np.load(results)
        facts = json.loads(str(told["facts"]))
    seconds = facts["seconds_fit"] + facts["seconds_predict"]
    return *_judged(told["mean"] * spread + middle, told["std"] * spread, values, others), seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a look at some figures; nothing is kept")
    parser.add_argument("--tiny", action="store_true", help="two seeds, without the peer")
    tiny = parser.parse_args().tiny
    run(Recorder(command="a look"), n_seeds=2 if tiny else N_SEEDS, n_peer_seeds=0 if tiny else N_PEER_SEEDS)
