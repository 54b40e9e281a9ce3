"""The models that ship on simulated images that they have not seen; border atoms are counted."""

import tempfile
from pathlib import Path

import numpy as np

import adatom as ad
from adatom.data import make_image
from adatom.data.training_set import open_training_set
from adatom.locate import match_positions
from adatom.models import load, load_recipe, shipped_models
from adatom.models.evaluation import evaluate_model
from adatom.models.recipe import Recipe
from adatom.models.simulated_set import STORED_START, write_simulated_set
from adatom.simulate import simulate_image
from benchmarks.record import Recorder


def run(recorder: Recorder) -> None:
    """Figures over 100 images of each recipe's full range, and of the same recipe with little noise."""
    for name in shipped_models():
        recipe = load_recipe(name)
        microscope = recipe.microscope
        clean = microscope.model_copy(
            update={"noise": (0.01, 0.1), "row_offset_probability": 0.0, "streaks": (0.0, 0.0)}
        )
        if microscope.counts_per_peak is not None:
            clean = clean.model_copy(update={"counts_per_peak": (300.0, 1000.0)})
        for kind, settings in (("full_range", microscope), ("low_noise", clean)):
            with tempfile.TemporaryDirectory() as folder:
                store = Path(folder) / "test.zarr"
                write_simulated_set(recipe.model_copy(update={"microscope": settings}), store, n=100, seed=20261124)
                figures = evaluate_model(load(name), open_training_set(store))
            _record_positions(recorder, name, kind, recipe.model_copy(update={"microscope": settings}))
            for figure in ("precision", "recall", "f1", "class_accuracy", "position_rms_px"):
                recorder.add(f"{name}/simulated/{kind}/{figure}", float(figures[figure]))


def _record_positions(recorder: Recorder, name: str, kind: str, recipe: Recipe) -> None:
    """Error of the positions that `find` gives, and how often it is within the stated deviations, over 40 images."""
    model = load(name)
    pixel = recipe.microscope.pixel_size_nm
    errors, stated = [], []
    for index in range(40):
        drawn = simulate_image(recipe, seed=20261124, index=STORED_START + index)
        image = make_image(drawn.image, pixel_size=pixel)
        atoms = ad.find(image, model=model, spacing_nm=model.scale_["spacing_px"] * pixel)
        found, known = atoms[["x", "y"]].to_numpy() / pixel, np.column_stack([drawn.x, drawn.y])
        match = match_positions(found, known, tolerance=0.35 * model.scale_["spacing_px"])
        errors.append(found[match.found] - known[match.known])
        stated.append(atoms[["x_std", "y_std"]].to_numpy()[match.found] / pixel)
    error, deviation = np.concatenate(errors), np.concatenate(stated)
    recorder.add(f"{name}/simulated/{kind}/refined_rms_px", float(np.sqrt((error**2).sum(axis=1).mean())))
    recorder.add(f"{name}/simulated/{kind}/within_1_std", float((np.abs(error) < deviation).mean()))
    recorder.add(f"{name}/simulated/{kind}/within_2_std", float((np.abs(error) < 2 * deviation).mean()))
