"""All tiles of an image, searched one after the other here, or by the workers of a cluster."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from adatom.cluster import Cluster
from adatom.distribute.maps_store import MapsPart
from adatom.distribute.overview import OverviewGrid, OverviewPart
from adatom.distribute.same_file import check_same_file
from adatom.distribute.stopwatch import Stopwatch
from adatom.distribute.tile_search import Decisions, SeenTile, locate_atoms, look_at
from adatom.distribute.tiles import Tile
from adatom.files import LazyImage
from adatom.nets.device import computing_on, usual_device


@dataclass(frozen=True)
class SearchedTile:
    """What comes of a tile.

    Attributes
    ----------
    columns : of its atoms, see `adatom.distribute.tile_search.locate_atoms`.
    overview : its pixels of the small picture of the whole.
    maps : what the network saw in it, where that is wanted.
    """

    columns: dict[str, NDArray[Any]]
    overview: OverviewPart
    maps: MapsPart | None


def search_here(
    tiles: list[Tile], decisions: Decisions, grid: OverviewGrid, watch: Stopwatch
) -> Iterator[SearchedTile]:
    """One tile after the other; the next one is read and looked at while atoms of the last are fitted."""
    for seen in _ahead(tiles, decisions, watch):
        with watch("refinement"):
            columns = locate_atoms(seen, decisions)
        yield SearchedTile(columns, grid.part(seen, decisions), seen.maps)


def search_on_cluster(
    tiles: list[Tile], work: "TileWork", watch: Stopwatch, cluster: Cluster
) -> Iterator[SearchedTile]:
    """The same by the workers of a cluster, each tile a task, in the order of the tiles.

    Raises
    ------
    ClusterError : if a worker does not see the file, or another one of its name; if workers died of a tile.
    """
    if not tiles:
        return
    with cluster.sharing(work) as shared:
        for searched, seconds in cluster.in_order(search_tile, tiles, shared=shared):
            watch.add(seconds)
            yield searched


@dataclass(frozen=True)
class TileWork:
    """What a worker has to know of an image to search any of its tiles.

    Attributes
    ----------
    image : not opened.
    identity : of its file, see `adatom.distribute.manifest.identity`.
    decisions : on the same image.
    grid : of the small picture.
    device : that networks compute on, see `adatom.nets.device.choose_device`.
    """

    image: LazyImage
    identity: str
    decisions: Decisions
    grid: OverviewGrid
    device: str

    @classmethod
    def of(cls, image: LazyImage, identity: str, decisions: Decisions, grid: OverviewGrid) -> "TileWork":
        """As it can be sent: without what is open, and without what was seen on the way."""
        unopened = image.unopened()
        eyes = replace(decisions.eyes, seen=None)
        return cls(unopened, identity, _with_image(replace(decisions, eyes=eyes), unopened), grid, usual_device())

    @cached_property
    def here(self) -> Decisions:
        """The decisions, with the image as this machine reads it."""
        check_same_file(self.image.path, self.identity)
        return _with_image(self.decisions, self.image.reopened())


def search_tile(work: TileWork, tile: Tile) -> tuple[SearchedTile, dict[str, float]]:
    """One tile on a worker, and the seconds that it took."""
    decisions, watch = work.here, Stopwatch()
    with watch("reading and network"), computing_on(work.device):
        seen = look_at(tile, decisions)
    with watch("refinement"):
        columns = locate_atoms(seen, decisions)
    return SearchedTile(columns, work.grid.part(seen, decisions), seen.maps), watch.seconds


def _with_image(decisions: Decisions, image: LazyImage) -> Decisions:
    working = decisions.working
    return replace(decisions, working=replace(working, square=replace(working.square, image=image)))


def _ahead(tiles: list[Tile], decisions: Decisions, watch: Stopwatch) -> Iterator[SeenTile]:
    """Each tile as the network sees it; the next one is read and looked at while the caller works on one."""

    def look(tile: Tile) -> SeenTile:
        with watch("reading and network"):
            return look_at(tile, decisions)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(look, tiles[0]) if tiles else None
        for following in [*tiles[1:], None]:
            if coming is None:
                return
            seen = coming.result()
            coming = pool.submit(look, following) if following else None
            yield seen
