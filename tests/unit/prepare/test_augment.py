import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from adatom.errors import ArgumentError, ShapeError
from adatom.prepare.augment import Augmentation, augment, augment_image, draw_geometry, spoil
from adatom.prepare.geometry import Geometry

SIZE = 64
SIGMA = 2.0
few = settings(max_examples=100, deadline=None)
seeds = st.integers(0, 2**32 - 1)
# turned, mirrored, zoomed and cut in all ways, and nothing else
GEOMETRIC = st.builds(
    Augmentation,
    rotation_deg=st.tuples(st.floats(-360, 0), st.floats(0, 360)),
    flip=st.booleans(),
    zoom=st.tuples(st.floats(0.6, 1), st.floats(1, 2)),
    crop_px=st.sampled_from([None, 24, 33]),
)
EVERYTHING = Augmentation(
    rotation_deg=(0, 360),
    flip=True,
    zoom=(0.8, 1.25),
    crop_px=40,
    blur_px=(0, 1),
    resize=(0.6, 1),
    row_jitter_px=(0, 0.5),
    background=(0, 1),
    gamma=(0.7, 1.4),
    contrast=(0.5, 2),
    poisson=(10, 1000),
    gaussian=(0, 0.2),
    row_offset=(0, 0.2),
    salt_and_pepper=(0, 0.02),
    cut_out=(1, 3),
)


def atom_at(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))


def disc_at(x: float, y: float, species: int = 1) -> np.ndarray:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.where((columns - x) ** 2 + (rows - y) ** 2 <= 9, species, 0).astype(np.uint8)


def centroid(image: np.ndarray) -> np.ndarray:
    weight = np.clip(np.nan_to_num(image), 0, None)
    weight[weight < 0.02 * weight.max()] = 0
    rows, columns = np.indices(image.shape)
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


@few
@given(how=GEOMETRIC, seed=seeds, x=st.floats(0, SIZE - 1), y=st.floats(0, SIZE - 1))
def test_the_atom_is_still_under_its_pixel(how, seed, x, y):
    changed = augment_image(
        atom_at(x, y), disc_at(x, y), np.array([x]), np.array([y]), settings=how, rng=np.random.default_rng(seed)
    )
    if not len(changed.kept):
        return
    place = np.array([changed.x[0], changed.y[0]])
    assert changed.label[tuple(np.round(place[::-1]).astype(int))] == 1
    reach = 4 * SIGMA * np.sqrt(changed.flux_factor) + 1
    rows, columns = changed.image.shape
    # a peak that the end of the old or the new image cuts has its centroid elsewhere
    whole = reach < min(*place, columns - 1 - place[0], rows - 1 - place[1]) and min(x, y, SIZE - x, SIZE - y) > 9
    if whole:
        assert np.abs(centroid(changed.image) - place).max() < 0.1
        # a class map knows places to half a pixel of the old image, which zooming has made larger
        assert np.abs(centroid(changed.label.astype(float)) - place).max() < 0.5 * max(1, np.sqrt(changed.flux_factor))
        assert np.nansum(changed.image) == pytest.approx(2 * np.pi * SIGMA**2 * changed.flux_factor, rel=0.03)


@few
@given(seed=seeds)
def test_atoms_out_of_sight_are_dropped_and_the_others_keep_their_numbers(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIZE - 1, (2, 30))
    how = Augmentation(rotation_deg=(0, 360), flip=True, zoom=(0.9, 1.5), crop_px=24, cut_out=(0, 2))
    changed = augment_image(np.zeros((SIZE, SIZE)), disc_at(0, 0), x, y, settings=how, rng=np.random.default_rng(seed))
    assert len(changed.x) == len(changed.y) == len(changed.kept) < 30
    assert all((each >= -0.5).all() and (each < 23.5).all() for each in (changed.x, changed.y))
    assert np.isfinite(changed.image[np.round(changed.y).astype(int), np.round(changed.x).astype(int)]).all()
    # every one that was left out lies out of sight: the same geometry, asked again
    geometry = draw_geometry((SIZE, SIZE), how, np.random.default_rng(seed))
    shown = geometry.shows(*geometry.points(x, y))
    assert set(changed.kept) <= set(np.flatnonzero(shown))


@few
@given(seed=seeds, rows=st.integers(30, 90), columns=st.integers(30, 90))
def test_a_crop_lies_in_the_image_with_all_its_corners(seed, rows, columns):
    how = Augmentation(rotation_deg=(0, 360), flip=True, zoom=(0.8, 1.3), crop_px=24)
    left, top, right, bottom = draw_geometry((rows, columns), how, np.random.default_rng(seed)).bounds
    assert left >= -0.5 - 1e-9 and top >= -0.5 - 1e-9 and right <= columns - 0.5 + 1e-9 and bottom <= rows - 0.5 + 1e-9


