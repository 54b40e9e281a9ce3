"""Is this image like the training? What the finder that ships says of images that are and of images that are not.

Simulated test images of its own recipe (numbered far from the training's), real images of atoms, natural textures (of
scikit-image), and noise. `find` looks for atoms in all of them, at a scale of its own choice, as a user would have it;
`unfamiliarity` above one half is a warning, as is a poor support. Noise in which next to nothing is found needs none:
one figure counts images that are warned of for any of these reasons, or that show fewer than one atom in an area for
100.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from sklearn.metrics import roc_auc_score

import adatom as ad
from adatom.data import make_image
from adatom.errors import AdatomError
from adatom.models import load_recipe
from adatom.simulate import simulate_image
from benchmarks.record import FOLDER, Recorder

DATA = FOLDER.parent.parent / "shared" / "data"
N_SIMULATED, N_NOISE = 48, 16
# Real images of lattices of atoms that the model should know; lone atoms and molecules are another benchmark.
REAL = (
    "stm_si111/image_with_defects.dat",
    "stm_si111/image_with_step_edge_and_atoms.dat",
    "mos2_haadf/MoS2_stem_Exp-000-2.npy",
    "mos2_haadf/MoS2_stem_Exp-002-5.npy",
    "vendor/example_Se_implanted_MoS2.dm3",
    "vendor/example_Au_nanoparticle.emd",
    "fast_stm_movie/20141003_24.h5",
)
TEXTURES = ("brick", "grass", "gravel", "camera", "coins", "page", "text", "cell")
# What `find` says of an image that it does not know: by its features, by its support, by the lack of a lattice.
WARNINGS = ("looks unlike", "explains this image poorly", "stands on a lattice")
_FAR = 2**42  # numbers of simulated images that nothing else uses


def simulated() -> Iterator[tuple[str, xr.DataArray]]:
    recipe = load_recipe("any_atoms")
    number = 0
    while number < N_SIMULATED:
        drawn = simulate_image(recipe, seed=0, index=_FAR + number)
        number += 1
        if len(drawn.x) >= 20:
            yield f"simulated {number}", make_image(drawn.image.astype(float))


def real() -> Iterator[tuple[str, xr.DataArray]]:
    for name in REAL:
        image = ad.read(DATA / name)
        yield name, image.isel(frame=0) if "frame" in image.dims else image


def textures() -> Iterator[tuple[str, xr.DataArray]]:
    import skimage.data

    for name in TEXTURES:
        values = np.asarray(getattr(skimage.data, name)(), dtype=float)
        yield name, make_image(values[:512, :512])


def noise() -> Iterator[tuple[str, xr.DataArray]]:
    for number in range(N_NOISE):
        yield f"noise {number}", make_image(np.random.default_rng(number).normal(size=(256, 256)))


def run(recorder: Recorder) -> None:
    """Every image with its score, then shares and the area under the ROC curve."""
    scores: dict[str, list[float]] = {}
    careful: dict[str, list[bool]] = {}
    for name, images in {"simulated": simulated(), "real": real(), "textures": textures(), "noise": noise()}.items():
        scores[name], careful[name] = [], []
        for what, image in images:
            try:
                summary = ad.find(image).attrs["summary"]
            except AdatomError as error:
                print(f"    {what}: {error}", flush=True)
                continue
            score = summary["unfamiliarity"] or 0.0
            room = image.size * summary["working_factor"] ** 2 / 30
            warned = any(word in text for text in summary["warnings"] for word in WARNINGS)
            careful[name].append(warned or summary["n_atoms"] < 0.01 * room)
            scores[name].append(score)
            if name != "simulated":
                print(
                    f"    {what}: unfamiliarity {score:.2f}, support {summary['support']:.2f}, {summary['n_atoms']} "
                    f"atoms where {room:.0f} have room",
                    flush=True,
                )
    for name in scores:
        print(f"      {name}: unfamiliarity {np.quantile(scores[name], [0.1, 0.5, 0.9]).round(2)} (10, 50, 90 %)")
        recorder.add(f"familiarity/{name}/share_called_unlike", float((np.array(scores[name]) > 0.5).mean()))
        recorder.add(f"familiarity/{name}/share_warned_of_or_empty", float(np.mean(careful[name])))
    for name in ("textures", "noise"):
        known = scores["simulated"] + scores["real"]
        truth = [0] * len(known) + [1] * len(scores[name])
        recorder.add(f"familiarity/{name}/area_under_roc", float(roc_auc_score(truth, known + scores[name])))


if __name__ == "__main__":
    run(Recorder(command="a look"))
