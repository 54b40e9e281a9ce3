"""An image without its noise, as one page: noisy image in; clean image, risk and residual out, and a judgement of them.

Taking noise out is easily mistaken for taking out all that is fine: so what was taken out is looked at, and told.
The module is called `noise_remover` because `adatom.denoise` is the verb itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import xarray as xr

from adatom.analyse.residual_structure import ALARM, ResidualStructure, residual_structure
from adatom.data import check_image
from adatom.data.rounding import rounded
from adatom.errors import ArgumentError
from adatom.locate.noise import estimate_noise
from adatom.models.catalogue import load
from adatom.models.classical_denoisers import CLASSICAL, denoise_classically
from adatom.models.denoiser import ON_AN_IMAGE, Denoiser, DenoisingMethod, as_dataset
from adatom.models.recipe import Recipe, load_recipe
from adatom.train import Record

METHODS = ("model", *get_args(DenoisingMethod), *CLASSICAL)
# A movie of fewer frames is taken for so many stills.
_FEW_FRAMES = 8
# Of a training on simulated images that are to look like one image.
_STEPS = 1000
# So much of the noise left, by the risk, and nothing worth speaking of was gained.
_HARDLY_LESS = 0.7

Progress = Callable[[str, int, int], None]  # what is under way, steps or frames done, and of how many


@dataclass
class Cleaning:
    """What denoising an image gave.

    Attributes
    ----------
    image : what was denoised.
    result : ``denoised`` and ``risk``, as `adatom.models.Denoiser.predict` gives them.
    structure : for each frame, whether the residual holds more than noise.
    summary : what is known of it, JSON-serialisable.
    model : the model that did it, or None for a classical method.
    """

    image: xr.DataArray
    result: xr.Dataset
    structure: list[ResidualStructure]
    summary: dict[str, Any] = field(default_factory=dict)
    model: Denoiser | None = None


def denoise(
    image: xr.DataArray,
    *,
    method: str | None = None,
    model: Denoiser | str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    like: xr.DataArray | None = None,
    random_state: int = 0,
) -> xr.Dataset:
    """Take the noise out of an image.

    Parameters
    ----------
    image : (y, x) or (frame, y, x), at least 16 pixels a side.
    method : ``blind_spot``: a network learns from this very image, in about a minute. ``frames``: the same from a
        movie, by neighbouring frames. ``simulated``: a network learns from images of `recipe`, narrowed around what the
        image shows. ``model``: a network that was fitted before. ``gaussian``, ``non_local_means``, ``wavelet``,
        ``total_variation``: classical references, their strength chosen by the image. By default what `model` or
        `recipe` ask for, else ``frames`` for movies of at least 8 frames, and ``blind_spot`` for all else.
    model : for ``model``: a `Denoiser`, or its file.
    recipe : for ``simulated``: a recipe, its file, or a name, such as MoS2.
    like : for ``simulated``: the image that the simulated ones are to look like, if another than `image`.
    random_state : seed of what learns, and of the draws of noise that the risk comes from.

    Returns
    -------
    ``denoised`` and ``risk`` (an estimate of its error, as a standard deviation), with the image's axes, units and
    history; ``attrs["summary"]`` holds the noise before and after, what the residual says, and warnings.

    Raises
    ------
    ShapeError, ArgumentError : on bad input, saying what is wrong.
    """
    cleaning = remove_noise(image, method=method, model=model, recipe=recipe, like=like, random_state=random_state)
    cleaning.result.attrs["summary"] = cleaning.summary
    return cleaning.result


def remove_noise(
    image: xr.DataArray,
    *,
    method: str | None = None,
    model: Denoiser | str | Path | None = None,
    recipe: Recipe | str | Path | None = None,
    like: xr.DataArray | None = None,
    random_state: int = 0,
    steps: int | None = None,
    on_progress: Progress | None = None,
) -> Cleaning:
    """As `denoise`, with the model and the tests of the residual beside the result.

    `steps` of a training, by default 400 on an image and 1000 on simulated ones.
    """
    started = time.monotonic()
    tell: Progress = on_progress or (lambda what, done, total: None)
    image = check_image(image).transpose(..., "y", "x")
    if method is None:
        method = default_method(image, model=model, recipe=recipe)
    if method not in METHODS:
        raise ArgumentError(f"method: expected one of {', '.join(METHODS)}, got {method!r}.")
    values = image.to_numpy().astype(float)
    known = values[np.isfinite(values)]
    if known.size and np.ptp(known) <= 1e-12 * np.abs(known).max():
        raise ArgumentError("image: expected one of some contrast, got a constant. Choose another channel.")
    fitted: Denoiser | None
    if method == "model":
        fitted = _loaded(model)
    elif method in CLASSICAL:
        fitted = None
    else:
        fitted = _fitted(image, method, recipe, image if like is None else like, random_state, steps, tell)
    frames = [image] if image.ndim == 2 else [image.isel(frame=k) for k in range(image.sizes["frame"])]
    results = []
    for number, frame in enumerate(frames):
        tell("denoising", number, len(frames))
        if not np.isfinite(frame).any() and len(frames) > 1:
            nothing = np.full(frame.shape, np.nan)
            results.append(as_dataset(frame, nothing, nothing, by=method))
        elif fitted is None:
            results.append(denoise_classically(frame, method, random_state=random_state))
        else:
            results.append(fitted.predict(frame))
    tell("denoising", len(frames), len(frames))
    result = results[0] if image.ndim == 2 else _joined(results, image)
    structure, facts = _judged(frames, results)
    summary = {
        "method": method if fitted is None or method == "model" else fitted.method,
        "model": fitted.name if fitted is not None and method == "model" else None,
        "image_shape": list(image.shape),
        "units": image.attrs.get("units", ""),
        "hidden_run_px": fitted.hidden_run_ if fitted is not None and fitted.method == "blind_spot" else None,
        **facts,
    }
    summary["warnings"] = _warnings(summary)
    summary["seconds"] = round(time.monotonic() - started, 2)
    return Cleaning(image, result, structure, summary, fitted)


def default_method(image: xr.DataArray, *, model: object = None, recipe: object = None) -> str:
    """What denoises an image where the user does not say."""
    if model is not None:
        return "model"
    if recipe is not None:
        return "simulated"
    return "frames" if image.sizes.get("frame", 1) >= _FEW_FRAMES else "blind_spot"


def _loaded(model: Denoiser | str | Path | None) -> Denoiser:
    if model is None:
        raise ArgumentError("model: expected a Denoiser or its file for the method model, got none.")
    fitted: object = model if isinstance(model, Denoiser) else load(model)
    if not isinstance(fitted, Denoiser):
        raise ArgumentError(f"model: expected a Denoiser, got a {type(fitted).__name__}.")
    return fitted


def _fitted(
    image: xr.DataArray,
    method: str,
    recipe: Recipe | str | Path | None,
    like: xr.DataArray,
    random_state: int,
    steps: int | None,
    tell: Progress,
) -> Denoiser:
    """A network that has learned from the image, or from simulated ones that look like one."""
    chosen = next(each for each in get_args(DenoisingMethod) if each == method)
    data: Recipe | xr.DataArray = image
    if method == "simulated":
        if recipe is None:
            raise ArgumentError("recipe: expected one for the method simulated, got none. Name a material, as MoS2.")
        data = _on_pixels_of(like, recipe)
        n = _STEPS if steps is None else steps
        training = {**data.training.model_dump(), "steps": n, "validate_every": max(1, n // 8), "learning_rate": 0.002}
    else:
        n = ON_AN_IMAGE["steps"] if steps is None else steps
        training = {**ON_AN_IMAGE, "steps": n, "validate_every": max(1, n // 8)}
    model = Denoiser(method=chosen, training=training, random_state=random_state)

    def show(record: Record) -> None:
        tell("learning", record["step"], n)

    return model.fit(data, on_record=show)


def _on_pixels_of(image: xr.DataArray, recipe: Recipe | str | Path) -> Recipe:
    """A recipe narrowed around what an image shows, its images on the image's own pixels."""
    from adatom.matching import match

    still = image if image.ndim == 2 else image.isel(frame=0)
    matched = match(still, recipe if isinstance(recipe, Recipe) else load_recipe(recipe)).recipe
    microscope = matched.microscope
    pixel = microscope.pixel_size_nm * (float(np.mean(microscope.coarseness)) if microscope.coarse_probability else 1.0)
    own = {"pixel_size_nm": pixel, "coarse_probability": 0.0, "coarseness": (1.0, 1.0), "image_size": 96}
    return matched.model_copy(update={"microscope": microscope.model_copy(update=own)})


