"""Training sets in AtomAI's layout: one npz file with ``X_train``, ``y_train``, ``X_test`` and ``y_test``.

Images are (n, y, x) or (n, 1, y, x). Labels are class maps (n, y, x) or (n, 1, y, x), or one map a class
(n, y, x, class) with the background last. Class maps have the background as 0 or, as AtomAI's own ones of several
classes do, as their highest number: the one of the two that covers more pixels. The test images are those for
validation. Nothing is ever unpickled.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

from adatom.data.training_set import TRAINING, VALIDATION, check_training_set
from adatom.errors import ArgumentError, FileFormatError, MissingFileError
from adatom.files.zipped import is_zip, zipped_array, zipped_names

_PARTS = {"train": TRAINING, "test": VALIDATION}
_NAMES = [f"{kind}_{part}.npy" for part in _PARTS for kind in "Xy"]
_MOST_CLASSES = 255


def is_atomai_set(path: Path) -> bool:
    """Whether the file is an npz with the four arrays of the layout."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4)
    return is_zip(head) and set(_NAMES) <= set(zipped_names(path))


def read_atomai_set(path: str | Path, *, pixel_size_nm: float | None = None) -> xr.Dataset:
    """Read a training set, see `adatom.data.training_set`.

    Its atoms are the centres of mass of the connected regions of each class; classes are called ``atom``, or
    ``class_1`` and so on.

    Raises
    ------
    MissingFileError : if there is no such file.
    FileFormatError : if an array is missing, holds Python objects, or has a shape or values that do not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"file: expected an npz file, got {path}, which is not there.")
    if not is_atomai_set(path):
        raise FileFormatError(f"{path.name}: expected an npz file with X_train, y_train, X_test and y_test.")
    images, labels, split = [], [], []
    for part, number in _PARTS.items():
        values = _images(path, f"X_{part}")
        images.append(values)
        labels.append(_labels(path, f"y_{part}", values.shape))
        split.append(np.full(len(values), number, dtype=np.uint8))
    if images[0].shape[1:] != images[1].shape[1:]:
        raise FileFormatError(
            f"{path.name}: expected images of one size, got {images[0].shape[1:]} and {images[1].shape[1:]} px."
        )
    label = np.concatenate([each for each, _ in labels])
    n_classes = max(1, int(label.max()), *(n_maps - 1 for _, n_maps in labels))
    counts = np.bincount(label.ravel(), minlength=n_classes + 1)
    if labels[0][1] == 0 and n_classes > 1 and counts[n_classes] > counts[0]:
        label = (label + 1) % (n_classes + 1)
    label = label.astype(np.uint8)
    atoms = _centres(label, n_classes)
    areas = np.bincount(label.ravel(), minlength=2)[1:].sum()
    data = xr.Dataset(
        {
            "image": (("sample", "y", "x"), np.concatenate(images).astype(np.float32)),
            "label": (("sample", "y", "x"), label),
            **{name: ("atom", values) for name, values in atoms.items()},
            "split": ("sample", np.concatenate(split)),
        },
        attrs={
            "classes": ["atom"] if n_classes == 1 else [f"class_{k + 1}" for k in range(n_classes)],
            "pixel_size_nm": pixel_size_nm,
            "label_radius_px": float(np.sqrt(areas / max(1, len(atoms["atom_x"])) / np.pi)) or 1.0,
            "recipe": "",
            "seed": 0,
            "sources": [{"file": path.name}],
        },
    )
    return check_training_set(data)


def write_atomai_set(data: xr.Dataset, path: str | Path) -> Path:
    """Write a training set as AtomAI reads it; the file appears only when it is whole.

    One class is written as 0 and 1; of several, the background is the highest number. What was not measured gets the
    median of its image. A set that does not say which images are for validation gives its last fifth.

    Raises
    ------
    ArgumentError : if something is there already.
    """
    path = Path(path)
    if path.exists():
        raise ArgumentError(f"out: expected a name that is free, got {path}, which exists.")
    check_training_set(data)
    n, n_classes = data.sizes["sample"], len(data.attrs["classes"])
    split = np.where(np.arange(n) < n - max(1, n // 5), TRAINING, VALIDATION)
    split = data["split"].to_numpy() if "split" in data else split
    arrays: dict[str, Any] = {}
    for part, number in _PARTS.items():
        those = np.flatnonzero(split == number)
        image, label = (data[name].isel(sample=those).to_numpy() for name in ("image", "label"))
        if np.isnan(image).any():
            middle = np.nan_to_num(np.nanmedian(image, axis=(1, 2), keepdims=True))
            image = np.where(np.isnan(image), middle, image)
        arrays[f"X_{part}"] = image.astype(np.float32)
        arrays[f"y_{part}"] = (label if n_classes == 1 else (label.astype(int) - 1) % (n_classes + 1)).astype(np.int64)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        np.savez_compressed(temporary / "set.npz", **arrays)
        os.replace(temporary / "set.npz", path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return path


def _images(path: Path, name: str) -> NDArray:
    shape, dtype, load = zipped_array(path, f"{name}.npy")
    if len(shape) == 4 and 1 in (shape[1], shape[3]):
        shape = shape[:1] + (shape[2:] if shape[1] == 1 else shape[1:3])
    if len(shape) != 3 or 0 in shape or dtype.kind not in "fiub":
        raise FileFormatError(f"{path.name}: expected {name} as real images (n, y, x) or (n, 1, y, x), got {shape}.")
    return np.asarray(load()).reshape(shape)


def _labels(path: Path, name: str, wanted: tuple[int, ...]) -> tuple[NDArray[np.int64], int]:
    """Class maps (n, y, x) and 0; of one map a class those with the background as 0, and how many there were."""
    shape, dtype, load = zipped_array(path, f"{name}.npy")
    n, rows, columns = wanted
    if (
        dtype.kind not in "fiub"
        or shape[0] != n
        or shape[1:]
        not in (
            (rows, columns),
            (1, rows, columns),
            (rows, columns, shape[-1]),
        )
    ):
        raise FileFormatError(f"{path.name}: expected {name} as labels of images {wanted}, got {dtype} {shape}.")
    values = np.asarray(load())
    if not np.array_equal(values, np.round(values)) or values.min() < 0 or values.max() > _MOST_CLASSES:
        raise FileFormatError(f"{path.name}: expected {name} to hold whole numbers of classes, got others.")
    if shape[1:] == (rows, columns) or shape[1] == 1 or shape[-1] == 1:
        return values.reshape(wanted).astype(np.int64), 0
    if not (values.sum(axis=-1) == 1).all():
        raise FileFormatError(f"{path.name}: expected each pixel of {name} to be of one class, got others.")
    return (values.argmax(axis=-1) + 1) % shape[-1], shape[-1]


def _centres(label: NDArray[np.uint8], n_classes: int) -> dict[str, NDArray]:
    """Atoms of class maps (n, y, x): centres of mass of connected regions."""
    sample, x, y, species = [], [], [], []
    for number, one in enumerate(label):
        for kind in range(n_classes):
            region, n_regions = ndimage.label(one == kind + 1)
            if n_regions:
                places = np.array(ndimage.center_of_mass(region > 0, region, np.arange(1, n_regions + 1)))
                sample.append(np.full(n_regions, number))
                x.append(places[:, 1])
                y.append(places[:, 0])
                species.append(np.full(n_regions, kind))
    columns = {"atom_sample": sample, "atom_x": x, "atom_y": y, "atom_species": species}
    joined = {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in columns.items()}
    kinds = {"atom_sample": np.int64, "atom_species": np.int64}
    return {name: values.astype(kinds.get(name, np.float64)) for name, values in joined.items()}
