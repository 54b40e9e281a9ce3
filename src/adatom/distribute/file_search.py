"""One file, from its name to its results: the search of a command, which processes can hand to each other."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from adatom import __version__
from adatom.distribute.manifest import identity
from adatom.distribute.tiled_finder import Advance, TiledSearch, find_by_tiles
from adatom.errors import ArgumentError
from adatom.files import LazyImage, info, open_lazily, read
from adatom.finder import Method, search
from adatom.models.catalogue import DEFAULT_MODEL, model_path
from adatom.models.choice import Contrast
from adatom.nets.device import computing_on

# Pictures of more pixels than this are searched by tiles: whole they take several GB.
_LARGE_PX = 12_000_000

Write = Callable[[Path], dict[str, Any]]  # results into a folder; gives the summary


@dataclass(frozen=True)
class FileSearch:
    """What is asked of each file; parameters as of `adatom.find` and `adatom.find_particles`, and

    Attributes
    ----------
    what : ``atoms`` or ``particles``.
    channel, frame, pixel_size : as of `adatom.read`.
    memory_gb : search by tiles, within so much memory; None: only images that are too large to be searched whole.
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

    def open(self, file: Path) -> xr.DataArray | LazyImage:
        """What is to be searched: the image, or, where it is to be searched by tiles, a way to read parts of it."""
        if self.what == "atoms" and self._is_for_tiles(file):
            unsuited = {
                "undistort": self.undistort or None,
                "coverage": self.coverage,
                "method": None if self.method == "network" else self.method,
            }
            for name, value in unsuited.items():
                if value is not None:
                    raise ArgumentError(f"{name}: expected none for an image that is searched by tiles, got {value}.")
            return open_lazily(file, channel=self.channel, frame=self.frame, pixel_size=self.pixel_size)
        return read(file, channel=self.channel, frame=self.frame, pixel_size=self.pixel_size)

    def look(self, file: Path, opened: xr.DataArray | LazyImage, advance: Advance | None = None) -> Write:
        """Search what `open` gave; gives what writes the results. By tiles all is done in that."""
        if isinstance(opened, LazyImage):
            return lambda folder: self._tiles(file, opened, folder, advance)
        with computing_on(self.device):
            return self._particles(file, opened) if self.what == "particles" else self._atoms(file, opened)

    def run(self, file: Path, folder: Path) -> dict[str, Any]:
        """All of it."""
        return self.look(file, self.open(file))(folder)

    def _model_hash(self) -> str | None:
        if self.model is None and self.what == "particles":
            return None
        return hashlib.sha256(model_path(self.model or DEFAULT_MODEL).read_bytes()).hexdigest()

    def _is_for_tiles(self, file: Path) -> bool:
        facts = info(file)
        chosen = next((each for each in facts["contents"] if each["name"] == self.channel), facts["contents"][0])
        is_picture = chosen["dims"] == ["y", "x"] or (chosen["dims"][0] == "frame" and self.frame is not None)
        is_large = chosen["dims"][-1] == "x" and chosen["shape"][-1] * chosen["shape"][-2] > _LARGE_PX
        return is_picture and (self.memory_gb is not None or is_large)

    def _tiles(self, file: Path, opened: LazyImage, folder: Path, advance: Advance | None) -> dict[str, Any]:
        with computing_on(self.device):
            return find_by_tiles(opened, folder, self._by_tiles(), identity=identity(file), advance=advance)

    def _by_tiles(self) -> TiledSearch:
        return TiledSearch(
            model=self.model,
            spacing_nm=self.spacing_nm,
            min_distance_nm=self.min_distance_nm,
            min_probability=self.min_probability,
            refine=self.refine,
            lattice_constant_nm=self.lattice_constant_nm,
            contrast=self.contrast,
            memory_gb=self.memory_gb,
        )

    def _atoms(self, file: Path, image: xr.DataArray) -> Write:
        finding = search(
            image,
            model=self.model,
            method=self.method,
            spacing_nm=self.spacing_nm,
            min_distance_nm=self.min_distance_nm,
            min_probability=self.min_probability,
            refine=self.refine,
            lattice_constant_nm=self.lattice_constant_nm,
            undistort=self.undistort,
            contrast=self.contrast,
            coverage=self.coverage,
        )
        finding.summary["file"] = file.name

        def write(folder: Path) -> dict[str, Any]:
            from adatom.report import write_results

            write_results(folder, finding.image, finding.atoms, finding.maps, finding.summary, finding.doubts)
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
