"""Recipes: one YAML file says what images are simulated, which network learns them, and how."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from adatom.data.ranges import StrictModel
from adatom.errors import MissingFileError, RecipeError
from adatom.models.catalogue import WEIGHTS
from adatom.prepare.augment import Augmentation
from adatom.simulate.recipe import OF_REGIONS, ImageRecipe
from adatom.simulate.structure_recipe import Cell
from adatom.simulate.structures import CATALOGUE, is_structure_file
from adatom.train.settings import TrainingSettings

# Recipes of which no model ships.
EXAMPLES = WEIGHTS.parent / "examples"


class NetworkSettings(StrictModel):
    """Which network."""

    architecture: str = Field(default="unet", description="one of adatom.nets, or a registered one")
    width: int = Field(default=16, ge=1, le=256)
    depth: int = Field(default=3, ge=1, le=6)
    arguments: dict[str, bool | int | float | str | list[int]] = Field(default={}, description="what else it takes")


class Learning(StrictModel):
    """The part of a recipe that a training on a stored set needs: network and training."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    estimator: Literal["Segmenter", "Localizer"] = "Segmenter"
    network: NetworkSettings = NetworkSettings()
    training: TrainingSettings = TrainingSettings()
    augmentation: Augmentation | None = Field(
        default=None, description="of training images, see adatom.prepare.augment"
    )

    def to_yaml(self) -> str:
        """The recipe as a YAML file that `load_recipe` (`load_learning`) reads back to an equal one."""
        content = self.model_dump(mode="json")
        first = {name: content.pop(name) for name in ("name", "description", "estimator")}
        text: str = yaml.safe_dump({**first, **content}, sort_keys=False, default_flow_style=None, width=120)
        return text


class Recipe(Learning, ImageRecipe):
    """A whole recipe: material, defects, microscope and labels, network and training."""

    @model_validator(mode="after")
    def _regions_are_segmented(self) -> Self:
        if isinstance(self.material, OF_REGIONS) and self.estimator != "Segmenter":
            raise ValueError(f"estimator is Segmenter for a material of {self.material.kind}, got {self.estimator}")
        return self


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe from a YAML file, or by the name of one that ships; or make one for a structure.

    Parameters
    ----------
    source : file or name; also a name of `adatom.simulate.structures.CATALOGUE`, such as MoS2, or a CIF, POSCAR or
        extended-XYZ file: then the recipe is `adatom.models.starting_recipe`'s. A file that a recipe names as its
        material's structure is looked for beside the recipe, and what it holds becomes part of it.

    Raises
    ------
    MissingFileError : if there is neither such a file nor such a name.
    RecipeError : if a key is unknown or missing, or a value out of range; says which.
    """
    from adatom.models.starting_recipe import is_structure, starting_recipe

    path = Path(source)
    named = {file.stem: file for folder in (WEIGHTS, EXAMPLES) for file in sorted(folder.glob("*.yaml"))}
    if is_structure(source):
        return starting_recipe(source)
    if not path.is_file():
        if str(source) not in named:
            names = ", ".join(sorted(named))
            known = ", ".join(CATALOGUE)
            raise MissingFileError(
                f"recipe: expected a YAML file or one of {names}; or a CIF, POSCAR or extended-XYZ file, or one of the "
                f"structures {known}; got {source}."
            )
        path = named[str(source)]
    return parse_recipe(_text(path), name=path.name, folder=path.parent)


def load_learning(source: str | Path) -> Learning:
    """Read that part of a recipe which a training on a stored set needs; a file may hold no more than this part.

    Parameters and errors: see `load_recipe`.
    """
    path = Path(source)
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        content = _content(_text(path), path.name)
        if "material" not in content:
            try:
                return Learning.model_validate(content)
            except ValidationError as error:
                raise RecipeError(f"{path.name}: {first_problem(error)}.") from error
    recipe = load_recipe(source)
    return Learning(**{name: getattr(recipe, name) for name in Learning.model_fields})


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"recipe: {path.name} cannot be read as text ({error}).") from error


def parse_recipe(text: str, *, name: str = "recipe", folder: Path | None = None) -> Recipe:
    """Read a recipe from YAML text; `name` is what error messages call it, `folder` where the files are that it names.

    Without a folder no file is read.
    """
    content = _content(text, name)
    if folder is not None:
        content = _with_its_structure(content, folder)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"{name}: {first_problem(error)}.") from error


def _content(text: str, name: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        where = f" (line {place.line + 1})" if place else ""
        raise RecipeError(f"{name}: expected YAML, got text that is not{where}.") from error
    if not isinstance(content, dict):
        raise RecipeError(f"{name}: expected keys such as material and training, got {type(content).__name__}.")
    return content


def _with_its_structure(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with what a structure's file holds in the place of the file's name."""
    material = content.get("material")
    if not isinstance(material, dict):
        return content
    structure = material.get("structure")
    if not isinstance(structure, str) or not is_structure_file(structure):
        return content
    return {**content, "material": {**material, "structure": Cell.read(folder / structure).model_dump()}}


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found wrong, and how many more there are, for the person who wrote it."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {first['msg']}{more}" if key else f"{first['msg']}{more}"
