"""`adatom structure` as a user meets it: a table and an image in, a file for simulations out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase.io import read

from adatom.simulate.columns import project
from adatom.simulate.lattice import fill_lattice
from adatom.simulate.structures import known_structure

PIXEL_NM, SIDE = 0.025, 120


def structure(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adatom", "structure", *map(str, arguments)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of a graphene flake as `adatom find` leaves it, with one atom that is none, and its image."""
    folder = tmp_path_factory.mktemp("structure")
    crystal = project(known_structure("graphene").build())
    places = fill_lattice(crystal.vectors, crystal.basis, 0.9)[0] + 0.5 * SIDE * PIXEL_NM
    rng = np.random.default_rng(0)
    along = [np.exp(-0.5 * ((np.arange(SIDE) * PIXEL_NM - at[:, None]) / 0.05) ** 2) for at in places.T]
    np.save(folder / "image.npy", rng.poisson(200 * (0.2 + along[1].T @ along[0])).astype(float))
    seen = np.concatenate([places + 0.002 * rng.standard_normal(places.shape), [[0.4, 0.4]]])
    columns = {"frame": 0, "x": seen[:, 0], "y": seen[:, 1], "x_std": 0.002, "y_std": 0.002, "species": "atom"}
    pd.DataFrame(columns | {"probability": 0.9, "flux": 1.0}).to_csv(folder / "atoms.csv", index=False)
    facts = {"units": "nm", "pixel_size": PIXEL_NM, "image_shape": [SIDE, SIDE], "history": []}
    (folder / "summary.json").write_text(json.dumps(facts))
    return folder


def test_from_a_table_to_a_relaxed_structure_that_its_image_agrees_with(found: Path) -> None:
    done = structure(
        "atoms.csv", "--elements", "atom=C", "--image", "image.npy", "--leave-out-unseen",
        "--relax", "tersoff", "--out", "out/flake.xyz", "--json", cwd=found,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
    told = json.loads(done.stdout)
    assert {file.name for file in (found / "out").iterdir()} == {
        "flake.xyz", "flake_structure.json", "flake_against_image.png", "flake_contradicted.csv",
    }  # fmt: skip
    assert json.loads((found / "out" / "flake_structure.json").read_text()) == told
    relaxed, n_atoms = read(found / "out" / "flake.xyz"), len(pd.read_csv(found / "atoms.csv")) - 1
    assert len(relaxed) == n_atoms == told["n_atoms"] and set(relaxed.symbols) == {"C"}
    assert np.isfinite(relaxed.arrays["moved"]).all() and not relaxed.arrays["fixed"].any()
    assert told["relaxation"]["converged"] and told["image"]["r2"] > 0.8
    assert told["image"]["contradicted"] == []
    assert told["image"]["r2_relaxed"] < told["image"]["r2"]  # this potential's graphene is larger than graphene
    assert (
        len(told["warnings"]) == 1
        and f"left out, as the image shows next to nothing there (rows {n_atoms})" in told["warnings"][0]
    )


def test_lines_for_a_person_and_a_poscar(found: Path) -> None:
    done = structure("atoms.csv", "--elements", "atom=C", "--out", "POSCAR", cwd=found)
    assert done.returncode == 0
    assert "C-C 0.142" in done.stdout and "POSCAR_structure.json" in done.stdout and "warning" not in done.stdout
    assert len(read(found / "POSCAR")) == len(pd.read_csv(found / "atoms.csv"))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["atoms.csv", "--out", "a.xyz"], "--elements"),
        (["atoms.csv", "--elements", "atom=C", "--relax", "../x", "--out", "a.xyz"], "tersoff"),
        (["no.csv", "--out", "a.xyz"], "no.csv"),
        (["px.csv", "--elements", "atom=C", "--out", "a.xyz"], "--pixel-size"),
    ],
)
def test_one_clear_line_where_it_cannot(found: Path, arguments: list[str], word: str) -> None:
    pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0], "species": "atom"}).to_csv(found / "px.csv", index=False)
    (found / "px").mkdir(exist_ok=True)
    (found / "px.csv").rename(found / "px" / "px.csv")
    done = structure(*(f"px/{each}" if each == "px.csv" else each for each in arguments), cwd=found)
    assert done.returncode == 1 and done.stdout == ""
    assert word in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (found / "a.xyz").exists()
