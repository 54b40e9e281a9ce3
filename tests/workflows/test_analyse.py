"""From an image to findings on the command line."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import adatom as ad
from adatom.cli import app
from adatom.files import write


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A folder with an image of a square lattice that lacks an atom, and what was found in it."""
    folder = tmp_path_factory.mktemp("analyse")
    rows, columns = np.mgrid[:160, :160]
    image = np.random.default_rng(0).normal(0, 0.03, (160, 160))
    for y in range(12, 160, 16):
        for x in range(12, 160, 16):
            if (x, y) != (76, 76):
                image += np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / 9)
    write(ad.make_image(image, pixel_size=0.025), folder / "square.tif")
    done = CliRunner().invoke(app, ["find", str(folder / "square.tif"), "--out", str(folder / "results")])
    assert done.exit_code == 0, done.output
    return folder


def test_missing_atom_is_found_in_the_table_the_page_and_the_pictures(found):
    out = found / "findings"
    done = CliRunner().invoke(
        app,
        ["analyse", str(found / "results" / "square"), "--image", str(found / "square.tif"), "--out", str(out)],
    )
    assert done.exit_code == 0, done.output
    assert "lattice" in done.output and "vacancy" in done.output
    defects = pd.read_csv(out / "defects.csv")
    vacancy = defects[defects["kind"] == "vacancy"]
    assert len(vacancy) == 1
    assert vacancy[["x", "y"]].to_numpy()[0] == pytest.approx([76 * 0.025, 76 * 0.025], abs=0.01)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["lattices"][0]["edge"] == pytest.approx(0.4, abs=3e-4)
    names = {path.name for path in out.iterdir()}
    assert {"report.html", "strain.png", "defects.png", "defect_crops.png", "atoms.parquet", "run.json"} <= names
    assert "<script" not in (out / "report.html").read_text()


def test_json_alone_is_printed_and_a_table_without_its_image_is_enough(found):
    table = found / "results" / "square" / "atoms.csv"
    done = CliRunner().invoke(app, ["analyse", str(table), "--out", str(found / "alone"), "--json"])
    assert done.exit_code == 0 and json.loads(done.output)["n_atoms"] == 99


def test_motifs_are_read_from_a_file(found):
    (found / "motifs.yaml").write_text(
        "- {name: cross, species: ['*', '*', '*', '*', '*'], bonds: [[0, 1], [0, 2], [0, 3], [0, 4]]}\n"
    )
    arguments = ["analyse", str(found / "results" / "square"), "--out", str(found / "crosses"), "--json"]
    done = CliRunner().invoke(app, [*arguments, "--motifs", str(found / "motifs.yaml")])
    # every atom with four neighbours: 64 inside, less those that lack one
    assert json.loads(done.output)["defects"]["cross"]["n"] == 64 - 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- {name: a}", "species"),
        ("a: 1", "list"),
        ("- [", "YAML"),
        ("- {name: a, species: [C, C], bonds: [[0, 5]]}", "pairs"),
    ],
)
def test_file_that_holds_no_motifs_is_told(found, text, told):
    (found / "wrong.yaml").write_text(text)
    arguments = ["analyse", str(found / "results" / "square"), "--out", str(found / "no")]
    done = CliRunner().invoke(app, [*arguments, "--motifs", str(found / "wrong.yaml")])
    assert done.exit_code != 0 and told in str(done.exception)


def test_missing_table_is_told(found):
    done = CliRunner().invoke(app, ["analyse", str(found / "nothing.csv"), "--out", str(found / "no")])
    assert done.exit_code != 0 and "is not there" in str(done.exception)


def test_atoms_are_grouped_by_their_surroundings(found):
    arguments = ["analyse", str(found / "results" / "square"), "--out", str(found / "grouped"), "--domains", "--json"]
    alone = CliRunner().invoke(app, arguments)
    assert alone.exit_code == 2 and "image" in alone.output
    done = CliRunner().invoke(app, [*arguments, "--image", str(found / "square.tif")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["domains"]["n_kinds"] >= 1
    assert (found / "grouped" / "domains.png").exists()
