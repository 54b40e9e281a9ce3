"""Training sets: images with known atoms, as an `xarray.Dataset` in a zarr store.

============== =======================================================================================
image          (sample, y, x) float32, NaN where not measured
label          (sample, y, x) uint8 class map: 0 background, 1 + species on an atom
atom_sample    (atom) number of the image that each known atom is in
atom_x, atom_y (atom) its position [px]
atom_species   (atom) its species, from 0
atom_flux      (atom) volume of its peak [image unit x px^2], NaN where unknown; may be left out
============== =======================================================================================

``attrs``: ``classes`` (names of the species), ``pixel_size_nm``, ``label_radius_px``, ``recipe`` (YAML, or ""),
``seed``.
"""

import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adatom.errors import AdatomError, ArgumentError, FileFormatError, MissingFileError, ShapeError

ATTRIBUTES = ("classes", "pixel_size_nm", "label_radius_px")
_SAMPLES_PER_CHUNK = 16


def check_training_set(data: xr.Dataset) -> xr.Dataset:
    """Return `data` unchanged if it keeps the schema of this module.

    Raises
    ------
    ShapeError : if a variable or an attribute is missing or has the wrong dimensions.
    """
    wanted: dict[str, tuple[str, ...]] = dict.fromkeys(("image", "label"), ("sample", "y", "x"))
    wanted |= dict.fromkeys(("atom_sample", "atom_x", "atom_y", "atom_species"), ("atom",))
    for name, dims in wanted.items():
        if name not in data or data[name].dims != dims:
            raise ShapeError(f"training set: expected {name} with dimensions {dims}, got {list(data.data_vars)}.")
    missing = [name for name in ATTRIBUTES if name not in data.attrs]
    if missing:
        raise ShapeError(f"training set: expected the attribute {missing[0]}, got {list(data.attrs)}.")
    if data.sizes["sample"] < 2:
        raise ShapeError(f"training set: expected at least two images, got {data.sizes['sample']}.")
    return data


def write_training_set(
    store: Path, images: Iterable[tuple[Any, Any, Any, Any, Any, Any]], *, n: int, size: int, attrs: dict[str, Any]
) -> None:
    """Write a training set image by image; `store` appears only when it is whole.

    Parameters
    ----------
    store : folder to make, ending in ``.zarr`` by custom; must not exist yet.
    images : (image, label, x, y, species, flux) of each image.
    n, size : number of images and their side [px].

    Raises
    ------
    ArgumentError : if `images` are not `n`.
    """
    import zarr

    store = Path(store)
    store.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=store.parent, prefix=f".{store.name}."))
    try:
        root = zarr.open_group(temporary / "store", mode="w", attributes=attrs)
        arrays = {
            name: root.create_array(
                name,
                shape=(n, size, size),
                chunks=(min(n, _SAMPLES_PER_CHUNK), size, size),
                dtype=dtype,
                dimension_names=("sample", "y", "x"),
            )
            for name, dtype in (("image", "float32"), ("label", "uint8"))
        }
        names = ("atom_sample", "atom_x", "atom_y", "atom_species", "atom_flux")
        atoms: dict[str, list[Any]] = {name: [] for name in names}
        waiting: list[tuple[Any, Any]] = []
        done = 0
        index = -1
        for index, (image, label, x, y, species, flux) in enumerate(images):
            if index == n:
                raise ArgumentError(f"images: expected {n}, got more.")
            waiting.append((image, label))
            for name, values in zip(atoms, (np.full(len(x), index), x, y, species, flux), strict=True):
                atoms[name].append(values)
            if len(waiting) == _SAMPLES_PER_CHUNK or index == n - 1:
                for name, values in zip(("image", "label"), zip(*waiting, strict=True), strict=True):
                    arrays[name][done : done + len(waiting)] = np.stack(values)
                done += len(waiting)
                waiting = []
        if index + 1 < n:
            raise ArgumentError(f"images: expected {n}, got {index + 1}.")
        for name, parts in atoms.items():
            kind = "int64" if name in ("atom_sample", "atom_species") else "float64"
            values = np.concatenate(parts).astype(kind) if parts else np.zeros(0, kind)
            array = root.create_array(name, shape=values.shape, dtype=kind, dimension_names=("atom",))
            array[...] = values
        (temporary / "store").rename(store)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def open_training_set(store: str | Path) -> xr.Dataset:
    """Open a stored training set; images are read when asked for.

    Raises
    ------
    MissingFileError, FileFormatError, ShapeError
    """
    store = Path(store)
    if not store.exists():
        raise MissingFileError(f"store: {store} is not there. Make one with adatom simulate.")
    try:
        return check_training_set(xr.open_zarr(store, chunks=None, consolidated=False))
    except AdatomError:
        raise
    except Exception as error:  # zarr and xarray raise many types on what is not a store
        raise FileFormatError(f"store: expected a training set (zarr), got {store.name} ({error}).") from error
