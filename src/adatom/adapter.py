"""A model that follows an instrument: adapted to images of new conditions of which no atom is known, as one page.

First the recipe of the model is matched to the images, and the model is trained on images simulated so: what dose,
probe and scale did, the simulator can do as well. Then it learns from what its members find together in the images
themselves (`adatom.models.iterating`), which knows of the rest.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from adatom.data import check_image
from adatom.errors import AdatomError, ArgumentError
from adatom.matching import Match, match
from adatom.models import Ensemble, Localizer, load
from adatom.models.batches import SimulatedSamples, stack_atoms
from adatom.models.choice import choose_model
from adatom.models.image_model import ImageModel
from adatom.models.iterating import MAX_ROUNDS, STEPS, Iteration, Round
from adatom.models.recipe import Recipe
from adatom.prepare import SquareImage
from adatom.train import Record

How = Literal["auto", "choose", "simulate", "findings"]
HOW: tuple[How, ...] = ("auto", "choose", "simulate", "findings")

_CONCLUDING_IMAGES = 24  # simulated ones on which the adapted model is judged; four times as many calibrate it


@dataclass
class Adapted:
    """A model adapted to new conditions, and how.

    Attributes
    ----------
    model : the adapted one; of the kind that came.
    rounds : what was tried, one after the other.
    match : the recipe matched to the images; None where that was not asked for or not possible.
    warnings : sentences.
    """

    model: Localizer | Ensemble
    rounds: list[Round]
    match: Match | None = None
    warnings: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {
            "rounds": [each.as_dict() for each in self.rounds],
            "matched": None if self.match is None else self.match.summary(),
            "figures": self.model.figures_,
            "warnings": self.warnings,
        }


def adapt_to_images(
    images: Sequence[xr.DataArray],
    model: Localizer | Ensemble | str | Path,
    *,
    how: How = "auto",
    recipe: Recipe | None = None,
    rounds: int = MAX_ROUNDS,
    steps: int = STEPS,
    seed: int = 0,
    on_record: Callable[[Record], None] | None = None,
    on_round: Callable[[Round, Ensemble], None] | None = None,
) -> Adapted:
    """Adapt a model to images of new conditions, of which no atom is known.

    Parameters
    ----------
    images : (y, x) each; the recipe is matched to the largest.
    model : a `Localizer` or an `Ensemble` of them, its file, or the name of one that ships; stays as it is.
    how : ``choose`` drops members that suit the images badly, without training; ``simulate`` trains on images
        simulated by the matched recipe; ``findings`` trains on what the members find together; ``auto`` does the
        latter two.
    recipe : to be matched, by default the model's own; of the same classes.
    rounds : of learning from findings, at most.
    steps : of each member in each round.
    seed : of everything drawn.
    on_record, on_round : called after each step with its record, and after each round with it and its model.

    Raises
    ------
    ArgumentError : if the model is of another kind, `how` is not one of these, or `recipe` has other classes.
    ShapeError : if an image has not two dimensions.
    """
    if how not in HOW:
        raise ArgumentError(f"how: expected one of {', '.join(HOW)}, got {how!r}.")
    if not len(images):
        raise ArgumentError("images: expected at least one, got none.")
    known = load(model) if isinstance(model, (str, Path)) else model
    if not isinstance(known, (Localizer, Ensemble)):
        raise ArgumentError(f"model: expected a Localizer or an Ensemble, got a {type(known).__name__}.")
    _check_recipe(recipe, known)
    stills = [check_image(image, ndim=2).transpose("y", "x") for image in images]
    values, factors = [], []
    for still in stills:
        square = SquareImage.of(still)
        eyes = choose_model(
            still, square.values, square_factor=square.factor[1], model=known, spacing_px=None, contrast="auto"
        )
        values.append(eyes.sign * square.values)
        factors.append((eyes.factor, eyes.factor))
    iteration = Iteration(
        known, values, factors, is_levelled=True, steps=steps, seed=seed, on_record=on_record, on_round=on_round
    )
    result = Adapted(known, iteration.rounds)
    matched: Recipe | None = None
    if how in ("auto", "simulate"):
        largest = max(range(len(stills)), key=lambda k: stills[k].size)
        result.match, matched = _matched(stills[largest], recipe or known.recipe_, factors[largest][0], seed, result)
    if how == "choose":
        iteration.choose_members()
    if matched is not None:
        iteration.learn_simulated(matched)
    if how in ("auto", "findings"):
        iteration.learn_findings(matched, most=rounds)
    went_on = any(each.is_kept for each in iteration.rounds[1:])
    if not went_on:
        result.warnings.append(
            "Nothing that was tried made the model agree better with itself on these images: it stays as it is."
        )
        return result
    result.model = concluded(iteration.ensemble, matched or known.recipe_, isinstance(known, Ensemble), seed)
    result.model.figures_ |= {
        "adapted_images": len(stills),
        "adapted_rounds": sum(r.is_kept for r in result.rounds) - 1,
    }
    return result


def _check_recipe(recipe: Recipe | None, model: Localizer | Ensemble) -> None:
    """Species are numbers to a network: those of another recipe would be taken for the model's."""
    known = model.recipe_.material.classes if model.recipe_ is not None else tuple(model.classes_)
    if recipe is not None and tuple(recipe.material.classes) != tuple(known):
        raise ArgumentError(
            f"recipe: expected one with the classes of the model ({', '.join(known)}), got {recipe.name} with "
            f"{', '.join(recipe.material.classes)}."
        )


def _matched(
    still: xr.DataArray, recipe: Recipe | None, factor: float, seed: int, result: Adapted
) -> tuple[Match | None, Recipe | None]:
    """The match, and its recipe for images seen at a scale, of any orientation."""
    if recipe is None:
        result.warnings.append("The model holds no recipe that could be matched to the images.")
        return None, None
    try:
        found = match(still, recipe, seed=seed)
    except AdatomError as error:
        result.warnings.append(f"The recipe of the model could not be matched to the images ({error})")
        return None, None
    return found, for_any_orientation(found, recipe, factor)


def for_any_orientation(found: Match, recipe: Recipe, factor: float) -> Recipe:
    """What a recipe was matched to, in any orientation that it had before, for images seen at a scale."""
    microscope = found.recipe.microscope
    low, high = (factor / found.factor * edge for edge in microscope.scale)
    changed = microscope.model_copy(update={"rotation_deg": recipe.microscope.rotation_deg, "scale": (low, high)})
    return found.recipe.model_copy(update={"microscope": changed})


def concluded(ensemble: Ensemble, recipe: Recipe | None, stays_ensemble: bool, seed: int) -> Localizer | Ensemble:
    """The adapted model, with its probabilities calibrated on images simulated as the new ones are, in the way that the
    ensemble is; what is given stays as it is.
    """
    ensemble, members = copy(ensemble), [copy(member) for member in ensemble.members_]
    ensemble.members_, ensemble.calibrate = members, ensemble.calibrated_
    ensemble.figures_ = dict(ensemble.figures_)
    for member in members:
        member.figures_ = dict(member.figures_)
    first = members[0]
    assert isinstance(first, Localizer)
    if recipe is None:
        return ensemble if stays_ensemble else first

    def conclude(member: ImageModel) -> None:
        source = SimulatedSamples(
            recipe,
            batch_size=8,
            seed=seed + 2,
            prepare=member._prepare_working,
            multiple=member._multiple,
            stack=stack_atoms,
        )
        member._conclude(source, source.validation(_CONCLUDING_IMAGES))

    for member in members:
        conclude(member)
    return ensemble.calibrate_on(recipe) if stays_ensemble else first
