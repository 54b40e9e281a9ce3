"""TIFF: single images and stacks of pages.

Pages of one shape are the frames of one channel. Colour becomes luminance; where white is zero the values are inverted,
so that bright is large. Nothing is allocated on the word of a header alone.

`write` makes OME-TIFF: the numbers as they are, the size of a pixel as PhysicalSize in nm, and what else the image says
(signal, unit of the values, source, metadata, history) as JSON in the Description of the image, which `read` takes
back.
"""

import json
import os
import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from adatom.data import pixel_size_nm
from adatom.errors import ArgumentError, FileFormatError
from adatom.files.channel import UNNAMED, Channel, Window
from adatom.files.luminance import LUMINANCE_STEP
from adatom.files.note import note_of
from adatom.files.tiff_calibration import pixel_size_and_remark
from adatom.files.tiff_windows import PackedWindows, PillowWindows, PlainWindows, one_sample, open_tiff, pillow_frame

# deflate makes at most 1032 bytes out of one
_MAX_EXPANSION = 1100
# what is both larger than this [bytes] and compressed a hundredfold holds no micrograph
_MAX_EMPTY_BYTES = 2**28

_DESCRIPTIVE_TAGS = ("ImageDescription", "Make", "Model", "Software", "DateTime", "Artist", "HostComputer")
_FIRST_PRIVATE_TAG = 65000
_MAX_TEXT = 10_000
_WHITE_IS_ZERO = 0
_OME_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
# compressions that tifffile leaves to a package of its own, and that Pillow decodes: LZW, JPEG
_BY_PILLOW = (5, 6, 7)


