"""Atoms written part by part: a killed run goes on at the part where it was, and ends with the same table.

``atoms.parts`` is a folder of parts, which become ``atoms.parquet`` at the end; ``atoms.csv`` grows by each part;
``tiles.json`` says which parts are done, and how long the CSV was then.
"""

import io
import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from adatom.data.atomic_file import write_atomically

_STATE, _PARTS, _WHOLE = "tiles.json", "atoms.parts", "atoms.parquet"


@dataclass
class AtomParts:
    """The table of a run, as far as it is done.

    Attributes
    ----------
    folder : where it is.
    key : what the table depends on; a table of another key is begun anew.
    n_done : parts that are written.
    n_atoms, species : how many atoms they hold, and of which species.
    """

    folder: Path
    key: dict[str, Any]
    n_done: int = 0
    n_atoms: int = 0
    species: Counter[str] = field(default_factory=Counter)
    _csv_bytes: int = 0

    @classmethod
    def opened(cls, folder: Path, key: dict[str, Any]) -> "AtomParts":
        """Go on where a run with the same key was, else from the beginning."""
        parts = cls(folder, json.loads(json.dumps(key)))
        try:
            state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            state = {}
        if state.get("key") == parts.key and _is_there(folder, state):
            parts.n_done, parts.n_atoms = state["n_done"], state["n_atoms"]
            parts.species, parts._csv_bytes = Counter(state["species"]), state["csv_bytes"]
        else:
            parts._begin()
        return parts

    def add(self, atoms: pd.DataFrame) -> None:
        """Write the next part."""
        stream = io.BytesIO()
        atoms.to_parquet(stream)
        write_atomically(_part(self.folder, self.n_done), stream.getvalue())
        with open(self.folder / "atoms.csv", "r+b" if self.n_done else "wb") as file:
            file.truncate(self._csv_bytes)  # what a killed run wrote without saying so
            file.seek(self._csv_bytes)
            file.write(atoms.to_csv(index=False, header=self.n_done == 0).encode())
            file.flush()
            os.fsync(file.fileno())
            self._csv_bytes = file.tell()
        self.n_done += 1
        self.n_atoms += len(atoms)
        self.species.update(str(name) for name in atoms["species"])
        self._write_state()

    def finish(self) -> None:
        """Make one table of all parts, a part at a time in memory."""
        table, temporary = self.folder / _WHOLE, self.folder / f".{_WHOLE}"
        if not (self.folder / _PARTS).is_dir() and table.is_file():
            return  # it was finished before
        writer: pq.ParquetWriter | None = None
        try:
            for number in range(self.n_done):
                part = pq.read_table(_part(self.folder, number))
                if writer is None:
                    writer = pq.ParquetWriter(temporary, part.schema)
                writer.write_table(part.cast(writer.schema))
        finally:
            if writer is not None:
                writer.close()
        temporary.replace(table)
        shutil.rmtree(self.folder / _PARTS)

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _STATE).unlink(missing_ok=True)
        (self.folder / _WHOLE).unlink(missing_ok=True)
        if (self.folder / _PARTS).is_dir():
            shutil.rmtree(self.folder / _PARTS)

    def _write_state(self) -> None:
        state = {
            "key": self.key,
            "n_done": self.n_done,
            "n_atoms": self.n_atoms,
            "species": dict(self.species),
            "csv_bytes": self._csv_bytes,
        }
        write_atomically(self.folder / _STATE, json.dumps(state))


def _part(folder: Path, number: int) -> Path:
    return folder / _PARTS / f"part-{number:06d}.parquet"


def _is_there(folder: Path, state: dict[str, Any]) -> bool:
    """Whether all that a state speaks of is in the folder."""
    csv = folder / "atoms.csv"
    parts = (folder / _WHOLE).is_file() or all(_part(folder, n).is_file() for n in range(state["n_done"]))
    return parts and csv.is_file() and csv.stat().st_size >= state["csv_bytes"]
