"""Recipes matched to images: to simulated ones whose numbers are known, and to real ones.

Estimates are judged by how often they are within two of their standard deviations, and images by how well a classifier
tells crops of them from simulated ones: 0.5 is perfect.
"""

import time

import numpy as np

import adatom as ad
from adatom.matching import Match, match
from benchmarks.matched_images import errors, known_image
from benchmarks.record import FOLDER, Recorder

N_IMAGES = 16
DATA = FOLDER.parent.parent / "shared" / "data"
MATCHED = {
    "mos2_000": (DATA / "mos2_haadf" / "MoS2_stem_Exp-000-2.npy", "hexagonal_two_atoms"),
    "mos2_002": (DATA / "mos2_haadf" / "MoS2_stem_Exp-002-5.npy", "hexagonal_two_atoms"),
    "mos2_se": (DATA / "vendor" / "example_Se_implanted_MoS2.dm3", "hexagonal_two_atoms"),
    "si111": (DATA / "stm_si111" / "image_with_defects.dat", "si111_7x7"),
    "mos2_000_any_atoms": (DATA / "mos2_haadf" / "MoS2_stem_Exp-000-2.npy", "any_atoms"),
}


def run(recorder: Recorder) -> None:
    """Coverage and the two-sample test on known images of two recipes, and the test on real images."""
    for name in ("hexagonal_two_atoms", "si111_7x7"):
        found, tests, seconds = [], [], []
        for number in range(N_IMAGES):
            known = known_image(name, number)
            started = time.process_time()
            matched = match(known.image, known.recipe)
            seconds.append(time.process_time() - started)
            found.append(errors(known, matched))
            tests.append((matched.before.accuracy, matched.after.accuracy))
        figure = f"match/{name}/simulated"
        every = np.array([error for each in found for error in each.values()])
        recorder.add(f"{figure}/within_2_std", float((np.abs(every) < 2).mean()), goal=">= 0.9")
        for field in sorted({field for each in found for field in each}):
            each = np.array([errors_[field] for errors_ in found if field in errors_])
            recorder.add(f"{figure}/within_2_std/{field}", float((np.abs(each) < 2).mean()))
        before, after = np.mean(tests, axis=0)
        recorder.add(f"{figure}/told_apart_before", float(before))
        recorder.add(f"{figure}/told_apart_after", float(after), goal="<= 0.6")
        recorder.add(f"{figure}/cpu_seconds", float(np.median(seconds)))
    for name, (file, recipe) in MATCHED.items():
        if file.exists():
            _record_real(recorder, name, match(ad.read(file), recipe))


def _record_real(recorder: Recorder, name: str, matched: Match) -> None:
    recorder.add(f"match/{name}/real/told_apart_before", matched.before.accuracy)
    recorder.add(f"match/{name}/real/told_apart_after", matched.after.accuracy)
    recorder.add(f"match/{name}/real/told_apart_after_low", matched.after.low)
    recorder.add(f"match/{name}/real/told_apart_after_high", matched.after.high)
