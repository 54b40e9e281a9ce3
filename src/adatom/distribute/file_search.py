"""One file, from its name to its results: the search of a command, which processes can hand to each other."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeVar

import xarray as xr

from adatom import __version__
from adatom.cluster import Cluster
from adatom.distribute.manifest import identity
from adatom.distribute.maps_store import write_maps
from adatom.distribute.movie_finder import MovieSearch, find_in_movie
from adatom.distribute.tiled_finder import TiledSearch, find_by_tiles
from adatom.errors import ArgumentError
from adatom.files import LazyImage, LazyMovie, info, open_lazily, open_movie_lazily, read
from adatom.finder import Method, search
from adatom.models.catalogue import DEFAULT_MODEL, model_path
from adatom.models.choice import Contrast
from adatom.nets.device import computing_on
from adatom.prepare import is_large

# Pictures of more pixels than this are searched by tiles, asked for or not: whole they take several GB.
_HUGE_PX = 12_000_000
# Movies of more pixels than this in all are searched frame by frame.
_LONG_PX = 16_000_000
_NO_MAPS = "maps: expected a picture and a model that sees maps. Choose a frame with --frame."

Opened = xr.DataArray | LazyImage | LazyMovie
Advance = Callable[[int, int, str], None]  # done, of so many, of what
T = TypeVar("T", TiledSearch, MovieSearch)
Write = Callable[[Path], dict[str, Any]]  # results into a folder; gives the summary


@dataclass(frozen=True)
class FileSearch:
    """What is asked of each file; parameters as of `adatom.find` and `adatom.find_particles`, and

    Attributes
    ----------
    what : ``atoms`` or ``particles``.
    channel, frame, pixel_size : as of `adatom.read`.
    memory_gb : search large images by tiles, and movies frame by frame, within so much memory; None: only what is too
        large to be searched whole.
    maps : write what the network saw in a picture to ``maps.zarr``, see `adatom.distribute.maps_store`.
    report : draw overlay and report, which of small images takes longer than the search; of particles and of images
        searched by tiles in any case.
    device : that networks compute on, see `adatom.nets.device.choose_device`. It does not change what is found, but for
        rounding.
    """

    what: Literal["atoms", "particles"] = "atoms"
    channel: str | None = None
    frame: int | None = None
    pixel_size: float | None = None
    model: str | None = None
    method: Method = "network"
    spacing_nm: float | None = None
    min_distance_nm: float | None = None
    min_probability: float | None = None
    refine: bool = True
    lattice_constant_nm: str | None = None
    undistort: bool = False
    contrast: Contrast = "auto"
    coverage: float | None = None
    min_diameter_nm: float | None = None
    memory_gb: float | None = None
    maps: bool = False
    report: bool = True
    device: str = "auto"

    def settings(self) -> dict[str, Any]:
        """All that results depend on, but the file."""
        asked = {name: value for name, value in asdict(self).items() if name not in ("memory_gb", "device")}
        return {
            **asked,
            "by_tiles": self.memory_gb is not None,
            "model_sha256": self._model_hash(),
            "version": __version__,
        }

    def open(self, file: Path) -> Opened:
        """What is to be searched: the image, or, where it is to be searched by parts, a way to read them."""
        chosen = self._contents(file) if self.what == "atoms" else {}
        if chosen and self._is_long_movie(chosen):
            if self.maps:
                raise ArgumentError(_NO_MAPS)
            return open_movie_lazily(file, channel=self.channel, pixel_size=self.pixel_size)
        if chosen and self._is_for_tiles(chosen):
            unsuited = {
                "undistort": self.undistort or None,
                "method": None if self.method == "network" else self.method,
            }
            for name, value in unsuited.items():
                if value is not None:
                    raise ArgumentError(f"{name}: expected none for an image that is searched by tiles, got {value}.")
            return open_lazily(file, channel=self.channel, frame=self.frame, pixel_size=self.pixel_size)
        return read(file, channel=self.channel, frame=self.frame, pixel_size=self.pixel_size)

    def look(self, file: Path, opened: Opened, advance: Advance | None = None, cluster: Cluster | None = None) -> Write:
        """Search what `open` gave; gives what writes the results. By parts, on a cluster where there is one, all is
        done in that.
        """
        if isinstance(opened, LazyImage):
            image, tiles = opened, _advance_of("tiles", advance)
            return self._computing(
                lambda folder: find_by_tiles(
                    image, folder, self._as(TiledSearch), identity=identity(file), advance=tiles, cluster=cluster
                )
            )
        if isinstance(opened, LazyMovie):
            movie, frames = opened, _advance_of("frames", advance)
            return self._computing(
                lambda folder: find_in_movie(
                    movie, folder, self._as(MovieSearch), identity=identity(file), advance=frames, cluster=cluster
                )
            )
        with computing_on(self.device):
            return self._particles(file, opened) if self.what == "particles" else self._atoms(file, opened)

    def run(self, file: Path, folder: Path) -> dict[str, Any]:
        """All of it."""
        return self.look(file, self.open(file))(folder)

    def _model_hash(self) -> str | None:
        if self.model is None and self.what == "particles":
            return None
        return hashlib.sha256(model_path(self.model or DEFAULT_MODEL).read_bytes()).hexdigest()

    def is_by_parts(self, file: Path, *, large_only: bool = False) -> bool:
        """Whether a file is searched by tiles or frames, or, of `large_only`, would be if no memory was stated."""
        if self.what != "atoms":
            return False
        asked = replace(self, memory_gb=None) if large_only else self
        chosen = self._contents(file)
        return asked._is_for_tiles(chosen) or asked._is_long_movie(chosen)

    def _contents(self, file: Path) -> dict[str, Any]:
        """What `adatom.files.info` says of the channel."""
        contents: list[dict[str, Any]] = info(file)["contents"]
        return next((each for each in contents if each["name"] == self.channel), contents[0])

    def _is_for_tiles(self, chosen: dict[str, Any]) -> bool:
        is_picture = chosen["dims"] == ["y", "x"] or (chosen["dims"][0] == "frame" and self.frame is not None)
        if not is_picture or not is_large(chosen["shape"][-2:]):
            return False
        return self.memory_gb is not None or chosen["shape"][-1] * chosen["shape"][-2] > _HUGE_PX

    def _is_long_movie(self, chosen: dict[str, Any]) -> bool:
        is_movie = chosen["dims"] == ["frame", "y", "x"] and self.frame is None
        return is_movie and (self.memory_gb is not None or prod(chosen["shape"]) > _LONG_PX)

    def _as(self, kind: type[T]) -> T:
        """What is asked, as a search of this kind takes it."""
        return kind(**{each.name: getattr(self, each.name) for each in fields(kind)})

    def _computing(self, write: Write) -> Write:
        """The same, on the device that was asked for."""

        def on_device(folder: Path) -> dict[str, Any]:
            with computing_on(self.device):
                return write(folder)

        return on_device

    def _atoms(self, file: Path, image: xr.DataArray) -> Write:
        finding = search(image, **self._as(MovieSearch).find_arguments())
        finding.summary["file"] = file.name
        if self.maps and (finding.maps is None or finding.image.ndim > 2):
            raise ArgumentError(_NO_MAPS)

        def write(folder: Path) -> dict[str, Any]:
            from adatom.report import write_results

            if self.maps and finding.maps is not None:
                write_maps(folder, finding.maps)
            found = (finding.image, finding.atoms, finding.maps, finding.summary, finding.doubts)
            write_results(folder, *found, with_pages=self.report)
            return finding.summary

        return write

    def _particles(self, file: Path, image: xr.DataArray) -> Write:
        from adatom.particle_finder import find_particles

        found = find_particles(image, model=self.model, contrast=self.contrast, min_diameter_nm=self.min_diameter_nm)
        found.summary["file"] = file.name

        def write(folder: Path) -> dict[str, Any]:
            from adatom.report import write_particle_results

            write_particle_results(folder, found.image, found.particles, found.instances, found.sizes, found.summary)
            return found.summary

        return write


def _advance_of(what: str, advance: Advance | None) -> Callable[[int, int], None] | None:
    return None if advance is None else lambda done, total: advance(done, total, what)
