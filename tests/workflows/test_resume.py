"""`adatom train` as a user runs it: killed or interrupted halfway, --resume goes on as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from safetensors.numpy import load_file

from adatom.models.catalogue import WEIGHTS, read_header


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """The recipe of the Si(111) model, made small: 60 steps of a small network on small images."""
    content = yaml.safe_load((WEIGHTS / "si111_7x7.yaml").read_text(encoding="utf-8"))
    content["microscope"]["image_size"] = 32
    content["network"] |= {"width": 4, "depth": 2}
    content["training"] |= {"steps": 60, "batch_size": 2, "validate_every": 5, "validation_images": 4, "patience": 100}
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def start(recipe: Path, out: Path, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "adatom", "train", str(recipe), "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a child of a background job would ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def run(recipe: Path, out: Path, *options: str) -> str:
    process = start(recipe, out, *options)
    told, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return told


def after_two_validations(process: subprocess.Popen, out: Path) -> None:
    """Wait until the checkpoint is there and was then replaced by a newer one."""
    checkpoint, seen = out / "checkpoint.safetensors", set()
    while len(seen) < 2:
        assert process.poll() is None, process.communicate()
        if checkpoint.exists():
            seen.add(checkpoint.stat().st_mtime_ns)
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory) -> Path:
    """The folder of a training that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run(recipe, out)
    return out


def assert_same_model(out: Path, whole: Path) -> None:
    weights, expected = (load_file(folder / "model.safetensors") for folder in (out, whole))
    assert weights.keys() == expected.keys()
    assert [name for name in weights if weights[name].tobytes() != expected[name].tobytes()] == []
    figures, reached = (read_header(folder / "model.safetensors")["figures"] for folder in (out, whole))
    assert {**figures, "training_seconds": 0} == {**reached, "training_seconds": 0}
    history, undisturbed = (json.loads((folder / "history.json").read_text()) for folder in (out, whole))
    assert [(r["step"], r["loss"]) for r in history] == [(r["step"], r["loss"]) for r in undisturbed]


def test_a_killed_training_goes_on_to_the_same_model(recipe, whole, tmp_path):
    out = tmp_path / "run"
    process = start(recipe, out)
    after_two_validations(process, out)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (out / "model.safetensors").exists()
    told = run(recipe, out, "--resume")
    assert "step     5" not in told and "step    60" in told
    assert_same_model(out, whole)


def test_ctrl_c_ends_with_one_line_and_a_training_that_goes_on(recipe, whole, tmp_path):
    out = tmp_path / "run"
    process = start(recipe, out)
    after_two_validations(process, out)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(errors.strip().splitlines()) == 1 and "--resume" in errors and "Traceback" not in errors
    run(recipe, out, "--resume")
    assert_same_model(out, whole)


def test_a_damaged_checkpoint_ends_with_one_line(recipe, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "checkpoint.safetensors").write_bytes(b"half a checkpo")
    process = start(recipe, out, "--resume")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert len(errors.strip().splitlines()) == 1
    assert "checkpoint.safetensors cannot be read" in errors and "Start again without --resume" in errors
