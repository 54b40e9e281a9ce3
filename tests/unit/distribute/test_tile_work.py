"""What is sent of a tiled search: it can be pickled, and a worker tells when it sees no file, or another one."""

import pickle

import numpy as np
import pytest

from adatom.distribute.deciding import decide, search_a_part
from adatom.distribute.manifest import identity
from adatom.distribute.overview import OverviewGrid
from adatom.distribute.tile_search import locate_atoms, look_at
from adatom.distribute.tile_work import TileWork
from adatom.distribute.tiles import part_into_tiles, side_for_many
from adatom.distribute.windows import SquarePixels
from adatom.errors import ClusterError
from adatom.files import open_lazily


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("work") / "atoms.npy"
    y, x = np.mgrid[:200, :200]
    np.save(
        path,
        np.cos(2 * np.pi * x / 8) + np.cos(2 * np.pi * y / 8) + 0.1 * np.random.default_rng(0).normal(size=x.shape),
    )
    return path


@pytest.fixture(scope="module")
def decisions(file):
    image = open_lazily(file)
    square = SquarePixels.of(image)
    finding = search_a_part(image, square, model="any_atoms", spacing_nm=None, contrast="auto", refine=False)
    return decide(square, finding, min_probability=None, refine=False, min_distance_nm=None)


def work_on(file, decisions):
    image = decisions.working.square.image
    sent = TileWork.of(image, identity(file), decisions, OverviewGrid.of(image.shape))
    return pickle.loads(pickle.dumps(sent))


def test_what_was_sent_finds_the_same(file, decisions):
    (tile,) = part_into_tiles(decisions.working.square.shape, 1024)
    here = locate_atoms(look_at(tile, decisions), decisions)
    sent = work_on(file, decisions).here
    there = locate_atoms(look_at(tile, sent), sent)
    assert len(here["x"]) > 400
    for name, values in here.items():
        np.testing.assert_array_equal(values, there[name])


def test_another_file_of_the_name_is_told(file, decisions):
    work = work_on(file, decisions)
    values = np.load(file)
    np.save(file, values + 1)
    with pytest.raises(ClusterError, match="expected every worker to see the same file"):
        _ = work.here
    file.unlink()
    with pytest.raises(ClusterError, match="expected every worker to see the file, got none at"):
        _ = work.here
    np.save(file, values)


def test_many_workers_share_in_tiles_of_any_image():
    assert side_for_many((2048, 2048), 2048, 512) == 512
    assert side_for_many((32768, 32768), 2048, 512) == 2048
    assert side_for_many((10000, 10000), 2048, 512) == 1024
    assert side_for_many((10000, 10000), 512, 512) == 512
