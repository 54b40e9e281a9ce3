"""Known answers of `VariationalAutoencoder`: what was turned, shifted, scaled or mixed comes back as numbers."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

import adatom as ad
from adatom.data import make_image

SIDE = 16
# three blobs (x, y, height) [px from the middle] that look the same from no two sides
SHAPE = np.array([[0.0, 0.0, 1.0], [4.5, 0.0, 0.8], [0.0, 3.0, 0.5]])
PAIR = np.array([[-3.0, 0.0, 1.0], [3.0, 0.0, 0.5]])
NOISE = 0.05
BRIEF = {"steps": 120, "batch_size": 32, "learning_rate": 0.004, "validate_every": 40}


def drawn(shape, angle, shift, scale=1.0, side=SIDE):
    """One patch (y, x) of Gaussian blobs of 1.5 px."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    cos, sin = np.cos(angle), np.sin(angle)
    patch = np.zeros((side, side))
    for along, across, height in shape:
        at_x = shift[0] + scale * (cos * along - sin * across)
        at_y = shift[1] + scale * (sin * along + cos * across)
        patch += height * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * (1.5 * scale) ** 2))
    return patch


def stack(shapes, rng, *, farthest_px=1.5, farthest=np.pi, scales=None):
    """Patches of shapes at any angle as far as `farthest`, their angles and shifts."""
    n = len(shapes)
    angle, shift = rng.uniform(-farthest, farthest, n), rng.uniform(-farthest_px, farthest_px, (n, 2))
    scales = np.ones(n) if scales is None else scales
    patches = np.stack([drawn(*each) for each in zip(shapes, angle, shift, scales, strict=True)])
    return patches + rng.normal(0, NOISE, patches.shape), angle, shift


def model(**arguments):
    settings = {"latent": 1, "width": 32, "filters": 6, "random_state": 0, "training": BRIEF, "device": "cpu"}
    return ad.VariationalAutoencoder(**{**settings, **arguments})


@pytest.fixture(scope="module")
def turned():
    rng = np.random.default_rng(0)
    patches, angle, shift = stack([SHAPE] * 300, rng)
    return model(shift_std=0.06).fit(patches[:200]), patches[200:], angle[200:], shift[200:]


def after_offset(found, true):
    """Errors of angles after the one offset that says what is upright."""
    difference = np.exp(1j * (found - true))
    return np.angle(difference / difference.mean())


def test_angles_over_the_whole_circle_are_found(turned):
    fitted, patches, angle, _ = turned
    table = fitted.encode(patches)
    error = after_offset(table["angle"].to_numpy(), angle)
    assert np.abs(error).max() < np.deg2rad(6)
    assert 0.7 < np.std(error / table["angle_std"]) < 1.5, "the stated deviations are those of the errors"
    assert table["angle_probability"].min() > 0.99


def test_shifts_are_found_within_their_error_bars(turned):
    fitted, patches, angle, shift = turned
    table = fitted.encode(patches)
    found = table[["shift_x", "shift_y"]].to_numpy() - shift
    # the middle of the content is the model's own choice, and turns with it
    offsets = np.column_stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)]).reshape(-1, 2, 2)
    design = np.transpose(offsets, (0, 2, 1)).reshape(-1, 2)
    rest = found.ravel() - design @ np.linalg.lstsq(design, found.ravel(), rcond=None)[0]
    assert np.std(rest) < 0.15  # px
    assert table["shift_x_std"].between(0.01, 0.3).all()


def test_a_quarter_turn_and_a_shift_of_the_patch_change_the_pose_alone(turned):
    fitted, patches, _, _ = turned
    wide = np.pad(patches, ((0, 0), (2, 2), (2, 2)), mode="edge")
    before = fitted.encode(patches)
    quarter = fitted.encode(np.rot90(patches, -1, axes=(1, 2)))  # x to y
    assert np.abs(after_offset(quarter["angle"] - np.pi / 2, before["angle"])).max() < 0.05
    moved = fitted.encode(wide[:, 2:-2, 1:-3])  # by one pixel to the right
    np.testing.assert_allclose(moved["shift_x"] - before["shift_x"], 1, atol=0.2)
    np.testing.assert_allclose(moved["shift_y"] - before["shift_y"], 0, atol=0.2)


def test_what_is_decoded_is_what_was_encoded(turned):
    fitted, patches, _, _ = turned
    rest = fitted.decode(fitted.encode(patches)).to_numpy() - patches
    assert rest.std() < 1.2 * NOISE


