"""A tiny file of each format, with what must come out of it: for the contract test of readers, and to be damaged.

None was made by a microscope. Those of TIFF, PNG, NumPy, zarr, HDF5, EMD (Berkeley), HyperSpy and DigitalSurf come from
libraries that write these formats, the others byte by byte from the public descriptions of their formats.
"""

import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

VALUES = np.arange(35).reshape(5, 7)  # 5 rows, 7 columns: a swap of axes shows
LARGER = np.arange(99).reshape(9, 11)  # where small arrays do not pass for images


@dataclass(frozen=True)
class Example:
    """The bytes of a tiny file, and what must come out of it."""

    content: bytes
    values: np.ndarray
    pixel_size: tuple[float, float] | None = None
    units: str = ""
    coordinates: dict[str, Any] = field(default_factory=dict)


def nanonis_sxm() -> Example:
    header = (
        ":NANONIS_VERSION:\n2\n:SCANIT_TYPE:\n\tFLOAT\tMSBFIRST\n:SCAN_PIXELS:\n\t7\t5\n:SCAN_RANGE:\n\t7E-9\t2.5E-9\n"
        ":SCAN_DIR:\ndown\n:BIAS:\n\t1.0E-1\n:DATA_INFO:\n\tChannel\tName\tUnit\tDirection\tCalibration\tOffset\n"
        "\t14\tZ\tm\tboth\t1.0E-8\t0.0E+0\n\n:SCANIT_END:\n\n\n"
    )
    values = VALUES.astype(">f4")
    content = header.encode() + b"\x1a\x04" + values.tobytes() + values[:, ::-1].tobytes()
    return Example(content, values, (0.5, 1.0), "m")


def tiff() -> Example:
    import tifffile

    values = VALUES.astype(np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, values, imagej=True, resolution=(2, 4), metadata={"unit": "nm"})
    return Example(file.getvalue(), values, (0.25, 0.5))


def png() -> Example:
    from PIL import Image

    values = VALUES.astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return Example(file.getvalue(), values)


def npy() -> Example:
    values = VALUES.astype(np.float64)
    file = io.BytesIO()
    np.save(file, values)
    return Example(file.getvalue(), values)


def npz() -> Example:
    values = LARGER.astype(np.float32)
    file = io.BytesIO()
    np.savez_compressed(file, image=values, other=values[::-1], positions=np.zeros((20, 2)))
    return Example(file.getvalue(), values)


def createc_dat() -> Example:
    lines = ["[Paramco32]", "DAC-Type=20bit", "Num.X / Num.X=7", "Num.Y / Num.Y=5", "GainZ / GainZ=10"]
    lines += ["Gainpreamp / GainPre 10^=9", "ZPiezoconst / ZPiezoconst= 20", "Dacto[A]z=0.00038", "Channels=4"]
    lines += ["Channelselectval / Channelselectval=3", "Length x[A]=70.0", "Length y[A]=25.0"]
    planes = np.stack([VALUES, VALUES + 100, VALUES + 200, VALUES + 300]).astype("<f4")
    packed = zlib.compress(bytes(4) + planes.tobytes() + bytes(64))
    # +-10 V over 2**20 steps, 20 Angstrom/V, gain 10
    values = (VALUES.astype("<f4") * (20 / 2**20 * 20 * 10 * 0.1)).astype("<f4")
    return Example("\r\n".join(lines).encode() + bytes(32) + b"\nDATA" + packed, values, (0.5, 1.0), "nm")


def height_map_dat() -> Example:
    values = VALUES.astype("<f8")
    return Example(np.array([5, 7], "<u4").tobytes() + values.tobytes(), values, units="m")


