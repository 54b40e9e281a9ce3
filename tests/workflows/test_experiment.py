"""`adatom experiment` as a user would run it: killed, resumed, shown; and paused by Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from short_experiments import facts

from adatom.experiment.history import history_of
from adatom.experiment.record import RECORD, read_record


def _started(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "adatom", "experiment", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _run(*arguments):
    process = _started(*arguments)
    out, errors = process.communicate(timeout=300)
    return process.returncode, out, errors


def _wait_for_measurements(folder, n):
    for _ in range(4000):
        if (folder / RECORD).exists() and len(history_of(read_record(folder)).measurements) >= n:
            return
        time.sleep(0.05)
    raise AssertionError("nothing was measured")


@pytest.fixture
def slow_plan(tmp_path):
    settings = {"noise": 0.1, "real_time": 0.1}  # a second takes a tenth of one
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(facts(stop={"points": 12}, instrument={"settings": settings})))
    return tmp_path / "plan.yaml"


def test_killed_resumed_and_shown(slow_plan, tmp_path):
    out = tmp_path / "run"
    process = _started("run", slow_plan, "--out", out, "--no-live")
    _wait_for_measurements(out, 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = history_of(read_record(out)).results
    code, said, errors = _run("resume", out, "--json")
    assert code == 0, errors
    assert json.loads(said)["n_measured"] == 12 and json.loads(said)["n_sessions"] == 2
    results = history_of(read_record(out)).results
    assert results[: len(kept)] == kept and len({number for number, _ in results}) == 12
    code, said, errors = _run("show", out)
    assert code == 0 and "12 of 144 targets measured" in said, errors
    assert (out / "report.html").is_file() and (out / "live.png").is_file()


def test_ctrl_c_pauses_after_a_measurement(slow_plan, tmp_path):
    out = tmp_path / "run"
    process = _started("run", slow_plan, "--out", out, "--no-live")
    _wait_for_measurements(out, 2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1 and "adatom experiment resume" in errors and "Traceback" not in errors
    history = history_of(read_record(out))
    assert 2 <= len(history.results) < 12
    assert "paused" in [entry["kind"] for entry in read_record(out)]
    assert _run("resume", out, "--no-live")[0] == 0
    assert len(history_of(read_record(out)).measurements) == 12


def test_wrong_plans_are_said_in_one_line(tmp_path):
    (tmp_path / "plan.yaml").write_text("stop: {points: 3}\nlimit: {}\n")
    code, _, errors = _run("run", tmp_path / "plan.yaml", "--out", tmp_path / "run")
    assert code == 1 and len(errors.strip().splitlines()) == 1 and "plan.yaml" in errors
    assert _run("show", tmp_path)[0] == 1


def test_a_policy_is_replayed_beside_plain_designs(tmp_path):
    pytest.importorskip("gpytorch")
    policy = {"acquisition": "expected_improvement", "model": "gp", "sees": "patches", "patch_px": 3, "n_initial": 4}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(facts(policy=policy, stop={"points": 8})))
    folder = tmp_path / "run"
    code, _, errors = _run("run", tmp_path / "plan.yaml", "--out", folder, "--no-live")
    assert code == 0, errors
    code, out, errors = _run("replay", folder, "--seeds", "2", "--json")
    assert code == 0, errors
    table = json.loads(out)["policies"]
    assert [row["policy"] for row in table][1:] == ["random", "grid", "latin_hypercube", "coarse_to_fine"]
    assert all(0 <= row["reached"] <= 1 for row in table)
    code, _, errors = _run("show", folder)
    assert code == 0, errors
    assert (folder / "report.html").read_text().count("data:image/png") == 2
