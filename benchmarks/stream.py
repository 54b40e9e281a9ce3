"""A movie from disk to its table of atoms, without refinement: frames a second.

Sixty noisy two-atom honeycombs of 512 x 512 pixels, each another one, in a TIFF stack; `adatom find --no-refine` reads
it, finds, and writes table, overlay and report, in a process of its own with two threads. The first figure is that of
the search and the table alone, the second that of the whole command, its start included.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.record import Recorder
from benchmarks.two_atom_images import draw_image

N_FRAMES, SIDE = 60, 512


def run(recorder: Recorder) -> None:
    """One movie."""
    frames = [draw_image("noisy", "test", 2000 + k, size=SIDE).image.to_numpy() for k in range(N_FRAMES)]
    with tempfile.TemporaryDirectory() as folder:
        movie = Path(folder) / "movie.tif"
        tifffile.imwrite(movie, np.stack(frames).astype(np.float32), photometric="minisblack")
        command = [sys.executable, "-m", "adatom", "find", str(movie), "--no-refine", "--pixel-size", "0.01"]
        command += ["--out", str(Path(folder) / "out")]
        started = time.monotonic()
        environment = {**os.environ, "OMP_NUM_THREADS": "2"}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        whole = time.monotonic() - started
        summary = json.loads((Path(folder) / "out" / "movie" / "summary.json").read_text())
    recorder.add("stream/512px_frames_a_second", N_FRAMES / summary["seconds"], goal=">= 10")
    recorder.add("stream/512px_frames_a_second_whole_command", N_FRAMES / whole)
    recorder.add("stream/atoms", summary["n_atoms"])
