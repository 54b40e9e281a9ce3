import pytest
from pydantic import ValidationError

from adatom.train import TrainingSettings


@pytest.mark.parametrize("key", ["stepz", "lr", "optimizer", "Steps"])
def test_an_unknown_key_is_an_error_that_names_it(key):
    with pytest.raises(ValidationError, match=key):
        TrainingSettings.model_validate({key: 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"learning_rate": 1e38},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"loss": {}},
        {"loss": {"hinge": 1.0}},
        {"loss": {"dice": -1.0}},
        {"loss": {"dice": 0.0}},
        {"loss": {"dice": float("nan")}},
        {"average": "polyak"},
        {"ema_decay": 1.0},
        {"swa_start": 1.0},
        {"validate_every": 0},
        {"validation_images": 0},
        {"patience": 0},
        {"precision": "float16"},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_its_key(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TrainingSettings.model_validate(wrong)


def test_settings_cannot_change_under_a_training():
    with pytest.raises(ValidationError):
        TrainingSettings().steps = 5


def test_settings_survive_json():
    settings = TrainingSettings(steps=7, loss={"focal": 2.0}, average="swa", learning_rate=1e-5)
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings
