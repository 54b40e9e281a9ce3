import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from adatom.errors import ArgumentError, ShapeError
from adatom.locate import Peaks, find_peaks, match_positions

Array = NDArray[np.float64]
RADIUS = 2.3


def disc_maps(
    positions: ArrayLike,
    *,
    species: ArrayLike = 0,
    n_species: int = 1,
    radius: float = RADIUS,
    softness: float = 0.35,
    sure: float = 1.0,
    shape: tuple[int, int] = (60, 70),
) -> Array:
    """What a network says of atoms at `positions` (n, 2), x and y: discs whose edges fade over `softness` pixels."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    x, y = np.reshape(positions, (-1, 2)).T
    distance = np.hypot(columns[None] - x[:, None, None], rows[None] - y[:, None, None])
    edge = np.clip((distance - radius) / max(softness, 1e-9), -40, 40)
    maps = np.zeros((n_species + 1, *shape))
    discs = sure / (1 + np.exp(edge))
    for number, disc in zip(np.broadcast_to(species, len(x)), discs, strict=True):
        maps[1 + number] = np.maximum(maps[1 + number], disc)
    maps[0] = 1 - maps[1:].sum(axis=0)
    return maps


def find(maps: Array, radius: float = RADIUS, min_distance: float = 3.0, **more: float) -> Peaks:
    return find_peaks(maps, radius_px=radius, min_distance_px=min_distance, **more)


def errors(peaks: Peaks, known: ArrayLike) -> Array:
    """Found minus known positions (n, 2) of a one-to-one matching, which must be complete."""
    known, found = np.reshape(known, (-1, 2)), np.column_stack([peaks.x, peaks.y])
    match = match_positions(found, known, tolerance=2.0)
    assert match.precision == match.recall == 1
    return found[match.found] - known[match.known]


def scattered(seed: int = 0) -> Array:
    """Atoms (n, 2) on a coarse grid, each at another fraction of a pixel."""
    grid = np.stack(np.meshgrid(np.arange(6, 64, 9), np.arange(6, 54, 9)), axis=-1).reshape(-1, 2)
    return grid + np.random.default_rng(seed).uniform(-0.5, 0.5, grid.shape)


@pytest.mark.parametrize("radius", [1.6, 2.1, 2.3, 3.0])
def test_positions_are_right_to_a_fraction_of_a_pixel(radius):
    known = np.concatenate([scattered(seed) for seed in range(5)])
    wrong = np.concatenate([errors(find(disc_maps(k, radius=radius), radius), k) for k in np.split(known, 5)])
    assert np.abs(wrong.mean(axis=0)).max() < 0.01
    assert np.sqrt((wrong**2).mean()) < 0.03


def test_hard_discs_give_what_their_pixels_tell():
    # Whole pixels, in or out: their own centre of mass is no better (0.09 px along each axis).
    wrong = np.concatenate([errors(find(disc_maps(k, softness=0)), k) for k in map(scattered, range(5))])
    assert np.abs(wrong.mean(axis=0)).max() < 0.03
    assert np.sqrt((wrong**2).mean()) < 0.12


@pytest.mark.parametrize("angle_deg", [0, 20, 45, 70])
@pytest.mark.parametrize("radius", [2.1, 2.3, 3.0])
def test_atoms_whose_discs_touch_are_two(radius, angle_deg):
    half = radius * np.array([np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))])
    for offset in np.random.default_rng(1).uniform(-0.5, 0.5, (10, 2)):
        known = 30 + offset + np.array([-half, half])
        assert np.abs(errors(find(disc_maps(known, radius=radius), radius), known)).max() < 0.5


@pytest.mark.parametrize("depth", [-0.4, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_atoms_at_the_border_are_kept_and_stay_where_they_are(depth):
    sides = [[depth, 25.3], [69 - depth, 31.2], [20.1, depth], [40.4, 59 - depth]]
    assert np.abs(errors(find(disc_maps(sides)), sides)).max() < 0.6


def test_atoms_in_the_corners_are_kept():
    corners = [[0, 0], [69, 0], [0, 59], [69, 59]]
    assert np.abs(errors(find(disc_maps(corners)), corners)).max() < 0.6


def test_each_atom_has_its_species():
    known = scattered()
    species = np.arange(len(known)) % 3
    peaks = find(disc_maps(known, species=species, n_species=3))
    match = match_positions(np.column_stack([peaks.x, peaks.y]), known, tolerance=1)
    assert np.array_equal(peaks.species[match.found], species[match.known])


@pytest.mark.parametrize("sure", [1.0, 0.8, 0.6])
def test_probability_is_how_sure_the_map_is(sure):
    peaks = find(disc_maps(scattered(), sure=sure))
    assert peaks.probability.mean() == pytest.approx(sure, abs=0.1)
    assert peaks.probability.max() <= 1


def test_unsure_atoms_go():
    known = scattered()
    maps = disc_maps(known, sure=0.7)
    assert len(find(maps, min_probability=0.5).x) == len(known)
    assert len(find(maps, min_probability=0.9).x) == 0


def test_atom_of_disputed_species_is_one_atom_of_the_likelier():
    maps = np.zeros((3, 60, 70))
    both = disc_maps([[30.2, 20.1]])[1]
    maps[1], maps[2] = 0.3 * both, 0.6 * both
    maps[0] = 1 - maps[1] - maps[2]
    peaks = find(maps)
    assert peaks.species.tolist() == [1]
    assert peaks.probability[0] == pytest.approx(0.6, abs=0.06)


@pytest.mark.parametrize("min_distance", [3.0, 6.0, 12.0, 30.0])
def test_no_two_atoms_are_closer_than_asked(min_distance):
    known = np.random.default_rng(2).uniform(0, (69, 59), (60, 2))
    peaks = find(disc_maps(known), min_distance=min_distance)
    distance = np.hypot(peaks.x[:, None] - peaks.x, peaks.y[:, None] - peaks.y) + 1e9 * np.eye(len(peaks.x))
    assert len(peaks.x) > 1
    assert distance.min() >= min_distance


def test_of_two_close_atoms_the_surer_stays():
    maps = disc_maps([[20.0, 20.0]]) + [[[-1]], [[1]]] * disc_maps([[27.0, 20.0]], sure=0.8)[1]
    peaks = find(maps, min_distance=10)
    assert len(peaks.x) == 1
    assert peaks.x[0] == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("shape", [(20, 20), (1, 1), (1, 30), (200, 3)])
def test_map_without_atoms_gives_none(shape):
    peaks = find(np.stack([np.ones(shape), np.zeros(shape)]))
    assert [len(column) for column in (peaks.x, peaks.y, peaks.species, peaks.probability)] == [0] * 4


@pytest.mark.parametrize("maps", [np.zeros((20, 20)), np.zeros((1, 20, 20)), np.zeros((2, 2, 20, 20))])
def test_what_is_no_map_is_told(maps):
    with pytest.raises(ShapeError, match=r"\(class, y, x\)"):
        find(maps)


@pytest.mark.parametrize(
    "wrong",
    [{"radius": 0}, {"radius": np.nan}, {"min_distance": -1}, {"min_probability": 1.5}, {"min_probability": -1}],
)
def test_numbers_that_make_no_sense_are_told(wrong):
    with pytest.raises(ArgumentError, match="find_peaks: expected"):
        find(disc_maps([[20, 20]]), **wrong)


@settings(max_examples=40, deadline=None)
@given(shape=st.sampled_from([(1, 1), (1, 9), (9, 1), (3, 50), (17, 16)]), seed=st.integers(0, 9))
def test_any_map_gives_atoms_inside_the_image(shape, seed):
    maps = np.random.default_rng(seed).dirichlet([1, 1, 1], shape).transpose(2, 0, 1)
    peaks = find(maps, min_probability=0.2)
    assert ((peaks.x >= -0.5) & (peaks.x <= shape[1] - 0.5)).all()
    assert ((peaks.y >= -0.5) & (peaks.y <= shape[0] - 0.5)).all()
    assert ((peaks.probability >= 0.2) & (peaks.probability <= 1)).all()


def test_peaks_within_are_those_whose_nearest_pixel_is_inside():
    inside = np.ones((4, 5), dtype=bool)
    inside[0, 0] = False
    x, y = np.array([[-0.6, 0], [-0.4, 1], [4.4, 3.4], [4.6, 2], [2, 3.6], [0.4, 0.4], [0.6, 0.4]]).T
    kept = Peaks.at(x, y, np.arange(7), np.linspace(0.5, 1, 7)).within(inside)
    assert kept.species.tolist() == [1, 2, 6]
    assert len(Peaks.at(x, y, np.arange(7), np.ones(7)).within(np.zeros((4, 5), dtype=bool)).x) == 0
