"""What happened in an experiment, line by line: written once, never changed, and all that a resumed run knows."""

import fcntl
import hashlib
import io
import json
import os
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from adatom.data.atomic_file import write_atomically
from adatom.errors import ExperimentError, MissingFileError

RECORD = "record.jsonl"
_FIRST = "0" * 64

Entry = dict[str, Any]


class Record:
    """The record of an experiment in a folder, open for more.

    Each line is JSON with ``n`` (from 0), ``before`` (the SHA-256 of the line before it), ``time``, ``kind`` and the
    facts, and is on the disk before `add` returns. A last line that a crash cut short is moved to a file beside the
    record; whatever else is damaged is an error.

    Parameters
    ----------
    folder : of the experiment; made if missing.

    Raises
    ------
    ExperimentError : if the record is damaged, or another process writes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writing = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._file = open(folder / RECORD, "ab")  # noqa: SIM115  held as long as the record
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ExperimentError(
                f"out: expected an experiment that nobody runs, got {folder}, which another process writes."
            ) from None
        try:
            self.entries, self._last_hash, whole = _read(folder / RECORD)
            self._cut_off(whole)
        except BaseException:
            self.close()
            raise
        _sync_folder(folder)

    def add(self, kind: str, **facts: Any) -> Entry:
        """Write one line, and have it on the disk.

        Raises
        ------
        ExperimentError : if the facts are none that JSON knows.
        """
        with self._writing:
            entry: Entry = {
                "n": len(self.entries),
                "before": self._last_hash,
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "kind": kind,
            }
            if taken := entry.keys() & facts.keys():
                raise ExperimentError(f"record: expected other names for facts than {sorted(taken)}, which lines have.")
            entry |= facts
            try:
                line = json.dumps(entry, ensure_ascii=False, allow_nan=False).encode()
            except (TypeError, ValueError) as error:
                raise ExperimentError(
                    f"record: expected facts that JSON knows in {kind!r}, got others ({error})."
                ) from error
            self._file.write(line + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._last_hash = hashlib.sha256(line).hexdigest()
            self.entries.append(json.loads(line))  # as a later reader gets it
            return self.entries[-1]

    def keep(self, name: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, str]:
        """Write arrays to ``arrays/<name>.npz``, whole or not at all; what the line that names them has to hold."""
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **arrays)
        content = stream.getvalue()
        path = f"arrays/{name}.npz"
        write_atomically(self.folder / path, content)
        _sync_folder((self.folder / path).parent)
        return {"file": path, "sha256": hashlib.sha256(content).hexdigest()}

    def close(self) -> None:
        """Let another process have it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cut_off(self, whole: int) -> None:
        """Leave the first `whole` bytes, and keep the rest beside them."""
        path = self.folder / RECORD
        torn = path.read_bytes()[whole:]
        if not torn:
            return
        name = f"torn-{len(self.entries)}-{hashlib.sha256(torn).hexdigest()[:8]}"
        write_atomically(self.folder / name, torn)
        os.truncate(path, whole)
        os.fsync(self._file.fileno())
        self.add("torn", file=name, bytes=len(torn))


def read_record(folder: Path) -> list[Entry]:
    """The whole lines of a record, checked, without changing anything.

    Raises
    ------
    MissingFileError : if there is none.
    ExperimentError : if it is damaged.
    """
    if not (folder / RECORD).is_file():
        raise MissingFileError(f"folder: expected that of an experiment, got {folder}, which has no {RECORD}.")
    return _read(folder / RECORD)[0]


def kept_arrays(folder: Path, named: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    """Arrays that a line names, checked against its hash.

    Raises
    ------
    ExperimentError : if the file is not there or is another one.
    """
    path = folder / named["file"]
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != named["sha256"]:
        raise ExperimentError(f"record: expected {path} as it was written, got {'another' if content else 'none'}.")
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _read(path: Path) -> tuple[list[Entry], str, int]:
    """Entries, the hash of the last line, and how many bytes are whole lines."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    entries: list[Entry] = []
    before = _FIRST
    for number, line in enumerate(content[:whole].split(b"\n")[:-1]):
        try:
            entry = json.loads(line)
            problem = None
        except ValueError as error:
            entry, problem = {}, f"no JSON ({error})"
        if problem is None and not isinstance(entry, dict):
            problem = "no JSON object"
        elif problem is None and entry.get("n") != number:
            problem = f"number {entry.get('n')}"
        elif problem is None and entry.get("before") != before:
            problem = "one that does not follow the line before it"
        if problem is not None:
            raise ExperimentError(
                f"record: expected line {number + 1} of {path} as it was written, got {problem}. "
                "Put it back from a copy."
            )
        before = hashlib.sha256(line).hexdigest()
        entries.append(entry)
    return entries, before, whole


def _sync_folder(folder: Path) -> None:
    """A new name in a folder survives a loss of power only when the folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
