"""Plans: read, checked, and what they come to."""

import numpy as np
import pytest

from adatom.errors import ArgumentError, MissingFileError, RecipeError
from adatom.experiment import read_plan
from adatom.experiment.plan import QuantityPlan, SpectrumPlan, parse_plan


def test_the_shipped_plan_comes_back_as_it_went() -> None:
    plan = read_plan("experiment_simulated")
    assert parse_plan(plan.to_yaml()) == plan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("points: 40", "points: 40\n  pionts: 3"), "stop.pionts"),
        (("acquisition: expected_improvement", "acquisition: guess"), "policy.acquisition"),
        (("x_nm: [-220, 220]", "x_nm: [220, -220]"), "lowest first"),
        (("statistic: area", "statistic: area\n  at: 3"), "one out of"),
        (("seed: 0", ""), None),
        (("name: twin", "name: [twin]"), "instrument.name"),
        (("n_points: 32", "n_points: 1e9"), "n_points"),
    ],
)
def test_what_is_wrong_is_said_by_its_place(change, message, tmp_path) -> None:
    from pathlib import Path

    import adatom

    text = (Path(adatom.__file__).parent / "examples" / "experiment_simulated.yaml").read_text()
    (tmp_path / "plan.yaml").write_text(text.replace(*change))
    if message is None:
        read_plan(tmp_path / "plan.yaml")
        return
    with pytest.raises(RecipeError, match=message):
        read_plan(tmp_path / "plan.yaml")


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "instrument: 3", "name: x"])
def test_no_plan_is_told_apart(text, tmp_path) -> None:
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(RecipeError):
        read_plan(tmp_path / "plan.yaml")
    with pytest.raises(MissingFileError):
        read_plan(tmp_path / "none.yaml")


def test_sweeps_are_what_they_are_called() -> None:
    common = {"low": -2, "high": 4, "n_points": 24, "dwell_time_s": 0.1}
    sweep, back, loop = (SpectrumPlan(shape=s, **common).settings().values for s in ("sweep", "there_and_back", "loop"))
    assert sweep[0] == -2 and sweep[-1] == 4 and len(sweep) == 24
    assert back[0] == back[-1] == -2 and back.max() == 4 and len(back) == 24
    assert loop[0] == 1 and loop.max() == 4 and loop.min() == -2 and loop.argmax() < loop.argmin()
    assert np.abs(np.diff(loop)).max() == pytest.approx(0.5)


def test_quantities_are_known_numbers() -> None:
    at = SpectrumPlan(low=-1, high=1, n_points=200, dwell_time_s=1, shape="loop").settings().values
    rising = np.r_[np.diff(at) > 0, True]
    loop = np.where(rising, at - 0.2, at + 0.2)
    assert QuantityPlan(statistic="area").of(at, loop, "bias") == pytest.approx(0.8, rel=0.05)
    assert QuantityPlan(at=1.0).of(at, loop, "bias") == pytest.approx(0.8, abs=0.45)
    assert QuantityPlan(statistic="mean").of(at, np.full(200, 3.0), "bias") == 3
    assert np.isnan(QuantityPlan(statistic="max").of(at, np.where(at > 0.9, np.nan, loop), "bias"))
    with pytest.raises(ArgumentError, match="descriptor: expected one of"):
        QuantityPlan(descriptor="colour").of(at, loop, "bias")
