"""Gaussian processes against the formulas they are: posterior, leaving out, and bands that hold what they promise."""

import numpy as np
import pytest
import torch

import adatom as ad
from adatom.errors import ArgumentError, ModelFileError, ShapeError
from adatom.models.gaussian_process import MeanFunction

pytest.importorskip("gpytorch")


def wave(places: np.ndarray) -> np.ndarray:
    return 5 + 3 * np.sin(places[:, 0]) * np.cos(places[:, 1])


@pytest.fixture(scope="module")
def measured() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    places = rng.uniform(-3, 3, (90, 2))
    return places, wave(places) + 0.2 * rng.normal(size=90)


@pytest.fixture(scope="module")
def model(measured):
    return ad.GaussianProcessRegressor(kernel="rbf").fit(*measured)


def by_hand(model, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance by the textbook, from the hyperparameters that were learned."""
    process = model.net_[0]
    lengths = process.kernel.lengthscale.detach().numpy() * model.input_spread_
    scale = float(process.log_scale.exp()) * model.target_spread_[0] ** 2
    noise = (float(process.log_noise.exp()) + 1e-6) * model.target_spread_[0] ** 2
    level = model.target_mean_[0] + float(process.level) * model.target_spread_[0]

    def between(a, b):
        return scale * np.exp(-0.5 * (((a[:, None] - b) / lengths) ** 2).sum(axis=2))

    known, values = model.raw_inputs_, model.targets_[:, 0]
    inverse = np.linalg.inv(between(known, known) + noise * np.eye(len(known)))
    across = between(places, known)
    return level + across @ inverse @ (values - level), between(places, places) - across @ inverse @ across.T


def test_the_posterior_is_the_textbooks(model) -> None:
    places = np.random.default_rng(1).uniform(-3, 3, (20, 2))
    mean, covariance = by_hand(model, places)
    told = model.posterior(places)
    np.testing.assert_allclose(told.mean[:, 0], mean, rtol=1e-6)
    np.testing.assert_allclose(told.std[:, 0], np.sqrt(np.diag(covariance)), rtol=1e-4)
    np.testing.assert_allclose(told.covariance(np.arange(20))[0], covariance, atol=1e-5)


def test_what_a_point_is_given_by_the_others_is_what_they_say(model, measured) -> None:
    mean, std = model._left_out()
    places, values = measured
    without = np.arange(90) != 17
    other = ad.GaussianProcessRegressor(kernel="rbf").fit(places[without], values[without])
    # the hyperparameters of the whole, the data without the point
    other.input_mean_, other.input_spread_ = model.input_mean_, model.input_spread_
    other.target_mean_, other.target_spread_ = model.target_mean_, model.target_spread_
    other.net_.load_state_dict(model.net_.state_dict())
    other._know()
    told = other.posterior(places[17:18])
    assert mean[17, 0] == pytest.approx(told.mean[0, 0], rel=1e-6)
    assert std[17, 0] == pytest.approx(float(np.hypot(told.std, told.noise_std)[0, 0]), rel=1e-4)


def test_it_finds_the_wave_and_the_noise(model) -> None:
    places = np.random.default_rng(2).uniform(-2.8, 2.8, (500, 2))
    told = model.posterior(places)
    error = told.mean[:, 0] - wave(places)
    assert np.sqrt(np.mean(error**2)) < 0.15
    assert told.noise_std[0, 0] == pytest.approx(0.2, rel=0.3)
    assert 0.9 < np.mean(np.abs(error) < 2 * told.std[:, 0]) <= 1


def test_many_points_tell_the_same_as_all_at_once(measured) -> None:
    rng = np.random.default_rng(3)
    places = rng.uniform(-3, 3, (400, 2))
    values = wave(places) + 0.2 * rng.normal(size=400)
    whole = ad.GaussianProcessRegressor(kernel="rbf").fit(places, values)
    near = ad.GaussianProcessRegressor(kernel="rbf", most_exact=100).fit(places, values)
    asked = rng.uniform(-2.8, 2.8, (200, 2))
    first, second = whole.posterior(asked), near.posterior(asked)
    assert np.sqrt(np.mean((first.mean - second.mean) ** 2)) < 0.05
    assert np.median(second.std / first.std) == pytest.approx(1, abs=0.4)
    assert near.posterior(asked).joint is None


def test_a_formula_tells_its_parameters_with_error_bars() -> None:
    rng = np.random.default_rng(4)
    bias = np.sort(rng.uniform(0, 10, 60))[:, None]
    current = 2.0 * np.exp(-0.5 * ((bias[:, 0] - 6.2) / 0.5) ** 2) + 0.3 + 0.1 * rng.normal(size=60)

    def peak(x, of):
        return of["height"] * torch.exp(-0.5 * ((x[:, 0] - of["centre"]) / 0.5) ** 2) + of["level"]

    believed = MeanFunction(peak, {"height": (1, 2), "centre": (5, 2), "level": (0, 1)})
    found = ad.GaussianProcessRegressor(mean=believed).fit(bias, current).mean_parameters_
    for name, truth in (("height", 2.0), ("centre", 6.2)):
        assert abs(found.loc[name, "value"] - truth) < 4 * found.loc[name, "std"]
    assert found.loc["centre", "std"] < 0.5


def test_noise_that_varies_is_seen_to() -> None:
    rng = np.random.default_rng(5)
    places = rng.uniform(-3, 3, (150, 2))
    noise = np.where(places[:, 0] > 0, 0.6, 0.05)
    model = ad.GaussianProcessRegressor(noise="varying").fit(places, wave(places) + noise * rng.normal(size=150))
    quiet, loud = model.posterior([[-2, 0], [2, 0]]).noise_std[:, 0]
    assert quiet < 0.3 and 0.35 < loud < 1.0


def test_what_is_known_of_the_noise_is_used() -> None:
    rng = np.random.default_rng(6)
    places = rng.uniform(-3, 3, (60, 2))
    std = np.where(np.arange(60) % 2, 0.02, 3.0)
    values = wave(places) + std * rng.normal(size=60)
    model = ad.GaussianProcessRegressor(kernel="rbf").fit(places, values, noise_std=std)
    error = np.abs(model.posterior(places[1::2]).mean[:, 0] - wave(places[1::2]))
    assert error.max() < 0.2


def test_correlated_numbers_learn_from_each_other() -> None:
    rng = np.random.default_rng(7)
    places = rng.uniform(-3, 3, (60, 2))
    targets = np.column_stack([wave(places), -wave(places)]) + 0.5 * rng.normal(size=(60, 2))
    asked = rng.uniform(-2.5, 2.5, (300, 2))
    truth = np.column_stack([wave(asked), -wave(asked)])
    errors = {
        outputs: np.sqrt(
            np.mean(
                (ad.GaussianProcessRegressor(outputs=outputs).fit(places, targets).posterior(asked).mean - truth) ** 2
            )
        )
        for outputs in ("independent", "correlated")
    }
    assert errors["correlated"] < errors["independent"]


@pytest.mark.parametrize(
    "settings", [{}, {"outputs": "correlated"}, {"noise": "varying"}, {"kernel": "rbf+periodic*matern12"}]
)
def test_a_model_comes_back_from_its_file(settings, measured, tmp_path) -> None:
    places, values = measured
    model = ad.GaussianProcessRegressor(**settings).fit(places, np.column_stack([values, values**2]))
    model.save(tmp_path / "m.safetensors")
    again = ad.load(tmp_path / "m.safetensors")
    assert again.predict(places).equals(model.predict(places))


def test_bad_input_says_what_was_expected(measured, model, tmp_path) -> None:
    places, values = measured
    with pytest.raises(ShapeError, match="targets: expected 90"):
        ad.GaussianProcessRegressor().fit(places, values[:-1])
    with pytest.raises(ArgumentError, match="expected finite numbers"):
        ad.GaussianProcessRegressor().fit(places, np.where(values > 7, np.nan, values))
    with pytest.raises(ArgumentError, match="kernel: expected names out of"):
        ad.GaussianProcessRegressor(kernel="rfb").fit(places, values)
    with pytest.raises(ShapeError, match=r"expected \(n, 2\)"):
        model.predict(np.zeros((3, 3)))
    model.save(tmp_path / "m.safetensors")
    damaged = bytearray((tmp_path / "m.safetensors").read_bytes())
    damaged[-20] ^= 0xFF
    (tmp_path / "m.safetensors").write_bytes(damaged)
    with pytest.raises(ModelFileError):
        ad.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_equal_or_constant_points_are_no_failure(n) -> None:
    model = ad.GaussianProcessRegressor().fit(np.zeros((n, 2)), np.full(n, 7.0))
    assert model.predict([[0.0, 0.0], [1.0, 1.0]])["value"].to_numpy() == pytest.approx(7.0)


# ---------------------------------------------------------------- deep kernels


@pytest.fixture(scope="module")
def patches() -> tuple[np.ndarray, np.ndarray]:
    """What is asked for is how round the middle is: no linear map of the pixels tells it."""
    rng = np.random.default_rng(8)
    images = rng.normal(size=(160, 8, 8))
    return images, images[:, 3, 3] * images[:, 4, 4] + 0.5 * images[:, 2, 2] + 0.1 * rng.normal(size=160)


@pytest.fixture(scope="module")
def deep(patches):
    return ad.DeepKernelRegressor(random_state=0).fit(*patches)


def test_the_plain_process_answers_where_the_network_is_no_better(deep) -> None:
    table = deep.left_out_.set_index("model")
    if deep.chosen_ == "plain Gaussian process":
        later = table.loc[["deep kernel"]]
        assert (later["density"] - table.loc["plain Gaussian process", "density"] <= later["std_of_gain"] + 1e-9).all()
    assert deep.figures_["left_out_coverage_95"] > 0.85


def test_a_network_answers_where_it_is_better() -> None:
    rng = np.random.default_rng(9)
    inputs = rng.normal(size=(300, 12))
    targets = np.tanh(3 * inputs[:, 0] * inputs[:, 1]) + 0.05 * rng.normal(size=300)
    model = ad.DeepKernelRegressor(steps=400, n_features=3, random_state=1).fit(inputs, targets)
    if model.chosen_ == "deep kernel":
        asked = rng.normal(size=(300, 12))
        told = model.predict(asked)
        error = told["value"] - np.tanh(3 * asked[:, 0] * asked[:, 1])
        assert np.mean(np.abs(error) < 2 * told["value_std"]) > 0.8


def test_in_batches_it_says_the_same(deep, patches) -> None:
    images, _ = patches
    whole = deep.predict(images)
    parts = [deep.predict(images[k : k + 50]) for k in range(0, 160, 50)]
    np.testing.assert_allclose(np.concatenate([part.to_numpy() for part in parts]), whole.to_numpy(), rtol=1e-9)


def test_new_data_are_not_ignored(patches) -> None:
    images, values = patches
    model = ad.DeepKernelRegressor(random_state=0).fit(images[:40], values[:40])
    model.fit(images[:100], values[:100] + 100)
    assert model.predict(images[:100])["value"].mean() == pytest.approx(100 + values[:100].mean(), abs=1)


def test_a_deep_kernel_comes_back_from_its_file(deep, patches, tmp_path) -> None:
    deep.save(tmp_path / "m.safetensors")
    again = ad.load(tmp_path / "m.safetensors")
    np.testing.assert_allclose(again.predict(patches[0]).to_numpy(), deep.predict(patches[0]).to_numpy(), rtol=1e-6)
    which = np.arange(5)
    np.testing.assert_allclose(
        again.posterior(patches[0]).covariance(which),
        deep.posterior(patches[0]).covariance(which),
        rtol=1e-5,
        atol=1e-9,
    )


def test_the_joint_covariance_agrees_with_the_deviations(deep, patches) -> None:
    told = deep.posterior(patches[0][:12])
    variance = np.diagonal(told.covariance(np.arange(12)), axis1=1, axis2=2).T
    np.testing.assert_allclose(np.sqrt(variance), told.std, rtol=1e-5)
