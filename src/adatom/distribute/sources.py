"""What `find` is pointed at, as files: names, patterns, and folders with the images in them."""

import os
import time
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from adatom.files import FORMATS

_SUFFIXES = frozenset(suffix for each in FORMATS for suffix in each.suffixes)
_State = tuple[int, int, bool]


def files_of(sources: Sequence[Path]) -> list[Path]:
    """The files that these names mean, each once, in order: a folder means the images in it (not in folders in it, but
    for zarr stores), a pattern such as ``scans/*.sxm`` what it fits; anything else is the name of a file, be it there
    or not.
    """
    files: list[Path] = []
    for source in sources:
        if source.is_dir() and not _is_store(source):
            files += images_in(source)
        elif not source.exists() and has_magic(str(source)):
            files += [Path(each) for each in sorted(glob(str(source), recursive=True))] or [source]
        else:
            files.append(source)
    return list(dict.fromkeys(files))


def images_in(folder: Path) -> list[Path]:
    """Files in a folder whose suffix is that of a format, in the order of their names; hidden ones are left out."""
    return [
        each
        for each in sorted(folder.iterdir())
        if not each.name.startswith(".") and each.suffix.lower() in _SUFFIXES and (each.is_file() or _is_store(each))
    ]


class Arrivals:
    """Files as they come into a folder, those that are there first.

    Parameters
    ----------
    folder : may be away for a while, as on a network.
    settled_s : a file is complete when its size and time have not changed for so long; one that is changed later, or
        may be read only later, comes again.
    """

    def __init__(self, folder: Path, *, settled_s: float = 0.5) -> None:
        self._folder, self._settled_s = folder, settled_s
        self._seen: dict[Path, tuple[_State, float]] = {}
        self._given: dict[Path, _State] = {}

    def look(self) -> list[tuple[Path, float]]:
        """The files that are complete since the last look, and when each was last seen to change (`time.monotonic`)."""
        try:
            files = images_in(self._folder)
        except OSError:
            return []
        now, complete = time.monotonic(), []
        for file in files:
            state = _state(file)
            if state is None or self._given.get(file) == state:
                continue
            before = self._seen.get(file)
            if before is None or before[0] != state:
                self._seen[file] = (state, now)
            elif now - before[1] >= self._settled_s:
                self._given[file] = state
                complete.append((file, before[1]))
        return complete


def _state(file: Path) -> _State | None:
    """Size and time of a file, or of all files of a store, and whether it may be read; None where it has gone, or is
    empty.
    """
    try:
        parts = [each.stat() for each in (file.rglob("*") if file.is_dir() else [file])]
    except OSError:
        return None
    size = sum(each.st_size for each in parts)
    return (size, max(each.st_mtime_ns for each in parts), os.access(file, os.R_OK)) if size else None


def _is_store(path: Path) -> bool:
    return path.is_dir() and any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray"))
