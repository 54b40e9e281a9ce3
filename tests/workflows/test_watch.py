"""A folder that is watched, as at an instrument: files are told as they come, Ctrl-C ends with their latency."""

import os
import signal
import subprocess
import sys
import time

import numpy as np


def test_files_are_told_as_they_come_and_ctrl_c_tells_the_latency(tmp_path):
    incoming, out = tmp_path / "incoming", tmp_path / "out"
    incoming.mkdir()
    command = [sys.executable, "-m", "adatom", "find", "--watch", str(incoming), "--out", str(out)]
    command += ["--method", "classical", "--no-refine", "--no-report"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for k in range(2):
            np.save(incoming / f"scan_{k}.npy", np.random.default_rng(k).normal(size=(48, 48)))
        (incoming / "half.npy").write_bytes(b"\x93NUMPY nothing")
        waited_from = time.monotonic()
        while not all((out / f"scan_{k}" / "summary.json").is_file() for k in range(2)):
            assert time.monotonic() - waited_from < 90
            time.sleep(0.1)
        time.sleep(1.0)
    finally:
        os.kill(process.pid, signal.SIGINT)
    told, errors = process.communicate(timeout=60)
    assert "latency of 2 files: median" in told and told.count("from the complete file to its results") == 2
    assert "half.npy" in errors and process.returncode == 1
    assert not (out / "scan_0" / "report.html").exists() and (out / "scan_0" / "atoms.parquet").is_file()
