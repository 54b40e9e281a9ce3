"""Experiments as a user runs them: to the end, cut off, stopped, refused, and looked at."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import adatom as ad
from adatom.errors import ExperimentError, LimitError
from adatom.experiment import Experiment, read_record
from adatom.experiment.plan import parse_plan
from adatom.experiment.report import show

pytest.importorskip("bluesky")
pytest.importorskip("gpytorch")

PLAN = """
name: small
instrument: {name: twin, settings: {sample: ferroelectric, noise: 0.05, seed: 1}}
limits: {x_nm: [-200, 200], y_nm: [-200, 200], speed_nm_per_s: 1000, bias_V: [-8, 8], total_time_s: 100000}
overview: {width_nm: 160, height_nm: 160, rows: 8, columns: 8, dwell_time_s: 0.05}
spectrum: {low: -8, high: 8, n_points: 32, shape: loop, dwell_time_s: 0.01}
quantity: {statistic: area}
policy: {n_first: 4, minimise: true}
stop: {points: 12}
"""


def changed(**parts) -> str:
    import yaml

    content = yaml.safe_load(PLAN)
    for key, value in parts.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    return yaml.safe_dump(content)


def run(folder: Path, text: str = PLAN) -> Experiment:
    experiment = Experiment.start(parse_plan(text), folder)
    try:
        experiment.run()
    finally:
        experiment.close()
    return experiment


def sequence(folder: Path) -> list[tuple]:
    return [(e["candidate"], e["value"], e["array"]["sha256"]) for e in read_record(folder) if e["kind"] == "measured"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder)
    return folder


def test_it_measures_until_there_is_a_reason_to_stop(whole) -> None:
    done = sequence(whole)
    assert len(done) == len({candidate for candidate, *_ in done}) == 12
    entries = read_record(whole)
    assert entries[-2]["kind"] == "over" or entries[-1]["kind"] == "over" or any(e["kind"] == "over" for e in entries)
    assert {e["name"] for e in entries if e["kind"] == "document"} == {"start", "descriptor", "event", "stop"}
    assert (whole / "live.png").stat().st_size > 1000


def test_the_report_says_what_was_found(whole) -> None:
    summary = show(whole)
    values = [value for _, value, _ in sequence(whole)]
    assert summary["best"]["value"] == min(values) and summary["n_measured"] == 12
    page = (whole / "report.html").read_text()
    assert "All 12 measurements were made." in page and "<script" not in page
    rows = (whole / "measurements.csv").read_text().splitlines()
    assert rows[0] == "n,candidate,x_nm,y_nm,value,expected,expected_std" and len(rows) == 13


COMMAND = [sys.executable, "-m", "adatom", "experiment"]


def test_killed_at_any_moment_it_goes_on_as_if_nothing_had_happened(whole, tmp_path) -> None:
    plan, folder = tmp_path / "plan.yaml", tmp_path / "run"
    plan.write_text(PLAN)
    command, n_killed = [*COMMAND, "run", str(plan), "--out", str(folder)], 0
    for n in (3, 7):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if len(sequence(folder)) >= n:
                    break
            except (OSError, ExperimentError):
                pass
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        n_killed += process.returncode == -signal.SIGKILL
        command = [*COMMAND, "resume", str(folder)]
    kept = sequence(folder)
    end = subprocess.run([*COMMAND, "resume", str(folder), "--json"], capture_output=True, text=True, check=True)
    assert n_killed >= 1
    assert sequence(folder)[: len(kept)] == kept
    assert sequence(folder) == sequence(whole)
    assert json.loads(end.stdout)["n_measured"] == 12
    again = subprocess.run([*COMMAND, "show", str(folder)], capture_output=True, text=True, check=True)
    assert "12 measured" in again.stdout


def test_ctrl_c_ends_after_the_measurement_and_resume_goes_on(whole, tmp_path) -> None:
    plan, folder = tmp_path / "plan.yaml", tmp_path / "run"
    plan.write_text(PLAN)
    process = subprocess.Popen(
        [*COMMAND, "run", str(plan), "--out", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        if (folder / "record.jsonl").exists() and len(sequence(folder)) >= 2:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("it was done before")
    assert process.returncode == 1 and "resume" in said and "Traceback" not in said
    n_before = len(sequence(folder))
    events = [e["what"] for e in read_record(folder) if e["kind"] == "event"]
    assert "made_safe" in events
    experiment = Experiment.resume(folder)
    experiment.run()
    experiment.close()
    assert 2 <= n_before < 12 and sequence(folder) == sequence(whole)


def test_an_overview_outside_the_limits_is_refused_and_recorded(tmp_path) -> None:
    with pytest.raises(LimitError, match="x_nm"):
        run(tmp_path / "run", changed(overview={"x_nm": 150}))
    entries = read_record(tmp_path / "run")
    assert [e["what"] for e in entries if e["kind"] == "event"][:2] == ["refused", "made_safe"]
    assert sequence(tmp_path / "run") == []


def test_targets_outside_the_limits_are_none(tmp_path) -> None:
    text = changed(limits={"x_nm": [-80, 0.0]}, overview={"x_nm": -40, "width_nm": 80})
    run(tmp_path / "run", text)
    assert all(e["x_nm"] <= 0 for e in read_record(tmp_path / "run") if e["kind"] == "measuring")


def test_what_fails_is_tried_again_and_then_left(tmp_path) -> None:
    settings = {"sample": "ferroelectric", "seed": 1, "fail_every": 5}
    run(tmp_path / "run", changed(instrument={"settings": settings}))
    assert len(sequence(tmp_path / "run")) == 12
    run(tmp_path / "none", changed(instrument={"settings": {**settings, "fail_every": 5}}, retries=0))
    entries = read_record(tmp_path / "none")
    assert any(e["kind"] == "failed" for e in entries)
    assert show(tmp_path / "none")["n_failed"] > 0


def test_an_instrument_that_is_gone_ends_it_and_it_can_be_resumed(tmp_path) -> None:
    gone = {"sample": "ferroelectric", "noise": 0.05, "seed": 1, "disconnect_after": 9}
    with pytest.raises(ExperimentError, match="in a row failed"):
        run(tmp_path / "run", changed(instrument={"settings": gone}, failures=1))
    assert 0 < len(sequence(tmp_path / "run")) < 12


def test_no_numbers_are_no_measurements(tmp_path) -> None:
    garbage = {"sample": "ferroelectric", "seed": 1, "garbage_every": 3}
    run(tmp_path / "run", changed(instrument={"settings": garbage}))
    values = [value for _, value, _ in sequence(tmp_path / "run")]
    assert None in values and all(value is None or np.isfinite(value) for value in values)


def test_targets_follow_the_specimen(tmp_path) -> None:
    drifting = {"sample": "ferroelectric", "seed": 1, "drift_nm_per_s": [0.5, 0.0]}
    text = changed(
        instrument={"settings": drifting},
        overview={"width_nm": 200, "height_nm": 200, "rows": 40, "columns": 40, "dwell_time_s": 0.01},
        drift={"every": 4, "largest_nm": 60},
        targets={"every": 4},
    )
    experiment = run(tmp_path / "run", text)
    scans = list(experiment.record.of("drift"))
    clocks = [e["state"]["clock_s"] for e in experiment.record.of("overview", "drift")]
    for scan, clock in zip(scans, clocks[1:], strict=True):
        assert scan["x_nm"] == pytest.approx(-0.5 * (clock - clocks[0]), abs=4)
        assert abs(scan["y_nm"]) < 4


def test_atoms_can_be_the_targets(tmp_path) -> None:
    y, x = np.mgrid[0:96, 0:96]
    image = np.zeros((96, 96))
    centres = [(8 + 12 * k, 8 + 12 * j) for k in range(7) for j in range(7)]
    for row, column in centres:
        image += np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * 2.5**2))
    image += 0.02 * np.random.default_rng(0).normal(size=image.shape)
    values = image[:, :, None] * np.linspace(0, 1, 16)
    made = ad.make_image(
        values, pixel_size=0.02, dims=("y", "x", "bias"), coordinates={"bias": (np.linspace(-1, 1, 16), "V")}
    )
    made.to_dataset(name="curves").to_zarr(tmp_path / "sample.zarr")
    text = (
        changed(
            instrument={"settings": {"spectra": str(tmp_path / "sample.zarr"), "image_at": 1.0, "seed": 0}},
            limits={"x_nm": [-1, 1], "y_nm": [-1, 1], "bias_V": [-1, 1]},
            overview={"width_nm": 1.92, "height_nm": 1.92, "rows": 96, "columns": 96, "dwell_time_s": 0.01},
            spectrum={"low": -1, "high": 1, "n_points": 16, "shape": "sweep"},
            quantity={"statistic": "max"},
            targets={"kind": "atoms"},
            stop={"points": 6},
        )
        .replace("sample: ferroelectric\n", "")
        .replace("    noise: 0.05\n", "")
    )
    import yaml

    content = yaml.safe_load(text)
    content["instrument"]["settings"] = {"spectra": str(tmp_path / "sample.zarr"), "image_at": 1.0}
    run(tmp_path / "run", yaml.safe_dump(content))
    measured = [e for e in read_record(tmp_path / "run") if e["kind"] == "measuring"]
    places = np.array([[e["x_nm"], e["y_nm"]] for e in measured]) / 0.02 + 47.5
    nearest = [np.hypot(*(np.array(centres)[:, ::-1] - place).T).min() for place in places]
    assert len(places) == 6 and max(nearest) < 1.0
    assert all(e["value"] > 0.8 for e in read_record(tmp_path / "run") if e["kind"] == "measured")


def test_two_experiments_do_not_share_a_folder(whole) -> None:
    with pytest.raises(ExperimentError, match="Resume it"):
        Experiment.start(parse_plan(PLAN), whole)
    finished = Experiment.resume(whole)
    assert finished.is_over and finished.run() == "All 12 measurements were made."
    finished.close()


def test_a_replay_compares_policies(whole) -> None:
    from adatom.experiment.replaying import replay_experiment

    table = replay_experiment(whole, 2, lambda done: None)
    assert list(table.index) == ["expected_improvement", "random", "grid", "latin_hypercube", "coarse_to_fine"]
    assert (whole / "replay.png").exists() and (table["n_seeds"] == 2).all()