def _joined(results: list[xr.Dataset], image: xr.DataArray) -> xr.Dataset:
    """The frames' results as one."""
    joined = xr.concat(results, dim="frame", coords="minimal", compat="override", join="override")
    for name in joined.data_vars:
        joined[name].attrs = results[0][name].attrs
    joined = joined.assign_coords(frame=image["frame"]).transpose("frame", "y", "x")
    return joined.assign_attrs(results[0].attrs)


def _judged(frames: list[xr.DataArray], results: list[xr.Dataset]) -> tuple[list[ResidualStructure], dict[str, Any]]:
    """Tests of the residuals, and figures of noise, means over the frames."""
    structure, before, removed, after = [], [], [], []
    for frame, result in zip(frames, results, strict=True):
        values, denoised = frame.to_numpy().astype(float), result["denoised"].to_numpy().astype(float)
        known = np.isfinite(values) & np.isfinite(denoised)
        if not known.any() or np.ptp(values[known]) == 0:
            continue
        residual = np.where(known, values - denoised, 0.0)
        signal = np.where(known, denoised, 0.0)
        variance = estimate_noise(residual, signal, known).variance(signal)
        structure.append(residual_structure(values, denoised, np.sqrt(np.maximum(variance, 0.0))))
        before.append(float(variance[known].mean()))
        removed.append(float((residual[known] ** 2).mean()))
        after.append(float(np.nanmean(result["risk"].to_numpy().astype(float) ** 2)))
    if not structure:
        raise ArgumentError("image: expected frames of some contrast, got constant ones. Choose another channel.")
    shares = [each.removed_share for each in structure if len(each.peaks)]
    worst = min(structure, key=lambda each: each.p_value)
    return structure, {
        "noise_before": rounded(float(np.sqrt(np.mean(before)))),
        "noise_after": rounded(float(np.sqrt(np.mean(after)))),
        "removed_rms": rounded(float(np.sqrt(np.mean(removed)))),
        "residual": {
            "statistic": rounded(worst.statistic),
            "p_value": rounded(min(1.0, len(structure) * worst.p_value)),
            "n_peaks": len(worst.peaks),
            "removed_share": rounded(float(np.mean(shares))) if shares else None,
            "n_frames_with_lattice": sum(each.holds_lattice for each in structure),
            "n_spots": sum(len(each.spots) for each in structure),
            "n_frames": len(structure),
        },
    }