def wsxm() -> Example:
    values = VALUES.astype("<f8")

    def header(size: int) -> bytes:
        text = (
            "WSxM file copyright UAM\r\nSxM Image file\r\n"
            f"Image header size: {size}\r\n\r\n[Control]\r\n\r\n    X Amplitude: 7 nm\r\n"
            "    Y Amplitude: 2.5 nm\r\n\r\n"
            "[General Info]\r\n\r\n    Acquisition channel: Topography\r\n    Image Data Type: double\r\n"
            "    Number of columns: 7\r\n    Number of rows: 5\r\n    Z Amplitude: 34 nm\r\n\r\n[Header end]\r\n"
        )
        return text.encode("cp1252")

    size = len(header(100))
    return Example(header(size) + values[::-1, ::-1].tobytes(), values, (0.5, 1.0), "nm")


def gwyddion_gwy() -> Example:
    def item(name: str, kind: str, content: bytes) -> bytes:
        return name.encode() + b"\0" + kind.encode() + content

    def thing(name: str, *items: bytes) -> bytes:
        inside = b"".join(items)
        return name.encode() + b"\0" + struct.pack("<I", len(inside)) + inside

    def unit(text: str) -> bytes:
        return thing("GwySIUnit", item("unitstr", "s", text.encode() + b"\0"))

    values = VALUES.astype("<f8")
    data_field = thing(
        "GwyDataField",
        item("xres", "i", struct.pack("<i", 7)),
        item("yres", "i", struct.pack("<i", 5)),
        item("xreal", "d", struct.pack("<d", 7e-9)),
        item("yreal", "d", struct.pack("<d", 2.5e-9)),
        item("si_unit_xy", "o", unit("m")),
        item("si_unit_z", "o", unit("m")),
        item("data", "D", struct.pack("<I", 35) + values.tobytes()),
    )
    container = thing(
        "GwyContainer",
        item("/0/data", "o", data_field),
        item("/0/data/title", "s", b"Topography\0"),
        item("/0/data/visible", "b", b"\1"),
        item("/0/meta", "o", thing("GwyContainer", item("Bias", "s", b"0.1 V\0"))),
    )
    return Example(b"GWYP" + container, values, (0.5, 1.0), "m")


def igor_ibw() -> Example:
    values = VALUES.astype("<f4")
    layers = np.stack([values[::-1], values[::-1] + 100])  # y points up
    labels = b"".join(text.encode().ljust(32, b"\0") for text in ("", "HeightRetrace", "PhaseRetrace"))
    note = b"ScanSize: 7e-9\rImagingMode: PFM\r"
    wave = bytearray(320)
    struct.pack_into("<ih", wave, 12, layers.size, 2)
    wave[28:33] = b"scan\0"
    struct.pack_into("<4i", wave, 68, 7, 5, 2, 0)
    struct.pack_into("<4d", wave, 84, 1e-9, 0.5e-9, 1, 1)
    wave[152:153], wave[156:157] = b"m", b"m"
    head = bytearray(64)
    struct.pack_into("<hHii", head, 0, 5, 0, 320 + layers.nbytes, 0)
    struct.pack_into("<i", head, 12, len(note))
    struct.pack_into("<4i", head, 36, 0, 0, len(labels), 0)
    total = int(np.frombuffer(bytes(head + wave), "<u2").sum(dtype=np.uint64))
    struct.pack_into("<H", head, 2, -total & 0xFFFF)
    return Example(bytes(head + wave) + layers.tobytes() + note + labels, values, (0.5, 1.0), "m")


def _hdf5(fill: Callable[[Any], None]) -> bytes:
    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        fill(opened)
    return file.getvalue()


def nsid() -> Example:
    bias = np.array([0.0, 1, 2, 1, 0, -1, -2, -1])
    values = np.arange(5 * 7 * 8, dtype=np.float32).reshape(5, 7, 8)

    def fill(file: Any) -> None:
        group = file.create_group("Measurement_000/Channel_000/generic")
        main = group.create_dataset("generic", data=values.transpose(1, 0, 2))
        for name, text in {"quantity": "Piezoresponse", "units": "m", "pyNSID_version": "0.0.7.2"}.items():
            main.attrs[name] = text
        axes = {"x": (np.arange(7) * 1e-9, "m"), "y": (np.arange(5) * 5e-10, "m"), "Voltage": (bias, "V")}
        for number, (name, (places, units)) in enumerate(axes.items()):
            scale = group.create_dataset(name, data=places)
            scale.make_scale(name)
            scale.attrs["units"] = units
            main.dims[number].label = name
            main.dims[number].attach_scale(scale)

    return Example(_hdf5(fill), values, (0.5, 1.0), "m", {"bias": bias})


