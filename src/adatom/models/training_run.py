"""A training as a run: a folder that holds its recipe, its checkpoint, its history and its model."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from adatom.data.atomic_file import write_atomically
from adatom.errors import TrainingError
from adatom.models.catalogue import ESTIMATORS
from adatom.models.image_model import ImageModel
from adatom.models.recipe import Recipe, load_recipe
from adatom.train import Record


def change_training(recipe: Recipe, *, steps: int | None, seed: int | None) -> Recipe:
    """The recipe with another number of steps or another seed; validations at least eight times a run."""
    training = recipe.training
    if steps is not None:
        every = min(training.validate_every, max(1, steps // 8))
        training = training.model_copy(update={"steps": steps, "validate_every": every})
    if seed is not None:
        training = training.model_copy(update={"seed": seed})
    return recipe.model_copy(update={"training": training})


def train_model(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool,
    device: str = "auto",
    on_record: Callable[[Record], None] | None = None,
) -> ImageModel:
    """Train a recipe's estimator into the folder `out`: ``recipe.yaml``, ``checkpoint.safetensors``, ``history.json``,
    ``model.safetensors``.

    Raises
    ------
    TrainingError : if `resume` is asked for with another recipe than the folder's.
    """
    kept = out / "recipe.yaml"
    if resume and kept.exists() and load_recipe(kept) != recipe:
        raise TrainingError(f"resume: expected the recipe of {kept}, got another one. Start in a new folder.")
    if not resume:
        (out / "checkpoint.safetensors").unlink(missing_ok=True)
    write_atomically(kept, recipe.to_yaml())
    estimator = getattr(import_module(ESTIMATORS[recipe.estimator]), recipe.estimator)
    model: ImageModel = estimator(device=device).fit(
        recipe, checkpoint=out / "checkpoint.safetensors", resume=resume, on_record=on_record
    )
    write_atomically(out / "history.json", json.dumps(model.history_))
    model.save(out / "model.safetensors")
    return model
