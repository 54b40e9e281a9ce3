"""The localizer: every atom with its probability, species, position, flux, and an error bar on each number."""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from adatom.errors import ModelFileError
from adatom.locate import Peaks, find_claimed
from adatom.locate.peaks import suppress_close
from adatom.models.atom_table import table_of_frames
from adatom.models.batches import Atoms, Sample, SimulatedSamples, StoredSamples, framed, stack_atoms
from adatom.models.calibration import Calibration, expected_calibration_error, fit_curve, fit_std_factor
from adatom.models.conformal import Conformal, species_sets
from adatom.models.familiarity import FEWEST, Familiarity, learn_familiarity, pooled
from adatom.models.image_model import MATCH_SHARE, Array, ImageModel, exactly
from adatom.models.judging import Judged, judge_finds
from adatom.models.maps import Factor, Maps
from adatom.models.support import support_of_atoms
from adatom.nets.claims import N_NUMBERS, n_channels
from adatom.nets.engine import Engine
from adatom.prepare import pad_to_multiple
from adatom.simulate.other_things import draw_other_thing
from adatom.train import Loss, Record
from adatom.train.loop import evaluate_loss
from adatom.train.point_process import point_process_loss

# An atom is claimed where it is likelier there than not.
_LIKELIER_THAN_NOT = 0.5
# Images with fewer atoms are not what anybody looks for: what is like them is not called familiar.
_SOME_ATOMS = 5
_FAMILIARITY = "familiarity"  # its name in the model file
_OTHER_THINGS = 7  # of the random numbers that these are drawn with
_RARE = 2.6  # log-odds of "no atom" and against each species that a fresh network begins with


@dataclass(frozen=True)
class ClaimMaps(Maps):
    """What a localizer saw: the claims of all pixels, as `adatom.nets.claims` has them."""

    _found: dict[int, Peaks] = field(default_factory=dict, init=False, repr=False, compare=False)

    def candidates(self, reach_px: int) -> Peaks:
        """Atoms in pixels of the maps, the unlikely and the close ones included, uncalibrated."""
        if reach_px not in self._found:
            self._found[reach_px] = find_claimed(self.values, min_distance_px=0.0, reach_px=reach_px)
        return self._found[reach_px]


