"""Iterative training: the members of an ensemble learn new conditions from what they find there together.

A network trained for some conditions loses atoms when they drift. What all members see, from all sides of an image,
is right more often than what one sees, and so can teach them. Each time that an image is shown, each joint find is an
atom or none, drawn with its probability, sharpened: doubtful ones so teach little, and nothing is cut off. The place
and the species are drawn as well, as sure as they are. A part of each batch is simulated as the model was trained, and
images simulated so are an anchor: where F1 on them falls by more than a limit, the round is not kept.

Source: Ghosh, Sumpter, Dyck, Kalinin & Ziatdinov, npj Comput. Mater. 7, 100 (2021), 10.1038/s41524-021-00569-7 (an
ensemble that follows the drift of an experiment). Sharpening: Berthelot et al., NeurIPS 2019, arXiv:1905.02249.
"""

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.errors import ArgumentError
from adatom.locate import Peaks
from adatom.models.batches import Atoms, Sample, SimulatedSamples, stack_atoms
from adatom.models.calibration import Calibration
from adatom.models.ensemble import Ensemble
from adatom.models.image_model import ImageModel
from adatom.models.judging import score_finds
from adatom.models.localizer import Localizer
from adatom.models.maps import Factor
from adatom.models.mixed_samples import MixedSamples, side_of_pieces
from adatom.models.recipe import Recipe
from adatom.models.symmetry import SYMMETRIES
from adatom.train import Batch, Record, TrainingSettings, train
from adatom.train.loop import evaluate_loss
from adatom.train.point_process import point_process_loss

Array = NDArray[np.float64]

STEPS = 150
MAX_ROUNDS = 4
_LEARNING_RATE = 1e-3
_BATCH_SIZE = 8
_ANCHORS = 2  # of each batch, simulated as the model was trained
_MATCHED = 3  # of each batch beside findings, simulated as the new images are
_ANCHOR_IMAGES = 24
_SHARPNESS = 2.0
_SURE = 0.9
# A round must win so much in agreement to be followed by another, and may lose so much on the anchor.
_GAIN, _LOSS = 0.002, 0.03
_MUCH_LESS = 0.02  # of agreement
# Training near matched conditions is kept though it makes the members agree by so much less.
_MAY_LOSE = 0.01


