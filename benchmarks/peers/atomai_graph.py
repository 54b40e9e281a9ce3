"""Neighbours and rings by AtomAI's graph; the python of ``.peers`` runs ``atomai_graph.py IN.npz OUT.json``.

IN.npz holds ``positions`` (n, 2) [nm] of carbon atoms. OUT.json holds ``seconds`` of the graph, its neighbours and its
rings up to six atoms, and ``hexagons``, how many it found.
"""

import contextlib
import json
import sys
import time

import numpy as np
from atomai_stand_ins import import_atomai


def main(data_file: str, results_file: str) -> None:
    sys.setrecursionlimit(100_000)
    with contextlib.redirect_stdout(sys.stderr):
        import_atomai()
        from atomai.utils.graphx import Graph

        with np.load(data_file) as data:
            positions = data["positions"]
        atoms = np.column_stack([10 * positions, np.zeros(len(positions))])  # it counts in Angstrom
        started = time.perf_counter()
        graph = Graph(atoms, {0: "C"})
        graph.find_neighbors(expand=1.2)
        graph.polycount(max_depth=6)
        graph.remove_filled_polygons()
        seconds = time.perf_counter() - started
    hexagons = sum(len(ring) == 6 for ring in graph.rings)
    with open(results_file, "w", encoding="utf-8") as file:
        json.dump({"seconds": seconds, "hexagons": hexagons}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
