"""One `find` in a process of its own, for its time and its memory: ``FILE OUT MEMORY_GB REFINE``, JSON out."""

import json
import resource
import sys
import time
from pathlib import Path

from adatom.distribute.file_search import FileSearch


def main(file: str, out: str, memory_gb: str, refine: str) -> None:
    """From the file to the table."""
    started = time.perf_counter()
    asked = FileSearch(model="any_atoms", memory_gb=float(memory_gb), refine=refine == "1")
    summary = asked.run(Path(file), Path(out))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    facts = {name: summary.get(name) for name in ("n_atoms", "tiles", "profile")}
    print(json.dumps({**facts, "seconds": time.perf_counter() - started, "peak_gib": own}))


if __name__ == "__main__":
    main(*sys.argv[1:])
