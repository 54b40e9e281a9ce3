"""The ensemble: several models, or one model seen from several sides, that answer together and say how they differ."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from adatom.errors import ArgumentError, ModelFileError, TrainingError
from adatom.locate import Peaks
from adatom.locate.joined import JoinedPeaks, join_peaks
from adatom.locate.peaks import suppress_close
from adatom.models.atom_table import table_of_frames
from adatom.models.batches import Sample, SimulatedSamples, StoredSamples, open_samples
from adatom.models.calibration import Calibration, expected_calibration_error, fit_curve, fit_std_factor
from adatom.models.catalogue import ESTIMATORS
from adatom.models.conformal import Conformal, species_sets
from adatom.models.ensemble_maps import EnsembleMaps, MapSummary, uncertainty_as_image
from adatom.models.ensemble_training import KINDS, Kind, OnRecord, train_members
from adatom.models.estimator import Estimator
from adatom.models.image_learner import open_data
from adatom.models.image_model import MATCH_SHARE, Array, ImageModel, Run, first_samples
from adatom.models.judging import Judged, judge_finds, score_finds
from adatom.models.maps import Factor, maps_as_image
from adatom.models.model_file import read_parts, read_tensors, tensors_of, write_tensors
from adatom.models.recipe import Recipe
from adatom.models.symmetry import IDENTITY, SYMMETRIES, Symmetry
from adatom.models.working_scale import shows_regions
from adatom.prepare.augment import Augmentation
from adatom.train import Record, TrainingSettings
from adatom.train.several_devices import n_processes

# Finds that a member takes for less likely are not joined.
_LEAST = 0.02
# Of two atoms of one model closer than this the less likely goes, and finds of two models closer than that are one
# atom: in typical spacings, and as a share of it.
_APART, _SAME = 0.5, 0.7
P = TypeVar("P", bound=Peaks)

# Arguments that members have as the ensemble has them.
_OF_MEMBERS = ("classes", "net", "width", "depth", "net_arguments", "device")
_SHARED = "shared/"  # beginning of the names of tensors in a file that all members have


class Ensemble(Estimator):
    """Several models that answer together.

    Parameters
    ----------
    estimator : kind of its members, ``Localizer`` or ``Segmenter``.
    n_members : how many; a ``symmetry`` ensemble has one, looked through from eight sides.
    kind : ``seeds``: trained from different starts on different images; ``trunk``: one trained whole, then as many last
        parts (`adatom.nets`: crowns) trained on it anew, which costs a fraction of the time, in training and after;
        ``swag``: drawn from the cloud that the weights of one training wander through; ``symmetry``: one model,
        looking at an image in its eight rotations and reflections.
    calibrate : the mean of what the members say, ``after`` it is taken, or each of them ``before``. After, doubts rank
        errors better at all drifts of the conditions that were tried, and probabilities are right on images like the
        training's; before, they drift less with the conditions (`benchmarks.ensemble_drift`).
    classes, net, width, depth, net_arguments, training, augmentation, random_state, device : of the members, see
        `adatom.models.estimator.Estimator`; a network of your own has to be registered, and known to all processes that
        train members. The first member of ``seeds`` and ``symmetry`` is the model that would be
        trained alone.

    Attributes
    ----------
    members_ : fitted models.
    histories_ : records of each training.
    classes_, scale_, recipe_ : as of an `ImageModel`.
    figures_ : figures reached on the validation images.
    calibration_, calibrated_, conformal_ : what makes numbers right, whether it is for the mean of the members
        (``after``) or each has its own (``before``), and what sets of species rest on.
    judged_ : its finds on the validation images, where it was trained here.
    """

    conformal_: Conformal | None

    def __init__(
        self,
        *,
        estimator: str = "Localizer",
        n_members: int = 5,
        kind: Kind = "seeds",
        calibrate: Literal["after", "before"] = "after",
        classes: list[str] | None = None,
        net: str | None = None,
        width: int | None = None,
        depth: int | None = None,
        net_arguments: dict[str, Any] | None = None,
        training: TrainingSettings | dict[str, Any] | None = None,
        augmentation: Augmentation | dict[str, Any] | None = None,
        random_state: int | None = None,
        device: str = "auto",
    ) -> None:
        super().__init__(
            classes=classes,
            net=net,
            width=width,
            depth=depth,
            net_arguments=net_arguments,
            training=training,
            augmentation=augmentation,
            random_state=random_state,
            device=device,
        )
        self.estimator = estimator
        self.n_members = n_members
        self.kind = kind
        self.calibrate = calibrate

    # ---------------------------------------------------------------- learning

    def fit(
        self,
        data: Recipe | xr.Dataset | str | Path,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        on_record: OnRecord | None = None,
        jobs: int = 1,
        cluster: str | None = None,
    ) -> Self:
        """Train all members from scratch.

        Parameters
        ----------
        data : a recipe (images are made on the fly), a training set, or the path of a stored one.
        checkpoint : folder that gets a folder of each member.
        resume : go on with what is in `checkpoint`; members that are finished stay as they are.
        on_record : called after each step with its record, see `adatom.train.train`; ``member`` says whose it is.
        jobs : members trained at a time, each in a process of its own where more than one. Processes are started anew
            (spawned): a program that asks for them keeps what it does under ``if __name__ == "__main__"``.
        cluster : address of a dask scheduler, whose workers train the members instead (what they have in common, of a
            ``trunk`` or ``swag``, is trained here).

        Raises
        ------
        TrainingError : if several processes of torchrun are to train it together.
        """
        if n_processes() > 1:
            raise TrainingError(
                f"devices: expected one for an ensemble, got {n_processes()}. Jobs or a cluster train its members."
            )
        opened = open_data(data)
        self._check_arguments(jobs)
        if shows_regions(opened):
            raise ArgumentError("data: expected images with known atoms, got regions alone. Train one Segmenter.")
        recipe = opened if isinstance(opened, Recipe) else None
        settings = self._settings(recipe)
        augmentation = self._augmentation(recipe)
        arguments = {
            **{name: getattr(self, name) for name in _OF_MEMBERS},
            "augmentation": None if augmentation is None else augmentation.model_dump(),
        }
        known = opened if isinstance(opened, Recipe) or isinstance(data, xr.Dataset) else Path(str(data))
        with _folder(checkpoint) as folder:
            members, self.histories_ = train_members(
                self.kind,
                self.estimator,
                arguments,
                settings,
                known,
                folder,
                n_members=self.n_members,
                resume=resume,
                jobs=jobs,
                cluster=cluster,
                on_record=on_record,
            )
        self._assemble(members, self.kind)
        self.seed_ = settings.seed
        return self.calibrate_on(opened)

    def calibrate_on(self, data: Recipe | xr.Dataset | str | Path) -> Self:
        """Calibrate what the members say together, on images that are held back from the trainings on `data`.

        `fit` ends with it; it is for ensembles that were made otherwise (`of`).
        """
        self._check_fitted("calibrate_on")
        data = open_data(data)
        recipe = data if isinstance(data, Recipe) else None
        settings, scout = self._settings(recipe), self.scout
        # the members' own sources may have been other processes', and vanished with them
        self.source_ = open_samples(
            data,
            settings,
            prepare=scout._prepare_working,
            multiple=scout._multiple,
            stack=scout._stack,
            augmentation=self._augmentation(recipe),
        )
        self._conclude(self.source_, self.source_.validation(settings.validation_images))
        return self

    def _conclude(self, source: SimulatedSamples | StoredSamples, validation: list[Sample]) -> None:
        """Calibrate on images held back, and judge the calibration on the validation images."""
        self.calibration_, self.calibrated_ = Calibration(), self.calibrate
        held_back, to_judge = source.held_back(validation)
        judged = self._judged(held_back)
        std_factor = fit_std_factor(judged.error, judged.std)
        if self.calibrate == "before":
            self.calibration_ = Calibration(std_factor=std_factor)
        else:
            self.calibration_ = Calibration(
                atom=fit_curve(judged.probability, judged.is_atom),
                species=fit_curve(judged.species_probability, judged.is_species),
                std_factor=std_factor,
            )
            judged = self._judged(held_back)  # anew: with the calibration
        self.conformal_ = Conformal.of(judged.of_species, judged.true_species)
        judged = self._judged(to_judge)
        self.judged_ = judged
        found = [self.peaks(self._look_prepared(sample.image)) for sample in validation]
        self.figures_ = {
            **score_finds(found, validation, tolerance=self._tolerance),
            "val_calibration_error": expected_calibration_error(judged.probability, judged.is_atom),
            "val_score_std": float(np.std(np.clip(judged.error / judged.std, -5, 5))) if len(judged.std) else 0.0,
            "training_seconds": round(sum(history[-1]["seconds"] for history in self.histories_ if history), 1),
        }

    def _judged(self, samples: list[Sample]) -> Judged:
        def see(sample: Sample) -> Peaks:
            return self.peaks(self._look_prepared(sample.image), min_probability=0.0)

        return judge_finds(see, samples, tolerance=self._tolerance)

    @property
    def _tolerance(self) -> float:
        return float(MATCH_SHARE * self.scale_["spacing_px"])

    def _check_arguments(self, jobs: int) -> None:
        if self.estimator not in ESTIMATORS or self.estimator == type(self).__name__:
            known = ", ".join(name for name in ESTIMATORS if name != type(self).__name__)
            raise ArgumentError(f"estimator: expected one of {known}, got {self.estimator!r}.")
        if self.net is not None and not isinstance(self.net, str):
            raise ArgumentError(
                f"net: expected a name for the members of an ensemble, got {type(self.net).__name__}. Register what "
                "makes your network (adatom.nets.register), and give its name."
            )
        if self.kind not in KINDS:
            raise ArgumentError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}.")
        if self.calibrate not in ("after", "before"):
            raise ArgumentError(f"calibrate: expected after or before, got {self.calibrate!r}.")
        for name, value in {"n_members": self.n_members, "jobs": jobs}.items():
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(f"{name}: expected a whole number of at least 1, got {value!r}.")

    @classmethod
    def of(cls, members: Sequence[ImageModel], *, kind: Kind = "seeds") -> Self:
        """An ensemble of models that are fitted already, calibrated each for itself.

        Raises
        ------
        ArgumentError : if they are of different kinds, classes or scales.
        """
        if not members:
            raise ArgumentError("members: expected at least one fitted model, got none.")
        first = members[0]
        first._check_fitted("Ensemble.of")
        for other in members[1:]:
            if type(other) is not type(first) or other.classes_ != first.classes_:
                raise ArgumentError(
                    f"members: expected models of one kind and the same classes, got {type(first).__name__} of "
                    f"{first.classes_} and {type(other).__name__} of {other.classes_}."
                )
        ensemble = cls(estimator=type(first).__name__, n_members=len(members), kind=kind, classes=first.classes)
        ensemble._assemble(list(members), kind)
        ensemble.seed_, ensemble.histories_ = first.seed_, []
        return ensemble

    def _assemble(self, members: list[ImageModel], kind: Kind) -> None:
        self.members_ = members
        self.kind_ = kind
        self.calibration_ = Calibration()
        self.conformal_ = None
        self.calibrated_ = "before"
        self.figures_ = dict(members[0].figures_)

    # ---------------------------------------------------------------- what the members have in common

    @property
    def scout(self) -> ImageModel:
        """The member that looks first and alone, where all would take too long: for the scale of an image."""
        return self.members_[0]

    @property
    def classes_(self) -> list[str]:
        return self.scout.classes_

    @property
    def scale_(self) -> dict[str, Any]:
        return self.scout.scale_

    @property
    def recipe_(self) -> Recipe | None:
        return self.scout.recipe_

    @property
    def history_(self) -> list[Record]:
        """Records of the first training."""
        return self.histories_[0] if self.histories_ else []

    @property
    def finds_scale(self) -> bool:
        return self.scout.finds_scale

    @property
    def is_of_regions(self) -> bool:
        """As of an `ImageModel`."""
        return self.scout.is_of_regions

    @property
    def judges_dim_atoms(self) -> bool:
        return self.scout.judges_dim_atoms

    @property
    def min_probability(self) -> float:
        return self.scout.min_probability

    def unfamiliarity(self, values: Array, factor: float) -> float | None:
        """As of an `ImageModel`: the median of the members'."""
        told = [each for each in (member.unfamiliarity(values, factor) for member in self.members_) if each is not None]
        return float(np.median(told)) if told else None

    def working_factors(self, image: xr.DataArray) -> list[Factor]:
        """As of an `ImageModel`."""
        self._check_fitted("working_factors")
        return self.scout.working_factors(image)

    def training_samples(self, n: int) -> tuple[Array, NDArray[np.uint8]]:
        """As of an `ImageModel`."""
        return first_samples(self, n)

    # ---------------------------------------------------------------- predicting

    def predict(self, image: xr.DataArray, *, factor: Factor | None = None) -> pd.DataFrame:
        """The atoms of an image, matched across the members.

        Parameters
        ----------
        image : (y, x) or (frame, y, x).
        factor : pixels of the working scale a pixel of the image, along (y, x); by default `working_factors` says.

        Returns
        -------
        One row an atom, see `adatom.data.atoms`, with the columns of doubt of `adatom.locate.joined.JoinedPeaks`.
        """
        self._check_fitted("predict")
        image, factor = self.scout._checked(image, factor)

        def see(values: Array) -> Peaks:
            return self.peaks(self.look(values, factor, with_maps=False))

        return table_of_frames(see, image, self.classes_, f"atoms found by {self.scout.name}")

    def predict_maps(self, image: xr.DataArray, *, factor: Factor | None = None) -> xr.DataArray:
        """Mean probability maps, see `ImageModel.predict_maps`."""
        return self.predict_uncertainty(image, factor=factor)["probability"]

    def predict_uncertainty(self, image: xr.DataArray, *, factor: Factor | None = None) -> xr.Dataset:
        """Mean probability maps and their doubts.

        Parameters: as of `predict`.

        Returns
        -------
        ``probability`` and ``probability_std`` (class, y, x), mean and standard deviation between the members;
        ``entropy_data`` (y, x) [nat], what data leave open: the mean of the members' entropies; ``entropy_model``
        (y, x) [nat], what the members disagree in. A movie has ``frame`` as its first dimension.
        """
        self._check_fitted("predict_uncertainty")
        image, factor = self.scout._checked(image, factor)
        if image.ndim == 3:
            frames = [self.predict_uncertainty(image.isel(frame=k), factor=factor) for k in range(image.sizes["frame"])]
            return xr.concat(frames, dim="frame").assign_coords(frame=image["frame"])
        seen = self.look(image.to_numpy(), factor)
        return self.uncertainty_as_image(seen, image)

    def look(
        self,
        values: Array,
        factor: Factor,
        *,
        is_levelled: bool = False,
        with_maps: bool = True,
        symmetries: Sequence[Symmetry] | None = None,
    ) -> EnsembleMaps:
        """What all members see in `values` (y, x) at a scale; what one has seen is summed up before the next one looks.

        `with_maps` asks for maps besides atoms; `symmetries` for more sides than the ensemble's own.
        """
        prepared, true_factor, contrast = self.scout._prepare(values, factor, is_levelled=is_levelled)
        return self._look_prepared(
            prepared, true_factor, contrast, (values.shape[0], values.shape[1]), with_maps, symmetries
        )

    def look_at_prepared(
        self, prepared: Array, factor: Factor, contrast: float, *, with_maps: bool = False
    ) -> EnsembleMaps:
        """`look` at what is prepared already (y, x), by the contrast of a whole image of which it is a part."""
        shape = (prepared.shape[0] / factor[0], prepared.shape[1] / factor[1])
        return self._look_prepared(prepared, factor, contrast, shape, with_maps)

    def _look_prepared(
        self,
        prepared: Array,
        true_factor: Factor = (1.0, 1.0),
        contrast: float = 1.0,
        shape: tuple[float, float] | None = None,
        with_maps: bool = False,
        symmetries: Sequence[Symmetry] | None = None,
    ) -> EnsembleMaps:
        """What all members see in a prepared image, which was `shape` (y, x) before."""
        shape = shape or (prepared.shape[0], prepared.shape[1])
        summary = MapSummary() if with_maps else None
        members: list[Peaks] = []
        for symmetry in symmetries or (SYMMETRIES if self.kind_ == "symmetry" else (IDENTITY,)):
            turned = symmetry.turned(prepared)
            for member, run in zip(self._voters(), self._runs(), strict=True):
                seen = member._see(run, turned, symmetry.factor(true_factor), contrast)
                found = member.peaks(seen, min_probability=_LEAST, min_distance_px=0.0)
                members.append(symmetry.peaks_back(found, shape))
                if summary is not None:
                    summary.add(symmetry.turned_back(member._class_maps(seen)))
        return EnsembleMaps(members, true_factor, summary)

    def _voters(self) -> list[ImageModel]:
        """The members as they are asked: with their own calibration, or without."""
        if self.calibrated_ == "before":
            return self.members_
        return [member.uncalibrated() for member in self.members_]

    def _runs(self) -> list[Run]:
        engines = [member._engine() for member in self.members_]
        if self.kind_ != "trunk":
            return list(engines)
        kept: dict[int, torch.Tensor] = {}  # what the trunk gave of the images that it saw last

        def run(finish: Run, images: torch.Tensor) -> torch.Tensor:
            if not kept:
                kept[0] = engines[0].trunk(images)
            return finish(kept[0])

        return [partial(run, engine.finish) for engine in engines]

    def peaks(
        self, maps: EnsembleMaps, *, min_probability: float | None = None, min_distance_px: float | None = None
    ) -> JoinedPeaks:
        """Atoms of what `look` saw, see `ImageModel.peaks`, matched across the members."""
        scale = float(np.sqrt(maps.factor[0] * maps.factor[1]))
        apart = _APART * self.scale_["spacing_px"] / scale if min_distance_px is None else min_distance_px
        members = [_apart(one, apart) for one in maps.members]
        tolerance = _SAME * max(apart, 0.5 / scale)
        found = join_peaks(members, tolerance_px=tolerance, n_species=len(self.classes_))
        found = self._calibrated(found)
        limit = self.min_probability if min_probability is None else min_probability
        found = found.of(found.probability >= max(limit, _LEAST))
        return _apart(found, apart)

    def _calibrated(self, found: JoinedPeaks) -> JoinedPeaks:
        calibration = self.calibration_
        found = found.rescaled(calibration.std_factor)
        if self.calibrated_ == "before":
            return found
        found = replace(found, probability=calibration.atom(found.probability))
        return calibration.of_species(found) if len(self.classes_) > 1 else found

    def species_sets(self, peaks: Peaks, coverage: float) -> NDArray[Any]:
        """As of an `ImageModel`."""
        return species_sets(self.conformal_, peaks.of_species, self.classes_, coverage)

    def inner(self, maps: EnsembleMaps) -> Array:
        """Mean probabilities (class, y, x), as `ImageModel.inner`."""
        assert maps.summary is not None
        margin, values = self.scout._margin, maps.summary.mean.astype(float)
        return values[:, margin : values.shape[1] - margin, margin : values.shape[2] - margin]

    def maps_as_image(self, seen: EnsembleMaps, image: xr.DataArray, factor: Factor | None = None) -> xr.DataArray:
        """As of an `ImageModel`: the mean."""
        return maps_as_image(self.inner(seen), self.classes_, factor or seen.factor, image)

    def uncertainty_as_image(self, seen: EnsembleMaps, image: xr.DataArray, factor: Factor | None = None) -> xr.Dataset:
        """The doubts of what `look` saw in `image`, see `predict_uncertainty`."""
        assert seen.summary is not None
        mean = self.maps_as_image(seen, image, factor)
        return uncertainty_as_image(seen.summary, self.scout._margin, mean).assign(probability=mean)

    def _check_fitted(self, method: str) -> None:
        if not hasattr(self, "members_"):
            raise ArgumentError(f"{method}: expected a fitted model, got one that is not. Call fit first.")

    # ---------------------------------------------------------------- keeping

    def header(self) -> dict[str, Any]:
        """What the model file says about the ensemble, JSON-serialisable."""
        first = self.scout.header()
        return {
            **self._made_by(),
            **{name: first[name] for name in ("name", "description", "classes", "recipe")},
            "form": self.kind_,
            "estimator": type(self.scout).__name__,
            "members": [member.header() for member in self.members_],
            "calibration": self.calibration_.as_dict(),
            "calibrated": self.calibrated_,
            "conformal": None if self.conformal_ is None else self.conformal_.as_dict(),
        }

    def save(self, path: str | Path) -> None:
        """Write all members to one safetensors file; what they share it holds once."""
        self._check_fitted("save")
        shared = self._shared_names()
        tensors: dict[str, torch.Tensor] = {}
        for number, member in enumerate(self.members_):
            for name, value in tensors_of(member.net_, member._beside()).items():
                tensors[_SHARED + name if name in shared else f"member{number}/{name}"] = value
        write_tensors(Path(path), self.header(), tensors)

    def _shared_names(self) -> set[str]:
        """Names of the weights that all members have in common."""
        if self.kind_ != "trunk":
            return set()
        crown = tuple(self.scout.net_.crown())  # type: ignore[operator]  # a method of every net, see adatom.nets
        return {name for name in self.scout.net_.state_dict() if not name.startswith(crown)}

    @classmethod
    def _from_file(cls, path: Path, header: dict[str, Any]) -> Self:
        from importlib import import_module

        tensors = read_tensors(path, header)
        estimator = getattr(import_module(ESTIMATORS[header["estimator"]]), header["estimator"])
        shared = {name.removeprefix(_SHARED): tensors.pop(name) for name in list(tensors) if name.startswith(_SHARED)}
        members: list[ImageModel] = []
        for number, facts in enumerate(header["members"]):
            mine = {name: tensors.pop(name) for name in list(tensors) if name.startswith(f"member{number}/")}
            own = {name.removeprefix(f"member{number}/"): value for name, value in mine.items()}
            members.append(estimator._from_parts(facts, *read_parts(path, facts, {**shared, **own})))
        ensemble = cls.of(members, kind=header["form"])
        if tensors or set(shared) != ensemble._shared_names():
            raise ModelFileError(f"model: {path.name} is damaged: it holds weights that no member has.")
        ensemble.seed_, ensemble.figures_ = header["seed"], header["figures"]
        ensemble.calibration_ = Calibration.from_dict(header["calibration"])
        ensemble.calibrated_ = header["calibrated"]
        ensemble.conformal_ = Conformal.from_dict(header.get("conformal"))
        return ensemble


def _apart(peaks: P, least: float) -> P:
    """Those that stay when of two closer than this [px] the less likely goes."""
    return peaks.of(suppress_close(np.column_stack([peaks.x, peaks.y]), peaks.probability, least))


@contextmanager
def _folder(checkpoint: str | Path | None) -> Iterator[Path]:
    """The folder of a training; one that vanishes where nobody wants to keep it."""
    if checkpoint is not None:
        yield Path(checkpoint)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
