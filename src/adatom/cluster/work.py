"""What happens on a worker: one task at a time, with all of the worker's threads."""

import socket
from threading import Lock
from typing import Any

from adatom import __version__
from adatom.errors import ClusterError

# Seeds and numbers of threads reach what a process has one of.
_turn = Lock()
_kept: dict[str, bytes] = {}
_values: dict[str, Any] = {}
_topic: str | None = None  # of the task whose turn it is


def work(payload: bytes, shared: str | None, topic: str, version: str) -> Any:
    """Call a function that was sent, with what was sent once for many calls as its first argument.

    Parameters
    ----------
    payload : the function and its arguments, pickled.
    shared : key of what was sent before.
    topic : under which the client hears what the function tells.
    version : of Adatom, where the task comes from.
    """
    import torch
    from distributed import get_worker
    from distributed.protocol.pickle import loads

    global _topic
    if version != __version__:
        raise ClusterError(
            f"cluster: expected Adatom {version} on its workers, got {__version__} on {socket.gethostname()}. "
            "Install the same version on all machines."
        )
    with _turn:
        torch.set_num_threads(max(1, get_worker().state.nthreads))
        function, arguments = loads(payload)
        _topic = topic
        try:
            return function(*arguments) if shared is None else function(_value(shared), *arguments)
        finally:
            _topic = None


def tell(message: Any) -> None:
    """Send a message from a running task to whoever asked for it, who finds it in `Cluster.heard`."""
    from distributed import get_worker

    if _topic is not None:
        get_worker().log_event(_topic, message)


def keep(key: str, content: bytes) -> None:
    """Have what many tasks share on this worker."""
    _kept[key] = content


def forget(key: str) -> None:
    """No more tasks need it."""
    _kept.pop(key, None)
    _values.pop(key, None)


def _value(key: str) -> Any:
    """What was sent, unpickled by the first task that needs it: an error in that is the task's error."""
    from distributed.protocol.pickle import loads

    if key not in _values:
        _values[key] = loads(_kept[key])
    return _values[key]
