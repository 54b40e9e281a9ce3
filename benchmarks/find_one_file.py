"""One `find` in a process of its own, for its time and its memory: ``FILE OUT MEMORY_GB REFINE``, JSON out."""

import json
import sys
import time
from pathlib import Path

from adatom.distribute.file_search import FileSearch


def main(file: str, out: str, memory_gb: str, refine: str) -> None:
    """From the file to the table."""
    started = time.perf_counter()
    asked = FileSearch(model="any_atoms", memory_gb=float(memory_gb), refine=refine == "1")
    summary = asked.run(Path(file), Path(out))
    facts = {name: summary.get(name) for name in ("n_atoms", "tiles", "profile")}
    print(json.dumps({**facts, "seconds": time.perf_counter() - started, "peak_gib": _peak_gib()}))


def _peak_gib() -> float:
    """Of this process alone: what `resource` says begins with what the program that started it took."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


if __name__ == "__main__":
    main(*sys.argv[1:])
