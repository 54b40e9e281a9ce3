"""The formats that Adatom reads.

A new format is one new module with the two functions of `FormatModule`, and one line in `FORMATS`.
"""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from adatom.errors import FileFormatError
from adatom.files.channel import Channel
from adatom.files.guard import Guarded

# Enough for every magic number.
_HEAD_BYTES = 4096


class FormatModule(Protocol):
    """What the module of a format offers. It imports libraries inside its functions: sniffing loads every module."""

    def sniff(self, head: bytes, path: Path) -> bool:
        """Whether the file is of this format, told from its first bytes (and its size), never from its name."""

    def read_channels(self, path: Path) -> list[Channel]:
        """Describe the channels, at least one, after comparing what the header claims with the size of the file.

        May raise anything on a damaged file: `adatom.files.read` turns it into a `FileFormatError`.
        """


class Format(NamedTuple):
    """One line of the table: the name that users see, the module that reads it, its usual suffixes.

    A format is guarded where a library reads it that a damaged file could hang or crash: it is then read in a process
    of its own (`adatom.files.guard`).
    """

    name: str
    module: str
    suffixes: tuple[str, ...]
    is_guarded: bool = False

    def load(self) -> FormatModule:
        if self.is_guarded:
            return Guarded(self.module, self.name if self.module == _ROSETTASCIIO else None)
        return cast(FormatModule, import_module(self.module))


_ROSETTASCIIO = "adatom.files.rosettasciio"
_HDF5 = (".h5", ".hdf5")

# Asked from top to bottom: the surest magic numbers first, last the formats that have none; those built on HDF5 from
# the most particular to the one that takes any.
FORMATS = (
    Format("Nanonis sxm", "adatom.files.nanonis_sxm", (".sxm",)),
    Format("TIFF", "adatom.files.tiff", (".tif", ".tiff")),
    Format("PNG or JPEG", "adatom.files.picture", (".png", ".jpg", ".jpeg")),
    Format("NumPy npy", "adatom.files.npy", (".npy",)),
    Format("NumPy npz", "adatom.files.npz", (".npz",)),
    Format("zarr", "adatom.files.zarr_store", (".zarr",), is_guarded=True),
    Format("Createc dat", "adatom.files.createc_dat", (".dat",)),
    Format("WSxM", "adatom.files.wsxm", (".top", ".stp", ".tom")),
    Format("Gwyddion gwy", "adatom.files.gwyddion", (".gwy",)),
    Format("Igor ibw", "adatom.files.igor_ibw", (".ibw",)),
    Format("Omicron MATRIX", "adatom.files.omicron_matrix", (".mtrx",), is_guarded=True),
    Format("FAST-STM HDF5", "adatom.files.fast_stm", _HDF5, is_guarded=True),
    Format("NSID HDF5", "adatom.files.nsid", (*_HDF5, ".hf5"), is_guarded=True),
    Format("USID HDF5", "adatom.files.usid", (*_HDF5, ".hf5"), is_guarded=True),
    Format("EMD", _ROSETTASCIIO, (".emd", *_HDF5), is_guarded=True),
    Format("HyperSpy", _ROSETTASCIIO, (".hspy", *_HDF5), is_guarded=True),
    Format("Nion Swift", "adatom.files.nion", (".ndata", *_HDF5), is_guarded=True),
    Format("NeXus HDF5", "adatom.files.nexus", (".nxs", *_HDF5), is_guarded=True),
    Format("HDF5", "adatom.files.plain_hdf5", _HDF5, is_guarded=True),
    Format("Gatan dm3 or dm4", _ROSETTASCIIO, (".dm3", ".dm4"), is_guarded=True),
    Format("TIA ser", _ROSETTASCIIO, (".ser",), is_guarded=True),
    Format("Bruker bcf", _ROSETTASCIIO, (".bcf",), is_guarded=True),
    Format("DigitalSurf", _ROSETTASCIIO, (".sur", ".pro"), is_guarded=True),
    Format("Renishaw wdf", _ROSETTASCIIO, (".wdf",), is_guarded=True),
    Format("MRC", _ROSETTASCIIO, (".mrc", ".ali"), is_guarded=True),
    Format("height map dat", "adatom.files.height_map_dat", (".dat",)),
)


def recognise(path: Path) -> Format:
    """Find the format of a file from its content.

    Raises
    ------
    FileFormatError : if the file is empty, of no format in `FORMATS`, or named like another one of them: then one of
        name and content is a mistake, and it is not for us to guess which.
    """
    head = b""
    if not path.is_dir():  # a zarr store is a folder
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    if not head and not path.is_dir():
        raise FileFormatError(f"{path.name}: expected a file with content, got an empty one. Copy it again.")
    promised = [each.name for each in FORMATS if path.suffix.lower() in each.suffixes]
    for candidate in FORMATS:
        if candidate.load().sniff(head, path):
            if promised and candidate.name not in promised:
                raise FileFormatError(
                    f"{path.name}: expected {' or '.join(promised)} as its name says, got {candidate.name}. "
                    f"Let its name end in {candidate.suffixes[0]}."
                )
            return candidate
    known = ", ".join(f"{each.name} ({' '.join(each.suffixes)})" for each in FORMATS)
    remedy = (
        f"It is named like a {' or '.join(promised)} but does not hold one: "
        "it may be damaged, truncated or of another maker."
        if promised
        else "Export it to one of these."
    )
    raise FileFormatError(f"{path.name}: expected one of the formats {known}, got unknown content. {remedy}")
