"""From image to spectrum and back, on simulated loops that a tiny network learns in seconds."""

import json

import numpy as np
import pytest
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import adatom
from adatom import ImageToSpectrum, SpectrumToImage
from adatom.data import make_image
from adatom.errors import ArgumentError, ModelFileError, ShapeError, UnitError
from adatom.models.attribution import integrated_gradients, occlusion
from adatom.models.catalogue import read_header
from adatom.models.header import sealed
from adatom.models.manifold import lay_out
from adatom.models.spectrum_comparison import compare, descriptor_table, judge, r2_score
from adatom.prepare.spectrum_pairs import pair_up
from adatom.simulate.loops import domain_polarisation, simulate_loops

TINY = {
    "width": 4,
    "filters": 6,
    "latent": 3,
    "n_members": 2,
    "patch_size_nm": 25.0,
    "training": {"steps": 40, "learning_rate": 0.01, "validate_every": 20},
}


@pytest.fixture(scope="module")
def scan():
    rng = np.random.default_rng(0)
    return simulate_loops(domain_polarisation(28, rng), rng, determined=0.9, n_points=16, pixel_size=5.0)


@pytest.fixture(scope="module")
def model(scan):
    return ImageToSpectrum(**TINY, random_state=1).fit(scan.image, scan.spectra)


@pytest.fixture(scope="module")
def pairs(scan):
    return pair_up(scan.image, scan.spectra, patch_size_nm=25.0)


@pytest.fixture(scope="module")
def reverse(scan):
    return SpectrumToImage(**TINY, random_state=1).fit(scan.spectra, scan.image)


def weights(model):
    return {name: value.clone() for name, value in model.net_.state_dict().items()}


# ---------------------------------------------------------------- learning and predicting


@pytest.mark.parametrize("faithful", [-10.0, 2.0])
def test_a_student_predicts_where_it_is_faithful(pairs, monkeypatch, tmp_path, faithful):
    monkeypatch.setattr("adatom.models.pair_model._FAITHFUL", faithful)
    model = ImageToSpectrum(**{**TINY, "training": {"steps": 5}}).fit_pairs(pairs)
    assert "student_gives_back" in model.figures_ and (model.student_ is None) == (faithful > 1)
    some = pairs.patches[:5]
    said, whole = (model.predict_patches(some, opinion=opinion)[0] for opinion in ("blend", "whole"))
    assert np.array_equal(said, whole) == (faithful > 1)
    model.save(tmp_path / "m.safetensors")
    loaded = adatom.load(tmp_path / "m.safetensors")
    assert np.array_equal(loaded.predict_patches(some)[0], said)
    assert ImageToSpectrum(**{**TINY, "training": {"steps": 5}}, distil=False).fit_pairs(pairs).student_ is None


def test_it_predicts_what_the_structure_determines_and_says_how_sure_it_is(model):
    """On a specimen that it has not seen."""
    rng = np.random.default_rng(9)
    scan = simulate_loops(domain_polarisation(28, rng), rng, determined=0.9, n_points=16, pixel_size=5.0)
    predicted = model.predict(scan.image)
    inside = np.isfinite(predicted["spectrum"].to_numpy()).all(axis=2)
    assert inside.sum() == 24 * 24  # patches of 5 x 5 px
    assert r2_score(scan.from_structure.to_numpy()[inside], predicted["spectrum"].to_numpy()[inside]) > 0.8
    error = np.abs(predicted["spectrum"] - scan.spectra).to_numpy()[inside]
    std = predicted["spectrum_std"].to_numpy()[inside]
    assert (error < 1.645 * std).mean() > 0.85
    assert np.sqrt(np.mean(std**2)) < 2.5 * np.sqrt(np.mean(error**2))
    assert predicted["spectrum"].dims == ("y", "x", "bias")
    assert predicted["bias"].attrs["units"] == "V" and predicted["y"].equals(scan.image["y"])


def test_a_mirrored_border_gives_every_pixel_a_spectrum(scan):
    model = ImageToSpectrum(**{**TINY, "blend": False}, border="mirror").fit(scan.image, scan.spectra)
    assert np.isfinite(model.predict(scan.image)["spectrum"]).all()
    assert model.blend_ == {"network": 1.0} and model.baselines_ is None


def test_arguments_stay_and_what_it_learned_ends_in_an_underscore(model):
    params = model.get_params()
    assert params["width"] == 4 and params["n_members"] == 2 and params["latent"] == 3
    learned = {name for name in vars(model) if not name.startswith("_")} - set(params)
    assert all(name.endswith("_") for name in learned)
    with pytest.raises(ArgumentError, match="Call fit first"):
        ImageToSpectrum().predict(make_image(np.zeros((9, 9))))


