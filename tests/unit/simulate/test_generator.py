from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from adatom.analyse import find_lattice
from adatom.locate import match_positions
from adatom.simulate import ImageRecipe, SimulatedImage, simulate_image

NOTHING = (0.0, 0.0)
BOND_PX = 12 / np.sqrt(3)


def changed(recipe: ImageRecipe, **values: Any) -> ImageRecipe:
    """`recipe` with other values; each key belongs to one part of it only."""
    content = recipe.model_dump()
    for key, value in values.items():
        part = next(part for part in ("material", "defects", "microscope", "labels") if key in content[part])
        content[part][key] = value
    return type(recipe).model_validate(content)


@pytest.fixture(scope="module")
def clean(tiny_recipe: ImageRecipe) -> ImageRecipe:
    """A perfect honeycomb: cell 12 px, B half as high as A, atoms 2 px wide, no noise, 48 x 48 px of 0.1 nm."""
    still = {"vacancy": NOTHING, "substitution": NOTHING, "scale": (1, 1), "rotation_deg": NOTHING, "noise": NOTHING}
    size = {"image_size": 48, "pixel_size_nm": 0.1, "lattice_constant_nm": 1.2, "radius_nm": 0.2}
    return changed(tiny_recipe, peak_width_nm=(0.2, 0.2), height_b=(0.5, 0.5), **still, **size)


@pytest.fixture(scope="module")
def empty(clean: ImageRecipe) -> ImageRecipe:
    """The same without a single atom."""
    return changed(clean, vacancy=(1, 1))


@pytest.fixture(scope="module")
def sparse(clean: ImageRecipe) -> ImageRecipe:
    """Atoms so far apart that their images do not touch."""
    return changed(clean, lattice_constant_nm=4.0, image_size=96)


def images(recipe: ImageRecipe, n: int) -> list[SimulatedImage]:
    return [simulate_image(recipe, seed=1, index=index) for index in range(n)]


def positions(drawn: SimulatedImage) -> NDArray[np.float64]:
    return np.column_stack([drawn.x, drawn.y])


def at_atoms(drawn: SimulatedImage, values: NDArray[Any]) -> NDArray[Any]:
    return values[np.round(drawn.y).astype(int), np.round(drawn.x).astype(int)]


def patches(drawn: SimulatedImage, half: int = 9) -> list[tuple[NDArray[np.float64], float, float]]:
    """Squares of the image around atoms away from the border, with the atom's x and y in it."""
    inner = (positions(drawn) > half + 1).all(axis=1) & (positions(drawn) < len(drawn.image) - half - 2).all(axis=1)
    cut = []
    for x, y in positions(drawn)[inner]:
        column, row = round(x) - half, round(y) - half
        square = drawn.image[row : row + 2 * half + 1, column : column + 2 * half + 1].astype(float)
        cut.append((square, x - column, y - row))
    return cut


# ------------------------------------------------------------------------------------------------ the stream


def test_same_seed_and_index_are_the_same_image_whatever_came_before(tiny_recipe):
    once = simulate_image(tiny_recipe, seed=3, index=7)
    images(tiny_recipe, 2)
    again = simulate_image(tiny_recipe, seed=3, index=7)
    for name in ("image", "label", "x", "y", "species", "scale"):
        assert np.array_equal(getattr(once, name), getattr(again, name), equal_nan=True)


@pytest.mark.parametrize(("seed", "index"), [(3, 8), (4, 7), (7, 3)])
def test_other_seed_or_index_is_another_image(tiny_recipe, seed, index):
    one, other = simulate_image(tiny_recipe, seed=3, index=7), simulate_image(tiny_recipe, seed=seed, index=index)
    assert not np.allclose(one.image, other.image)


# ------------------------------------------------------------------------------------------------ the truth


def test_image_is_the_sum_of_the_known_atoms(clean):
    drawn = simulate_image(clean, seed=1, index=0)
    rows, columns = np.mgrid[:48, :48]
    atoms = zip(drawn.x, drawn.y, np.where(drawn.species == 0, 1.0, 0.5), strict=True)
    expected = sum(height * np.exp(-0.5 * ((columns - x) ** 2 + (rows - y) ** 2) / 2.0**2) for x, y, height in atoms)
    inner = (slice(9, -9), slice(9, -9))  # atoms beyond the border reach in, and are not listed
    assert np.allclose(drawn.image[inner], expected[inner], atol=0.02)


def test_number_of_atoms_is_that_of_the_crystal(clean):
    cell = 12**2 * np.sqrt(3) / 2
    drawn = images(clean, 40)
    for species in (0, 1):
        number = np.mean([(one.species == species).sum() for one in drawn])
        assert number == pytest.approx(48**2 / cell, rel=0.03)


