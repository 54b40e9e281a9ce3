import json

import pytest
import torch

import adatom
from adatom.errors import TrainingError
from adatom.models import load_recipe
from adatom.models.training_run import change_training, train_model


def stop_after(step):
    def on_record(record):
        if record["step"] == step:
            raise KeyboardInterrupt

    return on_record


def same_weights(first, second) -> bool:
    states = first.net_.state_dict(), second.net_.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_leaves_its_recipe_its_history_its_checkpoint_and_its_model(brief_recipe, tmp_path):
    model = train_model(brief_recipe, tmp_path / "run", resume=False)
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        "recipe.yaml",
        "history.json",
        "checkpoint.safetensors",
        "model.safetensors",
    }
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == brief_recipe
    assert json.loads((tmp_path / "run" / "history.json").read_text()) == model.history_
    assert same_weights(adatom.load(tmp_path / "run" / "model.safetensors"), model)


def test_a_stopped_run_goes_on(brief_recipe, tmp_path):
    whole = train_model(brief_recipe, tmp_path / "whole", resume=False)
    with pytest.raises(KeyboardInterrupt):
        train_model(brief_recipe, tmp_path / "stopped", resume=False, on_record=stop_after(5))
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    assert same_weights(train_model(brief_recipe, tmp_path / "stopped", resume=True), whole)


def test_without_resume_a_run_starts_again(brief_recipe, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_model(brief_recipe, tmp_path, resume=False, on_record=stop_after(5))
    steps = []
    train_model(brief_recipe, tmp_path, resume=False, on_record=lambda record: steps.append(record["step"]))
    assert steps[0] == 1


def test_resume_with_another_recipe_is_refused_and_changes_nothing(brief_recipe, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_model(brief_recipe, tmp_path, resume=False, on_record=stop_after(5))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    other = change_training(brief_recipe, steps=None, seed=77)
    noisier = brief_recipe.model_copy(
        update={"microscope": brief_recipe.microscope.model_copy(update={"noise": (0.1, 0.2)})}
    )
    for recipe in (other, noisier):
        with pytest.raises(TrainingError, match=r"resume: expected the recipe of .*recipe.yaml, got another one"):
            train_model(recipe, tmp_path, resume=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_resume_in_an_empty_folder_begins(brief_recipe, tmp_path):
    assert len(train_model(brief_recipe, tmp_path, resume=True).history_) == 6


def test_steps_and_seed_may_be_changed_and_validations_stay_frequent(tiny_recipe):
    changed = change_training(tiny_recipe, steps=80, seed=5).training
    assert (changed.steps, changed.seed, changed.validate_every) == (80, 5, 10)
    assert change_training(tiny_recipe, steps=3, seed=None).training.validate_every == 1
    assert change_training(tiny_recipe, steps=None, seed=None) == tiny_recipe
