"""Real Pt atoms without marks: the model that ships for single atoms, an ensemble on its trunk, and that adapted.

The ensemble are five last parts trained anew on the trunk of the model that ships (simulations only). It is adapted to
the eleven images themselves, of which no mark is used: to what its members find together (``findings``), and to images
simulated as the largest of them before that (``elit``). The experts' marks judge only. Differences below 0.03 mean
nothing, as experts judge one image more strictly than another; the paired bootstrap over images says as much.

Some 25 minutes.
"""

from collections.abc import Sequence

import numpy as np

import adatom as ad
from adatom.adapter import adapt_to_images
from adatom.models.ensemble import Ensemble
from adatom.models.ensemble_training import member_seed, tuning_steps
from adatom.models.localizer import Localizer
from benchmarks.detection_scores import (
    Finds,
    Judged,
    average_precision,
    judge,
    paired_bootstrap,
    reliability,
    score,
)
from benchmarks.marked_images import MarkedImage, pt_images
from benchmarks.record import Recorder

MODEL = "single_atoms"
N_MEMBERS, TOLERANCE_PX = 5, 6.0


def trunk_ensemble(shipped: Localizer) -> Ensemble:
    """Members that differ in their last parts."""
    recipe = shipped.recipe_
    assert recipe is not None
    steps = tuning_steps(recipe.training)
    members = []
    for k in range(N_MEMBERS):
        seed = member_seed(recipe.training.seed, k + 1)
        training = recipe.training.model_copy(update={"seed": seed, "steps": steps, "validate_every": steps // 4})
        members.append(Localizer(training=training).fit_crown(recipe, shipped))
        print(
            f"      member {k} of {N_MEMBERS}: F1 {members[-1].figures_['val_f1']:.3f} on simulated images", flush=True
        )
    return Ensemble.of(members, kind="trunk").calibrate_on(recipe)


def look(model: Localizer | Ensemble, one: MarkedImage) -> Finds:
    """All finds in an image, however unlikely, in px."""
    values = one.image.to_numpy()
    maps = model.look(values, model.working_factors(one.image)[0])
    peaks = model.peaks(maps, min_probability=0.0).within(np.ones(values.shape, dtype=bool))
    return Finds(np.column_stack([peaks.x, peaks.y]), peaks.probability)


def report(
    recorder: Recorder,
    name: str,
    model: Localizer | Ensemble,
    images: Sequence[MarkedImage],
    single: list[Judged] | None,
) -> list[Judged]:
    judged = [judge(look(model, one), one.marks, tolerance_px=TOLERANCE_PX) for one in images]
    counts = score(judged, model.min_probability)
    for figure in ("precision", "recall", "f1"):
        recorder.add(f"real_pt_elit/{name}/{figure}", getattr(counts, figure))
    recorder.add(f"real_pt_elit/{name}/average_precision", average_precision(judged))
    recorder.add(f"real_pt_elit/{name}/calibration_error", reliability(judged).expected_calibration_error)
    if single is not None:
        difference, low, high = paired_bootstrap(judged, single, average_precision)
        recorder.add(f"real_pt_elit/{name}/average_precision_over_single", difference)
        recorder.add(f"real_pt_elit/{name}/average_precision_over_single_low", low)
        recorder.add(f"real_pt_elit/{name}/average_precision_over_single_high", high)
    return judged


def run(recorder: Recorder) -> None:
    images = pt_images()
    shipped = ad.load(MODEL)
    assert isinstance(shipped, Localizer)
    single = report(recorder, "single", shipped, images, None)
    ensemble = trunk_ensemble(shipped)
    report(recorder, "ensemble", ensemble, images, single)
    recorder.save()
    stills = [one.image for one in images]
    for name, how in (("findings", "findings"), ("elit", "auto")):
        adapted = adapt_to_images(stills, ensemble, how=how)
        for each in adapted.rounds:
            print(f"      {each.as_dict()}", flush=True)
        print(f"      {adapted.warnings}", flush=True)
        report(recorder, name, adapted.model, images, single)
        recorder.save()
