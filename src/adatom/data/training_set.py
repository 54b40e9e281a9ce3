"""Training sets: images with known atoms, as an `xarray.Dataset` in a zarr store.

============== =======================================================================================
image          (sample, y, x) float32, NaN where not measured
label          (sample, y, x) uint8 class map: 0 background, 1 + species on an atom
atom_sample    (atom) number of the image that each known atom is in, rising
atom_x, atom_y (atom) its position [px]
atom_species   (atom) its species, from 0
atom_flux      (atom) volume of its peak [image unit x px^2], NaN where unknown; may be left out
atom_defect    (atom) number of the point defect that it is, from 1, 0 for none; may be left out
instance       (sample, y, x) uint16 number of the particle that a pixel shows, from 1; only of particles
split          (sample) 0 for training, 1 for validation; may be left out: then the last images are for validation
source         (sample) number of the experimental image that a crop is from; may be left out
footprint      (sample, edge) left, top, right, bottom of what the crop shows of it [px]; goes with ``source``
============== =======================================================================================

``attrs``: ``classes`` (names of the species), ``pixel_size_nm``, ``label_radius_px``, ``recipe`` (YAML, or ""),
``seed``; ``defects`` (names of the point defects, the first has number 1); ``version`` and ``command`` of what made it.
``n_written`` is there while the set is being written, see `adatom.data.training_store`.
"""

from pathlib import Path

import numpy as np
import xarray as xr

from adatom.errors import AdatomError, FileFormatError, MissingFileError, ShapeError

ATTRIBUTES = ("classes", "pixel_size_nm", "label_radius_px")
TRAINING, VALIDATION = 0, 1
# There while a store is not whole: how many of its images are.
N_WRITTEN = "n_written"


def check_training_set(data: xr.Dataset) -> xr.Dataset:
    """Return `data` unchanged if it keeps the schema of this module.

    Raises
    ------
    ShapeError : if a variable or an attribute is missing or has the wrong dimensions.
    """
    wanted: dict[str, tuple[str, ...]] = dict.fromkeys(("image", "label"), ("sample", "y", "x"))
    wanted |= dict.fromkeys(("atom_sample", "atom_x", "atom_y", "atom_species"), ("atom",))
    if "split" in data:
        wanted["split"] = ("sample",)
    for name, dims in wanted.items():
        if name not in data or data[name].dims != dims:
            raise ShapeError(f"training set: expected {name} with dimensions {dims}, got {list(data.data_vars)}.")
    missing = [name for name in ATTRIBUTES if name not in data.attrs]
    if missing:
        raise ShapeError(f"training set: expected the attribute {missing[0]}, got {list(data.attrs)}.")
    if data.sizes["sample"] < 2:
        raise ShapeError(f"training set: expected at least two images, got {data.sizes['sample']}.")
    return data


def validation_part(data: xr.Dataset) -> xr.Dataset:
    """The images that a set keeps for validation, all of them where it does not say."""
    if "split" not in data:
        return data
    kept = data["split"].to_numpy() == VALIDATION
    owner = data["atom_sample"].to_numpy()
    part = data.isel(sample=kept, atom=kept[owner])
    return part.assign(atom_sample=("atom", (np.cumsum(kept) - 1)[owner[kept[owner]]]))


def open_training_set(store: str | Path) -> xr.Dataset:
    """Open a stored training set; images are read when asked for.

    Raises
    ------
    MissingFileError, ShapeError
    FileFormatError : if it is no training set, or one whose writing was interrupted.
    """
    store = Path(store)
    if not store.exists():
        raise MissingFileError(f"store: {store} is not there. Make one with adatom simulate.")
    try:
        data = xr.open_zarr(store, chunks=None, consolidated=False)
        if N_WRITTEN in data.attrs:
            raise FileFormatError(
                f"store: expected a whole training set, got {store.name}, of which {data.attrs[N_WRITTEN]} of "
                f"{data.sizes['sample']} images are written. adatom simulate ... --resume goes on with it."
            )
        return check_training_set(data)
    except AdatomError:
        raise
    except Exception as error:  # zarr and xarray raise many types on what is not a store
        raise FileFormatError(f"store: expected a training set (zarr), got {store.name} ({error}).") from error
