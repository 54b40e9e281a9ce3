"""`adatom spectra` as a user types it, on a small simulated scan."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adatom.files import read, write
from adatom.simulate.loops import domain_polarisation, simulate_loops

BRIEF = ["--steps", "8", "--members", "2", "--patch-px", "5"]


def adatom(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adatom", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``image.h5`` and ``loops.h5``."""
    folder = tmp_path_factory.mktemp("scan")
    rng = np.random.default_rng(0)
    scan = simulate_loops(domain_polarisation(24, rng), rng, determined=0.9, n_points=16, pixel_size=5.0)
    write(scan.image, folder / "image.h5")
    write(scan.spectra, folder / "loops.h5")
    return folder


@pytest.fixture(scope="module")
def trained(files: Path) -> Path:
    done = adatom("spectra", "train", files / "image.h5", "--spectra", files / "loops.h5", "--out", files / "m", *BRIEF)
    assert done.returncode == 0, done.stderr
    for line in ("400 pairs", "extra trees", "neighbour's spectrum", "network alone", "best baseline"):
        assert line in done.stdout
    return files / "m"


def test_training_leaves_a_model_figures_and_a_page(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    assert names == {
        "model.safetensors",
        "comparison.csv",
        "descriptors.csv",
        "spectra.png",
        "maps.png",
        "manifold.png",
        "attribution.png",
        "left_out.png",
        "report.html",
        "summary.json",
        "run.json",
    }
    page = (trained / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page and "http-equiv" in page and page.count("data:image/png") == 5
    summary = json.loads((trained / "summary.json").read_text())
    assert summary["verdict"] in page.replace("&#x27;", "'")
    assert {row["model"] for row in summary["comparison"]} >= {"ImageToSpectrum", "ridge", "mean spectrum"}


def test_predicting_writes_spectra_and_their_errors(trained: Path, files: Path) -> None:
    out = files / "predicted"
    done = adatom("spectra", "predict", trained / "model.safetensors", files / "image.h5", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["n_predicted"] == 20 * 20
    spectra = read(out / "spectrum.h5")
    assert spectra.dims == ("y", "x", "bias") and spectra.shape == (24, 24, 16)
    assert (out / "spectrum_std.h5").exists() and (out / "predicted.png").exists()
    loops = pd.read_csv(out / "descriptors.csv")
    assert len(loops) == 20 * 20 and (loops["work_std"] > 0).all()
    assert {"y", "x", "coercive_rising", "coercive_rising_std", "imprint", "work"} < set(loops)


def test_the_way_back_and_a_map_that_is_called_circular(files: Path) -> None:
    """The map at 0 V, predicted from the rest of the loops."""
    options = ["--at", "0", "--to", "image", "--net", "ved", "--json"]
    done = adatom("spectra", "train", files / "loops.h5", *options, "--out", files / "back", *BRIEF)
    assert done.returncode == 0, done.stderr
    assert "partly known" in json.loads(done.stdout)["warnings"][0]
    model = files / "back" / "model.safetensors"
    done = adatom("spectra", "predict", model, files / "loops.h5", "--at", "0", "--out", files / "patches")
    assert done.returncode == 0, done.stderr
    with np.load(files / "patches" / "patch.npz") as patches:
        assert patches["patch"].shape == patches["patch_std"].shape == (24, 24, 1, 5, 5)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["train", "loops.h5"], 1, "take a map of the spectra with --at"),
        (["train", "image.h5"], 1, "Name the file of the spectra with --spectra"),
        (["train", "loops.h5", "--at", "0", "--to", "atoms"], 2, "expected spectrum or image, got atoms"),
        (["predict", "any_atoms", "image.h5"], 2, "any_atoms is a Localizer"),
    ],
)
def test_what_goes_wrong_is_one_line(files: Path, arguments: list[str], code: int, told: str) -> None:
    named = [files / each if each.endswith(".h5") else each for each in arguments]
    done = adatom("spectra", *named, "--out", files / "never")
    assert done.returncode == code
    assert told in " ".join(done.stderr.replace("│", " ").split()) and "Traceback" not in done.stderr
