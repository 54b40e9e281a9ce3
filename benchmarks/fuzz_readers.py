"""10,000 damaged files, over one tiny file of each format: an image or one clear error, soon and in little memory.

Damage is a cut, flipped bits, bytes set to another value, or a number somewhere in the first kilobyte set to an extreme
(sizes in headers that lie), up to eight of these in a file. Everything follows from the seed of each file, kept beside
the message of a failure. Files are read in two processes that are not this one, so a reader that dies is counted.
"""

import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.record import Recorder
from benchmarks.tiny_files import EXAMPLES, nion_ndata

N_FILES = 10_000
_SECONDS, _MEGABYTES = 10.0, 500.0
_PER_PROCESS = 250
_HEADER_BYTES = 1024
_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000, 0x1000000)


def damage(content: bytes, seed: int) -> bytes:
    """The same damage for the same seed."""
    chance = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        if not damaged:
            break
        kind = chance.choice(("cut", "bit", "byte", "number", "number", "repeat"))
        place = chance.randrange(len(damaged))
        if kind == "cut":
            del damaged[max(place, 1) :]
        elif kind == "bit":
            damaged[place] ^= 1 << chance.randrange(8)
        elif kind == "byte":
            damaged[place] = chance.randrange(256)
        elif kind == "number":
            place = chance.randrange(min(len(damaged), _HEADER_BYTES))
            form = chance.choice(("<I", ">I", "<H", ">H", "<Q", ">Q"))
            mask = (1 << 8 * struct.calcsize(form)) - 1
            number = struct.pack(form, chance.choice(_EXTREMES) & mask)
            damaged[place : place + len(number)] = number
        else:
            stop = min(place + chance.randint(1, 64), len(damaged))
            damaged[place:place] = damaged[place:stop]
    return bytes(damaged)


def run(recorder: Recorder) -> None:
    """Damage, read, count."""
    samples = {**{name: make().content for name, make in EXAMPLES.items()}, "Nion ndata": nion_ndata().content}
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate(samples.values()):
            (Path(folder) / f"{number}.sample").write_bytes(content)
        told: list[str] = []
        for start in range(0, N_FILES, _PER_PROCESS):
            told += _in_a_process(folder, start, len(samples))
    outcomes = Counter(line.split("\t")[0] for line in told)
    seconds = [float(line.split("\t")[1]) for line in told]
    megabytes = [float(line.split("\t")[2]) for line in told]
    for line in told:
        if line.startswith(("crash", "other")) or float(line.split("\t")[1]) > _SECONDS:
            print(line)
    print(f"  {outcomes['image']} still read as images, {outcomes['error']} refused")
    recorder.add("files/fuzz/files", len(told), goal=f">= {N_FILES}")
    recorder.add("files/fuzz/crashes", outcomes["crash"], goal="<= 0")
    recorder.add("files/fuzz/other_errors", outcomes["other"], goal="<= 0")
    recorder.add("files/fuzz/slowest_s", max(seconds), goal=f"<= {_SECONDS:g}")
    recorder.add("files/fuzz/most_memory_mb", max(megabytes), goal=f"<= {_MEGABYTES:g}")


def _in_a_process(folder: str, start: int, n_samples: int) -> list[str]:
    """A line for each file; one that brings the process down is a crash, and reading goes on after it."""
    lines: list[str] = []
    while len(lines) < _PER_PROCESS:
        command = [sys.executable, "-m", "benchmarks.fuzz_readers", folder, str(start + len(lines))]
        command += [str(start + _PER_PROCESS), str(n_samples)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
        lines += done.stdout.splitlines()
        if len(lines) < _PER_PROCESS:
            lines.append(f"crash\t0\t0\tseed {start + len(lines)}\t{done.stderr[-300:]!r}")
    return lines


def _read_damaged(folder: Path, start: int, stop: int, n_samples: int) -> None:
    from adatom.errors import FileFormatError
    from adatom.files import read

    path = folder / "damaged.bin"
    for seed in range(start, stop):
        path.unlink(missing_ok=True)
        path.write_bytes(damage((folder / f"{seed % n_samples}.sample").read_bytes(), seed))
        began = time.monotonic()
        try:
            read(path)
            outcome, message = "image", ""
        except FileFormatError as error:
            is_one_line = ": expected " in str(error) and "\n" not in str(error)
            outcome, message = ("error" if is_one_line else "other"), str(error)
        except Exception as error:
            outcome, message = "other", f"{type(error).__name__}: {error}"
        took = time.monotonic() - began
        here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        used = (here + _worker_peak_kb()) / 1024
        print(f"{outcome}\t{took:.3f}\t{used:.1f}\tseed {seed}\t{message[:200]!r}", flush=True)


def _worker_peak_kb() -> int:
    """The largest memory that the process reading for us has had so far [kB]."""
    from adatom.files.guard import worker_process_id

    number = worker_process_id()
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    try:
        status = Path(f"/proc/{number}/status").read_text(encoding="ascii")
    except OSError:
        return ended
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return max(int(line.split()[1]), ended)


if __name__ == "__main__":
    _read_damaged(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