def test_label_is_the_class_of_the_nearest_atom_within_the_radius(tiny_recipe):
    for drawn in images(changed(tiny_recipe, border_probability=1.0, border_px=(0, 9), vacancy=(0.1, 0.1)), 5):
        rows, columns = np.mgrid[:48, :48]
        distance, nearest = cKDTree(positions(drawn)).query(np.stack([columns, rows], axis=-1))
        expected = np.where(distance <= 2.0 * drawn.scale, 1 + drawn.species[nearest], 0)
        assert np.array_equal(drawn.label, np.where(np.isfinite(drawn.image), expected, 0))
        assert np.array_equal(at_atoms(drawn, drawn.label), 1 + drawn.species)


def test_atoms_and_labels_keep_to_what_was_measured(clean):
    for drawn in images(changed(clean, border_probability=1.0, border_px=(3, 5)), 10):
        measured = np.isfinite(drawn.image)
        bottom, right = 48 - measured.any(axis=1).sum(), 48 - measured.any(axis=0).sum()
        assert 3 <= bottom <= 5
        assert 3 <= right <= 5
        assert measured[: 48 - bottom, : 48 - right].all()
        assert at_atoms(drawn, measured).all()
        assert not drawn.label[~measured].any()


def test_atoms_on_the_border_pixels_belong_to_the_image(clean):
    drawn = images(clean, 30)
    lowest, highest = min(one.x.min() for one in drawn), max(one.x.max() for one in drawn)
    assert -0.5 <= lowest < 0
    assert 47 < highest < 47.5


# ------------------------------------------------------------------------------------------------ geometry


@pytest.mark.parametrize("scale", [0.8, 1.25])
def test_scale_stretches_all_lengths(clean, scale):
    drawn = simulate_image(changed(clean, scale=(scale, scale)), seed=1, index=0)
    assert drawn.scale == pytest.approx(scale)
    nearest = cKDTree(positions(drawn)).query(positions(drawn), k=2)[0][:, 1]
    assert np.median(nearest) == pytest.approx(scale * BOND_PX)


@pytest.mark.parametrize("angle_deg", [0, 10, 25])
def test_rotation_turns_the_lattice(clean, angle_deg):
    recipe = changed(clean, rotation_deg=(angle_deg, angle_deg), image_size=96)
    drawn = simulate_image(recipe, seed=1, index=0)
    x, y = find_lattice(positions(drawn)[drawn.species == 0]).vectors[0]
    off = np.degrees(np.arctan2(y, x)) - angle_deg
    assert (off + 30) % 60 - 30 == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("changes", "edge", "stretch"),
    [
        ({"strain": (0.05, 0.05)}, 1.05, 1.0),
        # of the directions at 0, 60 and 120 degrees, a shear lengthens the second most and shortens the third most
        ({"shear": (0.04, 0.04)}, 1.0, np.hypot(0.5346, 0.8860) / np.hypot(0.4654, 0.8460)),
        ({}, 1.0, 1.0),
    ],
)
def test_strain_and_shear_change_the_cell(clean, changes, edge, stretch):
    drawn = simulate_image(changed(clean, image_size=96, **changes), seed=1, index=0)
    lattice = find_lattice(positions(drawn)[drawn.species == 0])
    assert lattice.edge == pytest.approx(12 * edge, rel=0.002)
    assert lattice.stretch == pytest.approx(stretch, abs=0.002)


def test_displacement_moves_single_atoms(clean):
    pairs = zip(images(clean, 5), images(changed(clean, displacement_nm=(0.03, 0.03)), 5), strict=True)
    moves = np.concatenate([match_positions(positions(a), positions(b), tolerance=2).distance for a, b in pairs])
    assert np.sqrt((moves**2).mean() / 2) == pytest.approx(0.3, rel=0.15)


# ------------------------------------------------------------------------------------------------ point defects


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_share_of_vacancies_is_as_asked(clean, share):
    n_whole = sum(len(drawn.x) for drawn in images(clean, 30))
    n_left = sum(len(drawn.x) for drawn in images(changed(clean, vacancy=(share, share)), 30))
    assert 1 - n_left / n_whole == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_share_of_substituted_sites_is_as_asked(clean, share):
    before, after = images(clean, 30), images(changed(clean, substitution=(share, share)), 30)
    assert all(np.array_equal(a.x, b.x) for a, b in zip(before, after, strict=True))
    swapped = np.concatenate([a.species != b.species for a, b in zip(before, after, strict=True)])
    assert swapped.mean() == pytest.approx(share, abs=0.04)


