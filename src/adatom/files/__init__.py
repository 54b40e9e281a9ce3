"""Files into images and back: one file per format, chosen by what a file contains and not by its name."""

from adatom.files.formats import FORMATS
from adatom.files.lazy import LazyImage, LazyMovie, open_lazily, open_movie_lazily
from adatom.files.reading import info, read
from adatom.files.writing import write

__all__ = ["FORMATS", "LazyImage", "LazyMovie", "info", "open_lazily", "open_movie_lazily", "read", "write"]
