"""The worker that reads for us: what it may take in time and memory, and that its end is not ours."""

import time
from pathlib import Path

import numpy as np
import pytest

from adatom.errors import FileFormatError
from adatom.files import guard

READER = """
import os, time
import numpy as np
from adatom.files.channel import Channel

def sniff(head, path):
    return True

def read_channels(path):
    what = path.read_text()
    if what == "hang":
        time.sleep(60)
    if what == "die":
        os.abort()
    if what == "hog":
        np.ones(2**30)
    if what == "raise":
        raise KeyError("no such tag")
    print("readers may print")
    def load(frame):
        if what == "hang later":
            time.sleep(60)
        return np.arange(6, dtype=">i2").reshape(2, 3)
    return [Channel("Z", (2, 3), np.dtype(">i2"), load, units="m", pixel_size=(0.1, 0.2))]
"""


@pytest.fixture
def guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> guard.Guarded:
    (tmp_path / "reader_that_breaks.py").write_text(READER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    worker = guard._Worker()
    monkeypatch.setattr(guard, "_worker", worker)
    monkeypatch.setattr(guard, "_SECONDS", 2.0)
    yield guard.Guarded("reader_that_breaks")
    worker._stop()


def test_values_come_as_they_were_read(guarded: guard.Guarded, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("well")
    (channel,) = guarded.read_channels(tmp_path / "a")
    assert (channel.name, channel.units, channel.pixel_size) == ("Z", "m", (0.1, 0.2))
    values = channel.load(None)
    assert values.dtype == np.dtype(">i2")
    np.testing.assert_array_equal(values, [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("what", "reason"),
    [("hang", "no answer within 2 s"), ("die", "brought down"), ("hog", "more memory"), ("raise", "no such tag")],
)
def test_a_reader_that_breaks_does_not_break_us(what: str, reason: str, guarded: guard.Guarded, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(what)
    started = time.monotonic()
    with pytest.raises((FileFormatError, RuntimeError), match=reason):
        guarded.read_channels(tmp_path / "a")
    assert time.monotonic() - started < 10
    (tmp_path / "b").write_text("well")
    assert len(guarded.read_channels(tmp_path / "b")) == 1


def test_loading_has_a_limit_too(guarded: guard.Guarded, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("hang later")
    (channel,) = guarded.read_channels(tmp_path / "a")
    with pytest.raises(FileFormatError, match="no answer within"):
        channel.load(None)
