"""What every estimator keeps of scikit-learn's ways: arguments stored as given, and known by name."""

import inspect
import platform
from typing import Any, Self

import torch
from pydantic import ValidationError

from adatom import __version__
from adatom.errors import ArgumentError
from adatom.models.catalogue import FORMAT_VERSION
from adatom.models.network import Net
from adatom.models.recipe import Recipe, first_problem
from adatom.nets.device import choose_device
from adatom.prepare.augment import Augmentation
from adatom.train import TrainingParts, TrainingSettings


class Estimator:
    """Arguments of a model that learns.

    Parameters
    ----------
    classes : names of the species; by default those of the data.
    net : name of an architecture in `adatom.nets` or of a registered one (`adatom.nets.register`); or a network of
        your own: a torch module (or a Keras model on the torch backend), of which a copy learns, or a class or function
        that makes one. It has to keep the contract of `adatom.nets.contract`. By default the recipe's, else ``unet``.
    width, depth, net_arguments : of the network, the latter what else it takes; by default the recipe's, else 16, 3
        and nothing. Those that a network of your own does not take, it does not get.
    training : settings of the training, as `TrainingSettings` or a dictionary; by default the recipe's.
    parts : of the training, as objects of your own: loss, optimiser, schedule, metrics, callbacks, see
        `adatom.train.TrainingParts`. By name they stand in the settings (`adatom.train.register`).
    augmentation : of training images, as `adatom.prepare.augment.Augmentation` or a dictionary; by default the
        recipe's. Without one, images of a stored set are turned by quarters and mirrored.
    random_state : seed of the weights and of the data; by default the recipe's.
    device : ``"auto"`` or what torch calls a device, see `adatom.nets.device.choose_device`. In processes that torchrun
        started, `fit` trains one network together, see `adatom.train.several_devices`; the first of them saves it.
    """

    seed_: int
    figures_: dict[str, float]
    parts: TrainingParts | None = None

    def __init__(
        self,
        *,
        classes: list[str] | None = None,
        net: Net | None = None,
        width: int | None = None,
        depth: int | None = None,
        net_arguments: dict[str, Any] | None = None,
        training: TrainingSettings | dict[str, Any] | None = None,
        parts: TrainingParts | None = None,
        augmentation: Augmentation | dict[str, Any] | None = None,
        random_state: int | None = None,
        device: str = "auto",
    ) -> None:
        self.classes = classes
        self.net = net
        self.width = width
        self.depth = depth
        self.net_arguments = net_arguments
        self.training = training
        if parts is not None:  # an ensemble takes none, and has none
            self.parts = parts
        self.augmentation = augmentation
        self.random_state = random_state
        self.device = device

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor arguments by name, as scikit-learn has it."""
        return {
            name: getattr(self, name) for name in inspect.signature(type(self).__init__).parameters if name != "self"
        }

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name; unknown names are errors."""
        known = self.get_params()
        unknown = [name for name in params if name not in known]
        if unknown:
            raise ArgumentError(f"{type(self).__name__}: expected one of {', '.join(known)}, got {unknown[0]!r}.")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def _settings(self, recipe: Recipe | None) -> TrainingSettings:
        settings = self.training if self.training is not None else (recipe.training if recipe else {})
        numbers = settings.model_dump() if isinstance(settings, TrainingSettings) else dict(settings)
        if self.random_state is not None:
            numbers["seed"] = self.random_state
        return _checked_settings(numbers)

    def _settings_over(self, usual: dict[str, Any]) -> TrainingSettings:
        """Settings of a training without a recipe: those that were given in place of the usual ones."""
        given = self.training if self.training is not None else {}
        numbers = given.model_dump() if isinstance(given, TrainingSettings) else {**usual, **given}
        numbers["seed"] = self.random_state if self.random_state is not None else numbers.get("seed", 0)
        return _checked_settings(numbers)

    def _augmentation(self, recipe: Recipe | None) -> Augmentation | None:
        given = self.augmentation if self.augmentation is not None else (recipe.augmentation if recipe else None)
        if given is None or isinstance(given, Augmentation):
            return given
        try:
            return Augmentation.model_validate(given)
        except ValidationError as error:
            raise ArgumentError(f"augmentation: {first_problem(error)}.") from error

    def _made_by(self) -> dict[str, Any]:
        """What every model file says of its kind and its making."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": type(self).__name__,
            "seed": self.seed_,
            "figures": self.figures_,
            "versions": {"adatom": __version__, "torch": torch.__version__, "python": platform.python_version()},
            "licence": "MIT",
        }

    def _check_fitted(self, method: str) -> None:
        if not hasattr(self, "net_"):
            raise ArgumentError(f"{method}: expected a fitted model, got one that is not. Call fit first.")

    def _torch_device(self) -> torch.device:
        return choose_device(self.device)


def _checked_settings(numbers: dict[str, Any]) -> TrainingSettings:
    try:
        return TrainingSettings.model_validate(numbers)
    except ValidationError as error:
        raise ArgumentError(f"training: {first_problem(error)}.") from error
