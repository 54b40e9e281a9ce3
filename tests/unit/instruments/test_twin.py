"""A twin shows what its sample shows, with the faults of a laboratory where they are asked for."""

import json

import numpy as np
import pytest
import yaml

from adatom.data import make_image
from adatom.errors import ArgumentError, InstrumentError, MissingFileError, RecipeError, ShapeError
from adatom.instruments import ScanFrame, SpectrumSettings
from adatom.instruments.samples import AtomSample, LoopSample, RecordedSample, atom_sample, recorded_sample
from adatom.instruments.twin import Twin, World, open_twin
from tests.conftest import TINY_RECIPE

EXAMPLE = "src/adatom/examples/pto_loops.h5"


def ready(**settings):
    twin = open_twin(**settings)
    twin.make_ready()
    return twin


def whole(sample, pixels=32):
    offer = sample.offer
    return ScanFrame(0, 0, offer.width_nm, offer.height_nm, pixels, pixels, 1e-4)


def gradient():
    """A sample whose value is its x, in nm."""
    column = np.arange(-50, 51.0)
    loops = np.zeros((101, 101, 4)) + column[None, :, None]
    coordinates = {"bias": (np.array([0.0, 1, 0, -1]), "V")}
    dims = ("y", "x", "bias")
    return RecordedSample(make_image(loops, pixel_size=1.0, dims=dims, coordinates=coordinates, signal="Value"))


def test_a_recorded_sample_is_played_back_where_it_was_measured():
    import adatom

    recorded = adatom.read(EXAMPLE)
    twin = ready(data=EXAMPLE)
    pixel = 2000 / 49
    twin.move(-24.5 * pixel + 10 * pixel, -24.5 * pixel + 3 * pixel, speed_nm_per_s=1e4)
    sweep = recorded["bias"].to_numpy()
    spectrum = twin.spectrum(SpectrumSettings("bias", sweep, 0.01))
    assert np.array_equal(spectrum, recorded[3, 10].astype(float))
    edge = 50 * pixel
    image = twin.scan(ScanFrame(0, 0, edge, edge, 50, 50, 1e-4))["Piezoresponse"]
    assert np.allclose(image, recorded[:, :, 0]) and image.attrs["units"] == "a.u."
    with pytest.raises(InstrumentError, match="got others"):
        twin.spectrum(SpectrumSettings("bias", sweep[::-1], 0.01))


def test_images_of_other_files_are_channels_beside_the_spectra():
    sample = recorded_sample(EXAMPLE, ["src/adatom/examples/nanonis.sxm"])
    assert {"Piezoresponse", "Z", "Current"} <= set(sample.offer.channels)
    with pytest.raises(ArgumentError, match="a file with a spectrum image"):
        recorded_sample("src/adatom/examples/nanonis.sxm")


def test_atoms_answer_by_their_species(tmp_path):
    recipe = tmp_path / "atoms.yaml"
    recipe.write_text(yaml.safe_dump(TINY_RECIPE))
    sample = atom_sample(recipe, seed=1)
    assert len(sample.peaks) == 2 and len(set(sample.species)) == 2
    for x, y, species in list(zip(sample.x_nm, sample.y_nm, sample.species, strict=True))[:5]:
        spectrum = sample.respond(x, y, sample.offer.values)
        flat = spectrum - 0.2 - 0.3 * sample.offer.values**2
        assert sample.offer.values[np.argmax(flat)] == pytest.approx(sample.peaks[species])
        seen = float(sample.look("Z", np.array([x]), np.array([y]))[0])
        assert seen > np.median(sample.look("Z", *np.meshgrid(np.linspace(-2, 2, 50), np.linspace(-2, 2, 50))))
    (tmp_path / "odd.yaml").write_text("material: 3")
    with pytest.raises(RecipeError):
        atom_sample(tmp_path / "odd.yaml", seed=0)
    with pytest.raises(MissingFileError):
        atom_sample(tmp_path / "none.yaml", seed=0)


def test_drift_moves_the_sample_and_creep_lets_the_probe_lag():
    twin = Twin(gradient(), World(drift_nm_per_s=(0.1, 0.0), settle_s=0.0, overhead_s=0.0))
    twin.make_ready()
    twin.move(10, 0, speed_nm_per_s=0.5)  # takes 20 s, in which the sample goes 2 nm along x
    spectrum = SpectrumSettings("bias", np.array([0.0, 1, 0, -1]), 1e-3)
    assert float(twin.spectrum(spectrum)[0]) == 8.0
    lagging = Twin(gradient(), World(creep=0.1, creep_s=10.0, settle_s=0.0, overhead_s=0.0))
    lagging.make_ready()
    lagging.move(-40, 0, speed_nm_per_s=1e6)
    assert float(lagging.spectrum(spectrum)[0]) == -36.0
    lagging.scan(ScanFrame(0, 0, 10, 10, 100, 100, 0.01))  # 200 s later it has arrived
    assert float(lagging.spectrum(spectrum)[0]) == -40.0


