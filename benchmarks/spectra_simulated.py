"""Loops of simulated domains: how much of what the structure determines is predicted, and whether error bars hold it.

Two specimens a share of determined variance: one to learn from, another, drawn anew, to be judged on.
"""

import numpy as np

import adatom as ad
from adatom.models.spectrum_comparison import compare, r2_score
from adatom.prepare.spectrum_pairs import Pairs, pair_up
from adatom.simulate.loops import domain_polarisation, simulate_loops
from benchmarks.record import Recorder

DETERMINED = (0.97, 0.7, 0.4)
SIZE = 64
PIXEL_NM = 10.0
PATCH_NM = 90.0


def run(recorder: Recorder) -> None:
    """R^2 against the ceiling, coverage of 90 % bands, the gain over baselines; then the way back."""
    for determined in DETERMINED:
        train, _ = _specimen(determined, seed=0)
        test, ceiling = _specimen(determined, seed=1)
        model = ad.ImageToSpectrum(random_state=0).fit_pairs(train)
        said, std = model.predict_patches(test.patches)
        name = f"spectra/simulated/determined_{round(100 * determined)}"
        r2 = r2_score(test.spectra, said)
        recorder.add(f"{name}/r2", r2, goal=">= 0.9" if determined >= 0.95 else None, peer=ceiling)
        recorder.add(f"{name}/r2_over_ceiling", r2 / ceiling, goal="<= 1.01")
        covered = float((np.abs(test.spectra - said) <= 1.645 * std).mean())
        recorder.add(f"{name}/coverage_of_90_percent_bands", covered, goal=">= 0.87")
        recorder.add(f"{name}/coverage_of_90_percent_bands_is_not_too_much", covered, goal="<= 0.93")
        comparison = compare(model, train)
        recorder.add(f"{name}/r2_above_best_baseline", comparison.gain[0])
        print(comparison.table.round(3).to_string(), comparison.verdict, sep="\n", flush=True)
    back = ad.SpectrumToImage(random_state=0, training={"steps": 200}).fit_pairs(train)
    recorder.add("spectra/simulated/determined_40/reverse_r2", back.figures_["val_r2_blend"])


def _specimen(determined: float, *, seed: int) -> tuple[Pairs, float]:
    """Pairs of one scan, and the R^2 of a predictor that knows all that the structure determines."""
    rng = np.random.default_rng(seed)
    polarisation = domain_polarisation(SIZE, rng)
    scan = simulate_loops(polarisation, rng, determined=determined, pixel_size=PIXEL_NM)
    return pair_up(scan.image, scan.spectra, patch_size_nm=PATCH_NM), scan.ceiling
