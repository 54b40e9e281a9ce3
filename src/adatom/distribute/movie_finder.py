"""`find` on a movie that does not fit in memory: frame by frame, from the file to a table that grows."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from adatom import __version__
from adatom.analyse.lattice_facts import undistorted
from adatom.cluster import Cluster
from adatom.data import make_image, pixel_size_nm
from adatom.data.atomic_file import write_json
from adatom.data.rounding import rounded
from adatom.distribute.atom_parts import AtomParts
from adatom.distribute.atom_search import AtomSearch
from adatom.distribute.manifest import identity as identity_of
from adatom.distribute.same_file import check_same_file
from adatom.distribute.stopwatch import Stopwatch
from adatom.errors import ArgumentError
from adatom.files import LazyMovie
from adatom.finder import Finding, Method, atom_table, beside_schema, search
from adatom.models.seeing import see_frame
from adatom.models.sight import ModelAtScale
from adatom.nets.device import computing_on, usual_device
from adatom.prepare import SquareImage

# Frames of so many pixels in all are written at once, and are at most lost when a run is killed.
_PART_PX = 4_000_000
# A task on a cluster is frames of so many pixels in all.
_TASK_PX = 1_000_000
# Measured (benchmarks/movies.py), in bytes: what Python and its libraries take; and for each pixel of a frame what the
# first frame takes, decisions and pictures included, for each pixel of the model's scale its network, and what each
# frame takes that is looked at beside it.
_BASE, _FIRST, _NETWORK, _BESIDE = 600e6, 500.0, 250.0, 150.0
# More frames at once gain nothing: Python does one thing at a time.
_MOST_AT_ONCE = 8

Advance = Callable[[int, int], None]  # frames done, of so many


@dataclass(frozen=True)
class MovieSearch(AtomSearch):
    """What is asked of the frames; parameters as of `adatom.find`, and

    Attributes
    ----------
    memory_gb : what the process may take in all; so many frames are looked at at once. None: as many as torch has
        threads.
    report : draw overlay and report.
    """

    method: Method = "network"
    undistort: bool = False
    memory_gb: float | None = None
    report: bool = True


@dataclass(frozen=True)
class FoundFrame:
    """Atoms of a frame, in the movie's unit, and how far its scan lines are shifted at random [square px]."""

    atoms: pd.DataFrame
    jitter_px: float