def test_substituted_atom_has_the_height_of_its_species(sparse):
    for drawn in images(changed(sparse, substitution=(0.5, 0.5)), 5):
        height = at_atoms(drawn, ndimage.maximum_filter(drawn.image, 3))
        assert np.allclose(height, np.where(drawn.species == 0, 1.0, 0.5), atol=0.1)


def test_groups_of_vacancies_are_as_large_and_as_many_as_asked(clean):
    recipe = changed(clean, vacancy_cluster=(10, 10), vacancy_cluster_radius_nm=(0.8, 0.8), image_size=96)
    before, after = images(changed(clean, image_size=96), 10), images(recipe, 10)
    missing = 1 - sum(len(b.x) for b in after) / sum(len(a.x) for a in before)
    covered = 1 - np.exp(-10 / 100 * np.pi * 0.8**2)  # discs at random places, some of them across the border
    assert 0.6 * covered < missing < 1.2 * covered


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_heights_spread_as_asked(sparse, spread):
    before, after = images(sparse, 5), images(changed(sparse, height_spread=(spread, spread)), 5)
    pairs = zip(before, after, strict=True)
    ratio = np.concatenate([at_atoms(b, b.image) / at_atoms(a, a.image) for a, b in pairs])
    assert ratio.std() == pytest.approx(spread, rel=0.3, abs=1e-4)


# ------------------------------------------------------------------------------------------------ what hides atoms


def test_islands_cover_their_share_and_no_atom_lies_under_them(clean, empty):
    island = {"island": (0.2, 0.2), "island_size_nm": (0.6, 0.6), "island_height": (5, 5)}
    covered = np.mean([(drawn.image > 2.5).mean() for drawn in images(changed(empty, **island), 20)])
    assert covered == pytest.approx(0.2, abs=0.02)
    for drawn in images(changed(clean, **island), 20):
        assert drawn.image.max() > 4
        assert at_atoms(drawn, drawn.image).max() < 2.5


def test_island_roughness_is_as_asked(empty):
    smooth = changed(empty, island=(0.99, 0.99), island_size_nm=(0.6, 0.6), island_height=(5, 5))
    pairs = zip(images(smooth, 10), images(changed(smooth, island_roughness=(0.5, 0.5)), 10), strict=True)
    assert np.mean([np.std(b.image - a.image) for a, b in pairs]) == pytest.approx(0.5, rel=0.1)


def test_adsorbates_are_as_many_and_as_high_as_asked_and_hide_atoms(clean, empty):
    clumps = {"adsorbate": (10, 10), "adsorbate_height": (6, 6), "adsorbate_radius_nm": (0.1, 0.1)}
    tops = [ndimage.label(drawn.image > 1.5)[1] for drawn in images(changed(empty, **clumps), 60)]
    assert np.mean(tops) == pytest.approx(10 * 4.8**2 / 100, rel=0.2)
    assert max(drawn.image.max() for drawn in images(changed(empty, **clumps), 20)) > 5
    assert max(at_atoms(drawn, drawn.image).max() for drawn in images(changed(clean, **clumps), 20)) < 0.5 * 6 + 1.2


def test_step_has_its_height_and_no_atom_lies_on_its_edge(clean, empty):
    step = {"step_probability": 1.0, "step_height": (4, 4)}
    for drawn in images(changed(empty, **step, image_size=96), 5):
        assert np.ptp(drawn.image) == pytest.approx(4, rel=0.02)
    height = np.concatenate([at_atoms(drawn, drawn.image) for drawn in images(changed(clean, **step), 10)])
    assert not ((height > 1.7) & (height < 3.9)).any()
    assert (height > 3.9).any()


@pytest.mark.parametrize(
    ("probability", "change"),
    [
        ("step_probability", {"step_height": (4, 4)}),
        ("row_offset_probability", {"row_offset": (1, 1)}),
        ("border_probability", {"border_px": (3, 3)}),
    ],
)
def test_probability_is_the_share_of_the_images(empty, probability, change):
    def changed_images(value: float) -> float:
        drawn = images(changed(empty, image_size=32, **change, **{probability: value}), 100)
        return float(np.mean([np.isnan(one.image).any() or np.ptp(one.image) > 0.1 for one in drawn]))

    assert changed_images(0.0) == 0
    assert changed_images(0.3) == pytest.approx(0.3, abs=0.12)
    assert changed_images(1.0) == 1


# ------------------------------------------------------------------------------------------------ the microscope


def test_without_noise_the_image_is_smooth(clean):
    drawn = simulate_image(clean, seed=1, index=0)
    assert np.abs(np.diff(drawn.image.astype(float), n=4, axis=1)).max() < 0.2
    assert np.abs(simulate_image(changed(clean, vacancy=(1, 1)), seed=1, index=0).image).max() < 1e-4


