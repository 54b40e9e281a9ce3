"""Images of any size by tiles: time and memory against megapixels, beside AtomAI's network.

The image is one honeycomb of 4096 x 4096 px; larger ones are zarr stores that repeat it. All programs have two threads.
Environment: ``SCALE_SIDE`` (largest side, 16384), ``SCALE_FOLDER`` (scratch; the largest side takes 4 bytes a pixel),
``SCALE_PEER=0`` to leave the peer out, which needs 13 GB.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import FOLDER, Recorder
from benchmarks.two_atom_images import draw_image

_SIDE = 4096
_MEMORY_GB = "1.45"
_THREADS = "2"


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
        _grow(recorder, values, folder, largest)


def _grow(recorder: Recorder, values: np.ndarray, folder: Path, largest: int) -> None:
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
        recorder.add(f"scale/zarr_{side}px/peak_gib", facts["peak_gib"], goal="<= 1.4")
        subprocess.run(["rm", "-r", str(store)], check=True)
        side *= 2
    if len(rates) > 1:
        recorder.add("scale/seconds_a_megapixel_largest_over_smallest", rates[-1] / rates[0], goal="<= 1.15")


def _repeat(store: Path, values: np.ndarray, side: int) -> None:
    import zarr

    array = zarr.open_array(str(store), mode="w", shape=(side, side), chunks=(1024, 1024), dtype="float32")
    for top in range(0, side, _SIDE):
        for left in range(0, side, _SIDE):
            array[top : top + _SIDE, left : left + _SIDE] = values


def _find(file: Path, folder: Path, refine: str) -> dict[str, Any]:
    out = folder / "out"
    command = [sys.executable, "-m", "benchmarks.find_by_tiles", str(file), str(out), _MEMORY_GB, refine]
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
