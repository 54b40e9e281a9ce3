"""The model of WS2 with its point defects: classes on simulated images that it has not seen, and on real MoS2.

Simulated: WS2 in HAADF-STEM with columns as bright as Z^1.5 to Z^1.9 makes them, at three doses; a find is right where
place (0.35 typical spacings) and class both are. A column that lost one of two S atoms is dimmer by 5 to 10 % of a W
column. ``contaminated`` are the same with all dirt that the recipe knows: islands and adsorbates as bright as half to
three W columns, which lie on vacancies too and hide them; there, no class has a goal.

Real: the monolayers of MoS2 of `benchmarks.mos2_sites`, whose sites are guided by the lattice and know no result of
Adatom. The model was trained on ranges of brightness that hold MoS2 too, and calls Mo "W". What is checked is that the
sublattices come out right and balanced; that a vacancy or a lighter metal atom is really one nobody has marked.

``python -m benchmarks.ws2_defects FOLDER`` writes decoded pictures of real and simulated images there, to be looked at.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import adatom as ad
from adatom.data.training_set import open_training_set
from adatom.locate import match_positions
from adatom.models.evaluation import evaluate_model
from adatom.models.recipe import Recipe, load_recipe
from adatom.models.simulated_set import write_simulated_set
from adatom.report import draw_decoded, figure_png
from adatom.report.lines import figure_lines
from adatom.simulate import simulate_image
from benchmarks.mos2_sites import FILES, FOLDER, LATTICE_CONSTANT_NM, LEFT_OUT, guided_sites
from benchmarks.mos2_sites import read_values as read_mos2
from benchmarks.record import Recorder

MODEL = "ws2_defects"
DOSES = (500.0, 1000.0, 5000.0)  # counts at the peak of a W column
N_IMAGES = 48
SEED = 31
GOALS = {"W": ">= 0.97", "S2": ">= 0.97", "V_S": ">= 0.9", "V_S2": ">= 0.9", "Mo_W": ">= 0.9"}
ON_W, ON_S2 = ("W", "Mo_W"), ("S2", "V_S", "V_S2")
TOLERANCE = 0.4  # Mo-S2 distances


def test_recipe(dose: float, *, contaminated: bool = False) -> Recipe:
    """WS2 as it is, at one dose, on a background, with or without dirt on it."""
    recipe = load_recipe(MODEL)
    material = recipe.material.model_copy(update={"contrast": {}, "contrast_exponent": (1.5, 1.9)})
    microscope = recipe.microscope.model_copy(update={"counts_per_peak": (dose, dose), "noise": (0.002, 0.005)})
    defects = recipe.defects
    if not contaminated:
        defects = defects.model_copy(update={"island_probability": 0.0, "adsorbate": (0.0, 0.0)})
    return recipe.model_copy(update={"material": material, "microscope": microscope, "defects": defects})


def simulated(recorder: Recorder) -> None:
    model = ad.load(MODEL)
    for dose, contaminated in [(each, dirt) for dirt in (False, True) for each in DOSES]:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "test.zarr"
            write_simulated_set(test_recipe(dose, contaminated=contaminated), store, n=N_IMAGES, seed=SEED)
            figures = evaluate_model(model, open_training_set(store))
        name = f"ws2_defects/{'contaminated' if contaminated else 'clean'}/dose_{dose:g}"
        for kind, goal in GOALS.items():
            recorder.add(
                f"{name}/f1_{kind}", figures[f"f1_{kind}"], goal=goal if dose >= 1000 and not contaminated else None
            )
        recorder.add(f"{name}/calibration_error", figures["calibration_error"])
        print("\n".join(figure_lines(figures, model.classes_)), flush=True)


def real(recorder: Recorder) -> None:
    for name in FILES:
        values = read_mos2(name)
        edge = guided_sites(values, LEFT_OUT[name]).edge
        atoms = ad.find(ad.make_image(values, pixel_size=LATTICE_CONSTANT_NM / edge), model=MODEL)
        found = atoms[["x", "y"]].to_numpy() * edge / LATTICE_CONSTANT_NM
        sites = pd.read_csv(FOLDER / f"mos2_sites_{name}.csv")
        match = match_positions(found, sites[["x", "y"]].to_numpy(), tolerance=TOLERANCE * edge / np.sqrt(3))
        judged = (sites["kind"] == "judged").to_numpy()
        found_as, site = atoms["species"].to_numpy()[match.found], sites["site"].to_numpy()[match.known]
        counted = judged[match.known]
        on_w, on_s2 = np.isin(found_as, ON_W), np.isin(found_as, ON_S2)
        recorder.add(f"ws2_defects/mos2_{name}/sites_found", match.known[counted].size / judged.sum())
        recorder.add(f"ws2_defects/mos2_{name}/mo_on_metal_sites", float(on_w[counted & (site == "Mo")].mean()))
        recorder.add(f"ws2_defects/mos2_{name}/s2_on_sulphur_sites", float(on_s2[counted & (site == "S2")].mean()))
        recorder.add(f"ws2_defects/mos2_{name}/sulphur_over_metal_sites", on_s2[counted].sum() / on_w[counted].sum())
        counts = {each: int((found_as[counted] == each).sum()) for each in GOALS}
        print(f"      classes {counts}, by {atoms.attrs['summary']['support']} support", flush=True)


def draw(folder: Path) -> None:
    """Decoded pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        values = read_mos2(name)
        image = ad.make_image(values, pixel_size=LATTICE_CONSTANT_NM / guided_sites(values, LEFT_OUT[name]).edge)
        atoms = ad.find(image, model=MODEL)
        (folder / f"mos2_{name}.png").write_bytes(figure_png(draw_decoded(image, atoms, list(GOALS))))
    drawn = simulate_image(test_recipe(1000.0), seed=SEED, index=0)
    image = ad.make_image(drawn.image, pixel_size=test_recipe(1000.0).microscope.pixel_size_nm)
    atoms = ad.find(image, model=MODEL)
    (folder / "simulated.png").write_bytes(figure_png(draw_decoded(image, atoms, list(GOALS))))


def run(recorder: Recorder) -> None:
    simulated(recorder)
    recorder.save()
    real(recorder)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
