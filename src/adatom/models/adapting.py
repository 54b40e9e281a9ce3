"""A localizer learns a user's own images from the atoms that he marked in them, which need not be all there are.

An atom without a mark must not be learned as "no atom". What the model finds on the image before it is adapted says how
complete the marks are: the share c of the atoms it is sure of that are marked. By Bayes' rule an unmarked find of
probability p is then an atom with probability ``p (1 - c) / (1 - c p)``. Each time that an image is shown, each such
find is an atom or none, drawn with that probability. Where c is above 0.6, the user looked at the whole image: what he
left out he does not want, and it is learned as "no atom". A quarter of each batch is simulated, as the model was
trained, so that it forgets nothing. Source: Elkan & Noto, KDD 2008, 10.1145/1401890.1401920 (learning from positive and
unlabelled examples).

People mark an atom to within some pixels, the model better: a mark takes the place of the find that it means, drawn
anew within that find's error each time, so that the error bars of the model stay as wide as they were.

Few marks mislead. Of the change of the weights only a share is kept: the larger, the more marks there are, and the less
the images are like those that the model was trained on. Source: Wortsman et al., CVPR 2022,
10.1109/CVPR52688.2022.00780 (weights between those before and after fine-tuning do better than either).
"""

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from adatom.data import check_image, pixel_size_nm
from adatom.errors import ArgumentError
from adatom.locate import Peaks, match_likeliest_first
from adatom.models.batches import Atoms, SimulatedSamples, stack_atoms
from adatom.models.calibration import ENOUGH, Calibration, Curve, fit_curve
from adatom.models.mixed_samples import MixedSamples, side_of_pieces
from adatom.train import Record, TrainingSettings, train
from adatom.train.averaging import State
from adatom.train.loop import evaluate_loss
from adatom.train.point_process import point_process_loss

if TYPE_CHECKING:
    from adatom.models.localizer import Localizer

Array = NDArray[np.float64]

STEPS = 200
_LEARNING_RATE = 1e-3
_BATCH_SIZE = 8
_SIMULATED = 2  # of each batch
_CONCLUDING_IMAGES = 12  # simulated ones on which the adapted model is judged; four times as many calibrate it
_SURE = 0.5  # finds of the model before: these count when the completeness of the marks is judged
_COMPLETE = 0.6  # share of marked atoms from which on unmarked finds are wrong, and probabilities calibrated on marks
_HALF_KEPT = 150  # marks of which half of the change is kept, on images like those of the training
_MARK_ERROR_RADII = 2.0  # so far, in radii of an atom, a mark may lie from the atom that it means


@dataclass(frozen=True)
class Adaptation:
    """What was learned from.

    Attributes
    ----------
    n_marks, n_found_before : marks, and those of them of which the model had an idea before.
    completeness : for each image, the share of its atoms that are marked, as the model saw it before.
    share_kept : of the change of the weights.
    """

    n_marks: int
    n_found_before: int
    completeness: list[float]
    share_kept: float


def adapt(
    model: "Localizer",
    images: Sequence[xr.DataArray],
    marks: Sequence[pd.DataFrame],
    *,
    steps: int = STEPS,
    seed: int = 0,
    on_record: Callable[[Record], None] | None = None,
) -> tuple["Localizer", Adaptation]:
    """Train a copy of a localizer on marked images.

    Parameters
    ----------
    model : stays as it is.
    images : (y, x) each.
    marks : for each image the marked atoms, columns ``x`` and ``y`` in its unit, and ``species`` where the model knows
        several.
    steps : of the optimiser, with batches of 8.

    Returns
    -------
    The adapted model, with its probabilities calibrated on the marks where these are nearly complete and many enough,
    else on simulated images; and what it learned from.

    Raises
    ------
    ArgumentError : if there is no mark, or one lies outside its image, or is of an unknown species.
    """
    if len(images) != len(marks) or not sum(len(table) for table in marks):
        raise ArgumentError("marks: expected a table of marked atoms for each image, some of them not empty, got none.")
    adapted = copy(model)
    adapted.net_, adapted.figures_, adapted._fast = deepcopy(model.net_), dict(model.figures_), None
    known = [_KnownImage.of(model, image, table) for image, table in zip(images, marks, strict=True)]
    simulated = _simulated(model, seed)
    source = MixedSamples(
        known,
        [simulated] if simulated else [],
        batch_size=_BATCH_SIZE,
        seed=seed,
        side=side_of_pieces(known, model.recipe_.microscope.image_size if model.recipe_ else 128),
        multiple=model._multiple,
    )
    settings = TrainingSettings(
        steps=steps,
        batch_size=_BATCH_SIZE,
        learning_rate=_LEARNING_RATE,
        ema_decay=0.95,
        validate_every=steps,
        seed=seed,
    )
    train(
        adapted.net_,
        source.batch,
        [source.batch(-1)],
        settings,
        device=adapted._torch_device(),
        loss_of=point_process_loss,
        judge=evaluate_loss,
        on_record=on_record,
    )
    n_marks = sum(len(one.marked.x) for one in known)
    share = max(n_marks / (n_marks + _HALF_KEPT), *(one.unfamiliarity for one in known))
    adapted.net_.load_state_dict(_between(model.net_.state_dict(), adapted.net_.state_dict(), share))
    if simulated is not None:
        adapted._conclude(simulated, simulated.validation(_CONCLUDING_IMAGES))
    _calibrate_on_marks(adapted, known)
    adapted.figures_ |= {"adapted_images": len(known), "adapted_marks": n_marks}
    return adapted, Adaptation(n_marks, sum(one.n_met for one in known), [one.completeness for one in known], share)