def test_noise_is_a_share_of_what_is_seen_and_the_same_for_a_seed():
    sample = LoopSample(size_px=32)
    images = [ready(sample=sample, noise=noise, seed=seed) for noise, seed in [(0.0, 1), (0.1, 1), (0.1, 1), (0.1, 2)]]
    clean, *noisy = (each.scan(whole(sample))["Polarisation"].to_numpy() for each in images)
    assert np.std(noisy[0] - clean) == pytest.approx(0.1 * clean.std(), rel=0.1)
    assert np.array_equal(noisy[0], noisy[1]) and not np.array_equal(noisy[0], noisy[2])


def test_a_state_goes_on_in_the_same_world():
    settings = {"noise": 0.1, "drift_nm_per_s": [0.01, 0.02], "creep": 0.05, "crash_probability": 0.2, "seed": 4}
    spectrum = SpectrumSettings("bias", np.linspace(-1, 1, 9), 0.1)

    def go_on(twin, places):
        answers = []
        for x, y in places:
            try:
                twin.move(x, y, speed_nm_per_s=100)
                answers.append(twin.spectrum(spectrum).to_numpy())
            except InstrumentError as error:
                answers.append(str(error))
                twin.make_safe()
                twin.make_ready()
        return answers

    places = np.random.default_rng(0).uniform(-500, 500, (12, 2))
    unbroken = ready(**settings)
    expected = go_on(unbroken, places)
    first = ready(**settings)
    go_on(first, places[:5])
    second = ready(**settings, state=json.loads(json.dumps(first.state())))
    rest = go_on(second, places[5:])
    assert any(isinstance(each, str) for each in expected)
    assert all(np.array_equal(one, other) for one, other in zip(expected[5:], rest, strict=True))
    assert second.state() == unbroken.state()
    with pytest.raises(ArgumentError, match="expected what state"):
        open_twin(state={"time": 3})


def test_a_crash_shows_in_the_current_and_moves_the_apex():
    twin = ready(sample=gradient(), crash_bias_V=0.5, crash_shift_nm=3.0)
    with pytest.raises(InstrumentError, match="touched the sample"):
        twin.spectrum(SpectrumSettings("bias", np.array([0.0, 1, 0, -1]), 0.01))
    assert twin.read()["current_A"] > 1e-8 and twin.state()["crashes"] == 1
    twin.make_safe()
    assert twin.read()["current_A"] == 0
    twin.make_ready()
    shift = twin.state()["apex_nm"][0]
    image = twin.scan(ScanFrame(0, 0, 10, 10, 1, 11, 1e-3))["Value"]
    assert np.allclose(image[0], image["x"] + shift)


def test_a_withdrawn_probe_measures_nothing_and_strangers_are_refused():
    twin = open_twin()
    with pytest.raises(InstrumentError, match="withdrawn"):
        twin.move(0, 0, speed_nm_per_s=1)
    twin.make_ready()
    with pytest.raises(InstrumentError, match="expected some of Polarisation, got Height"):
        twin.scan(ScanFrame(0, 0, 10, 10, 2, 2, 1e-3, ("Height",)))
    with pytest.raises(InstrumentError, match="along energy"):
        twin.spectrum(SpectrumSettings("energy", np.arange(3.0), 1e-3))
    with pytest.raises(ArgumentError, match="noisy"):
        open_twin(noisy=3)
    with pytest.raises(ArgumentError, match="got several"):
        open_twin(data=EXAMPLE, sample=gradient())
    spectra = make_image(np.zeros((4, 4, 3)), pixel_size=1.0, dims=("y", "x", "bias"), signal="x")
    with pytest.raises(ArgumentError, match="none x or y"):
        RecordedSample(spectra.assign_coords(bias=("bias", np.arange(3.0), {"units": "V"})))
    with pytest.raises(ShapeError, match="expected 3 dimensions"):
        RecordedSample(make_image(np.zeros((4, 4)), pixel_size=1.0))


def test_an_image_without_atoms_is_no_sample_of_atoms(tiny_recipe):
    sparse = {"vacancy": (1.0, 1.0)}
    with pytest.raises(ShapeError, match="draws atoms"):
        AtomSample(tiny_recipe.model_copy(update={"defects": tiny_recipe.defects.model_copy(update=sparse)}))
