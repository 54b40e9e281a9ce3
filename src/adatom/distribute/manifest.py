"""What was done, a line a file: ``manifest.jsonl``. A second run does what is missing or has changed."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "manifest.jsonl"
_LARGE_BYTES = 2**28  # a larger file is told by its size and time: reading it would take as long as the work


@dataclass
class Manifest:
    """The manifest of a folder of results; of several lines on a file the last holds.

    Attributes
    ----------
    path : of the manifest.
    """

    path: Path
    _last: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def opened(cls, out: Path) -> "Manifest":
        """The manifest in a folder; a line that a killed run left unfinished is passed over."""
        manifest = cls(out / NAME)
        try:
            lines = manifest.path.read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        for line in lines:
            try:
                told = json.loads(line)
                manifest._last[told["file"]] = told
            except (ValueError, KeyError, TypeError):
                continue
        return manifest

    def folder_of(self, file: Path) -> Path | None:
        """Where the results of a file are; None if it was never done."""
        told = self._last.get(str(file.resolve()))
        return None if told is None else self.path.parent / told["out"]

    def folders(self) -> dict[str, Path]:
        """Of each file that was done, by its full name, the folder of its results."""
        return {name: self.path.parent / told["out"] for name, told in self._last.items()}

    def summary_if_done(self, file: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """The summary of a file that was done with these settings, if file and results are as they were."""
        told = self._last.get(str(file.resolve()))
        if told is None or told.get("settings") != _plain(settings):
            return None
        try:
            if told["identity"] != identity(file):
                return None
            summary: dict[str, Any] = json.loads((self.path.parent / told["out"] / "summary.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return summary

    def add(
        self, file: Path, file_identity: str, settings: Mapping[str, Any], out: Path, facts: Mapping[str, Any]
    ) -> None:
        """A file is done: its line is on the disk when this returns."""
        line = {
            "file": str(file.resolve()),
            "identity": file_identity,
            "settings": _plain(settings),
            "out": str(out.relative_to(self.path.parent)),
            **facts,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as stream:
            stream.seek(0, os.SEEK_END)
            if stream.tell():  # a killed run may have left half a line
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._last[line["file"]] = line


def identity(path: Path) -> str:
    """What tells a file from another one of its name: the hash of its content, of a large one or a store that of sizes
    and times.
    """
    if path.is_file() and path.stat().st_size <= _LARGE_BYTES:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    told = [
        (str(each.relative_to(path)), each.stat().st_size, each.stat().st_mtime_ns) for each in files if each.is_file()
    ]
    return "of sizes and times: " + hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _plain(settings: Mapping[str, Any]) -> Any:
    """As they come back out of JSON."""
    return json.loads(json.dumps(dict(settings)))
