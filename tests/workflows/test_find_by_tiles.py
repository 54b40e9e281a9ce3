"""`adatom find` on a large image as a user runs it: by tiles, killed, and run again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SIDE = 1600


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A square lattice with noise, 8 pixels from atom to atom."""
    path = tmp_path_factory.mktemp("large") / "large.npy"
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = np.cos(2 * np.pi * x / 8) + np.cos(2 * np.pi * y / 8)
    np.save(path, (waves + 0.2 * np.random.default_rng(0).normal(size=waves.shape)).astype(np.float32))
    return path


def start(image: Path, out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "adatom", "find", str(image), "--memory", "1GB", "--no-refine", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def n_done(out: Path) -> int:
    try:
        return json.loads((out / "large" / "parts.json").read_text())["n_done"]
    except (OSError, ValueError):
        return 0


def test_a_run_that_was_killed_goes_on(image, tmp_path):
    undisturbed = start(image, tmp_path / "once")
    told, errors = undisturbed.communicate(timeout=120)
    assert undisturbed.returncode == 0, errors
    assert "maps.zarr" not in told and "overview.png" in told

    killed = start(image, tmp_path / "twice")
    while n_done(tmp_path / "twice") < 2:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "twice" / "large" / "summary.json").exists()
    before = (tmp_path / "twice" / "large" / "atoms.parts" / "part-000000.parquet").stat().st_mtime_ns
    parts_left = n_done(tmp_path / "twice")

    again = start(image, tmp_path / "twice")
    while again.poll() is None and n_done(tmp_path / "twice") == parts_left:
        time.sleep(0.01)
    first = tmp_path / "twice" / "large" / "atoms.parts" / "part-000000.parquet"
    assert not first.exists() or first.stat().st_mtime_ns == before  # it is not done again
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    once, twice = (tmp_path / name / "large" for name in ("once", "twice"))
    assert (once / "atoms.csv").read_bytes() == (twice / "atoms.csv").read_bytes()
    pd.testing.assert_frame_equal(pd.read_parquet(once / "atoms.parquet"), pd.read_parquet(twice / "atoms.parquet"))
    summary = json.loads((twice / "summary.json").read_text())
    assert summary["tiles"] > 4 and summary["n_atoms"] == len(pd.read_csv(twice / "atoms.csv"))
