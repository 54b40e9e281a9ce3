"""Searching by tiles: the same atoms whatever the tiles are, and after a run was killed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.spatial import cKDTree

from adatom.data import make_image
from adatom.distribute import tiled_finder
from adatom.distribute.deciding import decide, search_a_part
from adatom.distribute.tile_search import locate_atoms, look_at
from adatom.distribute.tiled_finder import TiledSearch, find_by_tiles
from adatom.distribute.tiles import Needs, part_into_tiles, tile_side
from adatom.distribute.windows import SquarePixels
from adatom.errors import ArgumentError
from adatom.files import open_lazily, read
from adatom.finder import find, search
from adatom.models import Ensemble, load

SIDE = 1100
REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "vendor" / "example_Au_nanoparticle.emd"


def honeycomb() -> np.ndarray:
    """Bright and dim atoms on a slope, 5.5 px apart, with noise."""
    y, x = np.mgrid[:SIDE, :SIDE]
    period = 4 * np.pi / (np.sqrt(3) * 5.5 * np.sqrt(3))
    waves = sum(np.cos(period * (x * np.cos(angle) + y * np.sin(angle)) + 1.2) for angle in np.deg2rad([7, 127, 247]))
    rng = np.random.default_rng(0)
    return np.exp(1.2 * waves - 2) + 1e-3 * x + 0.05 * rng.normal(size=(SIDE, SIDE))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiles") / "large.npy"
    np.save(path, honeycomb().astype(np.float32))
    return path


@pytest.fixture(scope="module")
def decisions(file):
    image = open_lazily(file)
    asked = {"model": "any_atoms", "spacing_nm": None, "contrast": "auto"}
    square = SquarePixels.of(image)
    finding = search_a_part(image, square, refine=False, **asked)
    return decide(square, finding, min_probability=None, refine=True, min_distance_nm=None)


def atoms_by(decisions, side):
    tiles = part_into_tiles(decisions.working.square.shape, side)
    tables = [locate_atoms(look_at(tile, decisions), decisions) for tile in tiles]
    table = pd.DataFrame({name: np.concatenate([each[name] for each in tables]) for name in tables[0]})
    return table.sort_values(["y", "x"]).reset_index(drop=True)


@pytest.fixture(scope="module")
def whole(file):
    return search(make_image(np.load(file)), model="any_atoms").atoms.sort_values(["y", "x"])


@pytest.mark.parametrize("blocks_a_tile", [1, 4])
def test_any_tiles_give_the_atoms_of_the_whole_image(decisions, whole, blocks_a_tile):
    tiled = atoms_by(decisions, blocks_a_tile * decisions.blocks.side)
    assert len(tiled) == len(whole) > 500
    np.testing.assert_allclose(tiled[["x", "y"]], whole[["x", "y"]], atol=1e-3)
    np.testing.assert_allclose(tiled[["x_std", "y_std"]], whole[["x_std", "y_std"]], rtol=1e-2)
    np.testing.assert_allclose(tiled["probability"], whole["probability"], atol=1e-6)
    assert (tiled["species"].to_numpy() == whole["species"].to_numpy()).all()


def test_an_ensemble_searches_by_tiles(file, tmp_path, monkeypatch):
    ensemble = Ensemble.of([load("any_atoms"), load("single_atoms")])
    monkeypatch.setattr(tiled_finder, "tile_side", lambda _, needs: needs.block_side)
    find_by_tiles(open_lazily(file), tmp_path, TiledSearch(model=ensemble, refine=False, maps=True))
    tiled, found = pd.read_csv(tmp_path / "atoms.csv"), search(make_image(np.load(file)), model=ensemble, refine=False)
    assert len(tiled) == len(found.atoms) > 500 and set(found.atoms) == set(tiled)
    distance = cKDTree(found.atoms[["x", "y"]]).query(tiled[["x", "y"]])[0]
    assert distance.max() < 1e-3
    np.testing.assert_allclose(xr.open_zarr(tmp_path / "maps.zarr")["atom"], found.maps[1], atol=1e-3)


def test_a_killed_run_goes_on_where_it_was(file, tmp_path, monkeypatch):
    asked = TiledSearch(model="any_atoms", refine=False)
    monkeypatch.setattr(tiled_finder, "tile_side", lambda _, needs: needs.block_side)
    find_by_tiles(open_lazily(file), tmp_path / "once", asked)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_by_tiles(open_lazily(file), tmp_path / "twice", asked, advance=stop)
    with open(tmp_path / "twice" / "atoms.csv", "a", encoding="utf-8") as table:
        table.write("half a li")  # written when it was killed
    went_on: list[int] = []
    find_by_tiles(open_lazily(file), tmp_path / "twice", asked, advance=lambda done, _: went_on.append(done))
    assert went_on[0] == 2
    first, second = ((tmp_path / name / "atoms.csv").read_bytes() for name in ("once", "twice"))
    assert first == second
    parts = pd.read_parquet(tmp_path / "twice" / "atoms.parquet")
    summary = json.loads((tmp_path / "twice" / "summary.json").read_text())
    assert len(parts) == summary["n_atoms"] == len(pd.read_csv(tmp_path / "twice" / "atoms.csv"))


def test_without_a_stated_memory_nothing_is_refused(file, tmp_path, monkeypatch):
    monkeypatch.setattr(tiled_finder, "DEFAULT_MEMORY_GB", 0.1)
    summary = find_by_tiles(open_lazily(file), tmp_path / "out", TiledSearch(model="any_atoms", refine=False))
    assert summary["n_atoms"] > 500 and any("may need more than 0.1 GB" in each for each in summary["warnings"])
    with pytest.raises(ArgumentError, match="memory: expected at least"):
        find_by_tiles(open_lazily(file), tmp_path / "out", TiledSearch(model="any_atoms", memory_gb=0.1))


def test_too_little_memory_is_told():
    with pytest.raises(ArgumentError, match="memory: expected at least"):
        tile_side(0.1e9, Needs(1.0, 176, 512, 40))


def test_maps_are_written_as_they_come(file, tmp_path, monkeypatch):
    monkeypatch.setattr(tiled_finder, "tile_side", lambda _, needs: needs.block_side)
    summary = find_by_tiles(open_lazily(file), tmp_path, TiledSearch(model="any_atoms", refine=False, maps=True))
    assert summary["tiles"] > 1
    maps = xr.open_zarr(tmp_path / "maps.zarr")
    whole = search(make_image(np.load(file)), model="any_atoms", refine=False).maps
    assert read(tmp_path / "maps.zarr", channel="probability of atom").shape == whole.shape[1:]
    np.testing.assert_allclose(maps["atom"], whole[1], atol=1e-3)
    np.testing.assert_allclose(maps["x"], whole["x"], atol=1e-6)


@pytest.mark.skipif(not REAL.is_file(), reason="needs ../shared/data/vendor")
def test_a_real_image_gives_the_same_atoms_by_tiles(tmp_path, monkeypatch):
    """Gold particles in HAADF-STEM: slopes, edges, and places where no fit is sure of itself."""
    monkeypatch.setattr(tiled_finder, "tile_side", lambda _, needs: needs.block_side)
    find_by_tiles(open_lazily(REAL, channel="HAADF"), tmp_path, TiledSearch())
    tiled = pd.read_csv(tmp_path / "atoms.csv").sort_values(["y", "x"])
    whole = find(read(REAL, channel="HAADF")).sort_values(["y", "x"])
    assert len(tiled) == len(whole) > 100
    pixel_nm = whole.attrs["pixel_size"][0]
    np.testing.assert_allclose(tiled[["x", "y"]], whole[["x", "y"]], atol=1e-3 * pixel_nm)
    np.testing.assert_allclose(tiled["x_std"], whole["x_std"], rtol=1e-3)
