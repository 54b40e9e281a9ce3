"""Single heavy atoms on uneven supports, and molecules: the finder that ships, never trained on these, no setting.

Pt on N-doped carbon (Mitchell et al. 2022, 10.1021/jacs.1c12466), Pt porphyrins and Re bipyridines, against the marks
of experts, which are incomplete. The pixel size is the file's own, where it states one. The peer is the plain way:
maxima of a difference of Gaussians, scaled by its own strength in 40 px around, with the width and the threshold that
give the best F1 at 6 px on these very images and marks.

``python -m benchmarks.single_atoms`` lists every image and keeps no figures.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

import adatom as ad
from adatom.data import pixel_size_nm
from benchmarks.counting import Counts, count
from benchmarks.record import FOLDER, Recorder

DATA = FOLDER.parent.parent / "shared" / "data"
TOLERANCES_PX = (6, 10)
SIGMAS_PX = (1.5, 2.0, 2.5, 3.0, 4.0)
THRESHOLDS = (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0)  # robust standard deviations

Array = NDArray[np.float64]
Counted = dict[tuple[str, int], Counts]  # by group of images and tolerance


def images_with_marks() -> list[tuple[str, Path, Path]]:
    """Family, image and table of marks."""
    found: list[tuple[str, Path, Path]] = []
    for folder in ("pt_single_atoms", "re_pt_molecules"):
        for file in sorted((DATA / folder).iterdir()):
            if file.suffix not in (".tif", ".png"):
                continue
            number = file.name.split("_")[0]
            marks = f"{number}_Results.csv" if folder == "pt_single_atoms" else f"{file.stem}.csv"
            family = folder if folder == "pt_single_atoms" else "Ptporph" if "Ptporph" in file.name else "bpy"
            found.append((family, file, file.with_name(marks)))
    return found


def blobs(values: Array, sigma: float) -> tuple[Array, Array]:
    """Maxima (n, 2) of a difference of Gaussians, and their heights in robust standard deviations."""
    response = ndimage.gaussian_filter(values, sigma) - ndimage.gaussian_filter(values, 2.5 * sigma)
    response /= np.sqrt(ndimage.gaussian_filter(response**2, 40))
    response -= np.median(response)
    response /= 1.4826 * np.median(np.abs(response))
    top = (response == ndimage.maximum_filter(response, size=2 * round(2 * sigma) + 1)) & (response > min(THRESHOLDS))
    row, column = np.nonzero(top)
    return np.column_stack([column, row]).astype(float), response[row, column]


def run(recorder: Recorder) -> None:
    """Counts added up over the images of each family, and over both of `re_pt_molecules`."""
    totals: Counted = {}
    plain: dict[tuple[float, float], Counted] = {(s, t): {} for s in SIGMAS_PX for t in THRESHOLDS}
    for family, file, marks in images_with_marks():
        groups = [family] if family == "pt_single_atoms" else [family, "re_pt_molecules"]
        image = ad.read(file)
        atoms = ad.find(image)
        step_y, step_x = pixel_size_nm(image) or (1.0, 1.0)
        known = pd.read_csv(marks)[["X", "Y"]].to_numpy(dtype=float)
        counts = _add(totals, groups, atoms[["x", "y"]].to_numpy() / (step_x, step_y), known)
        for sigma in SIGMAS_PX:
            found, height = blobs(image.to_numpy().astype(float), sigma)
            for threshold in THRESHOLDS:
                _add(plain[sigma, threshold], groups, found[height > threshold], known)
        summary = atoms.attrs["summary"]
        print(
            f"    {file.name}: {counts.hits} right within {TOLERANCES_PX[0]} px of {counts.n_found} found, "
            f"{counts.n_known} marked; {summary['model']}, factor {summary['working_factor']}, {summary['seconds']} s",
            flush=True,
        )
    for group in dict.fromkeys(group for group, _ in totals):
        best = max(plain, key=lambda setting: plain[setting][group, TOLERANCES_PX[0]].f1)
        print(f"      {group}: the plain way does best with sigma {best[0]} px, threshold {best[1]}")
        for tolerance in TOLERANCES_PX:
            counts, peer = totals[group, tolerance], plain[best][group, tolerance]
            for name in ("precision", "recall", "f1"):
                figure = f"single_atoms/{group}/{tolerance}px/{name}"
                recorder.add(figure, getattr(counts, name), peer=getattr(peer, name))
            print(f"      {counts.hits} right of {counts.n_found} found, {counts.n_known} marked, rms {counts.rms:.2f}")


def _add(totals: Counted, groups: list[str], found: Array, known: Array) -> Counts:
    """Count the finds of an image into its groups; returns the counts at the first tolerance."""
    counted = [count(found, known, tolerance=tolerance) for tolerance in TOLERANCES_PX]
    for group in groups:
        for tolerance, counts in zip(TOLERANCES_PX, counted, strict=True):
            totals[group, tolerance] = totals.get((group, tolerance), Counts()) + counts
    return counted[0]


if __name__ == "__main__":
    run(Recorder(command="a look"))
