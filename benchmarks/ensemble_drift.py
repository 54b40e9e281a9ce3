"""Ensembles when conditions drift: F1, whether uncertainty ranks errors, and the coverage of 90 % sets of species.

One single model and one ensemble of each kind learn the same narrow conditions (`benchmarks.drifting_images`) and are
tested there and at four growing shifts of dose, probe and scale; every image is looked at on its own pixels, as an
instrument that has drifted unnoticed would have it. Of the ensembles, those of seeds are calibrated after averaging and
before. A find is right within 0.35 spacings of an atom of its species. The area under the ROC curve (AUROC) is that of
the doubt of the kept finds against whether they are wrong.

ELIT: the ensemble of seeds adapted to one unlabelled image of 256 x 256 px of the shift, which no test uses: `findings`
learns from what its members find together there, `elit` first from images of the recipe as it was matched to that
image. `elit` is told as the share of the F1 that the single model lost, at the largest shift at which it still finds
half of the atoms.

To add a row: one line in `contenders`, a function that gives for a shift the model to be tested there.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from adatom.adapter import concluded, for_any_orientation
from adatom.data import make_image
from adatom.errors import AdatomError
from adatom.locate import Peaks, match_likeliest_first, match_positions
from adatom.matching import match
from adatom.models import Ensemble, Localizer
from adatom.models.calibration import expected_calibration_error
from adatom.models.iterating import Iteration
from adatom.simulate import SimulatedImage, simulate_image
from benchmarks.drifting_images import SHIFTS, Shift, training_recipe
from benchmarks.record import Recorder

Array = NDArray[np.float64]
Model = Localizer | Ensemble
Contender = Callable[[Shift], Model]  # the model to be tested under these conditions

N_MEMBERS = 5
COVERAGE = 0.9
TOLERANCE = 0.35  # spacings
_UNLABELLED_PX = 256
_ADAPTING_STEPS = 100


@dataclass(frozen=True)
class Standing:
    """How a model stands at one shift.

    Attributes
    ----------
    f1 : of place and species.
    recall : of places alone.
    calibration_error : the expected one, of the probabilities of all finds above 0.02 that an atom is there.
    auroc : of the doubts of kept finds against whether they are wrong; NaN if all are right or all wrong.
    coverage : share of the finds that are atoms whose set of species holds the right one.
    set_size : mean number of species in a set.
    """

    f1: float
    recall: float
    calibration_error: float
    auroc: float
    coverage: float
    set_size: float


def run(recorder: Recorder, *, steps: int | None = None, kept: Path | None = None) -> None:
    """All contenders at all shifts; trainings that are whole in the folder `kept` are not done again."""
    standings: dict[tuple[str, int], Standing] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, contender in contenders(kept or Path(folder), steps=steps).items():
            for shift in SHIFTS:
                standing = standings[name, shift.number] = judge(contender(shift), shift.images())
                print(f"    {name:14s} shift {shift.number}: {standing}", flush=True)
                label = f"drift/{name}/shift{shift.number}"
                recorder.add(f"{label}/f1", standing.f1)
                recorder.add(f"{label}/auroc", standing.auroc, goal=">= 0.9")
                recorder.add(f"{label}/calibration_error", standing.calibration_error)
                recorder.add(f"{label}/coverage_of_90", standing.coverage, goal=None if shift.number else ">= 0.87")
                if shift.number == 0:
                    recorder.add(f"{label}/coverage_of_90_at_most", standing.coverage, goal="<= 0.93")

    worst = max(shift.number for shift in SHIFTS if standings["single", shift.number].recall >= 0.5)
    lost = standings["single", 0].f1 - standings["single", worst].f1
    for name in ("seeds_after", "findings", "elit"):
        won = standings[name, worst].f1 - standings["single", worst].f1
        goal = ">= 0.5" if name == "elit" else None
        recorder.add(f"drift/{name}/share_of_lost_f1_recovered_at_shift{worst}", won / max(1e-9, lost), goal=goal)


def contenders(folder: Path, *, steps: int | None = None) -> dict[str, Contender]:
    """Trained models by the names of their rows."""
    recipe = training_recipe(**({} if steps is None else {"steps": steps, "validate_every": max(1, steps // 4)}))
    rows: dict[str, Model] = {}
    seeds = Ensemble(n_members=N_MEMBERS, kind="seeds", **_network(recipe)).fit(
        recipe, checkpoint=folder / "seeds", resume=True
    )
    first = seeds.members_[0]
    assert isinstance(first, Localizer)
    rows["single"], rows["seeds_after"] = first, seeds
    again = Ensemble(n_members=N_MEMBERS, kind="seeds", calibrate="before", **_network(recipe))
    rows["seeds_before"] = again.fit(recipe, checkpoint=folder / "seeds", resume=True)
    for kind in ("trunk", "swag", "symmetry"):
        ensemble = Ensemble(n_members=N_MEMBERS, kind=kind, **_network(recipe))
        rows[kind] = ensemble.fit(recipe, checkpoint=folder / kind, resume=True)
    return {
        **{name: _always(model) for name, model in rows.items()},
        "findings": lambda shift: adapted(seeds, shift, is_matched=False),
        "elit": lambda shift: adapted(seeds, shift, is_matched=True),
    }


def adapted(model: Ensemble, shift: Shift, *, is_matched: bool) -> Model:
    """The model after iterative training on one image of a shift of which nothing is known."""
    recipe = shift.recipe()
    large = recipe.microscope.model_copy(update={"image_size": _UNLABELLED_PX})
    drawn = simulate_image(recipe.model_copy(update={"microscope": large}), seed=8, index=0)
    values = drawn.image.astype(float)
    going = Iteration(model, [values], [(1.0, 1.0)], steps=_ADAPTING_STEPS)
    matched = None
    if is_matched:
        image = make_image(values, pixel_size=recipe.microscope.pixel_size_nm)
        try:
            matched = for_any_orientation(match(image, training_recipe()), training_recipe(), 1.0)
            going.learn_simulated(matched)
        except AdatomError as error:  # as `adapt_to_images` does, it goes on without
            print(f"      not matched: {error}", flush=True)
    going.learn_findings(matched, most=2)
    for each in going.rounds:
        print(f"      {each}", flush=True)
    return concluded(going.ensemble, matched or training_recipe(), True, 0)


def _network(recipe: Any) -> dict[str, Any]:
    return {"net": recipe.network.architecture, "width": recipe.network.width, "depth": recipe.network.depth}


def _always(model: Model) -> Contender:
    return lambda shift: model


def judge(model: Model, images: list[SimulatedImage]) -> Standing:
    """A model against known atoms."""
    tolerance = TOLERANCE * model.scale_["spacing_px"]
    hits, n_found, n_known, n_placed = 0, 0, 0, 0
    doubts, wrong, held, sizes, stated, is_atom = [], [], [], [], [], []
    for drawn in images:
        seen: Any = model.look(drawn.image.astype(float), (1.0, 1.0))
        inside, known = np.ones(drawn.image.shape, dtype=bool), np.column_stack([drawn.x, drawn.y])
        peaks: Peaks = model.peaks(seen).within(inside)
        every: Peaks = model.peaks(seen, min_probability=0.0).within(inside)
        stated.append(every.probability)
        places = np.column_stack([every.x, every.y])
        is_atom.append(match_likeliest_first(places, every.probability, known, tolerance=tolerance) >= 0)
        match = match_positions(np.column_stack([peaks.x, peaks.y]), known, tolerance=tolerance)
        right = np.zeros(len(peaks.x), dtype=bool)
        right[match.found] = peaks.species[match.found] == drawn.species[match.known]
        hits, n_placed = hits + int(right.sum()), n_placed + len(match.found)
        n_found, n_known = n_found + match.n_found, n_known + match.n_known
        doubts.append(doubt(peaks))
        wrong.append(~right)
        sets = [set(text.split("|")) for text in model.species_sets(peaks, COVERAGE)]
        names = np.array(model.classes_)[drawn.species[match.known]]
        held += [name in sets[k] for k, name in zip(match.found, names, strict=True)]
        sizes += [len(each - {""}) for each in sets]
    every_doubt, every_wrong = np.concatenate(doubts), np.concatenate(wrong)
    mixed = every_wrong.any() and not every_wrong.all()
    return Standing(
        2 * hits / max(1, n_found + n_known),
        n_placed / max(1, n_known),
        expected_calibration_error(np.concatenate(stated), np.concatenate(is_atom)),
        float(roc_auc_score(every_wrong, every_doubt)) if mixed else float("nan"),
        float(np.mean(held)) if held else float("nan"),
        float(np.mean(sizes)) if sizes else float("nan"),
    )


def doubt(peaks: Peaks) -> Array:
    """That a find is no atom of its species, as the model states it."""
    return 1 - peaks.probability * peaks.species_probability


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=None, help="of each training, for a trial that keeps no figures")
    parser.add_argument("--kept", type=Path, default=None, help="folder of the trainings")
    arguments = parser.parse_args()
    run(Recorder(command="trial"), steps=arguments.steps, kept=arguments.kept)
