import subprocess
import sys

import numpy as np
import pytest
import torch
import xarray as xr

from adatom.data import make_image
from adatom.data.training_set import open_training_set
from adatom.errors import ArgumentError, ShapeError, UnitError
from adatom.models import Segmenter
from adatom.models.batches import stack_labels
from adatom.train.loop import evaluate
from adatom.train.losses import weighted_loss

BRIEF = {"steps": 4, "batch_size": 2, "validate_every": 2, "validation_images": 2, "seed": 1}


def brief(**arguments) -> Segmenter:
    return Segmenter(**{"width": 4, "depth": 2, "training": BRIEF, **arguments})


def same_weights(first: Segmenter, second: Segmenter) -> bool:
    states = first.net_.state_dict(), second.net_.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def changed(recipe, part: str, **update):
    return recipe.model_copy(update={part: getattr(recipe, part).model_copy(update=update)})


def some_image(shape=(31, 44), **options) -> xr.DataArray:
    return make_image(np.random.default_rng(0).normal(size=shape), **{"pixel_size": 0.1, **options})


def atom_probability(maps: xr.DataArray) -> xr.DataArray:
    return 1 - maps.sel({"class": "background"})


# ---------------------------------------------------------------- fit


def test_a_recipe_is_learned(tiny_model, tiny_recipe):
    assert tiny_model.classes_ == ["A", "B"]
    assert tiny_model.figures_["val_f1"] > 0.8
    assert tiny_model.recipe_ == tiny_recipe and tiny_model.seed_ == 1
    assert [record["step"] for record in tiny_model.history_] == list(range(1, 121))


def test_the_working_scale_is_measured_on_the_training_images(tiny_model):
    bond_px = 1.2 / np.sqrt(3) / 0.1
    scale = tiny_model.scale_
    assert scale["pixel_size_nm"] == 0.1 and scale["calibrated"]
    assert scale["label_radius_px"] == pytest.approx(2.0)
    assert scale["spacing_px"] == pytest.approx(bond_px, rel=0.06)
    rows_px = [1.5 * bond_px, np.sqrt(0.75) * bond_px]  # distances of the densest rows of atoms
    assert min(abs(scale["period_px"] / row - 1) for row in rows_px) < 0.06


def test_figures_are_those_of_the_kept_net_on_its_validation_images(tiny_model, tiny_recipe):
    samples = tiny_model.source_.validation(tiny_recipe.training.validation_images)
    loss = weighted_loss(tiny_recipe.training.loss)
    again = evaluate(tiny_model.net_, [stack_labels(samples, 4)], loss, "cpu")
    judged = [record for record in tiny_model.history_ if "val_loss" in record]
    assert again["val_loss"] == tiny_model.figures_["val_loss"] == min(record["val_loss"] for record in judged)
    assert again["val_iou"] == tiny_model.figures_["val_iou"]


def test_a_stored_set_is_learned_from_its_path_and_from_memory_alike(tiny_store):
    data = open_training_set(tiny_store)
    models = [brief().fit(source) for source in (tiny_store, str(tiny_store), data, data.load())]
    assert all(same_weights(models[0], model) for model in models[1:])
    assert models[0].classes_ == ["A", "B"] and models[0].recipe_ is None
    assert models[0].predict(some_image()).dims == ("class", "y", "x")


def test_whether_nm_mean_something_is_known_of_a_stored_set_too(tiny_recipe, tiny_store):
    data = open_training_set(tiny_store).load()
    nominal = changed(tiny_recipe, "microscope", scale_from="spacing").to_yaml()
    calibrated = [
        brief().fit(data.assign_attrs(attrs)).scale_["calibrated"]
        for attrs in ({}, {"recipe": ""}, {"recipe": nominal}, {"recipe": "", "pixel_size_nm": None})
    ]
    assert calibrated == [True, True, False, False]


def test_images_of_a_size_that_the_network_does_not_divide_are_learned(brief_recipe):
    model = Segmenter(training=BRIEF).fit(changed(brief_recipe, "microscope", image_size=35))
    assert len(model.history_) == 4


