"""Write an image to a file of another format."""

import os
import shutil
import tempfile
from importlib import import_module
from pathlib import Path

import xarray as xr

from adatom.data import check_image
from adatom.errors import ArgumentError

# The end of a name -> module with `write(path, image)`.
WRITERS = {
    ".tif": "adatom.files.tiff",
    ".tiff": "adatom.files.tiff",
    ".h5": "adatom.files.nexus",
    ".hdf5": "adatom.files.nexus",
    ".nxs": "adatom.files.nexus",
    ".zarr": "adatom.files.zarr_store",
}


def write(image: xr.DataArray, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write an image as TIFF, HDF5 (NeXus) or zarr; `adatom.files.read` gives the same image back.

    Parameters
    ----------
    image : as `read` returns it.
    path : its end decides the format: .tif, .tiff (OME-TIFF), .h5, .hdf5, .nxs (NeXus, NXem), .zarr.
    overwrite : replace what is there.

    Returns
    -------
    `path`. The file appears only when it is whole.

    Raises
    ------
    ArgumentError : if the end of the name is another one, something is there and `overwrite` is false, or the format
        cannot hold the image (TIFF: spectrum images, numbers of 64 bits other than floats).
    """
    check_image(image)
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise ArgumentError(f"path: expected a name that ends in {', '.join(WRITERS)}, got {path.name!r}.")
    if path.exists() and not overwrite:
        raise ArgumentError(f"path: expected a name that is free, got {str(path)!r}, which exists. Use --force.")
    if path.is_dir() and not (path / "zarr.json").is_file():
        raise ArgumentError(f"path: expected a file or a zarr store to replace, got the folder {str(path)!r}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        whole = temporary / path.name
        import_module(WRITERS[suffix]).write(whole, image)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(whole, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path