def test_the_same_seed_gives_the_same_model_and_the_users_generator_stays(scan, pairs):
    torch.manual_seed(77)
    before = torch.get_rng_state()
    brief = {**TINY, "training": {"steps": 4}, "blend": False}
    first = ImageToSpectrum(**brief, random_state=3).fit_pairs(pairs)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second = ImageToSpectrum(**brief, random_state=3).fit_pairs(pairs)
    other = ImageToSpectrum(**brief, random_state=4).fit_pairs(pairs)
    assert all(torch.equal(value, weights(second)[name]) for name, value in weights(first).items())
    assert not all(torch.equal(value, weights(other)[name]) for name, value in weights(first).items())


def test_held_out_blocks_were_not_seen(model, pairs):
    for fold in model.held_out_.folds:
        assert not set(fold.train) & set(fold.test)
    assert np.isfinite(model.held_out_.model).all() and (model.held_out_.std > 0).all()
    assert set(model.held_out_.said) == {"blend", "network", "ridge", "trees"}


def test_turning_is_for_patches_that_have_a_middle(scan):
    with pytest.raises(ArgumentError, match="has another pixel in its middle"):
        ImageToSpectrum(patch_size_px=4, augmentation=True, n_members=2).fit(scan.image, scan.spectra)


def test_several_channels_and_spectra(scan):
    both = [scan.image, make_image(scan.image.to_numpy() ** 2, pixel_size=5.0)]
    brief = {**TINY, "training": {"steps": 4}}
    model = ImageToSpectrum(**brief).fit(both, [scan.spectra, 2 * scan.spectra])
    predicted = model.predict(both)
    assert predicted["spectrum"].dims == ("spectrum", "y", "x", "bias") and predicted.sizes["spectrum"] == 2
    with pytest.raises(ShapeError, match="expected 2 channels, as in the training, got 1"):
        model.predict(scan.image)


def test_a_ved_has_a_latent_space_that_knows_no_direction(scan):
    settings = {**TINY, "latent": 2, "training": {"steps": 10}}
    model = ImageToSpectrum(**settings, net="ved", invariance="rotation").fit(scan.image, scan.spectra)
    assert model.transform(scan.image).shape == (28, 28, 2)
    turned = make_image(np.rot90(scan.image.to_numpy()).copy(), pixel_size=5.0)
    codes, of_turned = model.transform(scan.image).to_numpy(), model.transform(turned).to_numpy()
    assert np.allclose(np.rot90(codes), of_turned, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"net": "resnet"}, "expected one of im2spec, ved"),
        ({"n_members": 0}, "n_members: expected a whole number of at least 1"),
        ({"invariance": "rotation"}, "Only an ImageToSpectrum with net='ved'"),
        ({"training": {"stepz": 4}}, "training: "),
    ],
)
def test_arguments_that_make_no_sense_say_so(scan, arguments, told):
    with pytest.raises(ArgumentError, match=told):
        ImageToSpectrum(**{**TINY, **arguments}).fit(scan.image, scan.spectra)


def test_images_that_do_not_fit_the_model_say_so(scan, model):
    with pytest.raises(UnitError, match="expected pixels of 5 x 5 nm, as in the training, got 7 x 7"):
        model.predict(make_image(scan.image.to_numpy(), pixel_size=7.0))
    with pytest.raises(UnitError, match="got an image in pixels"):
        model.predict(make_image(scan.image.to_numpy()))
    with pytest.raises(ShapeError, match=r"patches: expected \(n, 1, 5, 5\)"):
        model.predict_patches(np.zeros((3, 1, 4, 4)))


def test_too_few_spectra_say_so(scan):
    few = scan.spectra.isel(y=slice(0, 1), x=slice(0, 2))
    with pytest.raises(ArgumentError, match="Measure more spectra"):
        ImageToSpectrum(patch_size_nm=5.0, n_members=5, clean=False).fit(scan.image, few)


# ---------------------------------------------------------------- keeping