def find_in_movie(
    movie: LazyMovie,
    folder: Path,
    asked: MovieSearch,
    *,
    identity: str = "",
    advance: Advance | None = None,
    cluster: Cluster | None = None,
) -> dict[str, Any]:
    """Find the atoms of a movie of any length, and write them as they come.

    Parameters
    ----------
    movie : opened by `adatom.files.open_movie_lazily`.
    folder : gets ``atoms.csv``, ``atoms.parquet``, ``overlay.png``, ``report.html`` and, last, ``summary.json``, as of
        other runs; pictures, lattice and distances are those of the first frame.
    asked : how to search.
    identity : tells the file from others of its name, a hash or its size and time; a run that was stopped goes on only
        with the same.
    advance : is told of the progress.
    cluster : whose workers look at the frames; they have to see the same file.

    Returns
    -------
    The content of ``summary.json``.

    Notes
    -----
    Model, scale and contrast are decided by the first frame that shows anything, as `adatom.find` decides by the first,
    and the atoms are those of `adatom.find`. Frames are looked at by threads, several at once; one pass of the network
    for several frames gains nothing. Brightness groups, for which the atoms of all frames are needed, are not judged.
    """
    started, watch = time.monotonic(), Stopwatch()
    with watch("choosing"):
        finding = search(_first_to_show(movie), **asked.find_arguments())
    at_once = _frames_at_once(asked.memory_gb, movie, finding)
    per_part = max(1, _PART_PX // (movie.shape[0] * movie.shape[1]))
    n_parts = ceil(movie.n_frames / per_part)
    table = AtomParts.opened(folder, _key(movie, asked, finding, per_part, identity))
    first = min(table.n_done * per_part, movie.n_frames)
    if advance:
        advance(first, movie.n_frames)
    left = range(first, movie.n_frames)
    if cluster is None:
        frames = _found(movie, left, asked, finding, at_once, watch)
    else:
        work = MovieWork.of(movie, identity or identity_of(movie.path), asked, finding)
        frames = _found_on_cluster(work, left, watch, cluster)
    done, template = first, _template(finding)
    for number in range(table.n_done, n_parts):
        tables, jitter = [], 0.0
        for _ in range(min(per_part, movie.n_frames - number * per_part)):
            found = next(frames)
            tables += [found.atoms] if len(found.atoms) else []
            jitter += found.jitter_px**2
            done += 1
            if advance:
                advance(done, movie.n_frames)
        with watch("writing"):
            atoms = pd.concat(tables, ignore_index=True).reindex(columns=template.columns) if tables else template
            atoms.attrs = template.attrs
            table.add(atoms, jitter_px2=jitter)
    with watch("writing"):
        table.finish()
    summary = {
        **finding.summary,
        "file": movie.name,
        "n_atoms": table.n_atoms,
        "species": dict(table.species),
        "brightness": None,
        "scan_jitter_px": _jitter(table, movie, finding) if asked.refine else None,
        "warnings": [*finding.summary["warnings"], *_warnings(movie, asked)],
        "n_frames": movie.n_frames,
        "profile": watch.seconds,
        "seconds": round(time.monotonic() - started, 3),
    }
    if asked.report:
        _write_pages(folder, summary, finding)
    write_json(folder / "summary.json", summary)
    return summary


def _first_to_show(movie: LazyMovie) -> xr.DataArray:
    """The first frame that shows anything, as a movie of one frame (frame, y, x); else the first."""
    showing = (frame for number in range(movie.n_frames) if not SquareImage.of(frame := movie.frame(number)).is_blank)
    found = next(showing, None)
    frame = movie.frame(0) if found is None else found
    return make_image(
        frame.to_numpy()[None],
        pixel_size=movie.pixel_size,
        signal=movie.signal,
        units=movie.units,
        history=movie.history,
    )


def _frames_at_once(memory_gb: float | None, movie: LazyMovie, finding: Finding) -> int:
    """How many frames are looked at at once.

    Raises
    ------
    ArgumentError : if not even one frame is searched in so much memory.
    """
    most = min(torch.get_num_threads(), _MOST_AT_ONCE)  # the share of this process, where several work at once
    if memory_gb is None:
        return most
    n_pixels = movie.shape[0] * movie.shape[1]
    least = _BASE + n_pixels * (_FIRST + _NETWORK * finding.eyes.factor**2)
    beside = (1e9 * memory_gb - least) // (_BESIDE * n_pixels)
    if beside < 0:
        raise ArgumentError(
            f"memory: expected at least {ceil(least / 1e7) / 100:.2f} GB for frames of this size, "
            f"got {memory_gb:.3g} GB."
        )
    return min(1 + int(beside), most)


def _found(
    movie: LazyMovie, numbers: range, asked: MovieSearch, finding: Finding, at_once: int, watch: Stopwatch
) -> Iterator[FoundFrame]:
    """The atoms of these frames in order; others are read and looked at while the caller works on one."""

    def look(number: int) -> FoundFrame:
        with watch("reading"):
            frame = movie.frame(number)
        with watch("levelling, network and fit"):
            return _look(frame, number, asked, finding)

    pool = ThreadPoolExecutor(at_once)
    try:
        coming: deque[Future[FoundFrame]] = deque()
        for number in numbers:
            coming.append(pool.submit(look, number))
            if len(coming) > 2 * at_once:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _look(frame: xr.DataArray, number: int, asked: MovieSearch, finding: Finding) -> FoundFrame:
    """The atoms of one frame, by the eyes that another one chose."""
    square, eyes = SquareImage.of(frame), finding.eyes
    least_px = square.px_of(asked.min_distance_nm)
    _, columns, jitter_px = see_frame(frame, square, eyes, number, asked.min_probability, least_px, asked.refine)
    added = beside_schema(columns, eyes)
    if asked.undistort:
        added |= undistorted(columns, finding.lattice, finding.summary["lattice"], square.pixel_nm, [])
    atoms = atom_table(
        columns,
        added,
        pixel_size=pixel_size_nm(frame),
        image_shape=(frame.sizes["y"], frame.sizes["x"]),
        factor=square.factor,
        history=[*frame.attrs.get("history", []), f"atoms found by {eyes.name}"],
    )
    return FoundFrame(atoms, jitter_px)


@dataclass(frozen=True)
class MovieWork:
    """What a worker has to know of a movie to look at any of its frames.

    Attributes
    ----------
    movie : not opened.
    identity : of its file, see `adatom.distribute.manifest.identity`.
    finding : what decided, without its pictures.
    device : that networks compute on, see `adatom.nets.device.choose_device`.
    """

    movie: LazyMovie
    identity: str
    asked: MovieSearch
    finding: Finding
    device: str

    @classmethod
    def of(cls, movie: LazyMovie, identity: str, asked: MovieSearch, finding: Finding) -> "MovieWork":
        """As it can be sent."""
        eyes = replace(finding.eyes, seen=None) if isinstance(finding.eyes, ModelAtScale) else finding.eyes
        told = replace(finding, eyes=eyes, image=finding.image[:, :1, :1], atoms=finding.atoms.iloc[:0], maps=None)
        return cls(movie.unopened(), identity, asked, replace(told, doubts=None), usual_device())

    @cached_property
    def here(self) -> LazyMovie:
        """The movie as this machine reads it."""
        check_same_file(self.movie.path, self.identity)
        return self.movie.reopened()


def look_at_frames(work: MovieWork, numbers: range) -> tuple[list[FoundFrame], dict[str, float]]:
    """Some frames on a worker, and the seconds that they took."""
    movie, watch, found = work.here, Stopwatch(), []
    for number in numbers:
        with watch("reading"):
            frame = movie.frame(number)
        with watch("levelling, network and fit"), computing_on(work.device):
            found.append(_look(frame, number, work.asked, work.finding))
    return found, watch.seconds


def _found_on_cluster(work: MovieWork, numbers: range, watch: Stopwatch, cluster: Cluster) -> Iterator[FoundFrame]:
    """As `_found`, some frames a task."""
    n = max(1, _TASK_PX // (work.movie.shape[0] * work.movie.shape[1]))
    tasks = [numbers[first : first + n] for first in range(0, len(numbers), n)]
    with cluster.sharing(work) as shared:
        for found, seconds in cluster.in_order(look_at_frames, tasks, shared=shared):
            watch.add(seconds)
            yield from found


def _template(finding: Finding) -> pd.DataFrame:
    """A table without atoms that has the columns of all parts: what is told of a whole image is not among them."""
    columns = [name for name in finding.atoms.columns if name != "brightness"]
    nothing = finding.atoms.iloc[:0][columns]
    nothing.attrs = finding.atoms.attrs
    return nothing


def _jitter(table: AtomParts, movie: LazyMovie, finding: Finding) -> float | None:
    """Of all frames, in pixels of the movie."""
    square = SquareImage.of(finding.image.isel(frame=0))
    return rounded(float(np.sqrt(table.sums["jitter_px2"] / movie.n_frames)) / square.factor[1])


def _key(movie: LazyMovie, asked: MovieSearch, finding: Finding, per_part: int, identity: str) -> dict[str, Any]:
    """All that the atoms, and the order of the parts, depend on."""
    return {
        "file": movie.name,
        "identity": identity,
        "shape": [movie.n_frames, *movie.shape],
        "pixel_size": pixel_size_nm(finding.image),
        "settings": {name: str(value) for name, value in asked.find_arguments().items()},
        "model_sha256": finding.summary["model_sha256"],
        "factor": finding.eyes.factor,
        "frames_a_part": per_part,
        "version": __version__,
    }


def _warnings(movie: LazyMovie, asked: MovieSearch) -> list[str]:
    warnings = []
    if asked.refine:
        warnings.append("Brightness groups are not judged in a movie that is searched frame by frame.")
    if not movie.is_lazy:
        warnings.append(
            f"{movie.name} was read whole: its format gives no single frames. A copy in zarr or npy needs less memory."
        )
    return warnings


def _write_pages(folder: Path, summary: dict[str, Any], finding: Finding) -> None:
    from adatom.report import write_pages

    note = "Picture, table and histograms of this page show the first frame; atoms.csv holds the atoms of all."
    told = {**summary, "warnings": [*summary["warnings"], note]}
    write_pages(folder, finding.image, finding.atoms, finding.maps, told, finding.doubts)
