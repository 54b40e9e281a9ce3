"""Formats read by RosettaSciIO, an optional library under GPL-3 (the extra `formats`); a line of `VARIANTS` each.

A variant tells its files by their content and names the plugin. What comes back is brought to our axes: pictures (y,
x), stacks (frame, y, x), spectrum images (y, x, energy | bias | time). Complex values, diffraction patterns of every
pixel (four axes) and single spectra are no images and are left out; colour becomes luminance. Everything runs in the
worker of `adatom.files.guard`.
"""

import atexit
import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import UNNAMED, Channel, SpectralAxis, both_sides, distinct_names, most_image_like_first
from adatom.files.guard import HDF5_MAGIC
from adatom.files.hdf5_tree import as_nm, open_hdf5, spectral_axis, text, walk
from adatom.files.luminance import LUMINANCE_STEP, luminance

_MAX_METADATA = 1000
_MAX_EXPANSION = 1100
_BLOCK = "4MiB"


@dataclass(frozen=True)
class Variant:
    """One format: the plugin that reads it, and how to tell its files from their first bytes.

    Parameters
    ----------
    plugin : module below ``rsciio``.
    suffixes : names that the plugin accepts; a file of another name is given the first.
    is_it : takes the first bytes and the path.
    """

    name: str
    plugin: str
    suffixes: tuple[str, ...]
    is_it: Callable[[bytes, Path], bool]

    @property
    def libraries(self) -> tuple[str, ...]:
        """What to import before the clock of the worker starts."""
        return (f"rsciio.{self.plugin}", "dask.array")

    def sniff(self, head: bytes, path: Path) -> bool:
        return self.is_it(head, path)

    def read_channels(self, path: Path) -> list[Channel]:
        """Describe the images.

        Raises
        ------
        FileFormatError : if RosettaSciIO is not installed, or the file holds no image.
        """
        items = self._read(path)
        found = [each for each in (_describe(item) for item in items) if each is not None]
        if not found:
            raise FileFormatError(
                f"{path.name}: expected an image in this {self.name} file, got {len(items)} items that are none."
            )
        names = distinct_names([each.name for each in found])
        held = path.stat().st_size
        for each in found:
            claimed = int(np.prod([int(n) for n in each.shape], dtype=object)) * each.dtype.itemsize
            if claimed > _MAX_EXPANSION * held:
                raise FileFormatError(f"{path.name}: expected {claimed} bytes of values, got a file of {held} bytes.")
        return most_image_like_first([_named(each, name) for each, name in zip(found, names, strict=True)])

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            plugin = import_module(f"rsciio.{self.plugin}")
        except ImportError as error:
            raise FileFormatError(
                f"{path.name}: expected RosettaSciIO, which reads {self.name}, got none installed. "
                "Install it: pip install 'adatom[formats]'"
            ) from error
        if path.suffix.lower() not in self.suffixes:
            path = _under_a_name(path, self.suffixes[0])
        import dask

        # a window costs the blocks of the array that it lies in
        with (
            contextlib.suppress(TypeError, NotImplementedError),  # some plugins cannot read lazily, and say so thus
            dask.config.set({"array.chunk-size": _BLOCK}),
        ):
            items: list[dict[str, Any]] = plugin.file_reader(str(path), lazy=True)
            return items
        items = plugin.file_reader(str(path))
        return items