@pytest.mark.parametrize("which", ["model", "reverse"])
def test_a_model_comes_back_from_its_file_as_it_went_in(which, scan, tmp_path, request):
    model = request.getfixturevalue(which)
    given = scan.image if which == "model" else scan.spectra
    path = tmp_path / "m.safetensors"
    model.save(path)
    loaded = adatom.load(path)
    assert type(loaded) is type(model)
    assert loaded.predict(given).equals(model.predict(given))
    assert loaded.transform(given).equals(model.transform(given))
    assert loaded.header() == model.header()
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header, tensors: header["architecture"]["arguments"].update(length=10**9),
        lambda header, tensors: header["architecture"]["arguments"].update(length=17),
        lambda header, tensors: header["architecture"].update(name="unet"),
        lambda header, tensors: header.update(n_members=3),
        lambda header, tensors: header.update(blend={"ridge": 1.0}),
        lambda header, tensors: header.update(axis={"name": "mood", "units": "V"}),
        lambda header, tensors: tensors.pop("beside/std_factor"),
        lambda header, tensors: tensors.pop("beside/components"),
        lambda header, tensors: tensors.update({"beside/axis": np.zeros(3)}),
        lambda header, tensors: tensors.update({"beside/trees_left": 0 * tensors["beside/trees_left"]}),
        lambda header, tensors: tensors.update({"beside/ridge_offset": np.full(16, np.nan)}),
        lambda header, tensors: tensors.update({"beside/components": np.float64(1.0)}),
    ],
)
def test_a_spoilt_file_is_refused_in_one_sentence(model, tmp_path, spoil):
    path = tmp_path / "m.safetensors"
    model.save(path)
    header, tensors = read_header(path), load_tensors(path.read_bytes())
    spoil(header, tensors)
    tensors = {name: np.atleast_1d(value) for name, value in tensors.items()}
    path.write_bytes(save_tensors(tensors, metadata={"adatom": json.dumps(sealed(header, tensors))}))
    with pytest.raises(ModelFileError, match="is damaged") as error:
        adatom.load(path)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- judging


def test_baselines_stand_beside_the_model(model, pairs):
    comparison = compare(model, pairs)
    table = comparison.table.set_index("model")
    assert table["is_baseline"].sum() == 6 and {"ImageToSpectrum", "network alone"} <= set(table.index)
    assert (table["r2_low"] <= table["r2"] + 1e-9).all() and (table["r2"] <= table["r2_high"] + 1e-9).all()
    assert table["r2"]["mean spectrum"] <= 0.05
    assert table["r2"].is_monotonic_decreasing
    descriptors = descriptor_table(comparison, pairs, lambda places, spectra: {"height": np.ptp(spectra, axis=1)})
    assert len(descriptors) == len(table) and descriptors["n"].eq(len(pairs)).all()


@pytest.mark.parametrize(
    ("noise", "told"),
    [(0.1, "is better than the best baseline"), (0.3, "NOT better"), (0.9, "WORSE than the best baseline")],
)
def test_the_verdict_is_plain(pairs, noise, told):
    rng = np.random.default_rng(0)
    scatter = [rng.standard_normal(pairs.spectra.shape) for _ in range(2)]
    said = {"ours": pairs.spectra + noise * scatter[0], "ridge": pairs.spectra + 0.3 * scatter[1]}
    comparison = judge(said, pairs, model="ours")
    assert told in comparison.verdict
    assert comparison.beats_baselines == (noise == 0.1)


# ---------------------------------------------------------------- where it comes from


def test_contributions_of_pixels_add_up(model, pairs):
    patch, weight = pairs.patches[40], np.ones((1, 16)) / 16
    contribution = integrated_gradients(model, patch, weight)
    whole, empty = (
        model.predict_patches(each[None], opinion="network")[0][0, 0] @ weight[0]
        for each in (patch, np.broadcast_to(model.patch_scale_.middle[:, None, None], patch.shape))
    )
    assert contribution.shape == patch.shape
    assert contribution.sum() == pytest.approx(whole - empty, abs=0.05 * max(1, abs(whole - empty)))


def test_covering_a_pixel_that_matters_changes_the_spectrum(model, pairs):
    change = occlusion(model, pairs.patches[40], lambda spectra: spectra.mean(axis=1))
    assert change.shape == (5, 5) and np.abs(change).max() > 0
    with pytest.raises(ArgumentError, match="odd number"):
        occlusion(model, pairs.patches[0], lambda spectra: spectra[:, 0], size=2)


def test_the_latent_space_is_laid_out(model, pairs):
    manifold = lay_out(model, pairs.patches, side=4)
    assert manifold.spectra.shape == (4, 4, 16) and manifold.patches.shape == (4, 4, 5, 5)
    assert manifold.along[0] != manifold.along[1]
    assert np.allclose(manifold.spectra[1, 2], model.decode(manifold.codes[1, 2][None])[0, 0])


# ---------------------------------------------------------------- back


def test_structures_from_spectra(scan, reverse):
    predicted = reverse.predict(scan.spectra)
    assert predicted["patch"].dims == ("y", "x", "channel", "patch_y", "patch_x")
    middle = predicted["patch"].sel(patch_y=0, patch_x=0, channel=0).to_numpy()
    assert np.corrcoef(middle.ravel(), scan.image.to_numpy().ravel())[0, 1] > 0.8
    assert (predicted["patch_std"] > 0).all()
    assert reverse.decode(np.zeros((2, 3))).shape == (2, 1, 5, 5)
    with pytest.raises(ShapeError, match="expected the bias axis of the training"):
        reverse.predict(scan.spectra.isel(bias=slice(0, 9)))