def test_arguments_go_before_the_recipe(brief_recipe):
    model = Segmenter(width=3, depth=1, classes=["Mo", "S2"], random_state=9, training=BRIEF).fit(brief_recipe)
    assert model.architecture_["arguments"] == {"classes": 3, "width": 3, "depth": 1}
    assert model.classes_ == ["Mo", "S2"] and model.seed_ == 9
    assert len(model.history_) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classes": ["A"]}, r"classes: expected 2 different names, got \['A'\]"),
        ({"classes": ["A", "A"]}, "classes: expected 2 different names"),
        ({"net": "resnext"}, "architecture: expected one of unet.*got 'resnext'"),
        ({"width": 0}, "width: expected a whole number of at least 1, got 0"),
        ({"depth": -1}, "depth: expected a whole number of at least 1, got -1"),
        ({"training": {"stepz": 3}}, "training: stepz: Extra inputs are not permitted"),
        ({"training": {"steps": 0}}, "training: steps: Input should be greater than or equal to 1"),
        ({"random_state": -1}, "training: seed: Input should be greater than or equal to 0"),
        ({"random_state": "today"}, "training: seed: Input should be a valid integer"),
    ],
)
def test_arguments_that_make_no_sense_say_what_was_expected(brief_recipe, arguments, message):
    with pytest.raises(ArgumentError, match=message) as error:
        brief(**arguments).fit(brief_recipe)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda data: data.drop_vars("label"), ShapeError, "expected label"),
        (lambda data: data.isel(sample=slice(1)), ShapeError, "at least two images"),
        (lambda data: data.isel(y=slice(40)), ShapeError, "square images"),
        (lambda data: data.assign(label=data["label"] + 1), ArgumentError, "labels from 0 to 2, got 1 to 3"),
        (lambda data: data.isel(atom=slice(0)).assign(label=0 * data["label"]), ArgumentError, "known atoms, or class"),
    ],
)
def test_sets_that_cannot_be_learned_say_why(tiny_store, change, error, message):
    with pytest.raises(error, match=message):
        brief().fit(change(open_training_set(tiny_store).load()))


def test_training_samples_are_what_the_network_was_shown_first(tiny_model):
    images, labels = tiny_model.training_samples(3)
    first_images, first_labels = tiny_model.source_.batch(1)
    assert images.shape == labels.shape == (3, 48, 48)
    assert np.array_equal(images.astype(np.float32), first_images[:3, 0]) and np.array_equal(labels, first_labels[:3])


# ---------------------------------------------------------------- predict


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 5), (8, 8), (33, 47)])
@pytest.mark.parametrize("pixel_size", [None, 0.1, 0.07, (0.2, 0.05)])
def test_maps_are_probabilities_that_span_an_image_of_any_size(tiny_model, shape, pixel_size):
    image = some_image(shape, pixel_size=pixel_size)
    maps = tiny_model.predict(image)
    assert maps.dims == ("class", "y", "x")
    assert maps.coords["class"].to_numpy().tolist() == ["background", "A", "B"]
    assert float(maps.min()) >= 0 and float(maps.max()) <= 1
    np.testing.assert_allclose(maps.sum("class"), 1, atol=1e-5)
    for dim in ("y", "x"):
        assert maps[dim].attrs["units"] == image[dim].attrs["units"]
        assert edges(maps[dim], image[dim]) == pytest.approx(edges(image[dim], image[dim]))


def edges(positions: xr.DataArray, original: xr.DataArray) -> tuple[float, float]:
    """Where the first pixel begins and the last one ends; one pixel alone is as wide as the whole original."""
    values = positions.to_numpy()
    whole = np.ptp(original.to_numpy()) * len(original) / max(1, len(original) - 1)
    step = values[1] - values[0] if len(values) > 1 else whole or 1.0
    return values[0] - step / 2, values[-1] + step / 2


