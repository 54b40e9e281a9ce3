"""Real HAADF-STEM images in which experts marked atoms, of ``../shared/data``."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

import adatom as ad
from adatom.data import pixel_size_nm
from benchmarks.record import FOLDER

DATA = FOLDER.parent.parent / "shared" / "data"
# The molecules' files state no pixel size. Their atoms are as wide as the Pt atoms, by eye and by the decay of the
# images' autocorrelation (a standard deviation of 2.5 to 3 px), so they are given the same.
PIXEL_SIZE_NM = 15 / 512

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MarkedImage:
    """An image and the atoms that experts saw in it, which are not all.

    Attributes
    ----------
    name, family : of the file; ``pt``, ``bpy`` or ``ptporph``.
    image : (y, x), in nm.
    marks : (n, 2) x and y [px].
    """

    name: str
    family: str
    image: xr.DataArray
    marks: Array


def pt_images() -> list[MarkedImage]:
    """Single Pt atoms on N-doped carbon (Mitchell et al. 2022, 10.1021/jacs.1c12466)."""
    return [
        _read(file, "pt", file.with_name(f"{file.name[:3]}_Results.csv"))
        for file in sorted((DATA / "pt_single_atoms").glob("*.tif"))
    ]


def molecule_images() -> list[MarkedImage]:
    """Re bipyridines and Pt porphyrins (Sjeon1/HAADF_Atom_Detection)."""
    files = sorted(f for f in (DATA / "re_pt_molecules").iterdir() if f.suffix in (".tif", ".png"))
    return [_read(file, "bpy" if "bpy" in file.name else "ptporph", file.with_suffix(".csv")) for file in files]


def _read(file: Path, family: str, marks: Path) -> MarkedImage:
    image = ad.read(file)
    if pixel_size_nm(image) is None:
        image = ad.make_image(image.to_numpy(), pixel_size=PIXEL_SIZE_NM)
    return MarkedImage(file.stem[:3] if family == "pt" else file.stem, family, image, read_marks(marks))


def read_marks(file: Path) -> Array:
    return pd.read_csv(file)[["X", "Y"]].to_numpy(dtype=float)
