"""Images of 256 x 256 px that the generator draws a second, and whether its memory stays."""

import resource
import tempfile
import time
from pathlib import Path

from adatom.models.recipe import Recipe, load_recipe
from adatom.models.simulated_set import write_simulated_set
from adatom.simulate import simulate_image, simulate_images
from benchmarks.record import Recorder

_STEM = {
    "kind": "stem",
    "voltage_kv": [60, 80],
    "semi_angle_mrad": [28, 33],
    "defocus_nm": [-4, 4],
    "c3_um": [-5, 5],
    "astigmatism_nm": [0, 2],
    "source_nm": [0.02, 0.04],
    "dose_e_per_a2": [1e4, 3e5],
    "drift_nm": [0, 0.1],
    "flyback_nm": [0, 0.05],
}
_STM = {
    "kind": "stm",
    "tip_radius_nm": [0.1, 0.5],
    "second_apex_probability": 0.3,
    "tip_change_probability": 0.3,
    "feedback_lag_nm": [0, 0.1],
    "pink_noise": [0, 0.5],
    "creep_nm": [0, 0.5],
}
# name -> recipe that ships, its probe, whether it is a lattice
_KINDS = {
    "hexagonal_two_atoms": ("hexagonal_two_atoms", None, True),
    "si111_7x7": ("si111_7x7", None, True),
    "any_atoms": ("any_atoms", None, False),
    "hexagonal_two_atoms_stem": ("hexagonal_two_atoms", _STEM, True),
    "hexagonal_two_atoms_abf": ("hexagonal_two_atoms", _STEM | {"detector": "abf"}, True),
    "si111_7x7_stm": ("si111_7x7", _STM, True),
}
_N_ALONE, _N_TOGETHER = 150, 1000
_N_WARM, _N_MEMORY = 1000, 3000


def run(recorder: Recorder) -> None:
    """Rates of each kind of image: by the time of one processor, which others on the machine do not change much, and by
    the clock with two processes, whose start is part of it, as a user waits for it too.
    """
    for name in _KINDS:
        recipe = _recipe(name)
        simulate_image(recipe, seed=0, index=0)
        started = time.process_time()
        for index in range(1, _N_ALONE + 1):
            simulate_image(recipe, seed=0, index=index)
        recorder.add(f"simulate/{name}/images_256px_a_processor_second", _N_ALONE / (time.process_time() - started))
        started = time.perf_counter()
        n = sum(1 for _ in simulate_images(recipe, seed=0, first=1000, n=_N_TOGETHER, jobs=2))
        goal = ">= 100" if _KINDS[name][2] else None
        recorder.add(f"simulate/{name}/images_256px_a_second", n / (time.perf_counter() - started), goal=goal)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_simulated_set(_recipe("hexagonal_two_atoms"), Path(folder) / "set.zarr", n=_N_TOGETHER, jobs=2)
        rate = _N_TOGETHER / (time.perf_counter() - started)
    recorder.add("simulate/hexagonal_two_atoms/images_256px_written_a_second", rate)
    for name in ("hexagonal_two_atoms", "hexagonal_two_atoms_stem"):
        recorder.add(f"simulate/{name}/memory_growth_mb_over_{_N_MEMORY}_images", _memory_growth_mb(name), goal="<= 5")


def _recipe(name: str) -> Recipe:
    shipped, probe, _ = _KINDS[name]
    content = load_recipe(shipped).model_dump()
    content["microscope"]["image_size"] = 256
    if probe is not None:
        content["microscope"] |= {"probe": probe, "counts_per_peak": None}
    return Recipe.model_validate(content)


def _memory_growth_mb(name: str) -> float:
    """Resident memory that is taken on top of that of the first 1000 images, among which large ones have set the pools
    of the allocator; means over 300 images, as it goes up and down by some megabytes.
    """
    recipe = _recipe(name)
    page = resource.getpagesize()

    def resident() -> int:
        return page * int(Path("/proc/self/statm").read_text().split()[1])

    early, late = [], []
    for index in range(_N_WARM + _N_MEMORY):
        simulate_image(recipe, seed=0, index=index)
        if _N_WARM - 300 <= index < _N_WARM:
            early.append(resident())
        elif index >= _N_WARM + _N_MEMORY - 300:
            late.append(resident())
    return (sum(late) / len(late) - sum(early) / len(early)) / 2**20
