"""The models that ship on simulated images that they have not seen; border atoms are counted."""

import tempfile
from pathlib import Path

from adatom.data.training_set import open_training_set
from adatom.models import load, load_recipe, shipped_models
from adatom.models.evaluation import evaluate_model
from adatom.models.simulated_set import write_simulated_set
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
            for figure in ("precision", "recall", "f1", "class_accuracy", "position_rms_px"):
                recorder.add(f"{name}/simulated/{kind}/{figure}", float(figures[figure]))
