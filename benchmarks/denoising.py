"""Denoisers on simulated STEM images of MoS2: how near to the clean image, and what the finder makes of the result.

Images of the starting recipe of MoS2 (dirt and vacancies included), at 8, 30 and 100 counts at the peak of a column and
a tenth of it between. The supervised denoiser learns from other images of that recipe at 4 to 200 counts; the blind
spot from each image alone. Classical methods (scikit-image; wavelets by PyWavelets) see Anscombe's root of the
counts, and choose their strength by the image. `find` is asked without any setting; a find is right within 0.3 bonds,
one to one.

``python -m benchmarks.denoising --quick`` looks at one image a dose with short trainings and keeps no figures.
"""

import argparse
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

import adatom as ad
from adatom.analyse.residual_structure import residual_structure
from adatom.data import make_image
from adatom.models import Denoiser, Recipe, load_recipe
from adatom.models.classical_denoisers import CLASSICAL, ClassicalDenoiser
from adatom.simulate import SimulatedImage, simulate_image
from benchmarks.counting import Counts, count
from benchmarks.record import Recorder

Array = NDArray[np.float64]

DOSES = (8.0, 30.0, 100.0)
N_IMAGES, SIDE = 2, 192
TRAINING_SIDE, STEPS = 64, 16_000
BOND_NM = 0.1825  # of neighbouring columns, Mo and S2, seen from above
TOLERANCE, BORDER_PX = 0.3, 4.0
SEED = 20_2611


def stem_recipe(counts: tuple[float, float], side: int) -> Recipe:
    """MoS2 with nothing but counting noise."""
    recipe = load_recipe("MoS2")
    changes = {
        "image_size": side,
        "counts_per_peak": counts,
        "counts_probability": 1.0,
        "dark_level": (0.1, 0.1),
        "noise": (0.0, 0.0),
        "noise_correlation_px": (0.0, 0.0),
        "row_offset_probability": 0.0,
        "row_shift_nm": (0.0, 0.0),
    }
    return recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update=changes)})


def counted(drawn: SimulatedImage, values: Array) -> Counts:
    """What `find` finds in an image, against what is there."""
    image = make_image(values, pixel_size=load_recipe("MoS2").microscope.pixel_size_nm)
    found = ad.find(image)[["x", "y"]].to_numpy() / load_recipe("MoS2").microscope.pixel_size_nm
    known = np.column_stack([drawn.x, drawn.y])
    bond = BOND_NM / load_recipe("MoS2").microscope.pixel_size_nm * drawn.scale
    last = np.array(values.shape[::-1]) - 1.0
    at_border = np.minimum(found, last - found).min(axis=1) < BORDER_PX
    return count(found, known, tolerance=TOLERANCE * bond, at_border=at_border)


def run(recorder: Recorder, *, n_images: int = N_IMAGES, steps: int = STEPS) -> None:
    """All methods at all doses."""
    training = {"steps": steps, "validate_every": steps // 8, "learning_rate": 0.003, "ema_decay": 0.998, "seed": SEED}
    started = time.monotonic()
    supervised = Denoiser(training=training).fit(stem_recipe((4.0, 200.0), TRAINING_SIDE))
    recorder.add("denoise/supervised/training_seconds", time.monotonic() - started)
    classical = [name for name in CLASSICAL if name != "wavelet" or find_spec("pywt")]
    for dose in DOSES:
        quality: dict[str, float] = {}
        images = [
            simulate_image(stem_recipe((dose, dose), SIDE), seed=SEED, index=k, with_clean=True)
            for k in range(n_images)
        ]
        methods: dict[str, Callable[[Array], tuple[Array, Array | None]]] = {
            "none": lambda values: (values, None),
            **{name: lambda values, name=name: (ClassicalDenoiser(values, name)(values), None) for name in classical},
            "blind_spot": lambda values: _by(
                Denoiser(method="blind_spot", random_state=SEED).fit(make_image(values)), values
            ),
            "supervised": lambda values: _by(supervised, values),
        }
        for name, denoise in methods.items():
            quality[name] = _judge(recorder, f"denoise/{dose:g}_counts/{name}", images, denoise)
        best = max(quality[name] for name in classical)
        goal = dose == 30
        recorder.add(
            f"denoise/{dose:g}_counts/supervised_over_classical_db",
            quality["supervised"] - best,
            goal=">= 3" if goal else None,
        )
        recorder.add(
            f"denoise/{dose:g}_counts/supervised_over_blind_spot_db",
            quality["supervised"] - quality["blind_spot"],
            goal="<= 2" if goal else None,
        )


def _by(model: Denoiser, values: Array) -> tuple[Array, Array | None]:
    result = model.predict(make_image(values))
    return result["denoised"].to_numpy(), result["risk"].to_numpy()


def _judge(
    recorder: Recorder,
    figure: str,
    images: list[SimulatedImage],
    denoise: Callable[[Array], tuple[Array, Array | None]],
) -> float:
    """Record the figures of one method at one dose; returns its PSNR, of a column of height 1, mean over the images."""
    squares, similar, counts, risks, shares = [], [], Counts(), [], []
    for drawn in images:
        assert drawn.clean is not None
        values, clean = drawn.image.astype(float), drawn.clean.astype(float)
        denoised, risk = denoise(values)
        squares.append(float(np.mean((denoised - clean) ** 2)))
        similar.append(float(structural_similarity(denoised, clean, data_range=float(np.ptp(clean)))))
        counts += counted(drawn, denoised)
        if risk is not None:
            risks.append(float(np.mean(risk**2)))
        if denoised is not values:
            shares.append(residual_structure(values, denoised).removed_share)
    quality = float(np.mean(-10 * np.log10(squares)))
    recorder.add(f"{figure}/psnr_db", quality)
    recorder.add(f"{figure}/ssim", float(np.mean(similar)))
    recorder.add(f"{figure}/f1", counts.f1)
    recorder.add(f"{figure}/position_rms_px", counts.rms)
    if shares:
        recorder.add(f"{figure}/removed_share_of_lattice", float(np.mean(shares)))
    if risks:
        recorder.add(f"{figure}/risk_over_error", float(np.sqrt(np.mean(risks) / np.mean(squares))))
    return quality


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a look at some figures; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="one image a dose, a short training")
    if parser.parse_args().quick:
        run(Recorder(command="a look"), n_images=1, steps=200)
    else:
        run(Recorder(command="a look"))
