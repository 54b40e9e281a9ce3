"""Time and memory against megapixels, frames, atoms and workers, beside AtomAI's network on one large image.

The large image is one honeycomb of 4096 x 4096 px; larger ones are zarr stores that repeat it. Movies are noisy
honeycombs of 512 x 512 px, the same forty again and again. All programs have two threads. The picture,
``docs/images/scale.png``, is drawn from the figures as they stand in ``results.jsonl`` (those of workers are of the
benchmark `cluster`).

Environment: ``SCALE_SIDE`` (largest side, 16384; 32768 takes half an hour), ``SCALE_FOLDER`` (scratch; the largest side
takes 4 bytes a pixel), ``SCALE_PEER=0`` to leave the peer out, which needs 13 GB.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import FOLDER, RECORDS, Recorder
from benchmarks.two_atom_images import draw_image

_SIDE = 4096
_MEMORY_GB = "1.45"
_THREADS = "2"
_FRAMES, _FRAME_SIDE, _DIFFERENT = (100, 200, 400, 800), 512, 40
_PERIODS, _LATTICE_SIDE = (8, 11, 16, 23, 32), 2048  # of square lattices [px]: so many atoms in an image


def run(recorder: Recorder) -> None:
    """Every size in a process of its own."""
    largest = int(os.environ.get("SCALE_SIDE", "16384"))
    with tempfile.TemporaryDirectory(dir=os.environ.get("SCALE_FOLDER")) as scratch:
        folder = Path(scratch)
        values = np.asarray(draw_image("clean", "test", 1003, size=_SIDE).image.values, dtype=np.float32)
        np.save(folder / "image.npy", values)
        peer = _peer(folder) if os.environ.get("SCALE_PEER", "1") == "1" else None
        seconds = peer["seconds"] if peer else None
        for name, refine in (("without_refinement", "0"), ("with_refinement", "1")):
            own = _find(folder / "image.npy", folder, refine)
            recorder.add(f"scale/4096px/{name}_seconds", own["seconds"], peer=seconds)
            peak = peer["peak_gib"] if peer else None
            recorder.add(f"scale/4096px/{name}_peak_gib", own["peak_gib"], goal="<= 1.4", peer=peak)
            if seconds:
                recorder.add(f"scale/4096px/{name}_times_faster_than_atomai", seconds / own["seconds"], goal=">= 4")
        _megapixels(recorder, values, folder, largest)
        _frames(recorder, folder)
        _atoms(recorder, folder)
    recorder.save()
    draw()


def _megapixels(recorder: Recorder, values: np.ndarray, folder: Path, largest: int) -> None:
    """Seconds a megapixel, of the tiles alone, at each side; the decisions take a few seconds whatever the size."""
    rates = []
    side = _SIDE
    while side <= largest:
        store = folder / f"{side}.zarr"
        _repeat(store, values, side)
        facts = _find(store, folder, "0")
        spent = facts["seconds"] - facts["profile"]["choosing"]
        rates.append(1e6 * spent / side**2)
        recorder.add(f"scale/zarr_{side}px/seconds", facts["seconds"])
        recorder.add(f"scale/zarr_{side}px/seconds_a_megapixel_largest_over_smallest", rates[-1] / rates[0])
        recorder.add(f"scale/zarr_{side}px/peak_gib", facts["peak_gib"], goal="<= 1.4")
        subprocess.run(["rm", "-r", str(store)], check=True)
        side *= 2
    if len(rates) > 1:
        recorder.add("scale/seconds_a_megapixel_largest_over_smallest", rates[-1] / rates[0], goal="<= 1.15")
        recorder.add("scale/seconds_a_megapixel_largest_over_next", rates[-1] / rates[-2], goal="<= 1.15")


def _frames(recorder: Recorder, folder: Path) -> None:
    """Movies of more and more frames, from one file, without refinement."""
    frames = [draw_image("noisy", "test", 2000 + k, size=_FRAME_SIDE).image.to_numpy() for k in range(_DIFFERENT)]
    movie = folder / "movie.npy"
    for n in _FRAMES:
        stack = np.lib.format.open_memmap(movie, "w+", dtype=np.float32, shape=(n, _FRAME_SIDE, _FRAME_SIDE))
        for k in range(n):
            stack[k] = frames[k % _DIFFERENT]
        stack.flush()
        facts = _find(movie, folder, "0")
        recorder.add(f"scale/movie_{n}_frames/seconds", facts["seconds"])
        recorder.add(f"scale/movie_{n}_frames/peak_gib", facts["peak_gib"], goal="<= 1.4")


def _atoms(recorder: Recorder, folder: Path) -> None:
    """Square lattices that are denser and denser, with refinement."""
    y, x = np.mgrid[:_LATTICE_SIDE, :_LATTICE_SIDE]
    for period in _PERIODS:
        waves = np.cos(2 * np.pi * x / period) + np.cos(2 * np.pi * y / period)
        values = np.exp(waves - 2) + 0.1 * np.random.default_rng(period).normal(size=x.shape)
        np.save(folder / "lattice.npy", values.astype(np.float32))
        facts = _find(folder / "lattice.npy", folder, "1")
        name = f"scale/lattice_of_{(_LATTICE_SIDE // period) ** 2}_atoms"
        recorder.add(f"{name}/found_over_true", facts["n_atoms"] / (_LATTICE_SIDE / period) ** 2)
        recorder.add(f"{name}/seconds", facts["seconds"])
        recorder.add(f"{name}/peak_gib", facts["peak_gib"], goal="<= 1.4")


def draw() -> None:
    """The picture, by the last record of each figure."""
    import matplotlib.pyplot as plt

    last: dict[str, float] = {}
    for line in RECORDS.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        last[record["figure"]] = record["value"]

    def series(beginning: str, end: str, number: Callable[[str], float]) -> tuple[list[float], list[float]]:
        names = [name for name in last if name.startswith(f"scale/{beginning}") and name.endswith(f"/{end}")]
        points = sorted((number(name.split("/")[1]), last[name]) for name in names)
        return [x for x, _ in points], [value for _, value in points]

    panels: list[tuple[str, str, Callable[[str], float]]] = [
        ("zarr_", "megapixels", lambda name: int(name.removeprefix("zarr_").removesuffix("px")) ** 2 / 1e6),
        ("movie_", "frames of 512 x 512 px", lambda name: int(name.split("_")[1])),
        ("lattice_of_", "atoms in 2048 x 2048 px, fitted", lambda name: int(name.split("_")[2])),
    ]
    figure, axes = plt.subplots(1, 4, figsize=(14, 3.4), layout="constrained")
    for axis, (beginning, label, number) in zip(axes, panels, strict=False):
        x, seconds = series(beginning, "seconds", number)
        _, peak = series(beginning, "peak_gib", number)
        axis.plot(x, seconds, "o-", color="tab:blue")
        axis.set(xlabel=label, ylabel="seconds", ylim=(0, None), xlim=(0, None))
        axis.yaxis.label.set_color("tab:blue")
        beside = axis.twinx()
        beside.plot(x, peak, "s--", color="tab:red")
        beside.set(ylabel="peak memory [GiB]", ylim=(0, 1.6))
        beside.yaxis.label.set_color("tab:red")
    places = np.arange(2)
    for shift, what in ((-0.2, "tiles"), (0.2, "files")):
        seconds = [last.get(f"cluster/{what}/{word}_seconds", np.nan) for word in ("one_worker", "two_workers")]
        axes[3].bar(places + shift, seconds, width=0.4, label=what)
    axes[3].set(xticks=places, xticklabels=["1", "2"], xlabel="workers of one thread", ylabel="seconds")
    axes[3].legend()
    figure.savefig(FOLDER.parent / "docs" / "images" / "scale.png", dpi=80)
    plt.close(figure)


def _repeat(store: Path, values: np.ndarray, side: int) -> None:
    import zarr

    array = zarr.open_array(str(store), mode="w", shape=(side, side), chunks=(1024, 1024), dtype="float32")
    for top in range(0, side, _SIDE):
        for left in range(0, side, _SIDE):
            array[top : top + _SIDE, left : left + _SIDE] = values


def _find(file: Path, folder: Path, refine: str) -> dict[str, Any]:
    out = folder / "out"
    command = [sys.executable, "-m", "benchmarks.find_one_file", str(file), str(out), _MEMORY_GB, refine]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment())
    subprocess.run(["rm", "-r", str(out)], check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _peer(folder: Path) -> dict[str, Any]:
    program = str(FOLDER / "peers" / "atomai_large.py")
    python = str(FOLDER.parent / ".peers" / "bin" / "python")
    result = folder / "peer.json"
    command = [python, program, str(folder / "image.npy"), str(result), _THREADS]
    subprocess.run(command, check=True, capture_output=True, env={**_environment(), "PYTHONPATH": ""})
    facts: dict[str, Any] = json.loads(result.read_text())
    return facts


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": _THREADS}
