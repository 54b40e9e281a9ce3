from importlib.resources import files

import numpy as np
import pytest
from short_experiments import LIMITS, OVERVIEW, plan

from adatom.decide import Posterior
from adatom.errors import ArgumentError, ExperimentError, LimitError
from adatom.experiment import history_of, read_record, resume_experiment, run_experiment
from adatom.experiment.record import RECORD, kept_arrays
from adatom.experiment.showing import LivePicture, show_experiment

DRIFT = {"every": 3, "frame": {"width_nm": 600, "height_nm": 600, "rows": 24, "columns": 24, "dwell_time_s": 0.01}}


class NearestKnown:
    """Believes what is nearest, the less the farther away it is."""

    def fit(self, inputs, targets):
        self.known = inputs, targets
        return self

    def posterior(self, inputs):
        away = np.linalg.norm(inputs[:, None] - self.known[0][None], axis=2)
        std = away.min(axis=1, keepdims=True) / 100 + 1e-3
        return Posterior(self.known[1][away.argmin(axis=1)], std, np.full_like(std, 0.1))


def _told(folder):
    history = history_of(read_record(folder))
    return [
        (each["spectrum_candidate"], each["spectrum_value"], each["spectrum_sha256"]) for each in history.measurements
    ]


def test_every_measurement_is_in_the_record_with_its_spectrum(tmp_path):
    history = run_experiment(plan(), tmp_path)
    assert history.stop["reason"] == "The budget of 6 measurements is spent." and history.stop["final"]
    assert len({number for number, _ in history.results}) == 6
    for each in history.measurements:
        spectrum = kept_arrays(tmp_path, {"file": each["spectrum_file"], "sha256": each["spectrum_sha256"]})
        assert spectrum["axis"].shape == spectrum["values"].shape == (64,)
    kinds = [entry["name"] for entry in read_record(tmp_path) if entry["kind"] == "document"]
    assert kinds[0] == "start" and kinds[-1] == "stop"  # as bluesky tells it


def test_cut_off_after_any_line_it_ends_as_if_it_was_not(tmp_path):
    wanted = plan(
        instrument={"settings": {"noise": 0.1, "drift_nm_per_s": [0.2, 0.1]}},
        policy={"n_initial": 3, "batch": 2},
        drift=DRIFT,
        stop={"points": 7},
    )
    run_experiment(wanted, tmp_path / "whole", surrogate=NearestKnown())
    lines = (tmp_path / "whole" / RECORD).read_bytes().splitlines(keepends=True)
    for number in range(1, len(lines), 5):
        cut = tmp_path / f"cut{number}"
        (cut / "arrays").mkdir(parents=True)
        for array in (tmp_path / "whole" / "arrays").iterdir():
            (cut / "arrays" / array.name).write_bytes(array.read_bytes())
        (cut / RECORD).write_bytes(b"".join(lines[:number]) + lines[number][:20])
        resume_experiment(cut, surrogate=NearestKnown())
        assert _told(cut) == _told(tmp_path / "whole")
        assert read_record(cut)[number]["kind"] == "torn"


def test_targets_follow_the_drift(tmp_path):
    wanted = plan(instrument={"settings": {"drift_nm_per_s": [0.5, -0.3]}}, drift=DRIFT, stop={"points": 10})
    history = run_experiment(wanted, tmp_path)
    entries = read_record(tmp_path)
    last = [
        entry for entry in entries if entry.get("name") == "event" and "drift_shift_x_nm" in entry["document"]["data"]
    ]
    between_s = last[-1]["after"]["used"]["time_s"] - last[0]["after"]["used"]["time_s"]
    shift = last[-1]["document"]["data"]
    assert shift["drift_shift_x_nm"] == pytest.approx(0.5 * between_s, abs=3)
    assert shift["drift_shift_y_nm"] == pytest.approx(-0.3 * between_s, abs=3)
    targets = kept_arrays(tmp_path, history.targets)["places"]
    at = history.measurements[-1]
    assert at["probe_x_nm"] - targets[at["spectrum_candidate"]][0] == pytest.approx(shift["drift_shift_x_nm"])


def test_what_is_refused_is_recorded_and_a_run_that_is_always_refused_ends(tmp_path):
    with pytest.raises(ExperimentError, match=r"2 targets one after the other.*moves"):
        run_experiment(plan(limits={**LIMITS, "moves": 3}, most_failures=2), tmp_path)
    history = history_of(read_record(tmp_path))
    assert len(history.measurements) == 3 and len(history.refused) == 2
    assert [value for _, value in history.results[3:]] == [None, None]
    assert not history.stop["final"]


def test_atoms_are_targets(tmp_path):
    recipe = files("adatom") / "weights" / "hexagonal_two_atoms.yaml"
    wanted = plan(
        instrument={"settings": {"recipe": str(recipe)}},
        limits={**LIMITS, "x_nm": [-5, 5], "y_nm": [-5, 5], "bias_V": [-2, 2], "speed_nm_per_s": 100},
        overview={"width_nm": 4, "height_nm": 4, "rows": 128, "columns": 128, "dwell_time_s": 0.001},
        quantity={"name": "value", "at": 0.0},
        targets={"kind": "atoms", "method": "classical"},
        stop={"points": 4},
    )
    history = run_experiment(wanted, tmp_path)
    targets = kept_arrays(tmp_path, history.targets)
    assert len(targets["places"]) > 20 and len(history.measurements) == 4
    assert (np.abs(targets["places"]) <= 2).all()


def test_an_overview_outside_the_limits_is_said_at_once(tmp_path):
    with pytest.raises(LimitError, match=r"x_nm|scan"):
        run_experiment(plan(overview={**OVERVIEW, "x_nm": 500}), tmp_path)
    assert not history_of(read_record(tmp_path)).stop["final"]


def test_failures_are_tried_again(tmp_path):
    faults = {"fails_every": 5}
    history = run_experiment(plan(instrument={"settings": {"faults": faults}}), tmp_path)
    assert history.failed and len(history.measurements) == 6


def test_a_folder_with_an_experiment_is_not_begun_anew(tmp_path):
    run_experiment(plan(stop={"points": 2}), tmp_path)
    with pytest.raises(ExperimentError, match="resume"):
        run_experiment(plan(), tmp_path)
    before = (tmp_path / RECORD).read_bytes()
    resume_experiment(tmp_path)
    assert (tmp_path / RECORD).read_bytes() == before


def test_a_quantity_that_spectra_do_not_have(tmp_path):
    with pytest.raises(ArgumentError, match=r"work.*got 'wrok'"):
        run_experiment(plan(quantity={"name": "wrok"}), tmp_path)


def test_picture_and_report(tmp_path):
    surrogate = NearestKnown()
    wanted = plan(policy={"n_initial": 3}, stop={"points": 6})
    run_experiment(wanted, tmp_path, surrogate=surrogate, on_state=LivePicture(tmp_path))
    assert (tmp_path / "live.png").stat().st_size > 10_000
    summary = show_experiment(tmp_path, surrogate=surrogate)
    assert summary["n_measured"] == 6 and summary["predicted"]["n"] == 3 and summary["is_finished"]
    page = (tmp_path / "report.html").read_text()
    assert "The budget of 6 measurements is spent." in page and "data:image/png" in page