@dataclass(frozen=True)
class _KnownImage:
    """A marked image as the network sees it; positions in working px.

    Attributes
    ----------
    prepared, contrast : (y, x), and what it was divided by.
    marked : the marked atoms, where the model before saw them; `marked_std` (n, 2) its error there, else 0.
    unmarked : the finds without a mark.
    is_atom : (m,) probability that each of them is an atom that was not marked.
    marks : (n, 2) as they were given.
    completeness : share of the atoms that are marked.
    n_met : marks that the model had an idea of.
    unfamiliarity : probability that the image is unlike those of the training, 1 where the model cannot say.
    """

    prepared: Array
    contrast: float
    marked: Atoms
    marked_std: Array
    unmarked: Atoms
    is_atom: Array
    marks: Array
    completeness: float
    n_met: int
    unfamiliarity: float

    @classmethod
    def of(cls, model: "Localizer", image: xr.DataArray, table: pd.DataFrame) -> "_KnownImage":
        image = check_image(image, ndim=2).transpose("y", "x")
        factors = model.working_factors(image)[0]
        prepared, factor, contrast = model._prepare(image.to_numpy(), factors)
        marks, species = _working_marks(model, image, table, factor)
        found = _finds(model, prepared)
        mine = _meant(marks, found, reach_px=_reach(model))
        met = mine >= 0
        positions = np.where(met[:, None], np.column_stack([found.x, found.y])[mine] if len(found.x) else 0, marks)
        std = np.where(met[:, None], np.column_stack([found.x_std, found.y_std])[mine] if len(found.x) else 0, 0.0)
        free = np.ones(len(found.x), dtype=bool)
        free[mine[met]] = False
        completeness = _completeness(found.probability, free)
        p = found.probability[free]
        nothing_known = np.full(len(p), np.nan)
        return cls(
            prepared,
            contrast,
            Atoms(positions[:, 0], positions[:, 1], species, np.full(len(marks), np.nan)),
            std,
            Atoms(found.x[free], found.y[free], found.species[free], nothing_known),
            np.zeros(len(p)) if completeness >= _COMPLETE else p * (1 - completeness) / (1 - completeness * p),
            marks,
            completeness,
            int(met.sum()),
            _unfamiliarity(model, prepared),
        )

    def drawn(self, rng: np.random.Generator) -> Atoms:
        """The atoms that this image may hold."""
        shift = rng.standard_normal((len(self.marked.x), 2)) * self.marked_std
        others = self.unmarked.of(rng.random(len(self.is_atom)) < self.is_atom)
        return Atoms(
            np.concatenate([self.marked.x + shift[:, 0], others.x]),
            np.concatenate([self.marked.y + shift[:, 1], others.y]),
            np.concatenate([self.marked.species, others.species]),
            np.concatenate([self.marked.flux, others.flux]),
        )