def usid() -> Example:
    values = VALUES.astype(np.float32)

    def fill(file: Any) -> None:
        group = file.create_group("Measurement_000/Channel_000")
        indices = np.array([(x, y) for y in range(5) for x in range(7)], dtype=np.uint32)
        shuffled = np.random.default_rng(1).permutation(35)  # the order of acquisition is free
        beside = {
            "Position_Indices": indices[shuffled],
            "Position_Values": (indices * [1e-9, 5e-10])[shuffled],
            "Spectroscopic_Indices": np.zeros((1, 1), np.uint32),
            "Spectroscopic_Values": np.zeros((1, 1)),
        }
        main = group.create_dataset("Raw_Data", data=values.reshape(35, 1)[shuffled])
        main.attrs["quantity"], main.attrs["units"] = "Height", "m"
        for name, content in beside.items():
            dataset = group.create_dataset(name, data=content)
            dataset.attrs["labels"] = ["X", "Y"] if name.startswith("Pos") else ["none"]
            dataset.attrs["units"] = ["m", "m"] if name.startswith("Pos") else [""]
            main.attrs[name] = dataset.ref

    return Example(_hdf5(fill), values, (0.5, 1.0), "m")


def fast_stm() -> Example:
    # a plane that rises along x as the tip really moves, so that even places give even steps
    n_x, n_y, n_frames, phase = 40, 5, 2, 3
    swing = (1 - np.cos(np.pi * (np.arange(n_x) + 0.5) / n_x)) / 2
    picture = swing * 1000 + np.arange(n_y)[::-1, None] * 2000  # the top row is the highest
    up = np.stack([picture[::-1], picture[::-1, ::-1]], axis=1)
    down = np.stack([picture, picture[:, ::-1]], axis=1)
    one = np.concatenate([up.ravel(), down.ravel()])
    stream = np.concatenate([np.zeros(phase), np.tile(one, n_frames), np.zeros(17)])

    def fill(file: Any) -> None:
        data = file.create_dataset("data", data=np.rint(stream).astype(np.int16), chunks=(100,))
        facts = {"Scanner.X_Points": n_x, "Scanner.Y_Points": n_y, "Acquisition.X_Phase": phase}
        facts |= {"Scanner.X_Amplitude": 0.4, "Scanner.Y_Amplitude": 0.25, "Scanner.X_Calibration": 100.0}
        facts |= {"Scanner.Y_Calibration": 10.0, "Scanner.Y_Frequency": 20.0}
        for name, value in facts.items():
            data.attrs[name] = value
        for axis in "XY":
            data.attrs[f"Scanner.{axis}_Calibration.Unit"] = "nm/V"

    even = np.clip((np.arange(n_x) + 0.5) / n_x, swing[0], swing[-1])
    values = even * 1000 + np.arange(n_y)[::-1, None] * 2000
    return Example(_hdf5(fill), np.stack([values] * n_frames).astype(np.float32), (0.5, 1.0))


def nexus() -> Example:
    values = VALUES.astype(np.int32)

    def fill(file: Any) -> None:
        group = file.create_group("measurement/events/haadf")
        group.attrs["NX_class"], group.attrs["signal"], group.attrs["axes"] = "NXdata", "intensity", ["y", "x"]
        group["intensity"] = values
        group["intensity"].attrs["units"] = "counts"
        for name, places in {"y": np.arange(5) * 500.0, "x": np.arange(7) * 1000.0}.items():
            group[name] = places
            group[name].attrs["units"] = "pm"

    return Example(_hdf5(fill), values, (0.5, 1.0), "counts")


