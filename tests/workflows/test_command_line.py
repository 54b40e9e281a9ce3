"""The command line as a user meets it: real files, bad files, exit codes, and what lies in the folder afterwards."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import adatom as ad

EXAMPLES = Path(ad.__file__).parent / "examples"
OUTPUTS = {"atoms.csv", "atoms.parquet", "overlay.png", "report.html", "summary.json"}


def adatom(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200"}
    command = [sys.executable, "-m", "adatom", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=300, check=False)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of `adatom find` on a good file between two bad ones."""
    folder = tmp_path_factory.mktemp("find")
    (folder / "empty.npy").write_bytes(b"")
    before = sha256(EXAMPLES / "image_with_defects.dat")
    done = adatom("find", folder / "empty.npy", EXAMPLES / "image_with_defects.dat", folder / "no.tif", "--out", folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "empty.npy" in done.stderr and "no.tif" in done.stderr and "2 of 3 files failed" in done.stderr
    assert sha256(EXAMPLES / "image_with_defects.dat") == before
    return folder


class TestFind:
    def test_bad_files_do_not_stop_the_good_one(self, found: Path) -> None:
        assert {file.name for file in (found / "image_with_defects").iterdir()} == OUTPUTS
        run = json.loads((found / "run.json").read_text())
        assert run["n_done"] == 1 and len(run["failed"]) == 2 and "adatom" in run["versions"]

    def test_table_has_the_columns_of_the_contract(self, found: Path) -> None:
        table = pd.read_csv(found / "image_with_defects" / "atoms.csv")
        assert list(table.columns[:8]) == ["frame", "x", "y", "x_std", "y_std", "species", "probability", "flux"]
        assert set(table.columns[8:]) - {"brightness"} == {"refined", "snr"} and table["refined"].dtype == bool
        assert len(table) > 300
        assert table["probability"].between(0, 1).all()
        assert table["x"].between(-0.5, 255.5).all() and table["y"].between(-0.5, 255.5).all()
        parquet = pd.read_parquet(found / "image_with_defects" / "atoms.parquet")
        np.testing.assert_allclose(parquet["x"], table["x"])
        assert (parquet["refined"] == table["refined"]).all() and table["refined"].mean() > 0.7
        assert parquet.attrs["units"] == "px" and list(parquet.attrs["image_shape"]) == [256, 256]

    def test_summary_has_the_keys_of_the_contract(self, found: Path) -> None:
        summary = json.loads((found / "image_with_defects" / "summary.json").read_text())
        wanted = {"n_atoms", "species", "spacing_nm", "units", "pixel_size", "model", "model_sha256", "warnings"}
        assert wanted | {"seconds", "lattice"} <= set(summary)
        assert summary["n_atoms"] == sum(summary["species"].values())
        assert summary["spacing_nm"] is None and summary["pixel_size"] is None and summary["units"] == "px"
        assert any("pixel size" in sentence for sentence in summary["warnings"])
        assert {"a_px", "b_px", "angle_deg", "stretch", "pixel_size"} <= set(summary["lattice"])

    def test_report_needs_nothing_but_itself(self, found: Path) -> None:
        page = (found / "image_with_defects" / "report.html").read_text()
        assert "http://" not in page and "https://" not in page and "data:image/png;base64," in page


def test_pixel_size_makes_nm_of_pixels(tmp_path: Path) -> None:
    file = EXAMPLES / "image_with_defects.dat"
    done = adatom("find", file, "--pixel-size", 0.0588, "--method", "classical", "--json", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["units"] == "nm" and result["pixel_size"] == pytest.approx(0.0588)
    assert result["spacing_nm"] == pytest.approx(0.7, abs=0.07)
    assert "classical" in result["model"] and result["model_sha256"] is None
    table = pd.read_csv(tmp_path / "image_with_defects" / "atoms.csv")
    assert table["x"].max() < 256 * 0.0588


@pytest.mark.parametrize(
    "name, content",
    [
        ("empty.npy", b""),
        ("truncated.dat", (EXAMPLES / "image_with_defects.dat").read_bytes()[:5000]),
        ("text.sxm", b"this is not a scan\n"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(30)),
        ("noise.tif", b"II*\x00" + bytes(range(200))),
    ],
)
def test_bad_content_is_one_clear_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for verb in (["info"], ["find", "--out", str(tmp_path / "out")]):
        done = adatom(*verb, tmp_path / name)
        assert done.returncode == 1
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "fault of Adatom" not in done.stderr


@pytest.mark.parametrize(
    "name, values",
    [
        ("constant", np.full((40, 40), 1e6)),
        ("zeros", np.zeros((9, 300), dtype=np.uint8)),
    ],
)
def test_constant_images_give_no_atoms_and_a_warning(tmp_path: Path, name: str, values: np.ndarray) -> None:
    np.save(tmp_path / f"{name}.npy", values)
    done = adatom("find", tmp_path / f"{name}.npy", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert result["n_atoms"] == 0
    assert any("nothing to find" in sentence for sentence in result["warnings"])


@pytest.mark.parametrize(
    "name, values",
    [("one", np.ones((1, 1))), ("line", np.arange(300.0)[None]), ("nan", np.full((40, 40), np.nan))],
)
def test_images_that_cannot_be_searched_are_refused_in_one_line(tmp_path: Path, name: str, values: np.ndarray) -> None:
    np.save(tmp_path / f"{name}.npy", values)
    done = adatom("find", tmp_path / f"{name}.npy", "--out", tmp_path)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1 and "expected" in done.stderr


def test_a_name_that_promises_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.png").write_bytes((EXAMPLES / "nanonis.sxm").read_bytes())
    for verb in (["info"], ["find", "--out", str(tmp_path)]):
        done = adatom(*verb, tmp_path / "scan.png")
        assert done.returncode == 1 and "got Nanonis sxm. Let its name end in .sxm" in done.stderr


def test_an_array_of_objects_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([[{}, 1], [2, 3]], dtype=object), allow_pickle=True)
    done = adatom("info", tmp_path / "objects.npy")
    assert done.returncode == 1 and "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["find"],
        ["find", "x.npy"],
        ["find", "x.npy", "--out", "o", "--method", "magic"],
        ["find", "x.npy", "--out", "o", "--min-probability", "2"],
        ["nonsense"],
        ["info"],
        ["train", "si111_7x7", "--out", "o", "--steps", "none"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], tmp_path: Path) -> None:
    done = adatom(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "verb", ["info", "convert", "find", "simulate", "label", "train", "adapt", "evaluate", "models", "demo"]
)
def test_every_command_has_help_with_an_example(verb: str) -> None:
    done = adatom(verb, "--help")
    assert done.returncode == 0 and f"Example: adatom {verb}" in done.stdout


def test_info_says_what_is_in_a_file() -> None:
    facts = json.loads(adatom("info", EXAMPLES / "nanonis.sxm", "--json").stdout)
    assert {"format", "channels", "shape", "dtype", "pixel_size", "units", "metadata"} <= set(facts)
    assert facts["pixel_size"] == pytest.approx(0.0625) and facts["shape"] == [160, 160] and facts["units"] == "m"


def test_models_lists_what_ships() -> None:
    listed = json.loads(adatom("models", "--json").stdout)["models"]
    assert {"si111_7x7", "hexagonal_two_atoms"} <= {model["name"] for model in listed}
    for model in listed:
        figure = "val_iou" if model["name"] == "nanoparticles" else "val_f1"
        assert 0 < model["figures"][figure] <= 1 and model["megabytes"] < 10


def test_simulate_train_evaluate_find_in_a_row(tmp_path: Path) -> None:
    recipe = EXAMPLES.parent / "weights" / "hexagonal_two_atoms.yaml"
    small = recipe.read_text().replace("image_size: 128", "image_size: 48").replace("width: 24", "width: 4")
    small = small.replace("border_px: [0, 12]", "border_px: [0, 4]").replace(
        "validation_images: 48", "validation_images: 4"
    )
    (tmp_path / "small.yaml").write_text(small)
    done = adatom("simulate", "small.yaml", "--n", 6, "--out", "set.zarr", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_images"] == 6
    again = adatom("simulate", "small.yaml", "--n", 6, "--out", "set.zarr", cwd=tmp_path)
    assert again.returncode == 1 and "not there yet" in again.stderr
    done = adatom("train", "small.yaml", "--steps", 16, "--out", "model", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "validation loss" in done.stdout
    names = {file.name for file in (tmp_path / "model").iterdir()}
    assert {"model.safetensors", "loss.png", "samples.png", "history.json", "recipe.yaml", "run.json"} <= names
    done = adatom("evaluate", "model/model.safetensors", "set.zarr", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert 0 <= figures["f1"] <= 1 and figures["n_images"] == 6 and "calibration_error" in figures
    image = np.random.default_rng(0).normal(size=(64, 64))
    np.save(tmp_path / "image.npy", image)
    done = adatom("find", "image.npy", "--model", "model/model.safetensors", "--out", "found", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_recipe_errors_name_the_key(tmp_path: Path) -> None:
    text = (EXAMPLES.parent / "weights" / "si111_7x7.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace("vacancy:", "vacanzy:"))
    done = adatom("simulate", tmp_path / "bad.yaml", "--n", 2, "--out", tmp_path / "s.zarr")
    assert done.returncode == 1 and "vacan" in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_a_recipe_of_a_structure_is_written_edited_and_simulated(tmp_path: Path) -> None:
    done = adatom("recipe", "Au", "--zone-axis", "1 1 0", "--out", "gold.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "zone_axis: [1, 1, 0]" in (tmp_path / "gold.yaml").read_text()
    done = adatom("simulate", "gold.yaml", "--n", 2, "--out", "gold.zarr", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n_atoms"] > 20
    again = adatom("recipe", "Au", "--out", "gold.yaml", cwd=tmp_path)
    assert again.returncode == 1 and "not there yet" in again.stderr
    for axis in ("1 1", "one 1 0"):
        assert adatom("recipe", "Au", "--zone-axis", axis, cwd=tmp_path).returncode == 2
    unknown = adatom("recipe", "unobtainium", cwd=tmp_path)
    assert unknown.returncode == 1 and "structures graphene" in unknown.stderr


class TestSimulateLike:
    def test_a_recipe_is_matched_to_an_image_first(self, tmp_path: Path) -> None:
        from benchmarks.matched_images import known_image

        known = known_image("hexagonal_two_atoms", 2, side=128)
        np.save(tmp_path / "image.npy", known.image.to_numpy())
        out = tmp_path / "made" / "like.zarr"
        done = adatom(
            "simulate", "hexagonal_two_atoms", "--n", 2, "--out", out, "--like", tmp_path / "image.npy", "--json"
        )
        assert done.returncode == 0, done.stderr
        facts = json.loads(done.stdout)["match"]
        made = {"like.samples.png", "like.zarr", "match.json", "match.png", "match.yaml"}
        assert {file.name for file in out.parent.iterdir()} == made
        assert facts["two_sample"]["after"]["accuracy"] < facts["two_sample"]["before"]["accuracy"]
        done = adatom("simulate", out.parent / "match.yaml", "--n", 2, "--out", tmp_path / "again.zarr")
        assert done.returncode == 0, done.stderr

    def test_an_image_without_atoms_ends_in_one_line(self, tmp_path: Path) -> None:
        np.save(tmp_path / "flat.npy", np.ones((64, 64)))
        done = adatom("simulate", "si111_7x7", "--n", 2, "--out", tmp_path / "s.zarr", "--like", tmp_path / "flat.npy")
        assert done.returncode == 1 and "constant" in done.stderr and len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "s.zarr").exists()