def honeycomb(height_nm: float, width_nm: float) -> np.ndarray:
    """Positions (y, x) [nm] and heights of the atoms of the tiny recipe's crystal, turned by 20 degrees."""
    cells = np.stack(np.meshgrid(*[np.arange(-9.0, 10.0)] * 2), axis=-1).reshape(-1, 1, 2)
    vectors = 1.2 * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    turn = np.array([[np.cos(0.35), -np.sin(0.35)], [np.sin(0.35), np.cos(0.35)]])
    positions = (cells + np.array([[0.0, 0.0], [1 / 3, 1 / 3]])) @ vectors @ turn
    heights = np.broadcast_to([1.0, 0.5], positions.shape[:2])[..., None]
    atoms = np.concatenate([positions, heights], axis=-1).reshape(-1, 3)
    return atoms[(atoms[:, 0] > 0) & (atoms[:, 0] < height_nm) & (atoms[:, 1] > 0) & (atoms[:, 1] < width_nm)]


@pytest.mark.parametrize("pixel_size", [0.1, 0.07, (0.05, 0.1), (0.1, 0.04)])
def test_a_position_in_the_maps_is_a_position_in_the_image(tiny_model, pixel_size):
    """A crystal whose atoms are known in nm, measured with square pixels or not: they are found where they are."""
    size = np.broadcast_to(pixel_size, 2)
    shape = tuple(np.round([5.0, 4.0] / size).astype(int))
    known = honeycomb(5.0, 4.0)
    image = make_image(np.zeros(shape), pixel_size=pixel_size)
    for y, x, height in known:
        image = image + height * np.exp(-((image.y - y) ** 2 + (image.x - x) ** 2) / 2 / 0.16**2)
    seen = tiny_model.look(image.to_numpy(), tiny_model.working_factors(image)[0])
    maps = tiny_model.maps_as_image(seen, image)
    xr.testing.assert_identical(maps, tiny_model.predict(image))
    peaks = tiny_model.peaks(seen)
    found = [p * float(image[dim].diff(dim).mean()) for p, dim in ((peaks.y, "y"), (peaks.x, "x"))]
    offset = np.column_stack(found)[:, None] - known[None, :, :2]  # (found, known, 2)
    offset = offset[np.hypot(*offset.transpose(2, 0, 1)) < 0.2]
    assert len(offset) >= 0.9 * len(known)
    assert np.abs(offset.mean(axis=0)).max() < 0.02
    assert np.sqrt((offset**2).mean(axis=0)).max() < 0.06


def test_maps_reach_beyond_the_image_by_the_margin_and_the_inner_part_is_the_image(tiny_model):
    margin = tiny_model.scale_["margin_px"]
    image = some_image((31, 44))
    seen = tiny_model.look(image.to_numpy(), (1.0, 1.0))
    assert margin > 0 and seen.values.shape == (3, 31 + 2 * margin, 44 + 2 * margin)
    np.testing.assert_allclose(tiny_model.inner(seen), tiny_model.predict(image, factor=(1.0, 1.0)), atol=1e-6)


def test_an_atom_that_the_border_cuts_is_placed_where_it_is_also_outside(tiny_model):
    """A crystal is cut at every line of atoms: most of those just outside are seen, and left outside."""
    known = honeycomb(7.0, 7.0)[:, :2] / 0.1
    rows, columns = np.mgrid[:70, :70]
    whole = np.zeros((70, 70))
    for (y, x), height in zip(known, honeycomb(7.0, 7.0)[:, 2], strict=True):
        whole += height * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 2 / 1.6**2)
    n_outside, shift = 0, []
    for left in range(10, 34):
        peaks = tiny_model.peaks(tiny_model.look(whole[10:60, left:60], (1.0, 1.0)))
        just_outside = known[(known[:, 1] < left - 0.6) & (known[:, 1] > left - 2.1)] - [10, left]
        just_outside = just_outside[np.abs(just_outside[:, 0] - 25) < 20]
        apart = np.hypot(peaks.y - just_outside[:, :1], peaks.x - just_outside[:, 1:])  # (known, found)
        nearest, match = apart.argmin(axis=1), apart.min(axis=1) < 2
        n_outside += len(just_outside)
        shift += list((peaks.x[nearest] - just_outside[:, 1])[match])
    assert n_outside > 15
    assert len(shift) > 0.6 * n_outside
    # drawn to the border they would be 0.85 px off; such models, trained from other seeds, are 0.02 to 0.57 px off
    assert abs(np.mean(shift)) < 0.7


