"""Recipes: one YAML file says what images are simulated, which network learns them, and how."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from adatom.errors import MissingFileError, RecipeError
from adatom.models.catalogue import WEIGHTS
from adatom.simulate.recipe import ImageRecipe, StrictModel
from adatom.train.settings import TrainingSettings


class NetworkSettings(StrictModel):
    """Which network."""

    architecture: str = "unet"
    width: int = Field(default=16, ge=1, le=256)
    depth: int = Field(default=3, ge=1, le=6)


class Recipe(ImageRecipe):
    """A whole recipe: material, defects, microscope and labels, network and training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    estimator: Literal["Segmenter", "Localizer"] = "Segmenter"
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()

    def to_yaml(self) -> str:
        """The recipe as a YAML file that `load_recipe` reads back to an equal one."""
        text: str = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
        return text


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe from a YAML file, or by the name of one that ships.

    Raises
    ------
    MissingFileError : if there is neither such a file nor such a name.
    RecipeError : if a key is unknown or missing, or a value out of range; says which.
    """
    path = Path(source)
    shipped = WEIGHTS / f"{source}.yaml"
    if not path.is_file():
        if path.name != str(source) or not shipped.is_file():
            names = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*.yaml")))
            raise MissingFileError(f"recipe: expected a YAML file or one of {names}, got {source}.")
        path = shipped
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe: {path.name} cannot be read as text ({error}).") from error
    return parse_recipe(text, name=path.name)


def parse_recipe(text: str, *, name: str = "recipe") -> Recipe:
    """Read a recipe from YAML text; `name` is what error messages call it."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1})" if place else ""
        raise RecipeError(f"{name}: expected YAML, got text that is not{where}.") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{name}: expected keys such as material and training, got {type(content).__name__}.")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{name}: {first_problem(error)}.") from error


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, and how many more there are, for the person who wrote it."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {first['msg']}{more}" if key else f"{first['msg']}{more}"