class Localizer(ImageModel):
    """Localisation of atoms by the likelihood of the set of true atoms.

    Parameters and attributes: see `adatom.models.image_model.ImageModel`. Each pixel claims an atom with a probability
    for each species, an offset inside the pixel, a flux, and a standard deviation for each of these; the training makes
    the true atoms likely (`adatom.train.point_process`), so no mask, radius or threshold comes in between.

    Attributes
    ----------
    calibration_ : what makes probabilities and error bars right on simulated images held back from the training.
    conformal_ : what sets of species rest on; None where there is one species, or the model is an old one.
    familiarity_ : what tells images like those of the training from others; None where there were too few, or the
        network gives no features (`encode`).
    """

    _stack = staticmethod(stack_atoms)
    _maps_type = ClaimMaps
    judges_dim_atoms = True

    conformal_: Conformal | None

    def predict(self, image: xr.DataArray, *, factor: Factor | None = None) -> pd.DataFrame:
        """The atoms of an image, in one pass and without refinement on it.

        Parameters
        ----------
        image : (y, x) or (frame, y, x).
        factor : pixels of the working scale a pixel of the image, along (y, x); by default `working_factors` says.

        Returns
        -------
        One row an atom, see `adatom.data.atoms`, those likelier than not; positions in the image's unit. Where there
        are several species, ``species_probability`` says how sure an atom's is.
        """
        image, factor = self._checked(image, factor)

        def see(values: Array) -> Peaks:
            return self.peaks(self.look(values, factor))

        return table_of_frames(see, image, self.classes_, f"atoms localised by {self.name}")

    def support(self, maps: Maps) -> float:
        assert isinstance(maps, ClaimMaps)
        return support_of_atoms(
            maps.candidates(self._reach_px).probability,
            maps.values.shape[1] * maps.values.shape[2] / self.scale_["spacing_px"] ** 2,
        )

    @property
    def min_probability(self) -> float:
        return _LIKELIER_THAN_NOT

    def uncalibrated(self) -> Self:
        plain = copy(self)
        plain.calibration_ = Calibration()
        return plain

    def header(self) -> dict[str, Any]:
        conformal = {} if self.conformal_ is None else {"conformal": self.conformal_.as_dict()}
        return {**super().header(), "calibration": self.calibration_.as_dict(), **conformal}

    def _beside(self) -> dict[str, Array]:
        known = self.familiarity_
        return {} if known is None else {_FAMILIARITY: np.append(known.weights, known.offset)}

    def species_sets(self, peaks: Peaks, coverage: float) -> NDArray[Any]:
        return species_sets(self.conformal_, peaks.of_species, self.classes_, coverage)

    def _take(self, header: dict[str, Any], beside: dict[str, Array]) -> None:
        self.calibration_ = Calibration.from_dict(header["calibration"])
        self.conformal_ = Conformal.from_dict(header.get("conformal"))
        self.familiarity_ = None
        if beside:
            numbers = beside.get(_FAMILIARITY, np.zeros(0))
            if numbers.ndim != 1 or len(numbers) < 2:
                raise ModelFileError("model: the file is damaged: what it knows of its training images is not whole.")
            self.familiarity_ = Familiarity(numbers[:-1], float(numbers[-1]))

    def unfamiliarity(self, values: Array, factor: float) -> float | None:
        return self.unlikeness(self.prepared(values, factor))

    def unlikeness(self, prepared: Array) -> float | None:
        """`unfamiliarity` of an image that is prepared already (y, x)."""
        if self.familiarity_ is None or not prepared.any():
            return None
        # training images end in a blank border, and so must this
        image, inside = (np.pad(values, self._margin)[None] for values in (prepared, np.ones(prepared.shape, bool)))
        return self.familiarity_.unfamiliarity(self._features(self._engine(), image, inside)[0])

    def _features(self, engine: Engine, prepared: Array, inside: NDArray[np.bool_]) -> Array:
        """Pooled features (n, features) of prepared images (n, y, x), and where these show anything."""
        images, shown = (
            pad_to_multiple(values.astype(np.float32)[:, None], self._multiple) for values in (prepared, inside)
        )
        levels = engine.encode(torch.from_numpy(images))
        return np.concatenate([pooled(level.numpy(), shown[:, 0] > 0) for level in levels], axis=1)

    # ---------------------------------------------------------------- learning

    def _n_channels(self) -> int:
        return n_channels(len(self.classes_))

    def _channels_told(self) -> str:
        return f"{super()._channels_told()}; then 6 numbers of an atom, see adatom.nets.claims"

    def _start(self, net: nn.Module) -> None:
        """Begin with next to no atom anywhere, as most pixels hold none: the first hundred steps would go into that."""
        head = getattr(net, "head", None)
        if self.architecture_.get("own") or not isinstance(head, nn.Conv2d) or head.bias is None:
            return
        if head.out_channels % self._n_channels():
            return
        with torch.no_grad():
            bias = head.bias.view(self._n_channels(), -1)  # several pixels at once, where the network folds them
            bias[0] += _RARE
            bias[1 : 1 + len(self.classes_)] -= _RARE

    def _loss(self) -> Loss | None:
        return point_process_loss

    def _judge(self) -> Callable[..., Record] | None:
        return evaluate_loss

    def _score(self, net: nn.Module, validation: list[Sample]) -> dict[str, float]:
        self.calibration_ = Calibration()  # none before the end
        return super()._score(net, validation)

    def _conclude(self, source: SimulatedSamples | StoredSamples, validation: list[Sample]) -> None:
        """Calibrate on images held back, and judge the calibration on the validation images."""
        self.calibration_, self.conformal_ = Calibration(), None
        held_back, to_judge = source.held_back(validation)
        judged = self._judged(held_back)
        self.calibration_ = Calibration(
            atom=fit_curve(judged.probability, judged.is_atom),
            species=fit_curve(judged.species_probability, judged.is_species),
            std_factor=fit_std_factor(judged.error, judged.std),
        )
        self.familiarity_ = self._learn_familiarity(held_back)
        if len(self.classes_) > 1:
            judged = self._judged(held_back)  # anew: with the calibration
            self.conformal_ = Conformal.of(judged.of_species, judged.true_species)
        judged = self._judged(to_judge)
        maps = [self._see(exactly(self.net_), sample.image) for sample in validation]
        self.figures_ |= {
            **self._score_maps(maps, validation, self.min_probability),
            "val_calibration_error": expected_calibration_error(judged.probability, judged.is_atom),
            "val_score_std": float(np.std(np.clip(judged.error / judged.std, -5, 5))) if len(judged.std) else 0.0,
        }

    def _learn_familiarity(self, samples: list[Sample]) -> Familiarity | None:
        """From samples with atoms, and as many images of other things, by the features of a network that gives them."""
        if not hasattr(self.net_, "encode"):
            return None
        like = [sample for sample in samples if len(sample.known.x) >= _SOME_ATOMS]
        if len(like) < FEWEST:
            return None
        rng = np.random.default_rng([self.seed_, _OTHER_THINGS])
        nothing = np.zeros(0)
        unlike = []
        for sample in like:
            values, contrast = self._prepare_working(draw_other_thing(len(sample.image), rng))
            label = np.zeros(values.shape, dtype=np.uint8)
            unlike.append(framed(values, contrast, label, Atoms(nothing, nothing, np.zeros(0, np.int64), nothing), rng))
        engine = Engine(self.net_, device=self._torch_device())

        def features(every: list[Sample]) -> Array:
            parts = (every[k : k + 8] for k in range(0, len(every), 8))
            names = ("image", "inside")
            stacked = ([np.stack([getattr(each, name) for each in part]) for name in names] for part in parts)
            return np.concatenate([self._features(engine, image, inside) for image, inside in stacked])

        return learn_familiarity(features(like), features(unlike))

    def _judged(self, samples: list[Sample]) -> Judged:
        def see(sample: Sample) -> Peaks:
            return self.peaks(self._see(exactly(self.net_), sample.image), min_probability=0.0)

        return judge_finds(see, samples, tolerance=MATCH_SHARE * self.scale_["spacing_px"])

    # ---------------------------------------------------------------- claims to atoms

    @property
    def _reach_px(self) -> int:
        return int(self.scale_.get("claims_px", 1))

    def _find(self, maps: Maps, min_probability: float, min_distance_px: float) -> Peaks:
        assert isinstance(maps, ClaimMaps)
        found = maps.candidates(self._reach_px)
        calibration = self.calibration_
        several = len(self.classes_) > 1
        found = replace(
            found,
            probability=calibration.atom(found.probability),
            x_std=calibration.std_factor * found.x_std,
            y_std=calibration.std_factor * found.y_std,
        )
        if several and found.of_species is not None:
            found = calibration.of_species(found)
        found = found.of(found.probability >= min_probability)
        return found.of(suppress_close(np.column_stack([found.x, found.y]), found.probability, min_distance_px))

    def _class_maps(self, maps: Maps) -> Array:
        """Of each pixel, the probability that an atom of each species is within the 3 x 3 pixels around it."""
        logits = torch.from_numpy(np.ascontiguousarray(maps.values[:-N_NUMBERS]))
        atoms = logits.softmax(dim=0)[1:].double().numpy()
        summed = 9 * ndimage.uniform_filter(atoms, size=(1, 3, 3), mode="constant")
        atoms = summed / np.maximum(summed.sum(axis=0), 1.0)
        return np.concatenate([1 - atoms.sum(axis=0, keepdims=True), atoms])

    def _nothing(self, shape: tuple[int, ...]) -> NDArray[Any]:
        values = np.zeros((self._n_channels(), *shape), dtype=np.float32)
        values[0] = 30.0  # surely background
        return values

    def _values(self, raw: torch.Tensor) -> NDArray[Any]:
        values: NDArray[np.float32] = raw.numpy()
        return values
