"""Spectrum images and lattices taken apart on the command line; distortions from a table of atoms."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

import adatom as ad
from adatom.analyse import find_distortions
from adatom.cli import app
from adatom.errors import ArgumentError
from adatom.files import write
from adatom.report import write_distortions
from tests.physics.test_ferroelectric_walls import CELL_NM, N_CELLS, perovskite
from tests.physics.test_known_mixtures import angles_deg, spectrum_image
from tests.unit.analyse.test_lattice_phases import two_phases


def run(*arguments) -> str:
    done = CliRunner().invoke(app, ["unmix", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_spectra_of_counts(tmp_path):
    write(spectrum_image(200.0), tmp_path / "counts.h5")
    run(tmp_path / "counts.h5", "--poisson", "--keep-outliers", "--out", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "spectra.csv")
    assert list(table.columns) == ["energy", "component_1", "component_2", "component_3", "mean"]
    assert angles_deg(table.iloc[:, 1:4].to_numpy().T).max() < 5
    assert tifffile.imread(tmp_path / "out" / "abundance.tif").shape == (3, 30, 40)
    assert (tmp_path / "out" / "components.png").is_file()
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["method"] == "nmf" and summary["n_suggested"] == 3


def test_values_below_zero_are_taken_by_pca(tmp_path):
    write(spectrum_image(200.0) - 100.0, tmp_path / "loops.h5")
    told = json.loads(run(tmp_path / "loops.h5", "--components", 2, "--json", "--out", tmp_path / "out"))
    assert told["method"] == "pca" and told["n_components"] == 2


def test_phases_of_a_lattice(tmp_path):
    tifffile.imwrite(tmp_path / "lattice.tif", two_phases().astype(np.float32))
    options = ["--pixel-size", 0.03, "--window", 1.2, "--components", 2]
    run(tmp_path / "lattice.tif", *options, "--out", tmp_path / "out")
    assert tifffile.imread(tmp_path / "out" / "diffraction.tif").shape == (2, 40, 40)


@pytest.mark.parametrize("wrong", [["--components", "some"], ["--method", "svd"]])
def test_wrong_usage(tmp_path, wrong):
    done = CliRunner().invoke(app, ["unmix", "nothing.h5", *wrong, "--out", str(tmp_path)])
    assert done.exit_code == 2


def test_an_image_without_a_window_is_told_what_it_needs(tmp_path):
    tifffile.imwrite(tmp_path / "lattice.tif", two_phases().astype(np.float32))
    done = CliRunner().invoke(app, ["unmix", str(tmp_path / "lattice.tif"), "--out", str(tmp_path)])
    assert done.exit_code == 1 and "--window" in str(done.exception)


def test_distortions_in_one_call_with_their_files(tmp_path):
    atoms, _ = perovskite(angle_deg=25.0)
    found = find_distortions(atoms, of="Ti", to="Pb")
    assert {"pc1", "component", "component_probability", "class", "domain"} <= set(found.atoms.columns)
    assert len(found.domains.table) == 2
    side = round(N_CELLS * CELL_NM / 0.05)
    write_distortions(
        tmp_path, found, ad.make_image(np.random.default_rng(0).normal(size=(side, side)), pixel_size=0.05)
    )
    assert {file.name for file in tmp_path.iterdir()} == {
        "distortions.csv",
        "domains.csv",
        "walls.csv",
        "components.png",
        "kinds.png",
        "domains.png",
    }


def test_distortions_by_the_usual_number_of_neighbours_or_by_patches():
    atoms, _ = perovskite(angle_deg=0.0)
    lattice = atoms[atoms["species"] == "Pb"].reset_index(drop=True)
    lattice.attrs = atoms.attrs
    assert find_distortions(lattice).parts.of.shape == (4, 2)
    image = ad.make_image(np.random.default_rng(0).normal(size=(240, 240)), pixel_size=0.05)
    assert find_distortions(lattice, image, patch=0.5, n_components=2).parts.of.is_picture
    with pytest.raises(ArgumentError, match="patch"):
        find_distortions(lattice, patch=0.5)
    with pytest.raises(ArgumentError, match="at least 3"):
        find_distortions(lattice.iloc[:2])
