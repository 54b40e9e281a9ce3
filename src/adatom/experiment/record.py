"""The record of an experiment: one JSON object a line, only ever added to, each line sealed by the one before.

A line is on the disk before anything follows from it. Arrays lie in files beside it, written before the line that names
them with their hash. A line that a crash has cut off is put aside; any other damage is an error that says where.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adatom.data.atomic_file import write_atomically
from adatom.errors import ExperimentError, MissingFileError

LINES, CUT_OFF, ARRAYS = "record.jsonl", "record.cut-off", "arrays"
_FIRST = "0" * 64


class Record:
    """A folder with a record; opened to be added to.

    Parameters
    ----------
    folder : made if missing.

    Attributes
    ----------
    entries : all lines so far, each with ``n``, ``kind``, ``time`` and what it tells.

    Raises
    ------
    ExperimentError : if the record was changed or damaged, or another process writes to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._turn = folder, threading.Lock()
        (folder / ARRAYS).mkdir(parents=True, exist_ok=True)
        self._file = (folder / LINES).open("a+b")
        _lock(self._file)
        self.entries, self._last, whole = _read(folder / LINES)
        size = self._file.seek(0, 2)
        if size > whole:  # a line that was never finished: nothing has followed from it
            self._file.seek(whole)
            rest = self._file.read()
            with (folder / CUT_OFF).open("ab") as aside:
                aside.write(rest + b"\n")
            self._file.truncate(whole)
            _to_disk(self._file)

    def add(self, kind: str, **facts: Any) -> dict[str, Any]:
        """Add a line; it is on the disk when this returns."""
        with self._turn:
            entry = {"n": len(self.entries), "kind": kind, "time": round(time.time(), 3), **facts}
            body = json.dumps(entry, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
            self._last = _seal(self._last, body)
            self._file.write(f'{{"seal":"{self._last}","entry":{body}}}\n'.encode())
            _to_disk(self._file)
            self.entries.append(entry)
        return entry

    def keep(self, name: str, values: NDArray[Any]) -> dict[str, str]:
        """Write an array into a file of its own; returns what a line says of it."""
        stream = BytesIO()
        np.save(stream, np.asarray(values), allow_pickle=False)
        content = stream.getvalue()
        write_atomically(self.folder / ARRAYS / f"{name}.npy", content)
        return {"file": f"{ARRAYS}/{name}.npy", "sha256": hashlib.sha256(content).hexdigest()}

    def kept(self, told: dict[str, str]) -> NDArray[Any]:
        """The array that a line tells of.

        Raises
        ------
        ExperimentError : if it is not what was written.
        """
        return read_array(self.folder, told)

    def of(self, *kinds: str) -> Iterator[dict[str, Any]]:
        """Lines of some kinds."""
        return (entry for entry in self.entries if entry["kind"] in kinds)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def read_record(folder: Path) -> list[dict[str, Any]]:
    """The lines of a record, without opening it to be added to; one that is not finished is left out."""
    if not (folder / LINES).exists():
        raise MissingFileError(f"experiment: expected a folder of an experiment, got {folder}, which holds no record.")
    return _read(folder / LINES)[0]


def read_array(folder: Path, told: dict[str, str]) -> NDArray[Any]:
    """The array that a line tells of.

    Raises
    ------
    ExperimentError : if it is not what was written.
    """
    path = (folder / told["file"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ExperimentError(f"record: {told['file']} lies outside of the experiment's folder.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExperimentError(f"record: {told['file']} is missing ({error.strerror}).") from error
    if hashlib.sha256(content).hexdigest() != told["sha256"]:
        raise ExperimentError(f"record: {told['file']} is not what was written.")
    values: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    return values


def _read(path: Path) -> tuple[list[dict[str, Any]], str, int]:
    """Entries, the last seal, and how many bytes hold them."""
    entries: list[dict[str, Any]] = []
    last, whole = _FIRST, 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                text = line.decode()
                content = json.loads(text)
                seal, entry = content["seal"], content["entry"]
                body = text[text.index('"entry":') + 8 : -2]
            except (ValueError, KeyError, TypeError) as error:
                raise ExperimentError(f"record: line {len(entries) + 1} of {path.name} is damaged.") from error
            last = _seal(last, body)
            if seal != last or entry.get("n") != len(entries):
                raise ExperimentError(f"record: line {len(entries) + 1} of {path.name} is not what was written.")
            entries.append(entry)
            whole += len(line)
    return entries, last, whole


def _seal(before: str, body: str) -> str:
    return hashlib.sha256(f"{before}{body}".encode()).hexdigest()


def _to_disk(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _lock(file: Any) -> None:
    """One process at a time; the lock goes with the process."""
    try:
        import fcntl
    except ImportError:  # Windows has none
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ExperimentError("record: expected to be the only one, another process runs this experiment.") from error