def _unfamiliarity(model: "Localizer", prepared: Array) -> float:
    """Of the middle of a prepared image, as large as the training's; 1 where the model cannot say."""
    trained = model.recipe_.microscope.image_size if model.recipe_ else 128
    middle = tuple(slice(max(0, (n - trained) // 2), max(0, (n - trained) // 2) + trained) for n in prepared.shape)
    found = model.unlikeness(prepared[middle])
    return 1.0 if found is None else found


def _between(before: State, after: State, share: float) -> State:
    """Weights `share` of the way from those before to those after."""
    return {
        name: torch.lerp(value, after[name].to(value.device), share) if value.is_floating_point() else after[name]
        for name, value in before.items()
    }


def _simulated(model: "Localizer", seed: int) -> SimulatedSamples | None:
    if model.recipe_ is None:
        return None
    return SimulatedSamples(
        model.recipe_,
        batch_size=_SIMULATED,
        seed=seed,
        prepare=model._prepare_working,
        multiple=model._multiple,
        stack=stack_atoms,
    )


def _reach(model: "Localizer") -> float:
    """How far a mark may lie from the atom that it means [working px]."""
    return _MARK_ERROR_RADII * float(model.scale_["label_radius_px"])


def _finds(model: "Localizer", prepared: Array) -> Peaks:
    """All that the model takes for possible in a prepared image, in its pixels."""
    rows, columns = prepared.shape
    found = model.peaks(model._see(model._engine(), prepared), min_probability=0.0)
    return found.within(np.ones((rows, columns), dtype=bool))


def _working_marks(
    model: "Localizer", image: xr.DataArray, table: pd.DataFrame, factor: tuple[float, float]
) -> tuple[Array, NDArray[np.int64]]:
    """Positions (n, 2) in pixels of the prepared image, and numbers of species."""
    step_y, step_x = pixel_size_nm(image) or (1.0, 1.0)
    rows, columns = image.shape
    x, y = table["x"].to_numpy(dtype=float) / step_x, table["y"].to_numpy(dtype=float) / step_y
    outside = ~((x >= -0.5) & (x < columns - 0.5) & (y >= -0.5) & (y < rows - 0.5))
    if outside.any():
        unit, first = "px" if pixel_size_nm(image) is None else "nm", int(np.argmax(outside))
        raise ArgumentError(
            f"marks: expected positions inside the image, in {unit}, got x = {table['x'].iloc[first]:g}, "
            f"y = {table['y'].iloc[first]:g}. Are they in another unit?"
        )
    names = model.classes_
    if "species" not in table or len(names) == 1:
        species = np.zeros(len(x), dtype=np.int64)
    else:
        unknown = set(table["species"]) - set(names)
        if unknown:
            raise ArgumentError(f"species: expected some of {', '.join(names)}, got {sorted(map(str, unknown))[0]}.")
        species = np.array([names.index(name) for name in table["species"]], dtype=np.int64)
    return np.column_stack([(x + 0.5) * factor[1] - 0.5, (y + 0.5) * factor[0] - 0.5]), species


def _meant(marks: Array, found: Peaks, *, reach_px: float) -> NDArray[np.int64]:
    """For each mark the find that it means, -1 where there is none: of those near it the likeliest that is free."""
    taken = match_likeliest_first(np.column_stack([found.x, found.y]), found.probability, marks, tolerance=reach_px)
    mine = np.full(len(marks), -1)
    mine[taken[taken >= 0]] = np.flatnonzero(taken >= 0)
    return mine


def _completeness(probability: Array, is_unmarked: NDArray[np.bool_]) -> float:
    """Share of the atoms that are marked, as far as the model is sure of them."""
    sure = probability >= _SURE
    total = probability[sure].sum()
    return float(np.clip((sure & ~is_unmarked).sum() / total, 0.05, 1.0)) if total else 1.0


def _calibrate_on_marks(adapted: "Localizer", known: list[_KnownImage]) -> None:
    """Calibrate the probabilities on images whose marks are nearly complete, if there are enough."""
    before = adapted.calibration_
    plain = Calibration(species=before.species, std_factor=before.std_factor)
    adapted.calibration_ = plain  # raw probabilities are asked for
    stated, is_right = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for one in known:
        if one.completeness >= _COMPLETE:
            found = _finds(adapted, one.prepared)
            mine = _meant(one.marks, found, reach_px=_reach(adapted))
            stated.append(found.probability)
            is_right.append(np.isin(np.arange(len(found.x)), mine))
    right = np.concatenate(is_right)
    # marks that are few tell less than the simulated images
    enough = min(right.sum(), (~right).sum()) >= ENOUGH
    curve = fit_curve(np.concatenate(stated), right) if enough else Curve()
    adapted.calibration_ = before if curve == Curve() else replace(plain, atom=curve)
