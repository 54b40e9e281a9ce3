"""Refine known columns with atomap and AtomAI; the python of ``.peers`` runs ``position_refiners.py IN.npz OUT.npz``.

IN.npz holds, for each number k from 0, ``image_k`` (y, x) and ``starts_k`` (n, 2) as x and y [px]. OUT.npz holds, for
each, positions (n, 2) in the same order: ``atomap_k`` (centre of mass, then its Gaussian refinement, each with its own
defaults: the way of its tutorials), ``mass_k`` (the centre of mass alone), and ``atomai_k`` (what `refine=True` calls,
in squares of 0.8 distances of neighbours).
"""

import contextlib
import sys
import warnings
from typing import Any

import numpy as np
from atomai_stand_ins import import_atomai
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def main(data_file: str, results_file: str) -> None:
    warnings.simplefilter("ignore")
    results = {}
    with contextlib.redirect_stdout(sys.stderr):
        import_atomai()
        with np.load(data_file) as data:
            for k in range(len(data.files) // 2):
                image, starts = data[f"image_{k}"], data[f"starts_{k}"]
                results[f"mass_{k}"], results[f"atomap_{k}"] = _atomap(image, starts)
                results[f"atomai_{k}"] = _atomai(image, starts)
    np.savez(results_file, **results)


def _atomap(image: NDArray[Any], starts: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    from atomap.api import Sublattice  # not of its own module: that imports in a circle

    sublattice = Sublattice(starts.copy(), image)
    sublattice.find_nearest_neighbors()
    sublattice.refine_atom_positions_using_center_of_mass(show_progressbar=False)
    mass = np.column_stack([sublattice.x_position, sublattice.y_position])
    sublattice.refine_atom_positions_using_2d_gaussian(show_progressbar=False)
    return mass, np.column_stack([sublattice.x_position, sublattice.y_position])


def _atomai(image: NDArray[Any], starts: NDArray[Any]) -> NDArray[Any]:
    from atomai.utils.coords import peak_refinement

    rows = np.column_stack([starts[:, ::-1], np.zeros(len(starts))])
    # its default, a quarter of the distance of neighbours, leaves narrow columns fewer pixels than parameters
    half = max(3, round(0.4 * float(np.median(cKDTree(starts).query(starts, k=2)[0][:, 1]))))
    refined: NDArray[Any] = np.asarray(peak_refinement(image, rows, half))[:, [1, 0]]
    return refined


if __name__ == "__main__":
    main(*sys.argv[1:])