@pytest.mark.parametrize("ratio", [1.0, 1.3])
def test_atoms_have_the_width_and_the_ellipticity_that_were_asked(sparse, ratio):
    for drawn in images(changed(sparse, ellipticity=(ratio, ratio), peak_width_nm=(0.2, 0.2)), 3):
        for square, x, y in patches(drawn):
            offsets = np.stack(np.mgrid[: len(square), : len(square)]).reshape(2, -1) - np.array([[y], [x]])
            widths = np.sqrt(np.linalg.eigvalsh(np.cov(offsets, aweights=square.ravel().clip(0))))
            assert widths == pytest.approx([2 / np.sqrt(ratio), 2 * np.sqrt(ratio)], rel=0.03)


def test_lines_are_shifted_sideways_as_asked(sparse):
    shifts = []
    for drawn in images(changed(sparse, row_shift_nm=(0.05, 0.05), height_b=(1, 1)), 5):
        for square, x, y in patches(drawn):
            rows = square[round(y) - 2 : round(y) + 3]
            shifts += list((rows * np.arange(len(square))).sum(axis=1) / rows.sum(axis=1) - x)
    assert np.std(shifts) == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("level", [0.05, 1.0])
def test_noise_is_white_and_as_strong_as_asked(empty, level):
    image = simulate_image(changed(empty, noise=(level, level), image_size=96), seed=1, index=0).image
    assert image.std() == pytest.approx(level, rel=0.03)
    assert np.abs(np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1]) < 0.05


def test_correlated_noise_is_as_strong_as_asked(empty):
    recipe = changed(empty, noise=(0.3, 0.3), noise_correlation_px=(1, 1), image_size=96)
    image = simulate_image(recipe, seed=1, index=0).image
    assert image.std() == pytest.approx(0.3, rel=0.03)
    assert np.corrcoef(image[:, 1:].ravel(), image[:, :-1].ravel())[0, 1] > 0.6


def test_noise_is_even_in_the_logarithm(empty):
    strengths = [drawn.image.std() for drawn in images(changed(empty, noise=(0.01, 1.0), image_size=32), 100)]
    assert 0.01 * 0.9 < min(strengths) < 0.03
    assert 0.3 < max(strengths) < 1.1
    assert np.mean(np.array(strengths) < 0.1) == pytest.approx(0.5, abs=0.15)


def test_dose_makes_counts_that_follow_poisson(clean):
    counted = images(changed(clean, counts_per_peak=(50, 50), dark_level=(0.2, 0.2), image_size=96), 10)
    for drawn in counted:
        counts = 50 * (drawn.image - drawn.image.min())
        assert np.abs(counts - np.round(counts)).max() < 0.01
    exact = np.stack([drawn.image for drawn in images(changed(clean, image_size=96), 10)])
    error = np.stack([drawn.image for drawn in counted]) - exact
    assert error.mean() == pytest.approx(0, abs=0.002)
    slope, between_atoms = np.polyfit(exact.ravel(), error.ravel() ** 2, 1)
    assert slope == pytest.approx(1 / 50, rel=0.06)
    assert between_atoms == pytest.approx(0.2 / 50, rel=0.1)


def test_tilt_rises_over_the_image_as_asked(empty):
    for drawn in images(changed(empty, tilt=(10, 10)), 5):
        gradient = np.array(np.gradient(drawn.image.astype(float)))
        assert np.ptp(gradient, axis=(1, 2)).max() < 1e-4
        assert np.hypot(*gradient[:, 0, 0]) * 47 == pytest.approx(10, rel=1e-3)


def test_background_is_smooth_and_as_strong_as_asked(empty):
    for drawn in images(changed(empty, background=(0.5, 0.5), background_size_nm=(1.0, 1.0)), 5):
        assert drawn.image.std() == pytest.approx(0.5, rel=0.01)
        assert np.diff(drawn.image, axis=0).std() < 0.1


def test_offsets_shift_whole_lines(empty):
    recipe = changed(empty, row_offset=(0.5, 0.5), row_offset_probability=1.0, image_size=96)
    drawn = images(recipe, 3)
    assert max(np.ptp(one.image, axis=1).max() for one in drawn) < 1e-4
    assert np.std([one.image[:, 0] for one in drawn]) == pytest.approx(0.5, rel=0.15)


def test_streaks_lie_along_lines_and_are_as_many_as_asked(empty):
    streaked = [(np.abs(drawn.image) > 1e-3).any(axis=1).sum() for drawn in images(changed(empty, streaks=(4, 4)), 60)]
    assert np.mean(streaked) == pytest.approx(4 * 48 / 100, rel=0.25)
