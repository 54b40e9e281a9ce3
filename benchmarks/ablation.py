"""What each randomisation of the simulated images is worth: a short training with all of them, and one without each.

The material is MoS2 by its structure, with the ranges of `adatom recipe MoS2`. Each training has the same number
of steps and the same seed. F1 of sites, whatever their class: on simulated images of the whole recipe at 4 and at 1000
counts a peak, and on the three real images of `benchmarks.mos2_sites` (a find is right within 0.4 Mo-S2 distances of a
judged site). Trainings are short, so differences below 0.01 (simulated) and 0.02 (real) mean nothing.
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import adatom as ad
from adatom.locate import match_positions
from adatom.models.image_model import MATCH_SHARE
from adatom.models.recipe import Recipe, load_recipe
from adatom.simulate import simulate_image
from benchmarks.mos2_sites import FILES, FOLDER, LATTICE_CONSTANT_NM, LEFT_OUT, guided_sites
from benchmarks.mos2_sites import read_values as read_mos2
from benchmarks.record import Recorder

STEPS = 400
N_IMAGES = 32
TEST_SEED = 909
DOSES = (4.0, 1000.0)
TOLERANCE = 0.4  # Mo-S2 distances
_NONE = (0.0, 0.0)
# What is held fixed, in turn.
WITHOUT: dict[str, dict[str, dict[str, Any]]] = {
    "everything": {},
    "dose": {"microscope": {"counts_per_peak": (1000.0, 1000.0), "counts_probability": 1.0}},
    "noise": {"microscope": {"noise": (0.005, 0.005), "noise_correlation_px": _NONE}},
    "probe_width": {"microscope": {"peak_width_nm": (0.045, 0.045), "ellipticity": (1.0, 1.0)}},
    "scale": {"microscope": {"scale": (1.0, 1.0)}},
    "rotation": {"microscope": {"rotation_deg": _NONE}},
    "strain": {"microscope": {"strain": _NONE, "shear": _NONE}},
    "background": {"microscope": {"background": _NONE, "tilt": _NONE}},
    "scan_errors": {"microscope": {"row_offset": _NONE, "row_shift_nm": _NONE}},
    "contrast": {"material": {"contrast_exponent": (1.75, 1.75), "height_spread": _NONE}},
    "contamination": {"defects": {"island": _NONE, "adsorbate": _NONE}},
    "vacancies": {"defects": {"vacancy": _NONE}},
}


def without(recipe: Recipe, fixed: dict[str, dict[str, Any]]) -> Recipe:
    """The recipe with some ranges held fixed."""
    parts = {name: getattr(recipe, name).model_copy(update=values) for name, values in fixed.items()}
    return recipe.model_copy(update=parts)


def f1_simulated(model: ad.Localizer, recipe: Recipe, dose: float) -> float:
    """At one dose, on images of the whole recipe."""
    at_dose = without(recipe, {"microscope": {"counts_per_peak": (dose, dose), "counts_probability": 1.0}})
    right = n_found = n_known = 0
    for index in range(N_IMAGES):
        drawn = simulate_image(at_dose, seed=TEST_SEED, index=index)
        peaks = model.peaks(model.look(drawn.image.astype(float), (1.0, 1.0))).within(np.isfinite(drawn.image))
        match = match_positions(
            np.column_stack([peaks.x, peaks.y]),
            np.column_stack([drawn.x, drawn.y]),
            tolerance=MATCH_SHARE * model.scale_["spacing_px"],
        )
        right, n_found, n_known = right + len(match.known), n_found + match.n_found, n_known + match.n_known
    return 2 * right / max(1, n_found + n_known)


def f1_real(model: ad.Localizer) -> float:
    """On the real images together, where their sites are judged."""
    right = n_found = n_known = 0
    for name in FILES:
        values = read_mos2(name)
        edge = guided_sites(values, LEFT_OUT[name]).edge
        atoms = ad.find(ad.make_image(values, pixel_size=LATTICE_CONSTANT_NM / edge), model=model)
        found = atoms[["x", "y"]].to_numpy() * edge / LATTICE_CONSTANT_NM
        sites = pd.read_csv(FOLDER / f"mos2_sites_{name}.csv")
        known, judged = sites[["x", "y"]].to_numpy(), (sites["kind"] == "judged").to_numpy()
        match = match_positions(found, known, tolerance=TOLERANCE * edge / np.sqrt(3))
        right += int(judged[match.known].sum())
        n_found += int(judged[cKDTree(known).query(found)[1]].sum()) if len(found) else 0
        n_known += int(judged.sum())
    return 2 * right / max(1, n_found + n_known)


def run(recorder: Recorder) -> None:
    recipe = load_recipe("MoS2")
    training = recipe.training.model_copy(update={"steps": STEPS, "validate_every": STEPS, "validation_images": 16})
    recipe = recipe.model_copy(
        update={"training": training, "network": recipe.network.model_copy(update={"width": 16})}
    )
    whole: dict[str, float] = {}
    for name, fixed in WITHOUT.items():
        model = ad.Localizer().fit(without(recipe, fixed))
        figures = {f"f1_dose_{dose:g}": f1_simulated(model, recipe, dose) for dose in DOSES}
        figures["f1_real_mos2"] = f1_real(model)
        whole = whole or figures
        for figure, value in figures.items():
            recorder.add(f"ablation/without_{name}/{figure}" if fixed else f"ablation/all/{figure}", value)
        print("      " + ", ".join(f"{figure} {value - whole[figure]:+.4f}" for figure, value in figures.items()))
        recorder.save()
