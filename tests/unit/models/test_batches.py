import numpy as np
import pytest
import torch
import xarray as xr

from adatom.data.training_set import open_training_set
from adatom.errors import ArgumentError, ShapeError
from adatom.models.batches import MARGIN_PX, Atoms, Sample, SimulatedSamples, StoredSamples, stack_atoms
from adatom.prepare.augment import Augmentation

# No border that is blanked reaches into this part of an image of 48 px.
INNER = (slice(48 // 9, -(48 // 9)),) * 2


def as_it_is(image):
    return np.nan_to_num(image), 1.0


def stored(data, **options):
    return StoredSamples(
        data, **{"batch_size": 4, "seed": 0, "prepare": as_it_is, "multiple": 8, "n_validation": 3, **options}
    )


@pytest.fixture(scope="module")
def data(tiny_store) -> xr.Dataset:
    return open_training_set(tiny_store).load()


@pytest.fixture(scope="module")
def simulated(brief_recipe):
    return SimulatedSamples(brief_recipe, batch_size=3, seed=0, prepare=as_it_is, multiple=4)


def turned_and_mirrored(image: np.ndarray) -> list[bytes]:
    turned = [np.rot90(image, turns) for turns in range(4)]
    return [np.ascontiguousarray(a).tobytes() for image in turned for a in (image, image[:, ::-1])]


@pytest.mark.parametrize("kind", ["simulated", "stored"])
def test_a_batch_of_a_number_is_always_the_same_and_of_another_number_another(kind, simulated, data):
    source = simulated if kind == "simulated" else stored(data)
    images, label = source.batch(7)
    source.batch(1)
    again, label_again = source.batch(7)
    assert images.dtype == torch.float32 and label.dtype == torch.int64
    assert torch.equal(images, again) and torch.equal(label, label_again)
    assert not torch.equal(images, source.batch(8)[0])


@pytest.mark.parametrize("kind", ["simulated", "stored"])
def test_validation_is_the_same_each_time_and_never_augmented(kind, simulated, data):
    source = simulated if kind == "simulated" else stored(data)
    first = source.validation(3)
    source.batch(2)
    for sample, again in zip(first, source.validation(3), strict=True):
        assert np.array_equal(sample.image, again.image) and np.array_equal(sample.label, again.label)
    if kind == "stored":
        for sample, image in zip(first, data["image"][-len(first) :].to_numpy(), strict=True):
            assert np.array_equal(sample.image, np.where(sample.inside, image, 0))


def test_validation_images_of_a_store_are_never_trained_on(data):
    source = stored(data)
    trained = {image[0].numpy()[INNER].tobytes() for step in range(1, 40) for image in source.batch(step)[0]}
    kept = [turned_and_mirrored(sample.image.astype(np.float32)[INNER]) for sample in source.validation(3)]
    assert not any(view in trained for views in kept for view in views)


def test_all_other_images_of_a_store_are_trained_on_in_all_eight_ways(data):
    source = stored(data)
    trained = {image[0].numpy()[INNER].tobytes() for step in range(1, 120) for image in source.batch(step)[0]}
    n_validation = len(source.validation(3))
    images = data["image"][:-n_validation].to_numpy()
    assert trained == {view for image in images for view in turned_and_mirrored(image[INNER])}


def test_the_class_map_turns_with_its_image(data):
    """Atoms are where the image is bright, so the brightest pixel of a batch's image lies on an atom."""
    images, label = stored(data).batch(3)
    for image, its_label in zip(images, label, strict=True):
        assert its_label.flatten()[image.flatten().argmax()] > 0


def test_validation_images_of_a_recipe_are_never_trained_on(simulated):
    trained = {image.numpy().tobytes() for step in range(1, 8) for image in simulated.batch(step)[0]}
    assert len(trained) == 21  # and none is shown twice
    assert not any(sample.image.astype(np.float32)[None].tobytes() in trained for sample in simulated.validation(8))


def test_known_atoms_of_a_validation_image_lie_on_its_class_map(data):
    for sample in stored(data).validation(3):
        columns, rows = np.round(sample.known.positions).astype(int).T
        assert len(rows) > 10
        assert np.array_equal(sample.label[rows, columns], sample.known.species + 1)


def test_every_image_ends_in_a_blank_border_and_its_class_map_goes_on_a_little(data):
    """So that a network sees images end, and learns where the atoms beyond are."""
    samples = [sample for seed in range(20) for sample in stored(data, seed=seed).validation(3)]
    whole = data["label"][-1].to_numpy()
    widths = set()
    for sample in samples:
        rows, columns = (np.flatnonzero(sample.inside.any(axis=axis)) for axis in (1, 0))
        top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
        widths |= {top, 47 - bottom, left, 47 - right}
        assert sample.inside[top : bottom + 1, left : right + 1].all()
        assert not sample.image[~sample.inside].any()
        known = np.zeros_like(sample.inside)
        known[top - MARGIN_PX : bottom + MARGIN_PX + 1, left - MARGIN_PX : right + MARGIN_PX + 1] = True
        assert np.array_equal(sample.label, np.where(known, whole, 0))
    assert widths == {MARGIN_PX, 48 // 9}
    assert any(sample.label[~sample.inside].any() for sample in samples)


@pytest.mark.parametrize("kind", ["simulated", "stored"])
def test_only_atoms_that_a_validation_image_shows_are_asked_for(kind, simulated, data):
    source = simulated if kind == "simulated" else stored(data)
    for sample in source.validation(3):
        columns, rows = np.round(sample.known.positions).astype(int).T
        assert len(rows) and sample.inside[rows, columns].all()
    if kind == "stored":
        mine = (data["atom_sample"] == data.sizes["sample"] - 1).to_numpy()
        columns, rows = np.round([data["atom_x"][mine], data["atom_y"][mine]]).astype(int)
        (sample,) = source.validation(1)
        shown = sample.inside[np.clip(rows, 0, 47), np.clip(columns, 0, 47)].sum()
        assert len(sample.known.positions) == shown < len(rows)


@pytest.mark.parametrize(("n_images", "n_validation", "kept"), [(8, 3, 1), (8, 1, 1), (2, 32, 1)])
def test_at_most_a_fifth_of_a_small_store_is_kept_for_validation(data, n_images, n_validation, kept):
    source = stored(data.isel(sample=slice(n_images)), n_validation=n_validation)
    assert len(source.validation(n_validation)) == kept


def test_images_are_padded_to_what_the_network_divides(data):
    images, label = stored(data, multiple=32).batch(1)
    assert images.shape == (4, 1, 64, 64) and label.shape == (4, 64, 64)
    assert not images[..., 48:].any() and not label[..., 48:].any()


def test_images_that_cannot_be_turned_are_refused(data):
    with pytest.raises(ShapeError, match="expected square images, got 40 x 48"):
        stored(data.isel(y=slice(40)))


def test_an_empty_site_has_no_flux_to_be_learned_and_is_still_asked_for() -> None:
    nothing = np.zeros((16, 16))
    atoms = Atoms(np.array([5.0, 9.0]), np.array([6.0, 9.0]), np.array([1, 0]), np.array([0.0, 2.0]))
    sample = Sample(nothing, nothing.astype(np.uint8), nothing == 0, atoms, atoms)
    table = stack_atoms([sample], 8)[1].numpy()
    assert np.isnan(table[0, 4]) and table[1, 4] == pytest.approx(np.log(2))
    np.testing.assert_allclose(table[:, 1:4], [[1, 5, 6], [0, 9, 9]])


# ---------------------------------------------------------------- sets that say what is for what, and augmentation


def test_a_set_says_which_images_are_for_validation(data):
    said = data.assign(split=("sample", np.array([1, 0, 0, 1, 0, 0, 0, 0], dtype=np.uint8)))
    source = stored(said)
    for sample, index in zip(source.validation(4), (0, 3), strict=True):
        assert np.array_equal(sample.image, np.where(sample.inside, data["image"][index], 0))
    kept = [view for index in (0, 3) for view in turned_and_mirrored(data["image"][index].to_numpy()[INNER])]
    trained = {image[0].numpy()[INNER].tobytes() for step in range(1, 120) for image in source.batch(step)[0]}
    assert len(trained) == 6 * 8 and not trained & set(kept)


@pytest.mark.parametrize("split", [0, 1])
def test_a_set_with_nothing_to_learn_from_or_to_judge_on_is_told(data, split):
    with pytest.raises(ArgumentError, match="some images for training and some for validation"):
        stored(data.assign(split=("sample", np.full(8, split, dtype=np.uint8))))


def test_augmented_samples_are_crops_with_their_atoms_under_their_pixels(data):
    how = Augmentation(rotation_deg=(0, 360), flip=True, zoom=(0.9, 1.2), crop_px=32, contrast=(2, 2))
    source = stored(data, augmentation=how)
    first, again = source.samples(5), source.samples(5)
    for sample, same in zip(first, again, strict=True):
        assert sample.image.shape == sample.label.shape == (32, 32) and np.array_equal(sample.image, same.image)
        assert len(sample.known.x)
        row, column = np.round(sample.known.y).astype(int), np.round(sample.known.x).astype(int)
        assert (sample.label[row, column] == sample.known.species + 1).all()
    assert all(sample.image.shape == (48, 48) for sample in source.validation(3))


def test_simulated_images_are_augmented_too_and_those_that_judge_them_are_not(brief_recipe, simulated):
    how = Augmentation(rotation_deg=(90, 90), gaussian=(0.1, 0.1))
    changed = SimulatedSamples(brief_recipe, batch_size=3, seed=0, prepare=as_it_is, multiple=4, augmentation=how)
    assert not np.array_equal(changed.samples(1)[0].image, simulated.samples(1)[0].image)
    for sample, plain in zip(changed.validation(2), simulated.validation(2), strict=True):
        assert np.array_equal(sample.image, plain.image)


def test_atoms_of_a_set_in_any_order_find_their_images(data):
    order = np.random.default_rng(0).permutation(data.sizes["atom"])
    for sample, other in zip(stored(data).validation(3), stored(data.isel(atom=order)).validation(3), strict=True):
        assert set(sample.known.x) == set(other.known.x) and len(sample.known.x) == len(other.known.x)
