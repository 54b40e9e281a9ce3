"""Real hysteresis loops (BEPS on PbTiO3): spectra predicted from the map at 0 V, on blocks that were left out.

The file holds loops only, so the image is the map of their first point, which is left out of what is predicted. That is
partly circular: the figures say how the rest of a loop follows from that map, no more. Blocks are held out whole, with
a gap of one patch. One more split, without a gap, is the one on which AtomAI's ImSpec was measured before (``make
peers``); both are trained and timed here, one after the other, with the same number of threads. There the peer sees
patches of 8 x 8 pixels, ours the 7 x 7 of them around the pixel.

``python -m benchmarks.spectra_beps --tiny`` tries the way and keeps no figures.
"""

import argparse
import json
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import adatom as ad
from adatom.analyse.spectrum_descriptors import loop_descriptors
from adatom.models.spectrum_baselines import BASELINES, Seen
from adatom.models.spectrum_comparison import Comparison, descriptor_table, judge, r2_score
from adatom.prepare.spatial_folds import Fold, blocked_folds
from adatom.prepare.spectrum_pairs import Pairs, map_at, pair_up
from benchmarks.record import FOLDER, Recorder

FILE = FOLDER.parent.parent / "shared" / "data" / "beps_pto" / "BEPS_PTO_50x50.h5"
PEER_PYTHON = FOLDER.parent / ".peers" / "bin" / "python"
PEER_PROGRAM = FOLDER / "peers" / "atomai_imspec.py"
OURS, NETWORK = "ImageToSpectrum", "network alone"
FIRST_TEST_COLUMN = 40


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    n_folds: int = 5
    steps: int = 250
    peer_epochs: int = 120
    n_timed: int = 7


# its average of weights takes the last 30 epochs
TINY = Size(n_folds=2, steps=10, peer_epochs=31, n_timed=2)


def run(recorder: Recorder, size: Size = Size()) -> None:
    """Blocked folds with and without the cleaning rule, then the split of the peer."""
    image, loops = map_at(ad.read(FILE), 0.0)
    for clean in (True, False):
        pairs = pair_up(image, loops, clean=clean)
        name = "spectra/beps/blocked" if clean else "spectra/beps/blocked_uncleaned"
        print(f"  {name}: {len(pairs)} pairs, left out: {pairs.n_left_out}", flush=True)
        comparison, covered = _blocked(pairs, size)
        _record(recorder, name, comparison, covered)
        if clean:
            _record_descriptors(recorder, name, comparison, pairs)
    if not PEER_PYTHON.exists():
        raise SystemExit("benchmarks: expected the peer's environment, got none. Run `make peers` first.")
    _against_peer(recorder, image, loops, size)


def _blocked(pairs: Pairs, size: Size) -> tuple[Comparison, float]:
    """What all models say of each block, and the share of points inside their 90 % bands."""
    said = {name: np.full(pairs.spectra.shape, np.nan) for name in (OURS, NETWORK, *BASELINES)}
    inside = []
    for fold in blocked_folds(pairs, size.n_folds):
        train, test = pairs.take(fold.train), pairs.take(fold.test)
        model = ad.ImageToSpectrum(random_state=0, training={"steps": size.steps}).fit_pairs(train)
        said[OURS][fold.test], std = model.predict_patches(test.patches)
        said[NETWORK][fold.test] = model.predict_patches(test.patches, opinion="network")[0]
        inside.append(np.abs(test.spectra - said[OURS][fold.test]) <= 1.645 * std)
        for name, prediction in _baselines(model, train, test).items():
            said[name][fold.test] = prediction
    return judge(said, pairs, model=OURS), float(np.concatenate(inside).mean())


def _baselines(model: ad.ImageToSpectrum, train: Pairs, test: Pairs) -> dict[str, NDArray[Any]]:
    """Baselines that learned what the model learned."""
    seen = [
        Seen(
            model.patch_scale_.scaled(part.patches).reshape(len(part), -1),
            np.column_stack([part.row, part.column]).astype(float),
        )
        for part in (train, test)
    ]
    spectra = train.spectra.reshape(len(train), -1)
    return {name: fit(seen[0], spectra, 0)(seen[1]).reshape(test.spectra.shape) for name, fit in BASELINES.items()}


def _record(recorder: Recorder, name: str, comparison: Comparison, covered: float) -> None:
    print(comparison.table.round(3).to_string(), comparison.verdict, sep="\n", flush=True)
    rows = comparison.table.set_index("model")
    best = float(rows[rows["is_baseline"]]["r2"].max())
    for model in (OURS, NETWORK):
        recorder.add(f"{name}/{model.replace(' ', '_').lower()}/r2", rows["r2"][model], peer=best)
        recorder.add(f"{name}/{model.replace(' ', '_').lower()}/r2_low", rows["r2_low"][model])
        recorder.add(f"{name}/{model.replace(' ', '_').lower()}/r2_high", rows["r2_high"][model])
    recorder.add(f"{name}/r2_above_best_baseline", comparison.gain[0])
    recorder.add(f"{name}/r2_above_best_baseline_high", comparison.gain[2], goal=">= 0")
    recorder.add(f"{name}/coverage_of_90_percent_bands", covered)


