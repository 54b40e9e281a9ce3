"""Searching a movie frame by frame: the atoms of `adatom.find`, and the same table after a run was killed."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import adatom as ad
from adatom.distribute import movie_finder
from adatom.distribute.file_search import FileSearch
from adatom.distribute.movie_finder import MovieSearch, find_in_movie
from adatom.errors import ArgumentError
from adatom.files import open_movie_lazily, read

N_FRAMES, SIDE = 6, 120
KILLED = """
import sys
from pathlib import Path
from adatom.distribute import movie_finder
from adatom.files import open_movie_lazily
movie_finder._PART_PX = 2 * 120 * 120
movie_finder.find_in_movie(
    open_movie_lazily(sys.argv[1]), Path(sys.argv[2]), movie_finder.MovieSearch(refine=False),
    advance=lambda done, _: print(done, flush=True) or done == 5 and sys.stdin.read(),
)
"""


def honeycombs() -> np.ndarray:
    """Frames of atoms that move a little, on a slope, with noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    period = 4 * np.pi / (np.sqrt(3) * 5.5 * np.sqrt(3))
    rng = np.random.default_rng(0)
    frames = []
    for k in range(N_FRAMES):
        waves = sum(
            np.cos(period * ((x + 0.3 * k) * np.cos(angle) + y * np.sin(angle)) + 1.2)
            for angle in np.deg2rad([7, 127, 247])
        )
        frames.append(np.exp(1.2 * waves - 2) + 1e-3 * x + 0.05 * rng.normal(size=(SIDE, SIDE)))
    return np.stack(frames).astype(np.float32)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "movie.npy"
    np.save(path, honeycombs())
    return path


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(movie_finder, "_PART_PX", 2 * SIDE * SIDE)


@pytest.mark.parametrize("refine", [False, True])
def test_the_atoms_are_those_of_find(file, tmp_path, refine):
    summary = find_in_movie(
        open_movie_lazily(file, pixel_size=0.02), tmp_path, MovieSearch(refine=refine, undistort=True)
    )
    by_parts = pd.read_parquet(tmp_path / "atoms.parquet")
    whole = ad.find(read(file, pixel_size=0.02), refine=refine, undistort=True)
    assert len(by_parts) == len(whole) > 1000 and set(by_parts["frame"]) == set(range(N_FRAMES))
    numbers = [name for name in by_parts.columns if name != "species"]
    assert {*numbers} >= {"x", "y", "probability", "flux", "refined", "snr", "x_undistorted"}
    pd.testing.assert_frame_equal(by_parts[numbers], whole[numbers], check_dtype=False, rtol=1e-3)
    np.testing.assert_allclose(by_parts[["x", "y"]], whole[["x", "y"]], atol=1e-5)
    told = whole.attrs["summary"]
    for name in ("n_atoms", "species", "model", "working_factor", "contrast", "scan_jitter_px", "units"):
        assert summary[name] == pytest.approx(told[name]), name
    assert {each.name for each in tmp_path.iterdir()} >= {"atoms.csv", "overlay.png", "report.html", "summary.json"}


def test_a_killed_run_goes_on_where_it_was(file, tmp_path):
    asked = MovieSearch(refine=False)
    find_in_movie(open_movie_lazily(file), tmp_path / "once", asked)
    out = tmp_path / "twice"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(file), str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "5":
            break
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (out / "summary.json").exists() and json.loads((out / "parts.json").read_text())["n_done"] == 2
    went_on: list[int] = []
    summary = find_in_movie(open_movie_lazily(file), out, asked, advance=lambda done, _: went_on.append(done))
    assert went_on == [4, 5, 6]
    first, second = (pd.read_csv(tmp_path / name / "atoms.csv") for name in ("once", "twice"))
    assert len(first) == len(second) == len(pd.read_parquet(out / "atoms.parquet")) == summary["n_atoms"]
    np.testing.assert_allclose(first[["frame", "x", "y"]], second[["frame", "x", "y"]], atol=1e-2)


def test_frames_that_show_nothing_hold_no_atoms(tmp_path):
    frames = honeycombs()
    frames[:2], frames[3] = np.nan, 1.0
    np.save(tmp_path / "gaps.npy", frames)
    summary = find_in_movie(open_movie_lazily(tmp_path / "gaps.npy"), tmp_path / "out", MovieSearch(refine=False))
    atoms = pd.read_parquet(tmp_path / "out" / "atoms.parquet")
    assert set(atoms["frame"]) == {2, 4, 5} and summary["model"] == "any_atoms"
    assert list(pd.read_csv(tmp_path / "out" / "atoms.csv").columns) == list(atoms.columns)


def test_a_movie_is_searched_by_parts_where_memory_is_stated(file, tmp_path):
    told: list[tuple[int, int, str]] = []
    asked = FileSearch(refine=False, memory_gb=1.0)
    summary = asked.look(file, asked.open(file), lambda *progress: told.append(progress))(tmp_path)
    assert summary["n_frames"] == N_FRAMES and told[-1] == (N_FRAMES, N_FRAMES, "frames")
    assert "n_frames" not in FileSearch(refine=False, frame=2).run(file, tmp_path / "one")
    with pytest.raises(ArgumentError, match="memory: expected at least"):
        FileSearch(refine=False, memory_gb=0.1).run(file, tmp_path / "none")
