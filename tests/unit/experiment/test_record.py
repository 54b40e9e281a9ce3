import json

import numpy as np
import pytest

from adatom.errors import ExperimentError, MissingFileError
from adatom.experiment.record import RECORD, Record, kept_arrays, read_record


def _written(folder, n=3):
    with Record(folder) as record:
        for number in range(n):
            record.add("thing", value=number / 3)


def test_what_was_added_is_read_again(tmp_path):
    _written(tmp_path)
    assert [entry["value"] for entry in read_record(tmp_path)] == [0.0, 1 / 3, 2 / 3]


def test_a_torn_last_line_is_cut_off_and_kept(tmp_path):
    _written(tmp_path)
    path = tmp_path / RECORD
    whole = path.read_bytes()
    for cut in range(len(whole.split(b"\n")[0]) + 2, len(whole), 37):
        path.write_bytes(whole[:cut])
        n_whole = whole[:cut].count(b"\n")
        with Record(tmp_path) as record:
            assert [entry["kind"] for entry in record.entries[:n_whole]] == ["thing"] * n_whole
            if whole[:cut].endswith(b"\n"):
                continue
            torn = record.entries[n_whole]
        assert torn["kind"] == "torn"
        assert whole[:cut].endswith((tmp_path / torn["file"]).read_bytes())


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0], lines[1].replace(b"0.33", b"0.44"), lines[2]],
        lambda lines: [lines[0], b"{", lines[2]],
        lambda lines: [lines[0], b"7", lines[2]],
    ],
)
def test_other_damage_is_an_error_that_says_where(tmp_path, damage):
    _written(tmp_path)
    path = tmp_path / RECORD
    path.write_bytes(b"\n".join([*damage(path.read_bytes().split(b"\n")[:-1]), b""]))
    with pytest.raises(ExperimentError, match=r"line [23] of .*record\.jsonl"):
        read_record(tmp_path)


def test_one_process_at_a_time(tmp_path):
    with Record(tmp_path), pytest.raises(ExperimentError, match="another process"):
        Record(tmp_path)
    Record(tmp_path).close()


def test_arrays_are_the_ones_that_a_line_names(tmp_path):
    with Record(tmp_path) as record:
        named = record.keep("spectrum", {"values": np.arange(5.0)})
    np.testing.assert_array_equal(kept_arrays(tmp_path, named)["values"], np.arange(5.0))
    (tmp_path / named["file"]).write_bytes(b"another")
    with pytest.raises(ExperimentError, match="as it was written"):
        kept_arrays(tmp_path, named)


def test_facts_cannot_take_the_names_of_a_line(tmp_path):
    with Record(tmp_path) as record:
        with pytest.raises(ExperimentError, match="other names"):
            record.add("thing", n=5)
        with pytest.raises(ExperimentError, match="JSON"):
            record.add("thing", value=float("nan"))
        assert not record.entries
    assert json.loads((tmp_path / RECORD).read_text() or "[]") == []


def test_a_folder_without_experiment(tmp_path):
    with pytest.raises(MissingFileError, match="experiment"):
        read_record(tmp_path)
