"""The command that runs, run once more for each device: what torchrun does, with one clear error where one fails."""

import os
import socket
import subprocess
import tempfile
import threading
import time
from typing import IO

from adatom.errors import TrainingError

_LAUNCHED = "ADATOM_LAUNCHED"
_POLL_S = 0.1
# Processes that fail alike do so within so long [s] of each other, and the first one has said why.
_ALIKE_S = 2.0
_END_S = 5.0


def run_on_devices(n: int, command: list[str]) -> int:
    """Run `command` as `n` processes that know of each other, and wait for all of them.

    The first one has this process's standard output and error. When one fails, or this process is interrupted, all end;
    they also do when this process is killed.

    Returns
    -------
    0, or the exit code of the first process where that failed, and has said why.

    Raises
    ------
    TrainingError : if another one failed first.
    """
    environment = {
        **os.environ,
        _LAUNCHED: "1",
        "TORCHELASTIC_RUN_ID": "adatom",  # by this, PyTorch and Fabric know that they need not start processes
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(n),
        "LOCAL_WORLD_SIZE": str(n),
        "GROUP_RANK": "0",
    }
    environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // n)))
    with tempfile.TemporaryFile() as said:
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for number in range(n):
                own = {**environment, "RANK": str(number), "LOCAL_RANK": str(number)}
                processes.append(_start(command, own, None if number == 0 else said))
            return _wait(processes, said)
        finally:
            _end(processes)


def end_with_parent() -> None:
    """In a process that `run_on_devices` started: end when the one that started it is gone."""
    if os.environ.get(_LAUNCHED) != "1":
        return

    def wait() -> None:
        os.read(0, 1)  # ends when the parent does, which holds the other end and writes nothing
        os._exit(1)

    threading.Thread(target=wait, daemon=True, name="adatom-parent").start()


def _start(command: list[str], environment: dict[str, str], said: IO[bytes] | None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=None if said is None else subprocess.DEVNULL,
        stderr=said,
        start_new_session=True,  # Ctrl-C is for this process, which ends the others
    )


def _wait(processes: "list[subprocess.Popen[bytes]]", said: IO[bytes]) -> int:
    while any(process.poll() is None for process in processes):
        failed = next((k for k, process in enumerate(processes) if process.poll()), None)
        if failed is not None:
            break
        time.sleep(_POLL_S)
    codes = [process.poll() for process in processes]
    if not any(codes):
        return 0
    failed = next(number for number, code in enumerate(codes) if code)
    until = time.monotonic() + _ALIKE_S
    while failed and processes[0].poll() is None and time.monotonic() < until:
        time.sleep(_POLL_S)
    code = processes[0].poll()
    if code is not None and code > 0:
        return code
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    reasons = [line.removeprefix("adatom: ") for line in lines if line.startswith("adatom: ")]
    reason = reasons[-1] if failed and reasons else f"it ended with {codes[failed]}"
    raise TrainingError(
        f"devices: process {failed + 1} of {len(processes)} stopped ({reason}). "
        "With --resume the training goes on from its last validation."
    )


def _end(processes: "list[subprocess.Popen[bytes]]") -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    until = time.monotonic() + _END_S
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