def test_a_glance_is_a_rougher_look_at_several_pieces_at_once(tiny_model, tiny_store):
    values = open_training_set(tiny_store)["image"][0].to_numpy()
    pieces, factors = [values, values[:30, :40]], [1.0, 0.9]
    for piece, factor, maps in zip(pieces, factors, tiny_model.glance(pieces, factors), strict=True):
        exact = tiny_model.look(piece, (factor, factor), is_levelled=True)
        assert maps.factor == exact.factor and maps.values.shape == exact.values.shape
        assert maps.contrast == exact.contrast
        assert np.abs(tiny_model.inner(maps) - tiny_model.inner(exact)).mean() < 0.03


def test_coordinates_follow_the_image_wherever_it_lies_and_whatever_its_unit(tiny_model):
    image = some_image(pixel_size=0.08)
    maps = tiny_model.predict(image)
    moved = image.assign_coords({dim: (dim, image[dim].to_numpy() + 50, {"units": "nm"}) for dim in ("y", "x")})
    angstrom = image.assign_coords({dim: (dim, image[dim].to_numpy() * 10, {"units": "angstrom"}) for dim in "yx"})
    np.testing.assert_allclose(tiny_model.predict(moved)["x"], maps["x"] + 50)
    np.testing.assert_allclose(tiny_model.predict(angstrom)["y"], maps["y"] * 10)
    assert tiny_model.predict(angstrom)["y"].attrs["units"] == "angstrom"
    np.testing.assert_array_equal(tiny_model.predict(angstrom), maps)


def test_a_stack_is_its_frames_one_by_one(tiny_model):
    stack_of_images = some_image((3, 21, 30))
    maps = tiny_model.predict(stack_of_images)
    assert maps.dims == ("frame", "class", "y", "x")
    assert maps["frame"].equals(stack_of_images["frame"])
    for k in range(3):
        np.testing.assert_array_equal(maps.isel(frame=k), tiny_model.predict(stack_of_images.isel(frame=k)))


@pytest.mark.parametrize("dims", [("x", "y"), ("x", "frame", "y"), ("y", "x", "frame")])
def test_dimensions_go_by_their_names_not_by_their_order(tiny_model, dims):
    image = some_image((2, 21, 30)) if len(dims) == 3 else some_image((21, 30))
    xr.testing.assert_identical(tiny_model.predict(image.transpose(*dims)), tiny_model.predict(image))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image * 1e-12 + 5e-9,
        lambda image: image * 1e12,
        lambda image: image + 3 * image.x + 2 * image.y,
    ],
)
def test_neither_units_nor_offset_nor_tilt_of_the_values_matter(tiny_model, change):
    image = some_image()
    np.testing.assert_allclose(tiny_model.predict(change(image)), tiny_model.predict(image), atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, 0.0, -7.5, np.inf, 1e300])
def test_an_image_without_contrast_holds_no_atoms_and_no_nan(tiny_model, value):
    maps = tiny_model.predict(make_image(np.full((20, 30), value), pixel_size=0.1))
    assert np.isfinite(maps).all()
    assert float(atom_probability(maps).max()) < 0.5


def test_pixels_that_were_not_measured_leave_the_rest_as_it_was(tiny_model, tiny_store):
    values = open_training_set(tiny_store)["image"][0].to_numpy()
    holed = values.copy()
    holed[:, 40:] = np.nan
    whole, partly = (tiny_model.predict(make_image(v, pixel_size=0.1)) for v in (values, holed))
    assert np.isfinite(partly).all()
    agree = whole.argmax("class").isel(x=slice(30)) == partly.argmax("class").isel(x=slice(30))
    assert float(agree.mean()) > 0.97


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "bool"])
def test_values_of_any_real_type_are_read(tiny_model, dtype):
    values = (np.random.default_rng(0).random((20, 30)) * 100).astype(dtype)
    np.testing.assert_array_equal(
        tiny_model.predict(make_image(values, pixel_size=0.1)),
        tiny_model.predict(make_image(values.astype(float), pixel_size=0.1)),
    )


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (np.zeros((4, 4)), ArgumentError),
        (xr.DataArray(np.zeros((4, 4)), dims=("y", "x")), UnitError),
        (xr.DataArray(np.zeros((4, 4)), dims=("row", "column")), ShapeError),
        (some_image((4, 5, 6)).rename(frame="energy"), ShapeError),
        (some_image((4, 5)).isel(y=slice(0)), ShapeError),
        (some_image((4, 5)) + 1j, ArgumentError),
    ],
)
def test_what_is_no_image_is_refused(tiny_model, image, error):
    with pytest.raises(error, match=r"image: expected .*got"):
        tiny_model.predict(image)


