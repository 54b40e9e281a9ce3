"""Writing training sets to zarr stores, image by image; what was interrupted goes on where it was.

Images are written a chunk at a time, and then their atoms; last, an attribute says how many images are whole. What a
killed writer left beyond these is written over.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from adatom.data.training_set import N_WRITTEN, check_training_set
from adatom.errors import ArgumentError, FileFormatError

_SAMPLES_PER_CHUNK = 16
_ATOMS_PER_CHUNK = 2**16
_ATOM_COLUMNS = {
    "atom_sample": "int64",
    "atom_x": "float64",
    "atom_y": "float64",
    "atom_species": "int64",
    "atom_flux": "float64",
    "atom_defect": "int64",
}
_PIXELS = {"image": "float32", "label": "uint8", "instance": "uint16"}  # the last only where there are particles
_N_ATOMS = "n_atoms_written"
# What must be the same where a store is gone on with: else its images would be of two kinds.
_IDENTITY = ("recipe", "seed", "version", "classes", "pixel_size_nm", "label_radius_px")


@dataclass(frozen=True)
class KnownImage:
    """An image and its truth, as `adatom.data.training_set` keeps it.

    Attributes
    ----------
    image, label : (y, x) values, NaN where not measured, and class map.
    x, y, species, flux : (n,) of the atoms in it; NaN is a flux that is not known.
    defect : (n,) number of the point defect that each is, None where none is.
    instance : (y, x) number of the particle that each pixel shows, from 1; None where the set has no particles.
    """

    image: NDArray[Any]
    label: NDArray[Any]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    species: NDArray[Any]
    flux: NDArray[np.float64]
    defect: NDArray[Any] | None = None
    instance: NDArray[Any] | None = None

    def columns(self, index: int) -> dict[str, NDArray[Any]]:
        """Its atoms as columns of the store, where it is image number `index`."""
        n = len(self.x)
        defect = np.zeros(n, dtype=np.int64) if self.defect is None else self.defect
        values = (np.full(n, index), self.x, self.y, self.species, self.flux, defect)
        return {name: np.asarray(each, kind) for (name, kind), each in zip(_ATOM_COLUMNS.items(), values, strict=True)}


def write_training_set(
    store: Path,
    images: Iterable[KnownImage],
    *,
    n: int,
    size: int | tuple[int, int],
    attrs: dict[str, Any],
    of_samples: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write a whole training set; `store` appears only when it is whole.

    Parameters
    ----------
    store : folder to make, ending in ``.zarr`` by custom; must not exist yet.
    n, size : number of images, and their side or (rows, columns) [px].
    of_samples : what else is known of all images, (n,) or (n, edge) each: ``split``, ``source``, ``footprint``.

    Raises
    ------
    ArgumentError : if `images` are not `n`, or `store` is there already.
    """
    store = Path(store)
    check_store_is_free(store)
    store.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=store.parent, prefix=f".{store.name}."))
    try:
        begin_training_set(temporary / "store", n=n, size=size, attrs=attrs, of_samples=of_samples)
        append_images(temporary / "store", images)
        (temporary / "store").rename(store)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def begin_training_set(
    store: Path,
    *,
    n: int,
    size: int | tuple[int, int],
    attrs: dict[str, Any],
    of_samples: Mapping[str, NDArray[Any]] | None = None,
    has_instances: bool = False,
    resume: bool = False,
) -> int:
    """Make a store for `append_images`, or get an interrupted one ready for more; returns how many images it has.

    Parameters
    ----------
    has_instances : whether its images come with the numbers of particles.
    resume : go on with `store` if it is there. A whole one gets room for more, if `n` is larger.

    Raises
    ------
    ArgumentError : if `store` is there and `resume` is false, or it is of another recipe, seed, version, or size, or
        holds more than `n` images.
    FileFormatError : if what is there is no store.
    """
    import zarr

    store = Path(store)
    rows, columns = (size, size) if isinstance(size, int) else size
    if store.exists() and resume:
        return _get_ready(store, n, (rows, columns), attrs)
    check_store_is_free(store)
    store.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=store.parent, prefix=f".{store.name}."))
    try:
        root = zarr.open_group(temporary / "store", mode="w", attributes={**attrs, N_WRITTEN: 0, _N_ATOMS: 0})
        for name, kind in _PIXELS.items():
            if name == "instance" and not has_instances:
                continue
            root.create_array(
                name,
                shape=(n, rows, columns),
                chunks=(min(n, _SAMPLES_PER_CHUNK), rows, columns),
                dtype=kind,
                dimension_names=("sample", "y", "x"),
            )
        for name, kind in _ATOM_COLUMNS.items():
            root.create_array(name, shape=(0,), chunks=(_ATOMS_PER_CHUNK,), dtype=kind, dimension_names=("atom",))
        for name, values in (of_samples or {}).items():
            dims = ("sample", "edge")[: values.ndim]
            root.create_array(name, shape=values.shape, dtype=values.dtype, dimension_names=dims)[...] = values
        (temporary / "store").rename(store)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return 0