def test_a_quarter_turn_is_exact_and_turns_as_numpy_does():
    image = np.random.default_rng(0).normal(size=(SIZE, SIZE))
    quarter = Geometry.of(centre=(31.5, 31.5), size=(SIZE, SIZE), angle_deg=90)
    assert np.allclose(quarter.image(image), np.rot90(image, -1))
    mirror = Geometry.of(centre=(31.5, 31.5), size=(SIZE, SIZE), mirror=True)
    assert np.allclose(mirror.image(image), image[:, ::-1])


def test_what_was_not_measured_stays_so():
    image = np.ones((SIZE, SIZE))
    image[:, 40:] = np.nan
    x, y = np.array([20.0, 50.0]), np.array([32.0, 32.0])
    changed = augment_image(
        image, disc_at(50, 32), x, y, settings=Augmentation(gaussian=(0.1, 0.1)), rng=np.random.default_rng(0)
    )
    assert np.isnan(changed.image[:, 42:]).all() and changed.kept.tolist() == [0] and not changed.label.any()


def test_nothing_asked_for_changes_nothing():
    image = np.random.default_rng(0).normal(size=(SIZE, SIZE))
    same = augment_image(
        image, disc_at(9, 9), np.array([9.0]), np.array([9.0]), settings=Augmentation(), rng=np.random.default_rng(0)
    )
    assert np.allclose(same.image, image) and np.array_equal(same.label, disc_at(9, 9))
    assert same.x.tolist() == [9.0] and same.flux_factor == 1


def test_the_same_generator_gives_the_same_and_another_one_another():
    image, nothing = atom_at(30, 30), np.zeros(0)

    def changed(seed):
        return augment_image(
            image, disc_at(30, 30), nothing, nothing, settings=EVERYTHING, rng=np.random.default_rng(seed)
        ).image

    assert np.array_equal(changed(1), changed(1), equal_nan=True) and not np.array_equal(changed(1), changed(2))


@pytest.mark.parametrize(
    "name, value",
    [
        ("blur_px", (1, 1)),
        ("resize", (0.5, 0.5)),
        ("row_jitter_px", (1, 1)),
        ("background", (1, 1)),
        ("gamma", (2, 2)),
        ("contrast", (2, 2)),
        ("poisson", (20, 20)),
        ("gaussian", (0.2, 0.2)),
        ("row_offset", (0.2, 0.2)),
        ("salt_and_pepper", (0.1, 0.1)),
        ("cut_out", (2, 2)),
    ],
)
def test_every_fault_changes_an_image_and_leaves_its_atoms_where_they_are(name, value):
    image = sum(atom_at(x, y) for x in range(8, SIZE, 12) for y in range(8, SIZE, 12)) + 5.0
    changed, factor = spoil(image, Augmentation(**{name: value}), np.random.default_rng(1))
    assert changed.shape == image.shape and not np.allclose(changed, image, equal_nan=True)
    known = np.isfinite(changed)
    assert np.corrcoef(changed[known], image[known])[0, 1] > 0.4
    assert np.isnan(factor) if name == "gamma" else factor == (2 if name == "contrast" else 1)


def test_half_of_the_images_keep_their_greys_and_the_volumes_of_their_peaks():
    rng = np.random.default_rng(0)
    factors = [spoil(atom_at(30, 30), Augmentation(gamma=(0.5, 0.9)), rng)[1] for _ in range(40)]
    assert 10 < np.isnan(factors).sum() < 30 and np.nanmin(factors) == np.nanmax(factors) == 1


def test_arrays_and_tensors_come_back_as_they_came():
    images = np.stack([atom_at(20, 30), atom_at(40, 25)]).astype(np.float32)
    labels = np.stack([disc_at(20, 30), disc_at(40, 25)])
    positions = [np.array([[20.0, 30.0]]), np.array([[40.0, 25.0]])]
    how = Augmentation(rotation_deg=(0, 360), crop_px=40)
    arrays = augment(images, labels, positions, settings=how, rng=np.random.default_rng(0))
    tensors = augment(
        torch.from_numpy(images),
        torch.from_numpy(labels.astype(np.int64)),
        positions,
        settings=how,
        rng=np.random.default_rng(0),
    )
    assert arrays[0].dtype == np.float32 and arrays[0].shape == (2, 40, 40) and arrays[1].dtype == np.uint8
    assert tensors[0].dtype == torch.float32 and tensors[1].dtype == torch.int64
    assert np.allclose(arrays[0], tensors[0].numpy()) and np.array_equal(arrays[1], tensors[1].numpy())
    assert all(np.array_equal(*pair) for pair in zip(arrays[2], tensors[2], strict=True))
    with pytest.raises(ShapeError, match="augment"):
        augment(images, labels, positions[:1], settings=how, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    "wrong", [{"zoom": (0, 1)}, {"zoom": (2, 1)}, {"resize": (0, 1)}, {"cut_out": (2, 1)}, {"rotate": (0, 1)}]
)
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Augmentation(**wrong)


def test_an_image_smaller_than_the_crop_is_told():
    with pytest.raises(ArgumentError, match="crop_px: expected at most 20 px"):
        draw_geometry((20, 30), Augmentation(crop_px=32), np.random.default_rng(0))
