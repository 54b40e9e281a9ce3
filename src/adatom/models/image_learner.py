"""How models that look at images learn: whole, their last part alone, or as a cloud that a training wanders through."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import nn

from adatom.data.training_set import check_training_set, open_training_set
from adatom.errors import ArgumentError
from adatom.models.batches import Sample, SimulatedSamples, StoredSamples, open_samples
from adatom.models.estimator import Estimator
from adatom.models.network import make_network
from adatom.models.recipe import NetworkSettings, Recipe
from adatom.models.working_scale import measure_scale, shows_regions
from adatom.nets import ARCHITECTURES
from adatom.nets.crown import Crown
from adatom.train import Batch, Loss, Record, TrainingSettings, train
from adatom.train.averaging import estimate_statistics
from adatom.train.loop import STATISTICS_BATCHES
from adatom.train.losses import weighted_loss
from adatom.train.names import registered
from adatom.train.swag import wander

Array = NDArray[np.float64]

# How images are normalised. The walls of domains look like steps, and their levels like a background: they stay.
_OF_ATOMS: dict[str, Any] = {"background_px": 20.0, "clip": 10.0, "bend": 2.0}
_OF_REGIONS: dict[str, Any] = {"background_px": 200.0, "clip": 10.0, "levelled": False}
# The learning rate of a walk through the cloud of weights, as a share of the training's highest.
_WALKING_RATE = 0.3


class ImageLearner(Estimator, ABC):
    """The part of `adatom.models.image_model.ImageModel` that learns; parameters and attributes are stated there."""

    _knows_regions: ClassVar[bool] = False
    _fast: Any = None

    def fit(
        self,
        data: Recipe | xr.Dataset | str | Path,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train from scratch.

        Parameters
        ----------
        data : a recipe (images are made on the fly), a training set, or the path of a stored one.
        checkpoint : file that holds the state of the training; written at each validation.
        resume : go on from `checkpoint` if it is there.
        on_record : called after each step with its record, see `adatom.train.train`.
        """
        data = open_data(data)
        recipe = data if isinstance(data, Recipe) else None
        settings = self._settings(recipe)
        self.recipe_ = recipe
        known = data.material.classes if isinstance(data, Recipe) else data.attrs["classes"]
        self.classes_ = self._class_names(list(known))
        self.seed_ = settings.seed
        with torch.random.fork_rng(devices=[]):  # weights from our seed; the user's generator stays where it is
            torch.default_generator.manual_seed(settings.seed)  # torch.manual_seed would seed GPUs as well
            self.architecture_, self.net_ = self._network(recipe)
        self._start(self.net_)
        self.scale_ = {}  # measured on the validation images, which need it for their own preparation
        regions = self._knows_regions and shows_regions(data)
        self.preprocessing_ = dict(_OF_REGIONS if regions else _OF_ATOMS)
        source = self._open_source(data, settings)
        validation = source.validation(settings.validation_images)
        self.scale_ = measure_scale(data, validation, regions=regions)
        return self._learn(
            self.net_, source, validation, settings, checkpoint=checkpoint, resume=resume, on_record=on_record
        )

    def fit_crown(
        self,
        data: Recipe | xr.Dataset | str | Path,
        trunk: Self,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        on_record: Callable[[Record], None] | None = None,
    ) -> Self:
        """Train a new last part (`adatom.nets`: the crown) on the rest of a fitted model, which stays as it is.

        Parameters: as of `fit`; `trunk` is the fitted model. Classes, network and scale are its own.
        """
        trunk._check_fitted("fit_crown")
        if not hasattr(trunk.net_, "crown"):
            raise ArgumentError(
                f"trunk: expected a network with a trunk and a crown ({', '.join(ARCHITECTURES)}), got "
                f"{trunk.architecture_['name']}. Train whole members (kind='seeds')."
            )
        data = open_data(data)
        self.recipe_ = data if isinstance(data, Recipe) else None
        settings = self._settings(self.recipe_)
        for name in ("classes_", "architecture_", "scale_", "preprocessing_"):
            setattr(self, name, deepcopy(getattr(trunk, name)))
        self.seed_ = settings.seed
        self.net_ = deepcopy(trunk.net_)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings.seed)
            fresh = trunk._like_new()
        self._start(fresh)
        crown = Crown(self.net_.to(self._torch_device()))
        crown.renew(fresh)
        source = self._open_source(data, settings)
        validation = source.validation(settings.validation_images)
        return self._learn(
            crown, source, validation, settings, checkpoint=checkpoint, resume=resume, on_record=on_record
        )

    def fit_cloud(
        self,
        data: Recipe | xr.Dataset | str | Path,
        fitted: Self,
        seeds: Sequence[int],
        *,
        steps: int,
        on_record: Callable[[Record], None] | None = None,
    ) -> list[Self]:
        """Models drawn from the cloud of weights that the training of a fitted one wanders through, one for each seed;
        the fitted one stays as it is. See `adatom.train.swag`.

        Parameters
        ----------
        data : what it was fitted on.
        steps : of the walk.
        """
        data = open_data(data)
        recipe = data if isinstance(data, Recipe) else None
        settings = self._settings(recipe)
        for name in ("classes_", "architecture_", "scale_", "preprocessing_", "figures_"):
            setattr(self, name, deepcopy(getattr(fitted, name)))
        self.recipe_, self.seed_, self.net_ = recipe, settings.seed, deepcopy(fitted.net_)
        source, device, started = self._open_source(data, settings), self._torch_device(), time.monotonic()
        self.history_: list[Record] = []

        def note(step: int, loss: float) -> None:
            self.history_.append({"step": step, "loss": loss, "seconds": time.monotonic() - started})
            if on_record is not None:
                on_record(self.history_[-1])

        cloud = wander(
            self.net_,
            source.batch,
            self._chosen_loss(settings),
            steps=steps,
            first=settings.steps + 1,  # images that the training has not seen
            learning_rate=_WALKING_RATE * settings.learning_rate,
            device=device,
            on_step=note,
        )
        validation = source.validation(settings.validation_images)
        drawn = []
        for seed in seeds:
            one = copy(self)
            one.net_, one.figures_, one._fast, one.seed_ = deepcopy(self.net_), dict(fitted.figures_), None, seed
            one.net_.load_state_dict(cloud.draw(torch.Generator().manual_seed(seed)), strict=False)
            estimate_statistics(
                one.net_, (source.batch(step)[0].to(device) for step in range(1, STATISTICS_BATCHES + 1))
            )
            one.net_.eval()
            one._conclude(source, validation)
            drawn.append(one)
        return drawn

    def _network(self, recipe: Recipe | None) -> tuple[dict[str, Any], nn.Module]:
        """The network that learns, and what a model file says of it."""
        settings = recipe.network if recipe else NetworkSettings()
        arguments = {
            "classes": self._n_channels(),
            "width": settings.width if self.width is None else self.width,
            "depth": settings.depth if self.depth is None else self.depth,
            **(settings.arguments if self.net_arguments is None else self.net_arguments),
        }
        net = settings.architecture if self.net is None else self.net
        return make_network(net, arguments, stand_for=self._channels_told())

    def _like_new(self) -> nn.Module:
        """A network of the same architecture that has learned nothing."""
        return make_network(self.architecture_["name"], self.architecture_["arguments"])[1]

    def _channels_told(self) -> str:
        """What the channels that the network gives stand for."""
        return f"the background and {', '.join(self.classes_)}"

    def _open_source(self, data: Recipe | xr.Dataset, settings: TrainingSettings) -> SimulatedSamples | StoredSamples:
        """Where this model's batches come from."""
        return open_samples(
            data,
            settings,
            prepare=self._prepare_working,
            multiple=self._multiple,
            stack=self._stack,
            augmentation=self._augmentation(self.recipe_),
        )

    def _learn(
        self,
        learner: nn.Module,
        source: SimulatedSamples | StoredSamples,
        validation: list[Sample],
        settings: TrainingSettings,
        *,
        checkpoint: str | Path | None,
        resume: bool,
        on_record: Callable[[Record], None] | None,
    ) -> Self:
        """Train `net_`, or the part of it that `learner` is, and settle what is settled afterwards."""
        self.source_ = source
        batches = [self._stack(validation[k : k + 8], self._multiple) for k in range(0, len(validation), 8)]
        self._fast = None
        self.history_ = train(
            learner,
            source.batch,
            batches,
            settings,
            device=self._torch_device(),
            loss_of=self._chosen_loss(settings),
            parts=self.parts,
            judge=self._judge(),
            score=lambda net: self._score(net, validation),
            checkpoint=None if checkpoint is None else Path(checkpoint),
            resume=resume,
            on_record=on_record,
        )
        judged = [record for record in self.history_ if "val_loss" in record]
        best = min(judged, key=lambda record: record["val_loss"])
        self.figures_ = {name: value for name, value in best.items() if isinstance(value, int | float)}
        del self.figures_["loss"], self.figures_["seconds"]
        self.net_.eval()
        self._conclude(source, validation)
        self.figures_["training_seconds"] = round(self.history_[-1]["seconds"], 1)
        return self

    def _class_names(self, known: list[str]) -> list[str]:
        if self.classes is None:
            return known
        if len(self.classes) != len(known) or len(set(self.classes)) != len(self.classes):
            raise ArgumentError(f"classes: expected {len(known)} different names, got {self.classes}.")
        return list(self.classes)

    @staticmethod
    @abstractmethod
    def _stack(samples: list[Sample], multiple: int) -> Batch:
        """Samples to a batch."""

    @abstractmethod
    def _n_channels(self) -> int:
        """Channels that the network gives."""

    def _start(self, net: nn.Module) -> None:
        """Change what a fresh network begins with; here nothing."""
        del net

    def _loss(self) -> Loss | None:
        """What the training makes small; None for the losses of the settings."""
        return None

    def _chosen_loss(self, settings: TrainingSettings) -> Loss:
        """The user's, by object or by name; else this model's."""
        own = None if self.parts is None else self.parts.own_loss()
        by_name = any(registered("loss", name) for name in settings.loss)
        mine = None if by_name else self._loss()
        return own or mine or weighted_loss(settings.loss)

    def _judge(self) -> Callable[..., Record] | None:
        """What judges a network on the validation batches; None for the class map's judge."""
        return None

    @abstractmethod
    def _conclude(self, source: SimulatedSamples | StoredSamples, validation: list[Sample]) -> None:
        """What is settled once the network has learned; figures go into ``figures_``."""

    @abstractmethod
    def _score(self, net: nn.Module, validation: list[Sample]) -> dict[str, float]:
        """Figures of `net` beside those of the judge."""

    @abstractmethod
    def _prepare_working(self, values: Array) -> tuple[Array, float]:
        """What the network gets to see of an image of the training, and the contrast that it was divided by."""

    @property
    @abstractmethod
    def _multiple(self) -> int:
        """What the sides of an image must be a multiple of."""


def open_data(data: Recipe | xr.Dataset | str | Path) -> Recipe | xr.Dataset:
    """What a model learns from, checked; a stored set is opened."""
    if not isinstance(data, (Recipe, xr.Dataset, str, Path)):
        raise ArgumentError(f"data: expected a Recipe, a training set or the path of one, got {type(data).__name__}.")
    if isinstance(data, Recipe):
        return data
    return check_training_set(data) if isinstance(data, xr.Dataset) else open_training_set(data)