def test_lengths_are_those_of_the_coordinates(turned):
    _, patches, _, _ = turned
    image = make_image(patches, pixel_size=0.02).rename(frame="sample")
    calibrated = model(training={"steps": 20}).fit(image)
    table = calibrated.encode(image)
    assert table.attrs["units"] == "nm"
    assert calibrated.decode(table)["x"].attrs["units"] == "nm"
    np.testing.assert_allclose(calibrated.decode(table)["x"], image["x"])


def test_scale_is_told_from_content():
    rng = np.random.default_rng(1)
    scales = np.exp(rng.uniform(-0.25, 0.25, 260))
    patches, _, _ = stack([SHAPE] * 260, rng, farthest_px=0, scales=scales)
    fitted = model(invariances=("rotation", "scale"), scale_std=0.15).fit(patches[:200])
    found = fitted.encode(patches[200:])["scale"]
    assert np.corrcoef(np.log(found), np.log(scales[200:]))[0, 1] > 0.98


def test_kinds_are_found_whatever_their_angle():
    rng = np.random.default_rng(2)
    true = rng.integers(0, 2, 260)
    patches, _, _ = stack([(SHAPE, PAIR)[kind] for kind in true], rng, farthest_px=0.5)
    fitted = model(kinds=2, shift_std=0.03).fit(patches)
    table = fitted.encode(patches)
    agreement = np.mean(table["kind"] == true)
    assert max(agreement, 1 - agreement) > 0.95
    np.testing.assert_allclose(table["kind_0"] + table["kind_1"], 1, atol=1e-5)


def test_a_few_labels_name_the_classes_of_all():
    rng = np.random.default_rng(3)
    true = rng.integers(0, 2, 260)
    patches, _, _ = stack([(SHAPE, PAIR)[kind] for kind in true], rng, farthest_px=0.5, farthest=0)
    names = np.array(["three", "two"])[true]
    some = np.where(np.arange(260) < 200, "", names)
    some[:10] = names[:10]
    fitted = model(
        classes=["three", "two"], invariances=("translation",), shift_std=0.03, training={**BRIEF, "steps": 160}
    ).fit(patches[:200], some[:200])
    table = fitted.encode(patches[200:])
    assert np.mean(table["class"] == names[200:]) > 0.95
    told = fitted.encode(patches[200:], names[200:])
    assert (told["class"] == names[200:]).all()


def test_numbers_known_of_some_patches_are_told_of_others():
    rng = np.random.default_rng(4)
    distance = rng.uniform(4, 8, 300)  # of the blobs, px
    shapes = [np.array([[-d / 2, 0, 1.0], [d / 2, 0, 0.5]]) for d in distance]
    patches, _, _ = stack(shapes, rng, farthest_px=0.5, farthest=0)
    known = np.where(np.arange(300) % 4 == 0, distance, np.nan)
    fitted = model(numbers=True, invariances=("translation",), shift_std=0.03, training={**BRIEF, "steps": 250}).fit(
        patches[:240], known[:240]
    )
    table = fitted.encode(patches[240:])
    error = table["value"] - distance[240:]
    assert np.sqrt(np.mean(error**2)) < 0.35, "a third of the spread of the distances"


def test_shifts_of_spectra_are_linear_in_the_true_ones():
    rng = np.random.default_rng(5)
    bias = np.linspace(-1, 1, 64)
    centre, width = rng.uniform(-0.3, 0.3, 300), rng.uniform(0.08, 0.2, 300)
    spectra = np.exp(-0.5 * ((bias - centre[:, None]) / width[:, None]) ** 2) + rng.normal(0, NOISE, (300, 64))
    image = xr.DataArray(spectra, dims=("sample", "bias"), coords={"bias": ("bias", bias, {"units": "V"})})
    fitted = model(invariances=("translation",), shift_std=0.1, training={**BRIEF, "steps": 500}).fit(image[:240])
    table = fitted.encode(image[240:])
    assert table.attrs["units"] == "V"
    slope, offset = np.polyfit(centre[240:], table["shift"], 1)
    rest = table["shift"] - slope * centre[240:] - offset
    assert slope == pytest.approx(1, abs=0.03)
    assert np.std(rest) < 0.015
    assert abs(spearmanr(table["z1"], width[240:])[0]) > 0.95
    assert abs(spearmanr(table["z1"], centre[240:])[0]) < 0.3
    assert fitted.decode(table).dims == ("sample", "bias")
