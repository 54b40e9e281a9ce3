"""The record: only ever added to, and honest about damage."""

import numpy as np
import pytest

from adatom.errors import ExperimentError, MissingFileError
from adatom.experiment.record import CUT_OFF, LINES, Record, read_record


@pytest.fixture
def folder(tmp_path):
    record = Record(tmp_path / "run")
    record.add("plan", plan="name: x")
    record.add("measured", candidate=3, value=0.1, array=record.keep("spectrum_0", np.arange(3.0)), text="grün")
    record.close()
    return tmp_path / "run"


def test_what_was_added_comes_back(folder) -> None:
    record = Record(folder)
    assert [entry["kind"] for entry in record.entries] == ["plan", "measured"]
    assert record.kept(record.entries[1]["array"]).tolist() == [0, 1, 2]
    assert record.add("over", why="done")["n"] == 2
    record.close()
    assert read_record(folder)[2]["why"] == "done"


@pytest.mark.parametrize("cut", [1, 5, 40, 100])
def test_a_line_that_a_crash_cut_off_is_put_aside(folder, cut) -> None:
    path = folder / LINES
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert [entry["kind"] for entry in read_record(folder)] == ["plan"]
    record = Record(folder)
    assert [entry["kind"] for entry in record.entries] == ["plan"]
    record.add("measured", candidate=4, value=1.0)
    record.close()
    assert [entry.get("candidate") for entry in read_record(folder)] == [None, 4]
    assert (folder / CUT_OFF).read_bytes().strip()


def test_a_changed_line_says_which(folder) -> None:
    path = folder / LINES
    path.write_bytes(path.read_bytes().replace(b'"value":0.1', b'"value":0.9'))
    with pytest.raises(ExperimentError, match="line 2"):
        Record(folder)


def test_a_missing_line_is_seen(folder) -> None:
    path = folder / LINES
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(ExperimentError, match="line 1"):
        Record(folder)


def test_a_changed_or_foreign_array_is_seen(folder, tmp_path) -> None:
    record = Record(folder)
    told = record.entries[1]["array"]
    (folder / told["file"]).write_bytes(b"nothing")
    with pytest.raises(ExperimentError, match="not what was written"):
        record.kept(told)
    with pytest.raises(ExperimentError, match="outside"):
        record.kept({"file": "../../etc/passwd", "sha256": ""})
    record.close()


def test_two_at_once_are_one_too_many(folder) -> None:
    first = Record(folder)
    with pytest.raises(ExperimentError, match="another process"):
        Record(folder)
    first.close()
    Record(folder).close()


def test_nothing_there_says_so_and_makes_nothing(tmp_path) -> None:
    with pytest.raises(MissingFileError):
        read_record(tmp_path / "none")
    assert not (tmp_path / "none").exists()