def _under_a_name(path: Path, suffix: str) -> Path:
    """A link to the file whose name ends in `suffix`: some plugins ask the name what it is."""
    folder = Path(tempfile.mkdtemp(prefix="adatom-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    link = folder / f"{path.stem}{suffix}"
    try:
        link.symlink_to(path)
    except OSError:  # Windows asks for a right to make links
        shutil.copyfile(path, link)
    return link


def _named(channel: Channel, name: str) -> Channel:
    from dataclasses import replace

    return replace(channel, name=name)


def _describe(item: dict[str, Any]) -> Channel | None:
    """One item of a plugin as a channel, or None where it is no image."""
    data, axes = item.get("data"), item.get("axes") or []
    if data is None or len(axes) != data.ndim:
        return None
    history: list[str] = []
    kept = [k for k, n in enumerate(data.shape) if n > 1 or data.ndim <= 2]  # an axis of one place says nothing
    if len(kept) not in (2, 3):
        return None
    labels = [str(axes[k].get("name", "")).lower() for k in kept]
    units = [_unit(axes[k]) for k in kept]
    spectral, order = _order(labels, units, [axes[k] for k in kept], [data.shape[k] for k in kept])
    if order is None:
        return None
    is_colour = data.dtype.names is not None and {"R", "G", "B"} <= set(data.dtype.names)
    dtype = np.dtype(data.dtype["R"]) if is_colour else np.dtype(data.dtype)
    if dtype.kind not in "fiub":
        return None
    history += [LUMINANCE_STEP] if is_colour else []
    planes = order[:2] if spectral is not None else order[-2:]
    sizes = [as_nm(abs(float(axes[kept[k]].get("scale") or 0.0)), units[k]) for k in planes]
    strange = sorted({units[k] for k, size in zip(planes, sizes, strict=True) if size is None and units[k]})
    history += [f"left the axes in pixels (calibrated in {', '.join(strange)})"] if strange else []
    if len(order) == 3 and spectral is None:
        history.append(f"numbered axis {labels[order[0]] or 'z'} ({units[order[0]] or 'no unit'}) as frames")
    shape = tuple(int(data.shape[kept[k]]) for k in order)
    index = tuple(slice(None) if k in kept else 0 for k in range(data.ndim))
    is_stack = len(order) == 3 and spectral is None

    def taken(frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        """These places of the axes that are kept, as (y, x), (frame, y, x) or (y, x, spectral)."""
        wanted: dict[int, Any] = dict(zip(planes, (rows, columns), strict=True))
        is_one = frame is not None and is_stack
        wanted |= {order[0]: frame} if is_one else {}
        left = [k - (is_one and k > order[0]) for k in (order[1:] if is_one else order)]
        values = np.asarray(data[index][tuple(wanted.get(k, slice(None)) for k in range(len(order)))])
        if is_colour:
            values = luminance(np.stack([values[band] for band in "RGB"], axis=-1))
        return np.transpose(values, left)

    def load(frame: int | None) -> np.ndarray:
        return taken(frame, slice(None), slice(None))

    # what a plugin has read already is an array of NumPy
    has_windows = spectral is None and not isinstance(data, np.ndarray)
    general = item.get("metadata", {}).get("General", {})
    quantity = str(item.get("metadata", {}).get("Signal", {}).get("quantity", ""))
    told = re.search(r"\(([^()]+)\)\s*$", quantity)
    return Channel(
        str(general.get("title") or UNNAMED),
        shape,
        dtype,
        load,
        units=told[1] if told else "",
        pixel_size=both_sides(sizes),
        metadata=_flat(item.get("original_metadata", {})),
        history=tuple(history),
        spectral=spectral,
        window=taken if has_windows else None,
    )


def _unit(axis: dict[str, Any]) -> str:
    unit = str(axis.get("units") or "")
    return "" if unit in ("<undefined>", "None", "px", "pixel") else unit


def _order(
    labels: list[str], units: list[str], axes: list[dict[str, Any]], lengths: list[int]
) -> tuple[SpectralAxis | None, list[int] | None]:
    """The spectral axis, and the axes as (y, x), (frame, y, x) or (y, x, spectral); None where they make no image."""
    spectra = {}
    for k, axis in enumerate(axes):
        if labels[k] in ("x", "y") and as_nm(1.0, units[k]) is not None:
            continue
        values = float(axis.get("offset") or 0.0) + float(axis.get("scale") or 1.0) * np.arange(lengths[k])
        found = spectral_axis(labels[k], values, units[k])
        if found is not None:
            spectra[k] = found
    if len(axes) == 2:
        return (None, None) if any(each.name == "energy" for each in spectra.values()) else (None, _y_x(labels, [0, 1]))
    energies = [k for k in spectra if spectra[k].name != "time"]
    if energies:
        last = energies[0]
        return spectra[last], [*_y_x(labels, [k for k in range(3) if k != last]), last]
    navigating = [k for k, axis in enumerate(axes) if axis.get("navigate")]
    first = next(
        (k for k in range(3) if labels[k] not in ("x", "y", "height", "width") and k in (navigating or [0])), 0
    )
    return None, [first, *_y_x(labels, [k for k in range(3) if k != first])]


def _y_x(labels: list[str], pair: list[int]) -> list[int]:
    return pair[::-1] if [labels[k] for k in pair] in (["x", "y"], ["width", "height"]) else pair


def _flat(tree: Any, prefix: str = "", into: dict[str, str | float] | None = None) -> dict[str, str | float]:
    """Nested metadata with the paths as keys."""
    into = {} if into is None else into
    for key, value in list(tree.items()) if isinstance(tree, dict) else []:
        if len(into) >= _MAX_METADATA:
            break
        if isinstance(value, dict):
            _flat(value, f"{prefix}{key}.", into)
        elif isinstance(value, str):
            into[f"{prefix}{key}"] = value[:1000].encode("utf-8", "replace").decode()
        elif isinstance(value, (bool, int, float, np.integer, np.floating)):
            into[f"{prefix}{key}"] = float(value)
    return into


def _is_dm(head: bytes, path: Path) -> bool:
    # version, size of the root, byte order of the tags: 0 or 1
    order = {b"\x00\x00\x00\x03": head[8:12], b"\x00\x00\x00\x04": head[12:16]}.get(head[:4], b"")
    return order in (b"\x00\x00\x00\x00", b"\x00\x00\x00\x01")


def _is_mrc(head: bytes, path: Path) -> bool:
    return len(head) >= 1024 and head[208:212] in (b"MAP ", b"MAP\x00")


def _is_emd(head: bytes, path: Path) -> bool:
    if not head.startswith(HDF5_MAGIC):
        return False
    with open_hdf5(path) as file:
        if "Data/Image" in file or "Data/SpectrumImage" in file or "Data/Line" in file:
            return True
        return any("emd_group_type" in thing.attrs for _, thing in walk(file, depth=3))


def _is_hyperspy(head: bytes, path: Path) -> bool:
    if not head.startswith(HDF5_MAGIC):
        return False
    with open_hdf5(path) as file:
        return text(file, "file_format").lower() == "hyperspy"


def _begins_with(*magics: bytes) -> Callable[[bytes, Path], bool]:
    return lambda head, path: head.startswith(magics)


VARIANTS = {
    each.name: each
    for each in (
        Variant("Gatan dm3 or dm4", "digitalmicrograph", (".dm3", ".dm4"), _is_dm),
        Variant("EMD", "emd", (".emd",), _is_emd),
        Variant("HyperSpy", "hspy", (".hspy", ".hdf5"), _is_hyperspy),
        Variant("MRC", "mrc", (".mrc", ".ali"), _is_mrc),
        Variant("TIA ser", "tia", (".ser",), _begins_with(b"II\x97\x01")),
        Variant("Bruker bcf", "bruker", (".bcf",), _begins_with(b"AAMVHFSS")),
        Variant("DigitalSurf", "digitalsurf", (".sur", ".pro"), _begins_with(b"DSCOMPRESSED", b"DIGITAL SURF")),
        Variant("Renishaw wdf", "renishaw", (".wdf",), _begins_with(b"WDF1")),
    )
}
