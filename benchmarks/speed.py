"""Speed on this machine: the import, images simulated and trained on a second, a real image from file to atoms."""

import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import resources

import adatom as ad
from adatom.models import load_recipe
from adatom.simulate import simulate_image
from adatom.train import TrainingSettings
from benchmarks.record import Recorder
from benchmarks.two_atom_images import draw_image


def run(recorder: Recorder) -> None:
    """Medians of short runs; the first call of each is left out."""
    recorder.add("speed/import_seconds", min(_import_seconds() for _ in range(3)), goal="<= 0.3")
    for name in ("si111_7x7", "hexagonal_two_atoms"):
        recipe = load_recipe(name)
        simulate_image(recipe, seed=0, index=0)
        started = time.perf_counter()
        for index in range(1, 101):
            simulate_image(recipe, seed=0, index=index)
        recorder.add(f"{name}/simulated_images_128px_a_second", 100 / (time.perf_counter() - started))
    recorder.add("any_atoms/simulated_images_256px_a_second", _wide_images_a_second(), goal=">= 100")
    settings = TrainingSettings(steps=20, validate_every=20, validation_images=2)
    model = ad.Segmenter(training=settings).fit(load_recipe("si111_7x7"))
    seconds = sorted(
        b["seconds"] - a["seconds"] for a, b in zip(model.history_[:-2], model.history_[1:-1], strict=True)
    )
    recorder.add("si111_7x7/training_images_128px_a_second", settings.batch_size / seconds[len(seconds) // 2])
    with resources.as_file(resources.files("adatom") / "examples" / "image_with_defects.dat") as file:
        ad.find(ad.read(file))
        times = []
        for _ in range(5):
            started = time.perf_counter()
            ad.find(ad.read(file))
            times.append(time.perf_counter() - started)
    recorder.add("si111/real/read_to_atoms_256px_seconds", sorted(times)[2])
    images = [draw_image("noisy", "test", 1000 + k, size=512).image for k in range(4)]
    for name, refine, goal in (("without_refinement", False, "<= 1"), ("with_refinement", True, "<= 3")):
        times = []
        for image in [images[0], *images * 2]:  # the first warms up
            started = time.perf_counter()
            ad.find(image, refine=refine)
            times.append(time.perf_counter() - started)
        recorder.add(f"localizer/find_512px_{name}_seconds", sorted(times[1:])[len(images)], goal=goal)


def _wide_images_a_second() -> float:
    """Of the general finder's recipe at 256 x 256, by two processes."""
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_simulate_wide, range(0, 8, 4), [4] * 2))  # both have loaded what they need
        started = time.perf_counter()
        list(pool.map(_simulate_wide, range(100, 300, 10), [10] * 20))
        return 200 / (time.perf_counter() - started)


def _simulate_wide(first: int, n: int) -> None:
    recipe = load_recipe("any_atoms")
    recipe = recipe.model_copy(update={"microscope": recipe.microscope.model_copy(update={"image_size": 256})})
    for index in range(first, first + n):
        simulate_image(recipe, seed=0, index=index)


def _import_seconds() -> float:
    """Of `import adatom` in a process of its own, the start of Python left out."""
    program = "import time; t = time.perf_counter(); import adatom; print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
