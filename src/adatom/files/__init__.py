"""Files into images: one file per format, chosen by what a file contains and not by its name."""

from adatom.files.formats import FORMATS
from adatom.files.reading import info, read

__all__ = ["FORMATS", "info", "read"]
