"""What the formats built on HDF5 share: opening, attributes, and data sets whose claims are compared with the file."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from adatom.data import length_in_nm
from adatom.errors import FileFormatError, UnitError
from adatom.files.channel import SpectralAxis, Window

_MAX_OBJECTS = 20_000
_MAX_ATTRIBUTE_BYTES = 2**20
_MAX_AXIS = 2**20
# what is larger than this [bytes] and packed a hundredfold holds no measurement
_MAX_EMPTY_BYTES = 2**27
# unit prefixes are taken from the text, never calculated: pint would do whatever arithmetic stands there
_SCALES = {
    "energy": {"ev": 1.0, "kev": 1e3, "mev": 1e-3},
    "bias": {"v": 1.0, "volt": 1.0, "volts": 1.0, "mv": 1e-3},
    "time": {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9},
}


def open_hdf5(path: Path) -> Any:
    """The file, for reading only."""
    import h5py

    return h5py.File(path, "r")


def window_of(path: Path, place: str) -> Window:
    """Reads windows of a data set (y, x) or (frame, y, x)."""

    def window(frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        with open_hdf5(path) as file:
            values: np.ndarray = file[place][rows, columns] if frame is None else file[place][frame, rows, columns]
            return values

    return window


def walk(group: Any, depth: int = 12) -> Iterator[tuple[str, Any]]:
    """Path and object of everything below `group`, in the order of names; links to other files are left alone."""
    import h5py

    seen: set[int] = set()
    n_names = 0

    def below(here: Any, prefix: str, levels: int) -> Iterator[tuple[str, Any]]:
        nonlocal n_names
        for name in here:
            n_names += 1
            if n_names > _MAX_OBJECTS:
                raise ValueError(f"more than {_MAX_OBJECTS} objects")
            if isinstance(here.get(name, getlink=True), h5py.ExternalLink):
                continue
            child = here.get(name)
            address = None if child is None else h5py.h5o.get_info(child.id).addr
            if address is None or address in seen:  # links may lead back to where one comes from
                continue
            seen.add(address)
            yield f"{prefix}{name}", child
            if levels and isinstance(child, h5py.Group):
                yield from below(child, f"{prefix}{name}/", levels - 1)

    yield from below(group, "", depth)


def attribute(thing: Any, name: str, default: Any = None) -> Any:
    """An attribute as text, number or list of them; `default` if there is none or it is huge."""
    if name not in thing.attrs:
        return default
    identity = thing.attrs.get_id(name)
    if identity.get_storage_size() > _MAX_ATTRIBUTE_BYTES or prod(identity.shape or (1,)) > _MAX_AXIS:
        return default
    return plain(thing.attrs[name])


def plain(value: Any) -> Any:
    """Bytes into text, arrays of one into numbers, arrays into lists."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace").rstrip("\x00")
    if isinstance(value, np.ndarray):
        return plain(value.flat[0]) if value.size == 1 else [plain(each) for each in value.ravel()[:_MAX_AXIS]]
    if isinstance(value, np.generic):
        return plain(value.item())
    return value


def text(thing: Any, name: str, default: str = "") -> str:
    """An attribute as text."""
    value = attribute(thing, name)
    if isinstance(value, list):
        value = value[0] if value else default
    return default if value is None else str(value)


def flat_metadata(thing: Any, prefix: str = "", limit: int = 1000) -> dict[str, str | float]:
    """The attributes that are text or number."""
    found: dict[str, str | float] = {}
    for name in list(thing.attrs)[:limit]:
        try:
            value = attribute(thing, name)
        except (OSError, TypeError, ValueError):  # references, types that NumPy lacks
            continue
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = (
                str(value).encode("utf-8", "replace").decode() if isinstance(value, str) else value
            )
    return found


def is_numeric(thing: Any) -> bool:
    """Whether this is a dataset of real numbers."""
    import h5py

    return isinstance(thing, h5py.Dataset) and thing.shape is not None and thing.dtype.kind in "fiu"


def check_dataset(path: Path, dataset: Any) -> None:
    """Compare what a dataset claims with what is stored, before anything of that size is allocated.

    Raises
    ------
    FileFormatError : if the values are not there, or cannot be.
    """
    claimed = prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    chunk = prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    held = path.stat().st_size
    is_packed = dataset.chunks is not None
    is_possible = claimed <= max(_MAX_EMPTY_BYTES, 100 * stored) if is_packed else claimed <= stored
    if not 0 < stored <= held or not is_possible or chunk > max(_MAX_EMPTY_BYTES, 100 * stored):
        raise FileFormatError(
            f"{path.name}: expected {claimed} bytes of values in {dataset.name}, as its header says, got {stored} in a "
            f"file of {held}. It is truncated or damaged: copy it again."
        )


def axis_values(path: Path, dataset: Any) -> np.ndarray:
    """The values of a one-dimensional dataset of numbers, such as an axis."""
    if not is_numeric(dataset) or prod(dataset.shape) > _MAX_AXIS:
        raise FileFormatError(f"{path.name}: expected an axis of numbers, got {getattr(dataset, 'dtype', 'a group')}.")
    check_dataset(path, dataset)
    return np.asarray(dataset[()], dtype=float).ravel()


def step_nm(values: np.ndarray, units: str) -> float | None:
    """Step of an axis [nm]; None unless it is even, not zero, and a length.

    Notes
    -----
    The coordinates say where the pixels are, so the step is (last - first) / (n - 1). A program that spreads n pixels
    over a length L from edge to edge (0 ... L) therefore gives L / (n - 1) here, as it does in the file.
    """
    if len(values) < 2:
        return None
    steps = np.diff(values)
    step = (values[-1] - values[0]) / (len(values) - 1)
    if not np.isfinite(step) or step == 0 or not np.allclose(steps, step, rtol=1e-2, atol=0):
        return None
    return as_nm(abs(step), units)


def as_nm(value: float, units: str) -> float | None:
    """A length [nm], or None if `units` is none or `value` not positive."""
    known = {"nm": 1.0, "m": 1e9, "um": 1e3, "µm": 1e3, "μm": 1e3, "mm": 1e6, "pm": 1e-3}
    known |= dict.fromkeys(("A", "\u00c5", "\u212b", "Angstrom", "angstrom"), 0.1)  # the letter, and the sign like it
    try:
        length = value * known[units] if units in known else length_in_nm(value, units) if units.isalpha() else 0.0
    except UnitError:
        return None
    return float(length) if 0 < length < np.inf else None


def spectral_axis(name: str, values: np.ndarray, units: str) -> SpectralAxis | None:
    """An axis of energy [eV], bias [V] or time [s], told by its unit; None if it is none of these.

    Parameters
    ----------
    name : of the axis in the file; decides only where the unit is missing.
    """
    kinds = [kind for kind, scales in _SCALES.items() if units.strip().lower() in scales]
    # mV and meV are distinct, MeV and meV are not in lower case: no microscope has a spectrum in MeV
    if not kinds and not units.strip():
        words = {"energy": "energy", "bias": "bias", "voltage": "bias", "time": "time"}
        kinds = [kind for word, kind in words.items() if word in name.lower()]
    if not kinds or not np.isfinite(values).all():
        return None
    return SpectralAxis(kinds[0], values * _SCALES[kinds[0]].get(units.strip().lower(), 1.0))
