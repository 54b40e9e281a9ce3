"""A training as a run: a folder that holds its recipe, its checkpoint, its history and its model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from adatom.data.atomic_file import write_atomically
from adatom.errors import TrainingError
from adatom.models.catalogue import ESTIMATORS
from adatom.models.ensemble import Ensemble
from adatom.models.ensemble_training import Kind, tuning_steps, walk_steps
from adatom.models.image_model import ImageModel
from adatom.models.recipe import Learning, Recipe, load_learning, load_recipe
from adatom.train import Record, TrainingSettings
from adatom.train.several_devices import leads

R = TypeVar("R", bound=Learning)


def change_training(recipe: R, *, steps: int | None, seed: int | None) -> R:
    """The recipe with another number of steps or another seed; validations at least eight times a run."""
    training = recipe.training
    if steps is not None:
        every = min(training.validate_every, max(1, steps // 8))
        training = training.model_copy(update={"steps": steps, "validate_every": every})
    if seed is not None:
        training = training.model_copy(update={"seed": seed})
    return recipe.model_copy(update={"training": training})


@dataclass(frozen=True)
class Members:
    """How many members an ensemble has, of which kind, and how many of them are trained at a time, or where."""

    n: int
    kind: Kind = "seeds"
    jobs: int = 1
    cluster: str | None = None


def n_steps(settings: TrainingSettings, members: Members | None) -> int:
    """Steps of a training, of all its models together."""
    if members is None or members.kind == "symmetry":
        return settings.steps
    if members.kind == "seeds":
        return members.n * settings.steps
    if members.kind == "trunk":
        return settings.steps + members.n * tuning_steps(settings)
    return settings.steps + walk_steps(settings)


def train_model(
    recipe: Learning,
    out: Path,
    *,
    data: Path | None = None,
    members: Members | None = None,
    resume: bool,
    device: str = "auto",
    on_record: Callable[[Record], None] | None = None,
) -> ImageModel | Ensemble:
    """Train a recipe's estimator into the folder `out`: ``recipe.yaml``, ``checkpoint.safetensors``, ``history.json``,
    ``model.safetensors``.

    Of several processes that train together (`adatom.train.several_devices`) the first one writes.

    Parameters
    ----------
    recipe : a whole one; where there is `data`, its part `Learning` is enough, and only that is used.
    data : a stored training set to learn from instead of images of the recipe.
    members : of an ensemble; each gets a folder of its own in `out`. None for a single model.

    Raises
    ------
    TrainingError : if `resume` is asked for with another recipe than the folder's, or `recipe` describes no images and
        there is no `data`.
    """
    if data is None and not isinstance(recipe, Recipe):
        raise TrainingError(
            "recipe: expected one that describes images, got one that does not. Name a stored set (data)."
        )
    kept = out / "recipe.yaml"
    load = load_recipe if data is None else load_learning
    if resume and kept.exists() and load(kept) != recipe:
        raise TrainingError(f"resume: expected the recipe of {kept}, got another one. Start in a new folder.")
    if leads():
        if not resume:
            (out / "checkpoint.safetensors").unlink(missing_ok=True)
        write_atomically(kept, recipe.to_yaml())
    network = recipe.network
    arguments: dict[str, Any] = {
        "net": network.architecture,
        "width": network.width,
        "depth": network.depth,
        "net_arguments": network.arguments,
        "training": recipe.training,
        "augmentation": recipe.augmentation,
        "device": device,
    }
    source: Any = recipe if data is None else data
    model: ImageModel | Ensemble
    if members is None:
        estimator = getattr(import_module(ESTIMATORS[recipe.estimator]), recipe.estimator)
        model = estimator(**arguments).fit(
            source, checkpoint=out / "checkpoint.safetensors", resume=resume, on_record=on_record
        )
    else:
        model = Ensemble(estimator=recipe.estimator, n_members=members.n, kind=members.kind, **arguments).fit(
            source,
            checkpoint=out,
            resume=resume,
            on_record=on_record,
            jobs=members.jobs,
            cluster=members.cluster,
        )
    if leads():
        write_atomically(out / "history.json", json.dumps(model.history_))
        model.save(out / "model.safetensors")
    return model
