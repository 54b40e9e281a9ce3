"""The demo from scratch: simulate, train, find, in a process of its own."""

import subprocess
import sys
import tempfile
import time

from benchmarks.record import Recorder


def run(recorder: Recorder) -> None:
    """Wall time of `adatom demo`, installation left out."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "adatom", "demo", "--out", folder], check=True)
        recorder.add("demo/seconds", time.monotonic() - started, goal="<= 300")
