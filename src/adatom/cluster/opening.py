"""A cluster by its address, or one of this machine's own processors for as long as it is needed."""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from adatom.cluster.tasks import Cluster
from adatom.errors import ArgumentError

_CONNECT_S = 10.0
_LOCAL = re.compile(r"local(?::(\d+))?")


@contextmanager
def open_cluster(address: str | Cluster) -> Iterator[Cluster]:
    """Workers, until the end of the block; what they have not done by then is given up.

    Parameters
    ----------
    address : of a dask scheduler, such as ``tcp://10.0.0.5:8786`` or ``tls://...``; or ``local``, ``local:4`` for as
        many worker processes on this machine (by default one a processor), each with one thread. A cluster that is open
        is used as it is, and stays open.

    Raises
    ------
    ArgumentError : if nothing answers at the address, or dask.distributed is not installed.
    """
    if isinstance(address, Cluster):
        yield address
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ArgumentError(
            "cluster: expected dask.distributed, which speaks to clusters, got none installed. "
            "Install it: pip install 'adatom[cluster]'"
        ) from error
    local = _LOCAL.fullmatch(address)
    if local is None:
        _check_encryption(address)
    with ExitStack() as stack:
        where: Any = address if local is None else stack.enter_context(_local_cluster(local[1]))
        try:
            client = stack.enter_context(Client(where, timeout=_CONNECT_S, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ArgumentError(
                f"cluster: expected the address of a dask scheduler, got {address} ({error})."
            ) from error
        cluster = Cluster(client, address)
        try:
            yield cluster
        finally:
            cluster.close()


def _check_encryption(address: str) -> None:
    """Whether dask's configuration, which holds the certificates, and an address agree."""
    from distributed.security import Security

    security = Security()
    if address.startswith("tls://") and security.get_connection_args("client").get("ssl_context") is None:
        raise ArgumentError(
            f"cluster: expected certificates in dask's configuration (distributed.comm.tls) for {address}, got none."
        )
    if security.require_encryption and not address.startswith(("tls://", "wss://")):
        raise ArgumentError(f"cluster: expected a tls address, as dask's configuration demands, got {address}.")


def _local_cluster(number: str | None) -> Any:
    """Processes that start and end with this one."""
    from dask.system import CPU_COUNT
    from distributed import LocalCluster

    n_workers = CPU_COUNT if number is None else int(number)
    if n_workers < 1:
        raise ArgumentError(f"cluster: expected at least 1 worker, got local:{number}.")
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,  # dask would halt, for ever, a worker that takes more than its share
        dashboard_address=None,
        preload=["adatom.cluster.local_worker"],
        silence_logs=logging.CRITICAL,
    )
