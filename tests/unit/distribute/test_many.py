"""Many files: what is done is left out, what fails stops nothing, and files are taken when they are complete."""

import os
import threading
import time

import numpy as np
import pytest

from adatom.distribute.file_search import FileSearch
from adatom.distribute.manifest import Manifest
from adatom.distribute.many import search_files
from adatom.distribute.sources import Arrivals, files_of
from adatom.distribute.watching import search_arrivals
from adatom.nets.device import choose_device

ASKED = FileSearch(method="classical", refine=False)


def images(folder, n):
    rng = np.random.default_rng(0)
    files = [folder / f"image_{k}.npy" for k in range(n)]
    for file in files:
        np.save(file, rng.normal(size=(48, 48)))
    return files


def test_a_second_run_does_what_has_changed(tmp_path):
    files = images(tmp_path, 2)
    assert [each.was_done for each in search_files(files, tmp_path / "out", ASKED)] == [False, False]
    np.save(files[1], np.random.default_rng(1).normal(size=(48, 48)))
    assert [each.was_done for each in search_files(files, tmp_path / "out", ASKED)] == [True, False]
    other = FileSearch(method="classical", refine=False, contrast="dark")
    assert [each.was_done for each in search_files(files, tmp_path / "out", other)] == [False, False]


def test_another_device_does_nothing_anew(tmp_path):
    files = images(tmp_path, 1)
    list(search_files(files, tmp_path / "out", ASKED))
    other = FileSearch(method="classical", refine=False, device="cpu")
    assert [each.was_done for each in search_files(files, tmp_path / "out", other)] == [True]


def test_networks_are_searched_with_on_the_device_that_is_asked_for(tmp_path, monkeypatch):
    (file,) = images(tmp_path, 1)
    chosen = []
    monkeypatch.setattr("adatom.distribute.file_search.search", lambda *_, **__: chosen.append(choose_device()))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    asked = FileSearch(device="cuda:2")
    with pytest.raises(AttributeError):  # nothing was found
        asked.look(file, asked.open(file))
    assert str(chosen[0]) == "cuda:2"


def test_one_bad_file_stops_no_other(tmp_path):
    first, second = images(tmp_path, 2)
    bad = tmp_path / "bad.npy"
    bad.write_bytes(b"\x93NUMPY nothing")
    outcomes = list(search_files([first, bad, second], tmp_path / "out", ASKED))
    assert [each.error is None for each in outcomes] == [True, False, True]


def test_a_line_cut_short_is_passed_over(tmp_path):
    files = images(tmp_path, 2)
    list(search_files(files[:1], tmp_path / "out", ASKED))
    with open(tmp_path / "out" / "manifest.jsonl", "a", encoding="utf-8") as manifest:
        manifest.write('{"file": "half')
    list(search_files(files[1:], tmp_path / "out", ASKED))
    assert len(Manifest.opened(tmp_path / "out").folders()) == 2


def test_folders_and_patterns_are_files(tmp_path):
    files = images(tmp_path, 3)
    (tmp_path / "notes.md").write_text("none")
    assert files_of([tmp_path]) == files == files_of([tmp_path / "image_*.npy", files[0]])


def test_a_file_that_grows_is_waited_for(tmp_path):
    (file,) = images(tmp_path, 1)
    whole = file.read_bytes()
    arrivals = Arrivals(tmp_path, settled_s=0.0)
    for part in (whole[:100], whole[:200], whole):
        file.write_bytes(part)
        assert arrivals.look() == []
    ((came, _),) = arrivals.look()
    assert came == file and arrivals.look() == []
    os.utime(file, (1, 1))
    assert arrivals.look() == [] and arrivals.look()[0][0] == file


def test_a_folder_that_is_away_for_a_while_is_looked_for_again(tmp_path):
    arrivals = Arrivals(tmp_path / "network", settled_s=0.0)
    assert arrivals.look() == []
    (tmp_path / "network").mkdir()
    (file,) = images(tmp_path / "network", 1)
    assert arrivals.look() == [] and arrivals.look()[0][0] == file


def test_files_that_come_in_a_burst_are_searched_as_they_come(tmp_path):
    incoming, stop = tmp_path / "incoming", threading.Event()
    incoming.mkdir()
    image = np.random.default_rng(0).normal(size=(48, 48))

    def instrument() -> None:
        for k in range(6):
            np.save(incoming / f"scan_{k}.npy", image)
            (incoming / "gone.npy").write_bytes(b"\x93NUMPY nothing")
            if k == 2:
                (incoming / "half.npy").write_bytes((incoming / "scan_0.npy").read_bytes()[:300])
            time.sleep(0.05)
        (incoming / "gone.npy").unlink()

    drops = threading.Thread(target=instrument)
    drops.start()
    came = {}
    for arrived in search_arrivals(incoming, tmp_path / "out", ASKED, settled_s=0.4, stop=stop):
        came[arrived.outcome.file.name] = arrived
        if len(came) == 7:
            stop.set()
    drops.join()
    assert set(came) == {*(f"scan_{k}.npy" for k in range(6)), "half.npy"}
    assert [name for name, each in came.items() if each.outcome.error is not None] == ["half.npy"]
    assert all(0.4 <= each.latency_s < 30 for each in came.values())
    assert (tmp_path / "out" / "scan_5" / "summary.json").is_file()


def test_a_file_that_vanishes_before_it_is_read_stops_nothing(tmp_path):
    first, second = images(tmp_path, 2)

    def files():
        first.unlink()
        yield first
        yield None
        yield second

    assert [each.error is None for each in search_files(files(), tmp_path / "out", ASKED)] == [False, True]


def test_without_a_report_there_are_tables_and_a_summary(tmp_path):
    (file,) = images(tmp_path, 1)
    asked = FileSearch(method="classical", refine=False, report=False)
    (outcome,) = search_files([file], tmp_path / "out", asked)
    assert {each.name for each in outcome.folder.iterdir()} == {"atoms.csv", "atoms.parquet", "summary.json"}
    (again,) = search_files([file], tmp_path / "out", ASKED)
    assert not again.was_done and (again.folder / "report.html").is_file()
