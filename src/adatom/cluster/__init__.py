"""Work for others: the workers of a dask cluster, or processes of this machine; for members, replays, files and tiles.

Nothing here knows what the work is, which is why this room lies low. dask is loaded when a cluster is opened.
"""

from adatom.cluster.opening import open_cluster
from adatom.cluster.processes import Processes
from adatom.cluster.tasks import Cluster
from adatom.cluster.work import tell
from adatom.cluster.workers import Shared, Workers

__all__ = ["Cluster", "Processes", "Shared", "Workers", "open_cluster", "tell"]
