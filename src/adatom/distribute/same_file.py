"""Whether a worker sees the file that it is asked about: it may be another machine, with other disks."""

import socket
from pathlib import Path

from adatom.distribute.manifest import identity
from adatom.errors import ClusterError


def check_same_file(path: Path, told: str) -> None:
    """Raise where this machine sees no file of that name, or another one.

    Parameters
    ----------
    told : identity of the file (`adatom.distribute.manifest.identity`), where the question comes from.

    Raises
    ------
    ClusterError : saying on which machine.
    """
    where = f"{path} on {socket.gethostname()}"
    remedy = "Workers read files by their names: put it on a file system that all machines share."
    if not path.exists():
        raise ClusterError(f"cluster: expected every worker to see the file, got none at {where}. {remedy}")
    if identity(path) != told:
        raise ClusterError(f"cluster: expected every worker to see the same file, got another at {where}. {remedy}")