def test_history_says_at_which_scale_the_image_was_seen(tiny_model):
    image = some_image((20, 40), pixel_size=0.05, history=["read from a.tif"])
    maps = tiny_model.predict(image)
    assert maps.attrs["history"] == ["read from a.tif", "seen at 0.5 x 0.5 working pixels a pixel"]
    assert image.attrs["history"] == ["read from a.tif"]


def test_the_calibration_is_the_first_scale_to_try(tiny_model):
    assert tiny_model.working_factors(some_image(pixel_size=(0.2, 0.05)))[0] == pytest.approx((2.0, 0.5))


def test_without_a_calibration_the_period_of_the_lattice_gives_the_scale(tiny_model, tiny_recipe):
    from adatom.simulate import simulate_image

    coarse = changed(tiny_recipe, "microscope", pixel_size_nm=0.07, image_size=96, scale=(1.0, 1.0))
    values = simulate_image(coarse, seed=0, index=0).image
    factors = [factor for factor, _ in tiny_model.working_factors(make_image(values))]
    assert any(factor == pytest.approx(0.7, rel=0.1) for factor in factors)


@pytest.mark.parametrize("pixel_size", [(1.0, 1e-3), (1e-3, 1.0), 1e3, (1e6, 1e-6)])
def test_an_absurd_calibration_makes_no_image_that_fills_the_memory(tiny_model, pixel_size):
    maps = tiny_model.predict(some_image((64, 64), pixel_size=pixel_size))
    assert maps.size < 3 * 64 * 16384


# ---------------------------------------------------------------- save and load


def test_a_fresh_process_sees_the_same_maps(tiny_model, tmp_path):
    tiny_model.save(tmp_path / "m.safetensors")
    image = some_image()
    np.save(tmp_path / "image.npy", image)
    code = """
import sys, numpy, adatom
folder = sys.argv[1]
image = adatom.make_image(numpy.load(f"{folder}/image.npy"), pixel_size=0.1)
numpy.save(f"{folder}/maps.npy", adatom.load(f"{folder}/m.safetensors").predict(image))
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert np.load(tmp_path / "maps.npy").tobytes() == tiny_model.predict(image).to_numpy().tobytes()


def test_the_header_tells_what_the_model_is_and_where_it_comes_from(tiny_model, tiny_recipe, tmp_path):
    from adatom.models.catalogue import read_header
    from adatom.models.recipe import parse_recipe

    tiny_model.save(tmp_path / "m.safetensors")
    header = read_header(tmp_path / "m.safetensors")
    assert {key: value for key, value in header.items() if key != "sha256"} == tiny_model.header()
    assert header["name"] == "tiny" and header["kind"] == "Segmenter" and header["classes"] == ["A", "B"]
    assert header["architecture"] == {"name": "unet", "arguments": {"classes": 3, "width": 4, "depth": 2}}
    assert header["scale"]["pixel_size_nm"] == 0.1 and header["preprocessing"]["clip"] > 0
    assert parse_recipe(header["recipe"]) == tiny_recipe and header["seed"] == 1
    assert set(header["versions"]) == {"adatom", "torch", "python"} and header["licence"] == "MIT"
    assert header["figures"]["val_f1"] == tiny_model.figures_["val_f1"]


def test_a_step_through_an_image_hardly_changes_what_is_seen(tiny_model):
    rows, columns = np.mgrid[:96, :96]
    crystal = np.zeros((96, 96))
    for y, x, height in honeycomb(9.6, 9.6):
        crystal += height * np.exp(-((rows - y / 0.1) ** 2 + (columns - x / 0.1) ** 2) / 2 / 1.6**2)
    stepped = crystal + 20.0 * (columns > 50 + 0.1 * rows)
    flat, beside = (tiny_model.look(values, (1.0, 1.0)).values for values in (crystal, stepped))
    assert np.abs(flat - beside).mean() < 0.03
