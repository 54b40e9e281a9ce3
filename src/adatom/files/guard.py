"""Reading in a process of its own, for libraries that a damaged file can hang, crash or fill memory with.

The HDF5 library loops for ever on some broken files, and readers written by others believe what a header says. So a
worker opens these files, with a limit of time and memory; when it breaks one, it is stopped and the file is told to be
damaged. The worker starts with the first such file and serves the following ones until this process ends.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from adatom.errors import FileFormatError
from adatom.files.channel import Channel, SpectralAxis

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

# A whole header is described in a fraction of this, with a cold disk and a busy machine.
_SECONDS = 6.0
# a library comes from a cold network drive
_SECONDS_TO_IMPORT = 120.0
# slow enough for packed values from a network drive
_BYTES_PER_SECOND = 5e6
# not by -m, which would let a module in the user's folder stand in for a library
_START = "import sys; sys.path.append(sys.argv[1]); from adatom.files.guard_worker import main; main()"
# threads cost memory, and a file on a read-only disk cannot be locked
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "HDF5_USE_FILE_LOCKING": "FALSE",
}


@dataclass(frozen=True)
class Guarded:
    """A format whose module does its work in the worker; offers what a `FormatModule` offers."""

    module: str
    variant: str | None = None

    def sniff(self, head: bytes, path: Path) -> bool:
        """As the module says; it looks into an HDF5 file in the worker only."""
        if head.startswith(HDF5_MAGIC):
            return bool(_worker.ask(path, _SECONDS, op="sniff", module=self.module, variant=self.variant)[0]["is"])
        return bool(load_module(self.module, self.variant).sniff(head, path))

    def read_channels(self, path: Path) -> list[Channel]:
        """Describe the channels; their values come from the worker too."""
        told, _ = _worker.ask(path, _SECONDS, op="describe", module=self.module, variant=self.variant)
        return [self._channel(path, number, each) for number, each in enumerate(told["channels"])]

    def _channel(self, path: Path, number: int, told: dict[str, Any]) -> Channel:
        shape, dtype = tuple(told["shape"]), np.dtype(told["dtype"])
        axis = told["spectral"]

        def ask(frame: int | None, wanted: tuple[int, ...], seconds: float, **more: Any) -> np.ndarray:
            request = {"op": "load", "module": self.module, "variant": self.variant, "number": number, "frame": frame}
            _, values = _worker.ask(path, seconds, **request, **more)
            if len(values) != prod(wanted) * dtype.itemsize:
                raise FileFormatError(
                    f"{path.name}: expected {prod(wanted)} values, got {len(values) // dtype.itemsize}. "
                    "It may be damaged or truncated: copy it again."
                )
            return np.frombuffer(values, dtype).reshape(wanted)

        def load(frame: int | None) -> np.ndarray:
            seconds = _SECONDS + prod(shape) * dtype.itemsize / _BYTES_PER_SECOND
            return ask(frame, shape if frame is None else shape[1:], seconds)

        def window(frame: int | None, rows: slice, columns: slice) -> np.ndarray:
            wanted = (rows.stop - rows.start, columns.stop - columns.start)
            # what is packed in large pieces takes longer than the pixels that are asked for
            seconds = 10 * _SECONDS + prod(wanted) * dtype.itemsize / _BYTES_PER_SECOND
            return ask(frame, wanted, seconds, window=[rows.start, rows.stop, columns.start, columns.stop])

        return Channel(
            told["name"],
            shape,
            dtype,
            load,
            units=told["units"],
            pixel_size=None if told["pixel_size"] is None else (told["pixel_size"][0], told["pixel_size"][1]),
            metadata=told["metadata"],
            history=tuple(told["history"]),
            spectral=None if axis is None else SpectralAxis(axis["name"], np.array(axis["values"], dtype=float)),
            window=window if told["has_windows"] else None,
        )


def load_module(module: str, variant: str | None) -> Any:
    """The module of a format, or the one of its `VARIANTS` that bears the name `variant`."""
    loaded = import_module(module)
    return loaded if variant is None else loaded.VARIANTS[variant]


class _Worker:
    """The one worker of this process; requests wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._prepared: set[tuple[Any, Any]] = set()

    def ask(self, path: Path, seconds: float, **request: Any) -> tuple[dict[str, Any], bytearray]:
        """Answer and values to a request about `path`.

        Raises
        ------
        FileFormatError : if the worker was stopped by the file, or says that the file is at fault.
        """
        with self._lock:
            process = self._running()
            module = (request["module"], request["variant"])
            if request["op"] != "sniff" and module not in self._prepared:  # importing does not count as reading
                self._converse(process, path, _SECONDS_TO_IMPORT, {**request, "op": "import"})
                self._prepared.add(module)
            told, values = self._converse(process, path, seconds, request)
        if "fault" in told:
            raise FileFormatError(told["fault"])
        if "error" in told:
            raise RuntimeError(told["error"])
        return told, values

    def _converse(
        self, process: "subprocess.Popen[bytes]", path: Path, seconds: float, request: dict[str, Any]
    ) -> tuple[dict[str, Any], bytearray]:
        """One request and its answer; a worker that gives none is stopped."""
        line = json.dumps({"path": str(path.absolute()), **request}).encode() + b"\n"
        too_late = threading.Event()

        def stop() -> None:
            too_late.set()
            process.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
            told = json.loads(answer) if answer else {}
            values = bytearray(told.get("n_bytes", 0))
            n_read, view = 0, memoryview(values)
            while n_read < len(values):
                n = process.stdout.readinto(view[n_read:])  # type: ignore[attr-defined]
                if not n:
                    told = {}
                    break
                n_read += n
        except (OSError, ValueError):
            told = {}
        except BaseException:  # an interrupted conversation cannot be taken up again
            self._stop()
            raise
        finally:
            timer.cancel()
        if not told:
            self._stop()
            what = f"no answer within {seconds:.0f} s" if too_late.is_set() else "a reader that it brought down"
            raise FileFormatError(f"{path.name}: expected a whole file, got {what}. It may be damaged: copy it again.")
        return told, values

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            environment = {**os.environ, **_ENVIRONMENT}
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, str(Path(__file__).parents[2])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()  # it says when it is ready: starting does not count as reading
        return self._process

    def _stop(self) -> None:
        self._prepared.clear()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                try:
                    if pipe is not None:
                        pipe.close()
                except OSError:
                    pass
            self._process = None


_worker = _Worker()
atexit.register(lambda: _worker._stop())
if hasattr(os, "register_at_fork"):  # the worker answers the process that started it, not its children
    os.register_at_fork(after_in_child=lambda: _worker.__init__())  # type: ignore[misc]


def worker_process_id() -> int | None:
    """Number of the worker's process, None if there is none now: for those who watch its memory."""
    return None if _worker._process is None else _worker._process.pid
