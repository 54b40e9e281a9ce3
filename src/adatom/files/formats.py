"""The formats that Adatom reads.

A new format is one new module with the two functions of `FormatModule`, and one line in `FORMATS`.
"""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from adatom.errors import FileFormatError
from adatom.files.channel import Channel

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
    """One line of the table: the name that users see, the module that reads it, its usual suffixes."""

    name: str
    module: str
    suffixes: tuple[str, ...]

    def load(self) -> FormatModule:
        return cast(FormatModule, import_module(self.module))


# Asked from top to bottom: the surest magic numbers first, last the format that has none.
FORMATS = (
    Format("Nanonis sxm", "adatom.files.nanonis_sxm", (".sxm",)),
    Format("TIFF", "adatom.files.tiff", (".tif", ".tiff")),
    Format("PNG or JPEG", "adatom.files.picture", (".png", ".jpg", ".jpeg")),
    Format("NumPy npy", "adatom.files.npy", (".npy",)),
    Format("height map dat", "adatom.files.height_map_dat", (".dat",)),
)


def recognise(path: Path) -> Format:
    """Find the format of a file from its content.

    Raises
    ------
    FileFormatError : if the file is empty, of no format in `FORMATS`, or named like another one of them: then one of
        name and content is a mistake, and it is not for us to guess which.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise FileFormatError(f"{path.name}: expected a file with content, got an empty one. Copy it again.")
    promised = [each.name for each in FORMATS if path.suffix.lower() in each.suffixes]
    for candidate in FORMATS:
        if candidate.load().sniff(head, path):
            if promised and candidate.name not in promised:
                raise FileFormatError(
                    f"{path.name}: expected {promised[0]} as its name says, got {candidate.name}. "
                    f"Let its name end in {candidate.suffixes[0]}."
                )
            return candidate
    known = ", ".join(f"{each.name} ({' '.join(each.suffixes)})" for each in FORMATS)
    remedy = (
        f"It is named like a {promised[0]} but does not hold one: it may be damaged, truncated or of another maker."
        if promised
        else "Export it to one of these."
    )
    raise FileFormatError(f"{path.name}: expected one of the formats {known}, got unknown content. {remedy}")