def plain_hdf5() -> Example:
    return Example(_hdf5(lambda file: file.create_dataset("scan/height", data=LARGER * 0.5)), LARGER * 0.5)


def nion() -> Example:
    values = VALUES.astype(np.float32)
    axes = [{"offset": -1.0, "scale": 0.5, "units": "nm"}, {"offset": -3.0, "scale": 1.0, "units": "nm"}]
    facts = {"title": "HAADF", "dimensional_calibrations": axes, "intensity_calibration": {"units": "counts"}}

    def fill(file: Any) -> None:
        file["data"] = values
        file["data"].attrs["properties"] = json.dumps(facts)

    return Example(_hdf5(fill), values, (0.5, 1.0), "counts")


def nion_ndata() -> Example:
    """The other form of `nion`."""
    example = nion()
    array, file = io.BytesIO(), io.BytesIO()
    np.save(array, example.values)
    axes = [{"offset": -1.0, "scale": 0.5, "units": "nm"}, {"offset": -3.0, "scale": 1.0, "units": "nm"}]
    facts = {"title": "HAADF", "spatial_calibrations": axes, "intensity_calibration": {"units": "counts"}}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.npy", array.getvalue())
        archive.writestr("metadata.json", json.dumps(facts))
    return Example(file.getvalue(), example.values, example.pixel_size, example.units)


