"""A model against images with known atoms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data.training_set import check_training_set
from adatom.errors import ArgumentError
from adatom.locate import match_positions
from adatom.models.calibration import expected_calibration_error
from adatom.models.ensemble import Ensemble
from adatom.models.image_model import MATCH_SHARE, ImageModel
from adatom.models.segmenter import Segmenter


def evaluate_model(
    model: ImageModel | Ensemble, data: xr.Dataset, *, on_image: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Figures of `model` on a stored set at its working scale, atoms at the border included.

    Returns
    -------
    ``n_images``, ``n_known``, ``n_found``; ``precision``, ``recall``, ``f1`` of positions, a find within 0.35 typical
    spacings of a known atom being right; ``position_rms_px`` of the right ones, without refinement; ``class_accuracy``
    among them; ``f1_<class>`` of atoms whose place and class are both right, where there are several;
    ``confusion``, how many atoms of each class (rows, none first) were found as each (columns, none first);
    ``iou_<class>`` for each class of a `Segmenter`; of a `Localizer` ``calibration_error`` (the expected
    one, of the probabilities of all finds above 0.02) and ``score_std`` (of errors along an axis over their stated
    standard deviations). Of a model of regions ``n_images``, ``iou_<class>``, ``iou`` (mean over the classes, the
    background included) and ``confusion`` in pixels.
    """
    data = check_training_set(data)
    if list(data.attrs["classes"]) != model.classes_:
        raise ArgumentError(f"store: expected the classes {model.classes_}, got {list(data.attrs['classes'])}.")
    if model.is_of_regions:
        return _evaluate_regions(model, data, on_image)
    tolerance = MATCH_SHARE * model.scale_["spacing_px"]
    owner = data["atom_sample"].to_numpy()
    positions = np.column_stack([data["atom_x"].to_numpy(), data["atom_y"].to_numpy()])
    species = data["atom_species"].to_numpy()
    n_classes = len(model.classes_) + 1
    counts = np.zeros((n_classes, n_classes))
    stated, is_right, scores = [np.zeros(0)], [np.zeros(0, dtype=bool)], [np.zeros(0)]
    n_found = n_matched = n_right = 0
    by_class = np.zeros((n_classes, n_classes), dtype=np.int64)  # true and found, 0 for none
    squares = 0.0
    for index in range(data.sizes["sample"]):
        image = data["image"][index].to_numpy().astype(float)
        maps: Any = model.look(image, (1.0, 1.0))  # the model knows what it means
        peaks = model.peaks(maps).within(np.isfinite(image))
        mine = owner == index
        match = match_positions(np.column_stack([peaks.x, peaks.y]), positions[mine], tolerance=tolerance)
        if isinstance(model, Segmenter):
            counts += _pixel_counts(data["label"][index].to_numpy(), model.inner(maps))
        else:
            every = model.peaks(maps, min_probability=0.0).within(np.isfinite(image))
            every_match = match_positions(np.column_stack([every.x, every.y]), positions[mine], tolerance=tolerance)
            stated.append(every.probability)
            is_right.append(np.isin(np.arange(len(every.x)), every_match.found))
            found, known = match.found, positions[mine][match.known]
            scores += [(peaks.x[found] - known[:, 0]) / peaks.x_std[found]]
            scores += [(peaks.y[found] - known[:, 1]) / peaks.y_std[found]]
        n_found += match.n_found
        n_matched += len(match.found)
        n_right += int((peaks.species[match.found] == species[mine][match.known]).sum())
        true = np.concatenate([np.zeros(len(peaks.x), dtype=np.int64), 1 + np.delete(species[mine], match.known)])
        true[match.found] = 1 + species[mine][match.known]
        found_as = np.concatenate([1 + peaks.species, np.zeros(len(true) - len(peaks.x), dtype=np.int64)])
        np.add.at(by_class, (true, found_as), 1)
        squares += float((match.distance**2).sum())
        if on_image is not None:
            on_image(index + 1)
    beside: dict[str, float] = {}
    if isinstance(model, Segmenter):
        beside = _overlaps(counts, model.classes_)
    else:
        beside["calibration_error"] = expected_calibration_error(np.concatenate(stated), np.concatenate(is_right))
        every_score = np.concatenate(scores)
        beside["score_std"] = float(np.std(np.clip(every_score, -5, 5))) if len(every_score) else 0.0
    n_known = len(positions)
    if len(model.classes_) > 1:
        right, known_as, named = by_class.diagonal()[1:], by_class.sum(axis=1)[1:], by_class.sum(axis=0)[1:]
        f1 = 2 * right / np.maximum(known_as + named, 1)
        beside |= {f"f1_{name}": float(value) for name, value in zip(model.classes_, f1, strict=True)}
    return {
        "n_images": int(data.sizes["sample"]),
        "n_known": n_known,
        "n_found": n_found,
        "precision": n_matched / max(1, n_found),
        "recall": n_matched / max(1, n_known),
        "f1": 2 * n_matched / max(1, n_found + n_known),
        "position_rms_px": float(np.sqrt(squares / max(1, n_matched))),
        "class_accuracy": n_right / max(1, n_matched),
        **beside,
        "confusion": by_class.tolist(),
    }


def _evaluate_regions(model: Any, data: xr.Dataset, on_image: Callable[[int], None] | None) -> dict[str, Any]:
    n_classes = len(model.classes_) + 1
    counts = np.zeros((n_classes, n_classes), dtype=np.int64)
    for index in range(data.sizes["sample"]):
        image = data["image"][index].to_numpy().astype(float)
        counts += _pixel_counts(data["label"][index].to_numpy(), model.inner(model.look(image, (1.0, 1.0))))
        if on_image is not None:
            on_image(index + 1)
    overlaps = _overlaps(counts, model.classes_)
    return {
        "n_images": int(data.sizes["sample"]),
        **overlaps,
        "iou": float(np.mean(list(overlaps.values()))),
        "confusion": counts.tolist(),
    }


def _pixel_counts(label: NDArray[np.integer], probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many pixels of each class of a map (y, x) are claimed as each, from probabilities (class, y, x)."""
    n_classes = len(probability)
    pairs = np.bincount(label.astype(int).ravel() * n_classes + probability.argmax(0).ravel(), minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes)


def _overlaps(counts: NDArray[np.number], classes: list[str]) -> dict[str, float]:
    """Intersection over union of each class, the background first, from counts of pixels."""
    hits = counts.diagonal()
    iou = hits / np.maximum(counts.sum(0) + counts.sum(1) - hits, 1)
    return {f"iou_{name}": float(value) for name, value in zip(["background", *classes], iou, strict=True)}
