"""Processes that train together start together and end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adatom.errors import TrainingError
from adatom.train.launcher import run_on_devices

# Each says who it is, and then does what it is told.
PROCESS = """
import os, sys, time
from pathlib import Path
from adatom.train.launcher import end_with_parent
end_with_parent()
number, folder = os.environ["RANK"], Path(sys.argv[1])
(folder / number).write_text(f"{os.getpid()} {os.environ['WORLD_SIZE']} {os.environ['LOCAL_RANK']}")
if number in sys.argv[3:]:
    while len(list(folder.iterdir())) < int(os.environ["WORLD_SIZE"]):
        time.sleep(0.01)
    exec(sys.argv[2])
elif sys.argv[3:]:
    time.sleep(60)
"""


def command(folder: Path, does: str = "", *numbers: int) -> list[str]:
    """Processes of which those of these numbers do something while the others wait; without numbers all end."""
    return [sys.executable, "-c", PROCESS, str(folder), does, *map(str, numbers)]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").is_dir() else True


def pids(folder: Path) -> list[int]:
    return [int(file.read_text().split()[0]) for file in sorted(folder.iterdir())]


def test_each_process_knows_its_number(tmp_path: Path) -> None:
    assert run_on_devices(2, command(tmp_path)) == 0
    assert [(tmp_path / str(number)).read_text().split()[1:] for number in range(2)] == [["2", "0"], ["2", "1"]]


def test_when_one_fails_all_end_and_its_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"process 2 of 2 stopped \(no more room\)\. With --resume"):
        run_on_devices(2, command(tmp_path, "sys.exit('adatom: no more room')", 1))
    assert not any(lives(pid) for pid in pids(tmp_path))


def test_when_one_is_killed_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"process 2 of 2 stopped \(it ended with -9\)"):
        run_on_devices(2, command(tmp_path, "os.kill(os.getpid(), 9)", 1))
    assert not any(lives(pid) for pid in pids(tmp_path))


def test_when_all_fail_alike_the_first_one_has_said_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_on_devices(2, command(tmp_path, "print('adatom: so it is', file=sys.stderr); sys.exit(3)", 0, 1)) == 3
    assert capfd.readouterr().err == "adatom: so it is\n"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_the_one_that_waits_is_stopped(how: signal.Signals, tmp_path: Path) -> None:
    launch = "import sys; from adatom.train.launcher import run_on_devices; run_on_devices(2, sys.argv[1:])"
    waiting = subprocess.Popen(
        [sys.executable, "-c", launch, *command(tmp_path, "", 9)],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # a child of a background job would ignore Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    until = time.monotonic() + 20
    while len([file for file in tmp_path.iterdir() if file.read_text()]) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    waiting.send_signal(how)
    assert waiting.wait(20) != 0
    while any(lives(pid) for pid in pids(tmp_path)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(lives(pid) for pid in pids(tmp_path))
