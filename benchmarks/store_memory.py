"""A stored training set that is larger than what a training keeps of it in memory: how much memory reading takes."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from adatom.data.training_store import KnownImage, write_training_set
from benchmarks.record import Recorder

_N, _SIZE, _N_ATOMS, _N_BATCHES = 16000, 128, 60, 600
_ATTRS = {"classes": ["atom"], "pixel_size_nm": 0.1, "label_radius_px": 2.0, "recipe": "", "seed": 0}
# In a process of its own: what it needed at most, before the first batch and after the last.
_READ = f"""
import resource, sys
from adatom.data.training_set import open_training_set
from adatom.models.batches import StoredSamples
import numpy as np

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = peak()
source = StoredSamples(open_training_set(sys.argv[1]), batch_size=8, seed=0, prepare=lambda image: (image, 1.0),
                       multiple=8, n_validation=32)
for step in range(1, {_N_BATCHES + 1}):
    source.batch(step)
print(peak() - before)
"""


def _images() -> Iterator[KnownImage]:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(2 * _SIZE, 2 * _SIZE)).astype(np.float32)
    label, species = np.zeros((_SIZE, _SIZE), dtype=np.uint8), np.zeros(_N_ATOMS, dtype=np.int64)
    for _ in range(_N):
        top, left = rng.integers(_SIZE, size=2)
        x, y = rng.uniform(0, _SIZE - 1, (2, _N_ATOMS))
        yield KnownImage(noise[top : top + _SIZE, left : left + _SIZE], label, x, y, species, np.ones(_N_ATOMS))


def run(recorder: Recorder) -> None:
    """Peak memory of 600 batches, beside the 1 GB of images in the store."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "set.zarr"
        write_training_set(store, _images(), n=_N, size=_SIZE, attrs=_ATTRS)
        done = subprocess.run([sys.executable, "-c", _READ, store], check=True, capture_output=True, text=True)
    recorder.add("store/images_mb", _N * _SIZE**2 * 4 / 2**20)
    recorder.add("store/peak_memory_of_reading_mb", float(done.stdout), goal="<= 500")
