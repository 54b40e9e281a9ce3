"""Every file of ../shared/data that holds an image: shape, pixel size and unit against what is known of it."""

import hashlib
import math
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.record import Recorder

DATA = Path(__file__).parents[2] / "shared" / "data"


class Known(NamedTuple):
    """What is known of a file: from its own header read by other means, or from the README of the data."""

    shape: tuple[int, ...]
    pixel_size: float | None = None
    units: str = ""
    dims: tuple[str, ...] = ("y", "x")


_NM_15 = 15 / 512  # 15 nm over 512 pixels
KNOWN = {
    "stm_si111/image_with_defects.dat": Known((256, 256), None, "m"),
    "stm_si111/image_with_step_edge_and_atoms.dat": Known((512, 512), None, "m"),
    "nanonis/nanonis.sxm": Known((160, 160), 10 / 160, "m"),
    "nanonis/createc_scan_11nm.dat": Known((512, 512), 11.25034 / 512, "nm"),
    "vendor/example_Se_implanted_MoS2.dm3": Known((1024, 1024), 0.0126953125),
    "vendor/example_Au_nanoparticle.emd": Known((2048, 2048), 0.0074984),
    "pfm/PTO_Funakubo0001.h5": Known((256, 256), 1000 / 255, "m"),
    "pfm/GO_cafm.tif": Known((915, 915)),
    "beps_pto/BEPS_PTO_50x50.h5": Known((50, 50, 64), 2000 / 49, "a.u.", ("y", "x", "bias")),
    "fast_stm_movie/20141003_24.h5": Known((67, 105, 105), dims=("frame", "y", "x")),
    "atomai_models/segmentor_io.npz": Known((2, 256, 256), dims=("frame", "y", "x")),
}
_BY_FOLDER = {
    "pt_single_atoms": Known((512, 512), _NM_15),
    "re_pt_molecules": Known((512, 512)),
    "mos2_haadf": Known((512, 512)),
}
# positions, licences, descriptions, and a model
_NO_IMAGE = (".csv", ".json", ".md", ".txt", ".tar", "")


def run(recorder: Recorder) -> None:
    """Read every file, and compare."""
    from adatom.data import pixel_size_nm
    from adatom.files import read

    n_right = n_files = n_changed = 0
    started = time.monotonic()
    for path in sorted(DATA.rglob("*")):
        name = path.relative_to(DATA).as_posix()
        known = KNOWN.get(name) or _BY_FOLDER.get(path.parent.name)
        if path.is_dir() or path.suffix in _NO_IMAGE or known is None:
            continue
        n_files += 1
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        image = read(path)
        size = pixel_size_nm(image)
        is_size = size is None if known.pixel_size is None else size is not None and _same(size, known.pixel_size)
        axes = all(image[dim].attrs["units"] == ("px" if size is None else "nm") for dim in "yx")
        is_right = is_size and axes and image.shape == known.shape and image.dims == known.dims
        is_right = is_right and image.attrs["units"] == known.units
        n_right += is_right
        n_changed += hashlib.sha256(path.read_bytes()).hexdigest() != before
        if not is_right:
            print(f"  wrong: {name} {image.dims} {image.shape} {size} {image.attrs['units']!r}")
    recorder.add("files/shared_data/files", n_files)
    recorder.add("files/shared_data/right", n_right / n_files, goal=">= 1")
    recorder.add("files/shared_data/inputs_changed", n_changed, goal="<= 0")
    recorder.add("files/shared_data/seconds_per_file", (time.monotonic() - started) / n_files)


def _same(size: tuple[float, float], known: float) -> bool:
    return all(math.isclose(side, known, rel_tol=1e-5) for side in size)
