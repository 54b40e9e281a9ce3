"""Long movies and many files: frames a second, memory against length, what reports cost, and latency of a burst.

Twenty noisy two-atom honeycombs of 512 x 512 pixels, over and over, in TIFF stacks of 200 and 800 frames; `adatom find`
goes through them frame by frame, in a process of its own with two threads. Then parts of 128 x 128 pixels of them as
files, with and without reports, and twenty files that are dropped within a second into a folder that is watched.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks.record import Recorder
from benchmarks.two_atom_images import draw_image

_FIND = [sys.executable, "-m", "adatom", "find", "--pixel-size", "0.01"]
_ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "2"}
# The command, and the most memory that it had [kB]; what wait4 tells includes that of whoever started it.
_WATCHED = """
import sys
from adatom.cli import main
try:
    main()
finally:
    with open("/proc/self/status") as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""
_N_DRAWN, _SIDE, _PART = 20, 512, 128
_N_FILES, _N_BURST = 60, 20


def run(recorder: Recorder) -> None:
    """Movies, files, and a folder that is watched."""
    frames = np.stack([draw_image("noisy", "test", 2000 + k, size=_SIDE).image.to_numpy() for k in range(_N_DRAWN)])
    frames = frames.astype(np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _movies(recorder, folder, frames)
        _files(recorder, folder, frames)
        _burst(recorder, folder, frames)


def _movies(recorder: Recorder, folder: Path, frames: np.ndarray) -> None:
    peaks = {}
    for n, refine in ((200, False), (800, False), (20, True)):
        movie = folder / f"movie_{n}.tif"
        tifffile.imwrite(movie, np.concatenate([frames] * (n // _N_DRAWN)), photometric="minisblack")
        asked = ["--memory", "4GB", *([] if refine else ["--no-refine"])]  # short ones would be searched whole
        summary, peaks[n] = _find(movie, folder / "out", asked)
        movie.unlink()
        name = "refined_" if refine else ""
        goal = None if refine else ">= 10"
        recorder.add(f"movies/{n}_frames/{name}512px_frames_a_second", n / summary["seconds"], goal=goal)
        recorder.add(f"movies/{n}_frames/peak_mb", peaks[n])
    recorder.add("movies/peak_mb_more_for_600_frames", peaks[800] - peaks[200], goal="<= 50")


def _find(movie: Path, out: Path, asked: list[str]) -> tuple[dict[str, Any], float]:
    """Summary, and the most memory that it took [MB]."""
    command = [sys.executable, "-c", _WATCHED, *_FIND[3:], str(movie), "--out", str(out), *asked]
    told = subprocess.run(command, env=_ENVIRONMENT, check=True, capture_output=True, text=True).stderr
    return json.loads((out / movie.stem / "summary.json").read_text()), int(told.split()[-1]) / 1e3


def _files(recorder: Recorder, folder: Path, frames: np.ndarray) -> None:
    (folder / "files").mkdir()
    for k in range(_N_FILES):
        first = _PART * (k // _N_DRAWN)
        np.save(folder / "files" / f"{k:03d}.npy", frames[k % _N_DRAWN, first : first + _PART, :_PART])
    one = [*_FIND, str(folder / "files" / "000.npy"), "--out", str(folder / "one")]
    start = _seconds(one)
    for name, more in (("report", []), ("no_report", ["--no-report"]), ("report_2_jobs", ["--jobs", "2"])):
        whole = _seconds([*_FIND, str(folder / "files"), "--out", str(folder / name), *more])
        recorder.add(f"movies/128px_files/ms_a_file_{name}", 1e3 * (whole - start) / (_N_FILES - 1))


def _seconds(command: list[str]) -> float:
    started = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, env=_ENVIRONMENT)
    return time.monotonic() - started


def _burst(recorder: Recorder, folder: Path, frames: np.ndarray) -> None:
    (folder / "incoming").mkdir()
    command = [*_FIND, "--watch", str(folder / "incoming"), "--out", str(folder / "watched")]
    process = subprocess.Popen([*command, "--no-refine", "--no-report", "--json"], stdout=subprocess.PIPE, text=True)
    np.save(folder / "incoming" / "first.npy", frames[0])
    _wait_for(folder / "watched" / "first" / "summary.json")
    for k in range(_N_BURST):
        np.save(folder / "incoming" / f"{k:02d}.npy", frames[k])
        time.sleep(0.05)
    for k in range(_N_BURST):
        _wait_for(folder / "watched" / f"{k:02d}" / "summary.json")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    results = json.loads(process.communicate()[0])["results"]
    latencies = [each["latency_s"] for each in results if each["file"] != "first.npy"]
    recorder.add("movies/burst_of_20/latency_median_s", float(np.median(latencies)))
    recorder.add("movies/burst_of_20/latency_worst_s", max(latencies))


def _wait_for(file: Path) -> None:
    waited_from = time.monotonic()
    while not file.is_file():
        if time.monotonic() - waited_from > 300:
            raise RuntimeError(f"no {file}")
        time.sleep(0.05)