def append_images(store: Path, images: Iterable[KnownImage]) -> None:
    """Write those images that a store still lacks; an interruption leaves one that `begin_training_set` resumes.

    Raises
    ------
    ArgumentError : if `images` are more or fewer than it lacks.
    """
    import zarr

    root: Any = zarr.open_group(store, mode="r+")
    n, chunk = root["image"].shape[0], root["image"].chunks[0]
    done = int(root.attrs.get(N_WRITTEN, n))
    source = iter(images)
    while part := list(islice(source, chunk - done % chunk)):
        if done + len(part) > n:
            raise ArgumentError(f"images: expected {n}, got more.")
        for name in _pixel_arrays(root):
            root[name][done : done + len(part)] = np.stack([getattr(each, name) for each in part])
        n_atoms = _append_atoms(root, [each.columns(done + k) for k, each in enumerate(part)])
        done += len(part)
        root.attrs.update({N_WRITTEN: done, _N_ATOMS: n_atoms})
    if done < n:
        raise ArgumentError(f"images: expected {n}, got {done}.")
    attrs = root.attrs.asdict()
    root.attrs.put({name: value for name, value in attrs.items() if name not in (N_WRITTEN, _N_ATOMS)})


def _pixel_arrays(root: Any) -> list[str]:
    """Those of the store that have a value for each pixel."""
    return [name for name in _PIXELS if name in root]


def _append_atoms(root: Any, parts: list[dict[str, NDArray[Any]]]) -> int:
    """Number of the atoms in the store with those of `parts`."""
    end = int(root["atom_sample"].shape[0])
    for name in _ATOM_COLUMNS:
        values = np.concatenate([part[name] for part in parts])
        start = int(root[name].shape[0])
        end = start + len(values)
        root[name].resize((end,))
        if len(values):
            root[name][start:end] = values
    return end


def _get_ready(store: Path, n: int, size: tuple[int, int], attrs: dict[str, Any]) -> int:
    import zarr

    try:
        root: Any = zarr.open_group(store, mode="r+")
        kept = root.attrs.asdict()
        n_room, *size_there = root["image"].shape
        done = int(kept.get(N_WRITTEN, n_room))
        n_atoms = int(kept.get(_N_ATOMS, root["atom_sample"].shape[0]))
    except Exception as error:  # zarr raises many types on what is not a store
        raise FileFormatError(f"store: expected a training set (zarr) to go on with, got {store.name}.") from error
    other = [name for name in _IDENTITY if kept.get(name) != attrs.get(name)]
    if other or tuple(size_there) != size:
        raise ArgumentError(
            f"resume: expected a store of the same {other[0] if other else 'size of images'}, got {store}. "
            "Choose another name."
        )
    if done > n:
        raise ArgumentError(f"n: expected at least the {done} images that {store} holds, got {n}.")
    for name in _pixel_arrays(root):
        root[name].resize((n, *size))
    for name in _ATOM_COLUMNS:
        root[name].resize((n_atoms,))
    if done < n:
        root.attrs.update({N_WRITTEN: done, _N_ATOMS: n_atoms})
    return done


def check_store_is_free(store: Path) -> None:
    """Raise `ArgumentError` if there is something at `store` already."""
    if store.exists():
        raise ArgumentError(
            f"out: expected a store that is not there yet, got {store}. Remove it or choose another name; "
            "--resume goes on with a simulation."
        )


def store_training_set(data: xr.Dataset, store: Path) -> None:
    """Write a training set that is in memory.

    Raises
    ------
    ArgumentError : if `store` is there already.
    """
    data = check_training_set(data)
    owner = data["atom_sample"].to_numpy()
    columns = {name: data[f"atom_{name}"].to_numpy() for name in ("x", "y", "species")}
    unknown = {"flux": np.full(len(owner), np.nan), "defect": np.zeros(len(owner), dtype=np.int64)}
    columns |= {name: data[f"atom_{name}"].to_numpy() if f"atom_{name}" in data else unknown[name] for name in unknown}

    def images() -> Iterator[KnownImage]:
        for index in range(data.sizes["sample"]):
            mine = owner == index
            image, label = (data[name][index].to_numpy() for name in ("image", "label"))
            yield KnownImage(image, label, **{name: values[mine] for name, values in columns.items()})

    write_training_set(
        store,
        images(),
        n=data.sizes["sample"],
        size=(data.sizes["y"], data.sizes["x"]),
        attrs=data.attrs,
        of_samples={name: data[name].to_numpy() for name in ("split", "source", "footprint") if name in data},
    )


def is_training_store(path: Path) -> bool:
    """Whether a folder is the store of a training set, and not that of an image."""
    return path.is_dir() and all((path / name / "zarr.json").is_file() for name in ("image", "label", "atom_sample"))
