"""Files that are either the old one or the new one, never half of it."""

import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path` by way of a temporary file beside it; parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner may read; a result is a file like any other
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, facts: Mapping[str, Any]) -> None:
    """Write facts as people read them; a number that is not finite is an error, as JSON knows none."""
    write_atomically(path, json.dumps(dict(facts), indent=2, ensure_ascii=False, allow_nan=False))


def write_table(folder: Path, name: str, table: "pd.DataFrame", *, parquet: bool = False) -> None:
    """Write ``<name>.csv``; with `parquet` also ``<name>.parquet``, which keeps types and attributes."""
    write_atomically(folder / f"{name}.csv", table.to_csv(index=False))
    if parquet:
        stream = io.BytesIO()
        table.to_parquet(stream)
        write_atomically(folder / f"{name}.parquet", stream.getvalue())
