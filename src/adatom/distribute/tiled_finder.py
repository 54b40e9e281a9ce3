"""`find` on an image that does not fit in memory: tile by tile, from the file to a table that grows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from adatom import __version__
from adatom.cluster import Cluster
from adatom.data import ATOM_COLUMNS, make_image
from adatom.data.atomic_file import write_atomically, write_json
from adatom.distribute.atom_parts import AtomParts
from adatom.distribute.atom_search import AtomSearch
from adatom.distribute.deciding import decide, search_a_part
from adatom.distribute.freed import give_back_memory
from adatom.distribute.manifest import identity as identity_of
from adatom.distribute.maps_store import MapsStore
from adatom.distribute.overview import Overview
from adatom.distribute.stopwatch import Stopwatch
from adatom.distribute.tile_search import Decisions
from adatom.distribute.tile_work import TileWork, search_here, search_on_cluster
from adatom.distribute.tiles import part_into_tiles, side_for_many, tile_side
from adatom.distribute.windows import SquarePixels
from adatom.errors import ArgumentError
from adatom.files import LazyImage
from adatom.finder import Finding, atom_table
from adatom.prepare import positions_back

DEFAULT_MEMORY_GB = 1.5
_DPI = 130  # of the pictures: twice as fine they would take more memory than tiles

Advance = Callable[[int, int], None]  # tiles done, of so many


@dataclass(frozen=True)
class TiledSearch(AtomSearch):
    """What is asked of a search by tiles; parameters as of `adatom.find`, and

    Attributes
    ----------
    memory_gb : what the process may take in all; tiles are as large as it allows, and change nothing of the result. By
        default 1.5, or what the smallest tiles need, with a warning.
    maps : write what the network saw to ``maps.zarr``, see `adatom.distribute.maps_store`.
    """

    memory_gb: float | None = None
    maps: bool = False


def find_by_tiles(
    image: LazyImage,
    folder: Path,
    asked: TiledSearch,
    *,
    identity: str = "",
    advance: Advance | None = None,
    cluster: Cluster | None = None,
) -> dict[str, Any]:
    """Find the atoms of an image of any size, and write them as they come.

    Parameters
    ----------
    image : opened by `adatom.files.open_lazily`.
    folder : gets ``atoms.csv``, ``atoms.parquet``, ``overlay.png`` (the part of the image that decided),
        ``overview.png`` (all of it, made smaller), ``report.html`` and, last, ``summary.json``.
    asked : how to search.
    identity : tells the file from others of its name, a hash or its size and time; a run that was stopped goes on only
        with the same.
    advance : is told of the progress.
    cluster : whose workers search the tiles, each within the memory of ``asked``; they have to see the same file.

    Returns
    -------
    The content of ``summary.json``.

    Raises
    ------
    ArgumentError : where the image cannot be searched by tiles, or not in so little memory.
    ClusterError : where workers do not see the file, or die of it.

    Notes
    -----
    Model, scale, contrast, levelling and the judgement of dim atoms are decided once, by parts of the image
    (`adatom.distribute.deciding`), the very parts by which `adatom.find` decides on an image of more than 1024 x 1024
    pixels. Atoms are fitted in blocks (`adatom.models.blocks`), there as here. So the atoms are those of
    `adatom.find`, whatever the tiles are (of an ensemble that turns its images, to some hundredths of a pixel: a tile
    that is turned begins at another of the network's coarsest pixels). Brightness groups and sublattices are not
    judged, and terraces not flattened.
    """
    started, watch = time.monotonic(), Stopwatch()
    with watch("choosing"):
        square = SquarePixels.of(image)
        finding = search_a_part(image, square, **asked.find_arguments())
        decisions = decide(
            square,
            finding,
            min_probability=asked.min_probability,
            refine=asked.refine,
            min_distance_nm=asked.min_distance_nm,
            keeps_maps=asked.maps,
        )
    side, warnings = _side(asked.memory_gb, decisions), _warnings(image)
    if side is not None and cluster is not None:
        side = side_for_many(square.shape, side, decisions.blocks.side)
    if side is None:
        side = decisions.blocks.side
        warnings.append(f"The smallest tiles of this image may need more than {DEFAULT_MEMORY_GB} GB of memory.")
    tiles = part_into_tiles(square.shape, side)
    table = AtomParts.opened(folder, _key(image, asked, decisions, finding, side, identity))
    overview = Overview.opened(folder, image.shape, fresh=table.n_done == 0)
    maps = _maps_store(folder, image, decisions, fresh=table.n_done == 0) if asked.maps else None
    if advance:
        advance(table.n_done, len(tiles))
    left = tiles[table.n_done :]
    if cluster is None:
        searching = search_here(left, decisions, overview.grid, watch)
    else:
        work = TileWork.of(image, identity or identity_of(image.path), decisions, overview.grid)
        searching = search_on_cluster(left, work, watch, cluster)
    for searched in searching:
        with watch("writing"):
            overview.add(searched.overview)
            overview.save()
            if maps is not None and searched.maps is not None:
                maps.add(searched.maps)
            table.add(_table(searched.columns, image, decisions))
            give_back_memory()
        if advance:
            advance(table.n_done, len(tiles))
    with watch("writing"):
        table.finish()
        pictures = _write_pictures(folder, finding, overview)
    summary = {
        **finding.summary,
        "file": image.name,
        "n_atoms": table.n_atoms,
        "species": dict(table.species),
        "image_shape": list(image.shape),
        "brightness": None,
        "sublattices": None,
        "warnings": [*finding.summary["warnings"], *warnings],
        "tiles": len(tiles),
        "tile_side_px": side,
        "profile": watch.seconds,
        "seconds": round(time.monotonic() - started, 3),
    }
    _write_report(folder, summary, finding, pictures)
    write_json(folder / "summary.json", summary)
    return summary


def _side(memory_gb: float | None, decisions: Decisions) -> int | None:
    """Side of the tiles [square px]; None where nobody stated the memory, and the usual one is too little."""
    try:
        return tile_side(1e9 * (memory_gb or DEFAULT_MEMORY_GB), decisions.needs)
    except ArgumentError:
        if memory_gb is not None:
            raise
        return None


def _key(
    image: LazyImage, asked: TiledSearch, decisions: Decisions, finding: Finding, side: int, identity: str
) -> dict[str, Any]:
    """All that the atoms, and the order of the parts, depend on."""
    settings = {name: str(value) for name, value in vars(asked).items() if name != "memory_gb"}
    return {
        "file": image.name,
        "identity": identity,
        "shape": list(image.shape),
        "pixel_size": None if image.pixel_size is None else list(image.pixel_size),
        "settings": settings,
        "model_sha256": finding.summary["model_sha256"],
        "factor": list(decisions.working.factor),
        "tile_side": side,
        "version": __version__,
    }


def _table(columns: dict[str, NDArray[Any]], image: LazyImage, decisions: Decisions) -> pd.DataFrame:
    """The atoms of a tile in the image's unit."""
    columns = dict(columns)
    added = {name: columns.pop(name) for name in list(columns) if name not in ATOM_COLUMNS}
    if len(decisions.eyes.model.classes_) == 1:
        del added["species_probability"]
    return atom_table(
        columns,
        added,
        pixel_size=image.pixel_size,
        image_shape=image.shape,
        factor=decisions.working.square.factor,
        history=[*image.history, f"atoms found by {decisions.eyes.name}, by tiles"],
    )


def _maps_store(folder: Path, image: LazyImage, decisions: Decisions, *, fresh: bool) -> MapsStore:
    """For all that the network sees of an image."""
    working, size = decisions.working, image.pixel_size or (1.0, 1.0)
    axes = {}
    for axis, name in enumerate(("y", "x")):
        square = positions_back(np.arange(float(working.shape[axis])), working.factor[axis])
        axes[name] = positions_back(square, working.square.factor[axis]) * size[axis]
    units = "px" if image.pixel_size is None else "nm"
    return MapsStore.opened(folder, decisions.eyes.model.classes_, axes, units, fresh=fresh)


def _warnings(image: LazyImage) -> list[str]:
    if image.is_lazy:
        return []
    return [f"{image.name} was read whole: its format gives no parts of it. A copy in zarr or npy needs less memory."]


def _write_pictures(folder: Path, finding: Finding, overview: Overview) -> dict[str, bytes]:
    """The part of the image that decided, and all of it made smaller; by what they show."""
    from adatom.report import draw_overlay, figure_png

    size = finding.atoms.attrs["pixel_size"]
    coarse = None if size is None else (overview.grid.step * size[0], overview.grid.step * size[1])
    small = make_image(overview.values, pixel_size=coarse)
    nothing = finding.atoms.iloc[:0]
    nothing.attrs = finding.atoms.attrs
    pictures = {
        "The whole image, made smaller": figure_png(draw_overlay(small, nothing), _DPI),
        "The part of the image that decided on model and scale, with its atoms": figure_png(
            draw_overlay(finding.image, finding.atoms), _DPI
        ),
    }
    for name, picture in zip(("overview.png", "overlay.png"), pictures.values(), strict=True):
        write_atomically(folder / name, picture)
    overview.done()
    return pictures


def _write_report(folder: Path, summary: dict[str, Any], finding: Finding, pictures: dict[str, bytes]) -> None:
    """The page of results; its table and histograms are those of the part that decided."""
    from adatom.report import render_report

    note = "Table and histograms of this page show the part of the image that decided; atoms.csv holds all atoms."
    told = {**summary, "warnings": [*summary["warnings"], note]}
    write_atomically(folder / "report.html", render_report(told, finding.atoms, pictures, title=str(summary["file"])))