def sniff(head: bytes, path: Path) -> bool:
    """Whether the file begins with the magic number of TIFF or BigTIFF, in either byte order."""
    return head.startswith((b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"))


def read_channels(path: Path) -> list[Channel]:
    """Describe the images: pages that belong together are the frames of one channel."""
    _check_chain(path)
    with open_tiff(path) as tif:
        metadata = _metadata(tif)
        pixel_size, remark = pixel_size_and_remark(tif)
        note = _note(tif)
        numbered = list(enumerate(tif.series))
        # the coarser levels of a pyramid are no other images
        numbered = [each for each in numbered if not each[1].keyframe.is_reduced] or numbered
        channels = []
        for number, series in numbered:
            _check_claims(path, series)
            name = UNNAMED if len(numbered) == 1 else f"{UNNAMED} {number}"
            channels.append(_channel(path, number, series, name, pixel_size, metadata, remark))
    if len(channels) == 1 and note:
        channels = [
            replace(
                channels[0],
                name=str(note.get("signal") or UNNAMED),
                units=str(note.get("units", "")),
                metadata=note["metadata"] if isinstance(note.get("metadata"), dict) else {},
                history=tuple(str(each) for each in note.get("history") or []),
            )
        ]
    if not channels:
        raise FileFormatError(f"{path.name}: expected a TIFF with an image, got one without. It may be damaged.")
    return channels


def _channel(
    path: Path,
    number: int,
    series: Any,
    name: str,
    pixel_size: tuple[float, float] | None,
    metadata: dict[str, str | float],
    remark: tuple[str, ...],
) -> Channel:
    axes = series.axes
    n_samples = series.shape[axes.index("S")] if "S" in axes else 1
    lengths = [length for axis, length in zip(axes, series.shape, strict=True) if axis != "S"]
    shape = (*((prod(lengths[:-2]),) if len(lengths) > 2 else ()), *lengths[-2:])
    is_inverted = series.keyframe.photometric == _WHITE_IS_ZERO and series.dtype.kind == "u"
    history = (
        *remark,
        *((LUMINANCE_STEP,) if n_samples >= 3 else ()),
        *(("inverted the values (white was zero)",) if is_inverted else ()),
    )

    def load(frame: int | None) -> np.ndarray:
        with open_tiff(path) as tif:
            values = _decode(path, tif.series[number], axes, shape, frame)
        if is_inverted:
            values = np.iinfo(values.dtype).max - values
        return values

    read_window = _windows(path, number, series, shape)

    def window(frame: int | None, rows: slice, columns: slice) -> np.ndarray:
        assert read_window is not None
        values = read_window(frame, rows, columns)
        return np.iinfo(values.dtype).max - values if is_inverted else values

    return Channel(
        name,
        shape,
        series.dtype,
        load,
        "",
        pixel_size,
        metadata,
        history,
        window=window if read_window is not None else None,
    )


def _windows(path: Path, number: int, series: Any, shape: tuple[int, ...]) -> Window | None:
    """What reads windows of a series; None where a whole picture has to be decoded for them."""
    axes, keyframe = series.axes, series.keyframe
    if series.dataoffset is not None:
        dtype = series.dtype.newbyteorder(series.parent.byteorder)
        return PlainWindows(path, series.dataoffset, dtype, tuple(series.shape), axes)
    n_frames = shape[0] if len(shape) == 3 else 1
    pages = list(series.pages)
    if len(pages) != n_frames or any(page is None for page in pages):
        return None
    if keyframe.compression in _BY_PILLOW:
        if len(shape) == 2 or keyframe.photometric == _WHITE_IS_ZERO:
            return None
        return PillowWindows(path, [page.index for page in pages], series.dtype)
    is_a_plane = sorted(axis for axis in keyframe.axes if axis != "S") == ["X", "Y"]
    return PackedWindows(path, number) if is_a_plane else None


def _decode(path: Path, series: Any, axes: str, shape: tuple[int, ...], frame: int | None) -> np.ndarray:
    """Values as (y, x) if `frame` is given or the shape has no frames, else (frame, y, x)."""
    n_frames = shape[0] if len(shape) == 3 else 1
    pages = series.pages
    is_page_a_frame = len(pages) == n_frames and all(page is not None for page in pages)
    if series.dataoffset is not None and "S" not in axes:
        # one run of plain numbers: take only what is asked for
        dtype = series.dtype.newbyteorder(series.parent.byteorder)
        count = shape[-2] * shape[-1]
        start = series.dataoffset + (frame or 0) * count * dtype.itemsize
        wanted = shape if frame is None else shape[-2:]
        return np.fromfile(path, dtype, count=prod(wanted), offset=start).reshape(wanted)
    # (where white is zero, Pillow inverts some number types and not others)
    by_pillow = series.keyframe.compression in _BY_PILLOW and series.keyframe.photometric != _WHITE_IS_ZERO
    if by_pillow and is_page_a_frame:
        wanted_pages = [page.index for page in (pages if frame is None else [pages[frame]])]
        values = _decode_by_pillow(path, wanted_pages, series.dtype)
        return values.reshape(shape if frame is None else shape[-2:])
    if frame is not None and is_page_a_frame:
        page = pages[frame]
        return one_sample(page.asarray(), page.keyframe.axes).reshape(shape[-2:])
    values = one_sample(series.asarray(), axes).reshape(shape)
    return values if frame is None else values[frame]


def _decode_by_pillow(path: Path, pages: list[int], dtype: np.dtype) -> np.ndarray:
    from PIL import Image

    with Image.open(path, formats=("TIFF",)) as picture:
        return np.stack([pillow_frame(picture, page, path, dtype) for page in pages])


def _check_chain(path: Path) -> None:
    """Follow the pages from one to the next: tifffile would follow a chain that bites its tail for ever.

    Raises
    ------
    FileFormatError : if a page comes twice.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        order = "<" if head.startswith(b"II") else ">"
        is_big = head[2:4] in (b"+\x00", b"\x00+")
        # in each page: the number of tags, the tags, the place of the next page
        count_form, tag_bytes, place_form = (f"{order}Q", 20, f"{order}Q") if is_big else (f"{order}H", 12, f"{order}I")
        count_bytes, place_bytes = struct.calcsize(count_form), struct.calcsize(place_form)
        (place,) = struct.unpack_from(place_form, head, 8 if is_big else 4)
        seen: set[int] = set()
        while place:
            if place in seen:
                raise FileFormatError(
                    f"{path.name}: expected a TIFF with an end, got pages that go round in a circle. It is damaged."
                )
            seen.add(place)
            file.seek(place)
            count = file.read(count_bytes)
            if len(count) < count_bytes:
                break  # truncated: what is missing shows later
            file.seek(struct.unpack(count_form, count)[0] * tag_bytes, os.SEEK_CUR)
            following = file.read(place_bytes)
            place = struct.unpack(place_form, following)[0] if len(following) == place_bytes else 0


def _check_claims(path: Path, series: Any) -> None:
    """Compare what the header claims with the size of the file, before anything of that size is allocated.

    Raises
    ------
    FileFormatError : if the file is too small for its claims, or they make no sense.
    """
    bits = series.keyframe.bitspersample
    n_samples = series.sizes.get("sample", 1)
    if series.dtype is None or not isinstance(bits, int) or n_samples > 4:
        raise FileFormatError(
            f"{path.name}: expected grey or colour values of one number type, got {n_samples} samples of {bits} bits. "
            "Save it as a grey TIFF."
        )
    n_held = path.stat().st_size
    n_claimed = prod(series.shape) * series.dtype.itemsize
    if series.dataoffset is not None:
        # the byte counts of such a page may be wrong (some programs count bits): only the end of the run matters
        is_whole = series.dataoffset + n_claimed <= n_held
    else:
        is_plain = series.keyframe.compression == 1
        n_packed = n_claimed * bits // (8 * series.dtype.itemsize)  # a pixel may be one bit
        is_whole = n_packed <= (n_held if is_plain else _MAX_EXPANSION * n_held)
        is_empty = not is_plain and n_claimed > max(_MAX_EMPTY_BYTES, 100 * n_held)
        for page in series.pages if is_whole else ():
            segments = () if page is None else zip(page.dataoffsets, page.databytecounts, strict=True)
            is_whole = is_whole and all(start + count <= n_held for start, count in segments)
        is_whole = is_whole and not is_empty
    if not is_whole:
        raise FileFormatError(
            f"{path.name}: expected {n_claimed} bytes of values as its header says, "
            f"got a file of {n_held} bytes that cannot hold them. It is truncated or damaged: copy it again."
        )


def _metadata(tif: Any) -> dict[str, str | float]:
    found: dict[str, Any] = {}
    for tag in tif.pages[0].tags:
        if tag.name in _DESCRIPTIVE_TAGS or tag.code >= _FIRST_PRIVATE_TAG:
            found.setdefault(str(tag.name), tag.value)
    found.update(tif.imagej_metadata or {})
    return {
        str(key): value[:_MAX_TEXT] if isinstance(value, str) else float(value)
        for key, value in found.items()
        if isinstance(value, (str, int, float))
    }


def _note(tif: Any) -> dict[str, Any]:
    """What `write` has put beside the image; {} in files of others."""
    if not tif.is_ome or "adatom" not in (tif.ome_metadata or ""):
        return {}
    description = ElementTree.fromstring(tif.ome_metadata).findtext(".//{*}Image/{*}Description") or ""
    try:
        note = json.loads(description)
    except ValueError:
        return {}
    note = note.get("adatom") if isinstance(note, dict) else None
    return note if isinstance(note, dict) else {}


def write(path: Path, image: xr.DataArray) -> None:
    """Write an image or a movie; see the head of this module for what is written."""
    import tifffile

    axes = {("y", "x"): "YX", ("frame", "y", "x"): "TYX"}.get(tuple(str(dim) for dim in image.dims))
    if axes is None:
        raise ArgumentError(
            f"image: expected (y, x) or (frame, y, x) for TIFF, got {image.dims}. Let the name end in .h5 or .zarr."
        )
    if image.dtype.name not in _OME_TYPES:
        raise ArgumentError(
            f"image: expected numbers of a type that OME-TIFF has ({', '.join(_OME_TYPES)}), got {image.dtype}. "
            "Let the name end in .h5 or .zarr."
        )
    size = pixel_size_nm(image)
    note = {**note_of(image), "units": image.attrs.get("units", "")}
    metadata: dict[str, Any] = {
        "axes": axes,
        "Name": note["signal"] or UNNAMED,
        "Description": json.dumps({"adatom": note}),
    }
    if size is not None:
        metadata |= {
            "PhysicalSizeY": size[0],
            "PhysicalSizeYUnit": "nm",
            "PhysicalSizeX": size[1],
            "PhysicalSizeXUnit": "nm",
        }
    tifffile.imwrite(path, image.values, ome=True, photometric="minisblack", metadata=metadata)
