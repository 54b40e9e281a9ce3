from importlib.resources import files
from pathlib import Path

import pytest
from short_experiments import plan

from adatom.errors import MissingFileError, RecipeError
from adatom.experiment import plan_of, read_plan


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"instument": {}}, "instument"),
        ({"policy": {"acquisitions": "random"}}, "policy.acquisitions"),
        ({"policy": {"model": "dkl"}}, "patches"),
        ({"policy": {"patch_px": 4, "model": "none"}}, "odd"),
        ({"quantity": {"name": "value"}}, "at goes with"),
        ({"quantity": {"name": "work", "at": 1.0}}, "at goes with"),
        ({"stop": {}}, "stop.points"),
        ({"instrument": {"settings": {"used": {}}}}, "which the experiment sets"),
    ],
)
def test_what_makes_no_sense_is_said(changes, said):
    with pytest.raises(RecipeError, match=said):
        plan(**changes)


def test_a_plan_survives_its_own_record():
    whole = plan(policy={"model": "none", "forbidden": [{"x_nm": 0, "y_nm": 0, "radius_nm": 50}]})
    assert plan_of(whole.model_dump(mode="json")) == whole


@pytest.mark.parametrize("name", ["experiment", "experiment_beps"])
def test_plans_that_ship_are_plans(name):
    shipped = read_plan(Path(str(files("adatom") / "examples" / f"{name}.yaml")))
    assert all(Path(value).is_absolute() for key, value in shipped.instrument.settings.items() if key == "data")


def test_files_that_are_none(tmp_path):
    with pytest.raises(MissingFileError):
        read_plan(tmp_path / "plan.yaml")
    (tmp_path / "plan.yaml").write_text("limits: [")
    with pytest.raises(RecipeError, match="YAML"):
        read_plan(tmp_path / "plan.yaml")