def _record_descriptors(recorder: Recorder, name: str, comparison: Comparison, pairs: Pairs) -> None:
    table = descriptor_table(comparison, pairs, loop_descriptors)
    print(table.round(6).to_string(), flush=True)
    ours = table[table["model"] == OURS].set_index("descriptor")
    mean = table[table["model"] == "mean spectrum"].set_index("descriptor")
    for each in ours.index:
        recorder.add(
            f"{name}/descriptor/{each}/error_over_that_of_mean_spectrum",
            ours["median_error"][each] / mean["median_error"][each],
        )
        recorder.add(f"{name}/descriptor/{each}/rank_correlation", ours["correlation"][each])


# -------------------------------------------------------------------------------------------------- the peer


def _against_peer(recorder: Recorder, image: Any, loops: Any, size: Size) -> None:
    peers = pair_up(image, loops, patch_size_px=8, border="mirror")
    pairs = pair_up(image, loops, patch_size_px=7, border="mirror")
    fold = Fold(np.flatnonzero(pairs.column < FIRST_TEST_COLUMN), np.flatnonzero(pairs.column >= FIRST_TEST_COLUMN))
    train, test = pairs.take(fold.train), pairs.take(fold.test)
    facts, peer_said = _peer(peers.take(fold.train), peers.take(fold.test), size)
    print(f"  peer: {facts}", flush=True)
    started = time.perf_counter()
    model = ad.ImageToSpectrum(random_state=0, border="mirror", training={"steps": size.steps}).fit_pairs(train)
    seconds_fit = time.perf_counter() - started
    said, _ = model.predict_patches(test.patches)
    alone, _ = model.predict_patches(test.patches, opinion="network")
    seconds = []
    for _ in range(size.n_timed):
        started = time.perf_counter()
        model.predict_patches(test.patches)
        seconds.append(time.perf_counter() - started)
    name = "spectra/beps/peer_split"
    peer_r2, r2 = r2_score(test.spectra[:, 0], peer_said), r2_score(test.spectra, said)
    for model_name, prediction in _baselines(model, train, test).items():
        recorder.add(f"{name}/{model_name.replace(' ', '_')}/r2", r2_score(test.spectra, prediction))
    recorder.add(f"{name}/network_alone/r2", r2_score(test.spectra, alone), peer=peer_r2)
    recorder.add(f"{name}/r2", r2, goal=">= 0.62", peer=peer_r2)
    recorder.add(f"{name}/squared_error_over_that_of_peer", (1 - r2) / (1 - peer_r2), goal="<= 1")
    recorder.add(f"{name}/seconds_fit", seconds_fit, peer=facts["seconds_train"])
    recorder.add(f"{name}/training_times_as_fast_as_peer", facts["seconds_train"] / seconds_fit, goal=">= 2")
    recorder.add(f"{name}/seconds_predict", float(np.median(seconds)), peer=facts["seconds_predict"])
    recorder.add(
        f"{name}/prediction_times_as_fast_as_peer", facts["seconds_predict"] / float(np.median(seconds)), goal=">= 5"
    )


def _peer(train: Pairs, test: Pairs, size: Size) -> tuple[dict[str, Any], NDArray[Any]]:
    """What the peer's process says, and its spectra (pair, point); everything scaled to 0..1 by the training part."""
    low, high = train.spectra.min(), train.spectra.max()
    # a few pixels of broken loops would press all others into a corner of 0..1
    darkest, brightest = np.quantile(train.patches, [0.001, 0.999])
    arrays: dict[str, Any] = {}
    for name, part in (("train", train), ("test", test)):
        patches = (np.clip(part.patches[:, 0], darkest, brightest) - darkest) / (brightest - darkest)
        arrays[f"{name}_patches"] = patches.astype(np.float32)
        arrays[f"{name}_spectra"] = ((part.spectra[:, 0] - low) / (high - low)).astype(np.float32)
    settings = {
        "epochs": size.peer_epochs,
        "threads": torch.get_num_threads(),
        "latent": 10,
        "n_timed": size.n_timed,
    }
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.npz", Path(folder) / "results.npz"
        np.savez(data, settings=json.dumps(settings), **arrays)
        subprocess.run([PEER_PYTHON, PEER_PROGRAM, data, results], check=True, capture_output=True)
        with np.load(results) as file:
            facts = json.loads(str(file["facts"]))
            facts["seconds_train"] = facts["seconds_fit"] - facts["seconds_test"]
            return facts, file["predicted"] * (high - low) + low


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a try; nothing is kept")
    parser.add_argument("--tiny", action="store_true", help="a few steps")
    arguments = parser.parse_args()
    run(Recorder(command="a try"), TINY if arguments.tiny else Size())