def _by_rosettasciio(plugin: str, suffix: str, values: np.ndarray) -> bytes:
    from importlib import import_module

    axes = [
        {"name": "y", "size": values.shape[0], "scale": 0.5, "offset": 0.0, "units": "nm", "navigate": False},
        {"name": "x", "size": values.shape[1], "scale": 1.0, "offset": 0.0, "units": "nm", "navigate": False},
    ]
    for number, axis in enumerate(axes):
        axis |= {"index_in_array": number, "is_binned": False}
    item = {
        "data": values,
        "axes": axes,
        "metadata": {"General": {"title": "HAADF"}, "Signal": {"signal_type": ""}},
        "original_metadata": {},
        "learning_results": {},
        "attributes": {"_lazy": False, "ragged": False},
        "tmp_parameters": {},
        "models": {},
        "package_info": {"package": "adatom", "package_version": "0"},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"tiny{suffix}"
        import_module(f"rsciio.{plugin}").file_writer(str(path), item)
        return path.read_bytes()


def emd() -> Example:
    values = VALUES.astype(np.float32)
    return Example(_by_rosettasciio("emd", ".emd", values), values, (0.5, 1.0))


def hyperspy() -> Example:
    values = VALUES.astype(np.float32)
    return Example(_by_rosettasciio("hspy", ".hspy", values), values, (0.5, 1.0))


def digitalsurf() -> Example:
    values = VALUES.astype(np.float64)
    return Example(_by_rosettasciio("digitalsurf", ".sur", values), values, (0.5, 1.0))


def mrc() -> Example:
    values = VALUES.astype("<i2")
    header = bytearray(1024)
    struct.pack_into("<4i", header, 0, 7, 5, 1, 1)
    struct.pack_into("<3i", header, 28, 7, 5, 1)
    struct.pack_into("<6f", header, 40, 70.0, 25.0, 1.0, 90, 90, 90)  # Angstrom
    struct.pack_into("<3i", header, 64, 1, 2, 3)
    header[208:216] = b"MAP \x44\x44\x00\x00"
    return Example(bytes(header) + values.tobytes(), values, (0.5, 1.0))


def tia_ser() -> Example:
    values = VALUES.astype("<u2")
    n_before = 2 + 2 + 2 + 4 * 6
    dimension = struct.pack("<iddi", 1, 0.0, 1.0, 0) + struct.pack("<i", 6) + b"Number" + struct.pack("<i", 0)
    start = n_before + len(dimension) + 8
    element = struct.pack("<ddi", 0.0, 1e-9, 0) + struct.pack("<ddi", 0.0, 5e-10, 0) + struct.pack("<hii", 2, 7, 5)
    element += values[::-1].tobytes()
    head = struct.pack("<hhh", 0x4949, 0x0197, 0x0210)
    head += struct.pack("<iiiiii", 0x4122, 0x4152, 1, 1, n_before + len(dimension), 1)
    offsets = struct.pack("<ii", start, start + len(element))
    return Example(head + dimension + offsets + element + struct.pack("<hhi", 0x4152, 0, 0), values, (0.5, 1.0), "")


def gatan_dm3(version: int = 3) -> Example:
    """Version 4 counts with 8 bytes instead of 4, and says of each tag how long it is."""
    values = VALUES.astype("<i2")
    count = "I" if version == 3 else "Q"

    def sized(content: bytes) -> bytes:
        return content if version == 3 else struct.pack(">Q", len(content)) + content

    def group(*tags: bytes) -> bytes:
        return struct.pack(f">BB{count}", 1, 0, len(tags)) + b"".join(tags)

    def below(name: str, *tags: bytes) -> bytes:
        return struct.pack(">BH", 20, len(name)) + name.encode() + sized(group(*tags))

    def data(name: str, info: list[int], content: bytes) -> bytes:
        described = b"%%%%" + struct.pack(f">{count}", len(info)) + struct.pack(f">{len(info)}{count}", *info)
        return struct.pack(">BH", 21, len(name)) + name.encode() + sized(described + content)

    def number(name: str, value: int) -> bytes:
        return data(name, [5], struct.pack("<I", value))

    def real(name: str, value: float) -> bytes:
        return data(name, [6], struct.pack("<f", value))

    def text(name: str, value: str) -> bytes:
        return data(name, [20, 4, len(value)], value.encode("utf-16-le"))

    def axis(scale: float) -> bytes:
        return below("", real("Origin", 0.0), real("Scale", scale), text("Units", "nm"))

    brightness = below("Brightness", real("Origin", 0.0), real("Scale", 1.0), text("Units", "e-"))
    image = below(
        "",
        below(
            "ImageData",
            below("Calibrations", brightness, below("Dimension", axis(1.0), axis(0.5))),
            data("Data", [20, 2, 35], values.tobytes()),
            number("DataType", 1),
            below("Dimensions", number("", 7), number("", 5)),
            number("PixelDepth", 2),
        ),
        below("ImageTags", text("Operator", "nobody")),
        text("Name", "HAADF"),
    )
    root = group(below("ImageList", image), number("Version", 3)) + bytes(8)
    return Example(struct.pack(f">I{count}I", version, len(root), 1) + root, values, (0.5, 1.0))


EXAMPLES: dict[str, Callable[[], Example]] = {
    "Nanonis sxm": nanonis_sxm,
    "TIFF": tiff,
    "PNG or JPEG": png,
    "NumPy npy": npy,
    "NumPy npz": npz,
    "Createc dat": createc_dat,
    "WSxM": wsxm,
    "Gwyddion gwy": gwyddion_gwy,
    "Igor ibw": igor_ibw,
    "FAST-STM HDF5": fast_stm,
    "NSID HDF5": nsid,
    "USID HDF5": usid,
    "EMD": emd,
    "HyperSpy": hyperspy,
    "Nion Swift": nion,
    "NeXus HDF5": nexus,
    "HDF5": plain_hdf5,
    "Gatan dm3 or dm4": gatan_dm3,
    "TIA ser": tia_ser,
    "DigitalSurf": digitalsurf,
    "MRC": mrc,
    "height map dat": height_map_dat,
}
# Those of several files, which have tests of their own, and formats that nothing here can write.
WITHOUT_EXAMPLE = ("zarr", "Omicron MATRIX", "Bruker bcf", "Renishaw wdf")
