"""Atoms written part by part: a killed run goes on at the part where it was, and ends with the same table.

``atoms.parts`` is a folder of parts, which become ``atoms.parquet`` at the end; ``atoms.csv`` grows by each part;
``parts.json`` says which parts are done, and how long the CSV was then.
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

_STATE, _PARTS, _WHOLE = "parts.json", "atoms.parts", "atoms.parquet"


@dataclass
class AtomParts:
    """The table of a run, as far as it is done.

    Attributes
    ----------
    folder : where it is.
    key : what the table depends on; a table of another key is begun anew.
    n_done : parts that are written.
    n_atoms, species : how many atoms they hold, and of which species.
    sums : what else is added up over the parts, by name.
    """

    folder: Path
    key: dict[str, Any]
    n_done: int = 0
    n_atoms: int = 0
    species: Counter[str] = field(default_factory=Counter)
    sums: dict[str, float] = field(default_factory=dict)
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
            parts.sums = state["sums"]
        else:
            parts._begin()
        return parts

    def add(self, atoms: pd.DataFrame, **sums: float) -> None:
        """Write the next part, and add to the `sums`."""
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
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self._write_state()

    def finish(self) -> None:
        """Make one table of all parts, a part at a time in memory."""
        table, temporary = self.folder / _WHOLE, self.folder / f".{_WHOLE}"
        if not (self.folder / _PARTS).is_dir() and table.is_file():
            return  # it was finished before
        files = [_part(self.folder, number) for number in range(self.n_done)]
        # a part without atoms knows nothing of the types of its columns
        telling = next((file for file in files if pq.read_metadata(file).num_rows), files[0])
        with pq.ParquetWriter(temporary, pq.read_schema(telling)) as writer:
            for file in files:
                writer.write_table(pq.read_table(file).cast(writer.schema))
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
            "sums": self.sums,
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