@dataclass(frozen=True)
class Round:
    """One round, judged on the new images by the members' own account, and on the anchor.

    Attributes
    ----------
    number : from 0, which is the model as it came.
    way : ``as it was``, ``chosen members``, ``simulated`` or ``findings``.
    n_members : of the ensemble.
    n_expected, n_sure : atoms of the new images: the sum of the probabilities, and those above 0.9.
    agreement : the F1 that the finds would have if their probabilities were right: means over all members and sides,
        before calibration, which draws those of familiar images to 0 and 1.
    anchor_f1 : on simulated images of the training's conditions; NaN where the model has no recipe.
    is_kept : whether the model went on from here.
    """

    number: int
    way: str
    n_members: int
    n_expected: float
    n_sure: int
    agreement: float
    anchor_f1: float
    is_kept: bool

    def as_dict(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return {**asdict(self), "anchor_f1": None if np.isnan(self.anchor_f1) else self.anchor_f1}


@dataclass(frozen=True)
class NewImage:
    """An image of the new conditions as the networks see it.

    Attributes
    ----------
    prepared, contrast : (y, x), and what it was divided by.
    """

    prepared: Array
    contrast: float


@dataclass(frozen=True)
class FoundImage:
    """A new image with what was found in it.

    Attributes
    ----------
    found : joint finds, in its pixels.
    is_atom : (n,) sharpened probability of each.
    """

    prepared: Array
    contrast: float
    found: Peaks
    is_atom: Array

    def drawn(self, rng: np.random.Generator) -> Atoms:
        """The atoms that this image may hold."""
        found = self.found
        shift = rng.standard_normal((2, len(found.x))) * np.nan_to_num([found.x_std, found.y_std])
        species = found.species
        if found.of_species is not None and found.of_species.shape[1] > 1:
            sharp = np.maximum(found.of_species, 1e-12) ** _SHARPNESS
            share = np.cumsum(sharp / sharp.sum(axis=1, keepdims=True), axis=1)
            species = (rng.random(len(found.x))[:, None] > share[:, :-1]).sum(axis=1)
        nothing_known = np.full(len(found.x), np.nan)
        atoms = Atoms(found.x + shift[0], found.y + shift[1], species.astype(np.int64), nothing_known)
        return atoms.of(rng.random(len(self.is_atom)) < self.is_atom)


class Iteration:
    """An ensemble on its way to new conditions.

    Parameters
    ----------
    model : a `Localizer`, or an `Ensemble` of them; stays as it is.
    images : (y, x) values of the new conditions, levelled already where `is_levelled`.
    factors : working pixels a pixel of each, along (y, x).
    steps : of each member in each round.
    seed : of what is drawn.
    on_record : called after each step with its record, and ``member`` and ``round`` in it.
    on_round : called after each round.

    Attributes
    ----------
    ensemble : as it is now.
    rounds : all there were.
    """

    def __init__(
        self,
        model: ImageModel | Ensemble,
        images: Sequence[Array],
        factors: Sequence[Factor],
        *,
        is_levelled: bool = False,
        steps: int = STEPS,
        seed: int = 0,
        on_record: Callable[[Record], None] | None = None,
        on_round: Callable[[Round, Ensemble], None] | None = None,
    ) -> None:
        ensemble = model if isinstance(model, Ensemble) else Ensemble.of([model])
        if not all(isinstance(member, Localizer) for member in ensemble.members_):
            raise ArgumentError("model: expected a Localizer or an ensemble of them, got another kind.")
        if not len(images):
            raise ArgumentError("images: expected at least one, got none.")
        self.ensemble, self.rounds = ensemble, list[Round]()
        self.steps, self.seed, self.on_record, self.on_round = steps, seed, on_record, on_round
        prepared = (
            ensemble.scout._prepare(image, factor, is_levelled=is_levelled)
            for image, factor in zip(images, factors, strict=True)
        )
        self.images = [NewImage(values, contrast) for values, _, contrast in prepared]
        self._anchor = None if ensemble.recipe_ is None else self._source(ensemble.recipe_, _ANCHORS)
        self._anchored: list[Sample] = [] if self._anchor is None else self._anchor.validation(_ANCHOR_IMAGES)
        self._note("as it was", self.ensemble)

    # ---------------------------------------------------------------- the three ways

    def choose_members(self) -> bool:
        """Go on without those members that agree much less with themselves, from all sides, than the best one does;
        whether there were any. No training takes place.
        """
        members = self.ensemble.members_
        alone = np.array([self._agreement(self._of([member]))[0] for member in members])
        good = alone >= alone.max() - _MUCH_LESS
        if good.all():
            return False
        chosen = self._of([member for member, is_good in zip(members, good, strict=True) if is_good])
        # agreement of fewer members is no measure of the choice: it is higher whichever are left out
        return self._note("chosen members", chosen, may_lose=1.0)

    def learn_simulated(self, recipe: Recipe) -> bool:
        """Train all members on images simulated as `recipe` says, which was matched to the new images."""
        trained = self._trained([], [self._source(recipe, _BATCH_SIZE - _ANCHORS)])
        return self._note("simulated", trained, may_lose=_MAY_LOSE)

    def learn_findings(self, recipe: Recipe | None = None, *, most: int = MAX_ROUNDS) -> int:
        """Train all members on their joint finds, again and again until agreement no longer grows; how many were kept.

        Images simulated as `recipe` says take part, where there is one.
        """
        beside = [] if recipe is None else [self._source(recipe, _MATCHED)]
        for number in range(most):
            before = self._kept.agreement
            if not self._note("findings", self._trained(self._found(), beside)):
                return number
            if self.rounds[-1].agreement < before + _GAIN:
                return number + 1
        return most

    # ---------------------------------------------------------------- parts

    @property
    def _kept(self) -> Round:
        """The last round that was kept."""
        return next(each for each in reversed(self.rounds) if each.is_kept)

    def _note(self, way: str, candidate: Ensemble, *, may_lose: float = 0.0) -> bool:
        """Judge a candidate, and go on from it if it is better, or loses no more of its agreement than it may."""
        agreement, n_expected, n_sure = self._agreement(candidate)
        anchor_f1 = self._anchor_f1(candidate)
        kept = not self.rounds
        if not kept:
            enough = anchor_f1 >= self.rounds[0].anchor_f1 - _LOSS if self._anchored else True
            kept = bool(enough and agreement > self._kept.agreement - may_lose)
        if kept:
            self.ensemble = candidate
        judged = Round(len(self.rounds), way, len(candidate.members_), n_expected, n_sure, agreement, anchor_f1, kept)
        self.rounds.append(judged)
        if self.on_round is not None:
            self.on_round(judged, candidate)
        return kept

    def _of(self, members: list[ImageModel]) -> Ensemble:
        """An ensemble of these members, calibrated as the present one."""
        kind = self.ensemble.kind_
        # crowns that were trained each with its trunk have no trunk in common any more
        ensemble = Ensemble.of(members, kind="seeds" if kind == "trunk" else kind)
        ensemble.calibration_, ensemble.calibrated_ = self.ensemble.calibration_, self.ensemble.calibrated_
        ensemble.conformal_, ensemble.figures_ = self.ensemble.conformal_, dict(self.ensemble.figures_)
        return ensemble

    def _finds(self, ensemble: Ensemble, image: NewImage) -> Peaks:
        """What all members see from all sides, however unlikely, in pixels of the prepared image."""
        seen = ensemble._look_prepared(image.prepared, symmetries=SYMMETRIES)
        rows, columns = image.prepared.shape
        return ensemble.peaks(seen, min_probability=0.0).within(np.ones((rows, columns), dtype=bool))

    def _agreement(self, ensemble: Ensemble) -> tuple[float, float, int]:
        """The F1 that the finds would have by their own account; expected and sure atoms."""
        plain = self._of(ensemble.members_)
        plain.calibration_, plain.calibrated_ = Calibration(), "after"
        stated = np.concatenate([self._finds(plain, image).probability for image in self.images])
        kept = stated[stated >= ensemble.min_probability]
        expected = float(stated.sum())
        f1 = 2 * float(kept.sum()) / max(1e-9, len(kept) + expected)
        return f1, expected, int((stated >= _SURE).sum())

    def _anchor_f1(self, ensemble: Ensemble) -> float:
        if not self._anchored:
            return float("nan")
        found = [ensemble.peaks(ensemble._look_prepared(sample.image)) for sample in self._anchored]
        return score_finds(found, self._anchored, tolerance=ensemble._tolerance)["val_f1"]

    def _found(self) -> list[FoundImage]:
        return [
            FoundImage(image.prepared, image.contrast, found, _sharpened(found.probability))
            for image, found in ((image, self._finds(self.ensemble, image)) for image in self.images)
        ]

    def _source(self, recipe: Recipe, n: int) -> SimulatedSamples:
        """Batches of `n` images of a recipe, prepared as the members want them."""
        scout = self.ensemble.scout
        return SimulatedSamples(
            recipe,
            batch_size=n,
            seed=self.seed + 1,
            prepare=scout._prepare_working,
            multiple=scout._multiple,
            stack=stack_atoms,
        )

    def _trained(self, known: list[FoundImage], beside: list[SimulatedSamples]) -> Ensemble:
        """All members trained further, each on batches of its own."""
        scout = self.ensemble.scout
        trained = scout.recipe_.microscope.image_size if scout.recipe_ else 128
        side = side_of_pieces(known, trained) if known else trained
        sources = [*([self._anchor] if self._anchor is not None else []), *beside]
        members: list[ImageModel] = []
        for number, member in enumerate(self.ensemble.members_):
            round_number = len(self.rounds)
            source = MixedSamples(
                known,
                sources,
                batch_size=_BATCH_SIZE if known else sum(each.batch_size for each in sources),
                seed=1000 * round_number + number + self.seed,
                side=side,
                multiple=member._multiple,
            )
            learner = copy(member)
            learner.net_, learner.figures_, learner._fast = deepcopy(member.net_), dict(member.figures_), None
            first = 10_000 * round_number + 100_000 * number  # so that no two see the same simulated images
            train(
                learner.net_,
                partial(_from, source, first),
                [source.batch(first)],
                TrainingSettings(
                    steps=self.steps,
                    batch_size=_BATCH_SIZE,
                    learning_rate=_LEARNING_RATE,
                    ema_decay=0.95,
                    validate_every=self.steps,
                    seed=self.seed,
                ),
                device=member._torch_device(),
                loss_of=point_process_loss,
                judge=evaluate_loss,
                on_record=self._told(round_number, number),
            )
            members.append(learner)
        return self._of(members)

    def _told(self, round_number: int, member: int) -> Callable[[Record], None] | None:
        if self.on_record is None:
            return None
        tell = self.on_record
        return lambda record: tell({**record, "round": round_number, "member": member})


def _from(source: MixedSamples, first: int, step: int) -> Batch:
    """Batch number `step` after the first."""
    return source.batch(first + step)


def _sharpened(probability: Array) -> Array:
    """Probabilities (n,) drawn towards 0 and 1."""
    yes, no = probability**_SHARPNESS, (1 - probability) ** _SHARPNESS
    sharp: Array = yes / np.maximum(yes + no, 1e-12)
    return sharp