def _warnings(summary: dict[str, Any]) -> list[str]:
    """What a user must be told."""
    warnings = []
    residual = summary["residual"]
    if _more_than_chance(residual["n_frames_with_lattice"], residual["n_frames"]):
        share = residual["removed_share"]
        if share is None:
            what = "a pattern that repeats itself was taken out with the noise"
        elif share > 0:
            what = f"{100 * share:.2g} % of the lattice's amplitude was taken out with the noise"
        else:
            what = f"the lattice came out {-100 * share:.2g} % stronger than it was measured"
        warnings.append(
            f"The residual holds structure: {what} (p {max(residual['p_value'], 1e-99):.1g}). This is more than "
            "denoising: do not measure heights or widths in the result, and look at the figure."
        )
    if _more_than_chance(residual["n_spots"], residual["n_frames"]):
        warnings.append(
            f"The residual is no noise at {residual['n_spots']} place(s): something that does not repeat itself, a "
            "defect or dirt, was smoothed away there. Look at the rings in the figure."
        )
    if summary["noise_after"] > _HARDLY_LESS * max(summary["noise_before"], summary["removed_rms"]):
        warnings.append(
            "Hardly any noise was taken out: what neighbouring pixels share in all directions looks like structure."
        )
    if summary["hidden_run_px"]:
        warnings.append(
            f"The noise repeats itself along the scan lines: {summary['hidden_run_px']} px to either side of each "
            "hidden pixel were hidden as well, which costs sharpness along x."
        )
    return warnings


def _more_than_chance(n: int, n_frames: int) -> bool:
    """Whether more frames than noise alone would raise an alarm in."""
    expected = n_frames * ALARM
    return n > expected + 3 * np.sqrt(expected)
