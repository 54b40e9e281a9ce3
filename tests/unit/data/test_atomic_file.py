import os
import stat

import pytest

from adatom.data.atomic_file import write_atomically


@pytest.mark.parametrize(("content", "written"), [("Å\n", "Å\n".encode()), (b"\x00\x01", b"\x00\x01"), ("", b"")])
def test_text_and_bytes_arrive_and_folders_are_made(tmp_path, content, written):
    path = tmp_path / "new" / "folder" / "result.csv"
    write_atomically(path, content)
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == ["result.csv"]


def test_result_may_be_read_by_others(tmp_path):
    path = tmp_path / "result.csv"
    write_atomically(path, "new")
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, failing):
    path = tmp_path / "result.csv"
    write_atomically(path, "old")

    def disk_is_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, failing, disk_is_full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.csv"]
