"""What a worker process on this machine does at its start; dask calls it by its name."""

import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the process that asked for the work, which ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
