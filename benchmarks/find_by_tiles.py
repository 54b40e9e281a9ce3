"""One `find` by tiles in a process of its own, for its time and its memory: ``FILE OUT MEMORY_GB REFINE``, JSON out."""

import json
import resource
import sys
import time
from pathlib import Path

from adatom.distribute.manifest import identity
from adatom.distribute.tiled_finder import TiledSearch, find_by_tiles
from adatom.files import open_lazily


def main(file: str, out: str, memory_gb: str, refine: str) -> None:
    """From the file to the table."""
    started = time.perf_counter()
    asked = TiledSearch(model="any_atoms", memory_gb=float(memory_gb), refine=refine == "1")
    summary = find_by_tiles(open_lazily(file), Path(out), asked, identity=identity(Path(file)))
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    facts = {name: summary[name] for name in ("n_atoms", "tiles", "tile_side_px", "profile")}
    print(json.dumps({**facts, "seconds": time.perf_counter() - started, "peak_gib": own}))


if __name__ == "__main__":
    main(*sys.argv[1:])
