"""Work for the workers of a dask cluster: one way there, for members, replays, files and tiles.

Nothing here knows what the work is, which is why this room lies low. dask is loaded when a cluster is opened.
"""

from adatom.cluster.opening import open_cluster
from adatom.cluster.tasks import Cluster, Shared
from adatom.cluster.work import tell

__all__ = ["Cluster", "Shared", "open_cluster", "tell"]
