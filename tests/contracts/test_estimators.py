"""What every estimator promises, whatever it learns. A new one is one line in `ESTIMATORS`."""

import inspect
import random
import warnings

import numpy as np
import pytest
import torch

import adatom
from adatom.data import make_image
from adatom.errors import ArgumentError
from adatom.models import (
    Classifier,
    DeepKernelRegressor,
    Denoiser,
    Ensemble,
    GaussianProcessRegressor,
    Localizer,
    Regressor,
    Segmenter,
    VariationalAutoencoder,
)

ESTIMATORS = [Segmenter, Localizer, Ensemble, Denoiser]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)
# those too that learn from something else than recipes
OF_OTHER_THINGS = [
    VariationalAutoencoder,
    Regressor,
    Classifier,
    GaussianProcessRegressor,
    DeepKernelRegressor,
]
every_one = pytest.mark.parametrize("estimator", [*ESTIMATORS, *OF_OTHER_THINGS])


def some_image():
    return make_image(np.random.default_rng(0).normal(size=(21, 34)), pixel_size=0.1)


def global_state() -> dict[str, object]:
    """What belongs to the user's session and not to us."""
    return {
        "torch generator": torch.get_rng_state().tolist(),
        "numpy generator": [np.asarray(part).tolist() for part in np.random.get_state()],  # noqa: NPY002
        "random": random.getstate(),
        "default dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "errors": np.geterr(),
        "warnings": list(warnings.filters),
    }


def alike(first, second) -> bool:
    """Whether two results of `predict` are one."""
    return first.equals(second) and first.attrs == second.attrs


def weights(model) -> dict[str, torch.Tensor]:
    members = getattr(model, "members_", [model])
    return {
        f"{number}/{name}": value.clone()
        for number, member in enumerate(members)
        for name, value in member.net_.state_dict().items()
    }


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module", params=ESTIMATORS)
def fitted(request, brief_recipe):
    return request.param().fit(brief_recipe)


# ---------------------------------------------------------------- arguments


@every_one
def test_arguments_are_keyword_only(estimator):
    parameters = list(inspect.signature(estimator).parameters.values())
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    assert any(parameter.name == "random_state" for parameter in parameters)


@every_one
def test_arguments_are_stored_as_given(estimator):
    given = {name: object() for name in inspect.signature(estimator).parameters}
    model = estimator(**given)
    assert all(getattr(model, name) is value for name, value in given.items())
    assert model.get_params() == given


@every_one
def test_set_params_puts_back_what_get_params_gave(estimator):
    model = estimator(random_state=7)
    assert estimator().set_params(**model.get_params()).get_params() == model.get_params()


@every_one
def test_scikit_learn_can_clone_it(estimator):
    clone = pytest.importorskip("sklearn.base").clone
    model = estimator(random_state=7)
    copy = clone(model)
    assert copy is not model and copy.get_params() == model.get_params()


@every_one
def test_unknown_arguments_are_errors(estimator):
    with pytest.raises(TypeError, match="learning_rat"):
        estimator(learning_rat=1)
    model = estimator(random_state=7)
    with pytest.raises(ArgumentError, match=r"expected one of .*random_state.*got 'learning_rat'"):
        model.set_params(random_state=8, learning_rat=1)
    assert model.random_state == 7


@every_estimator
@pytest.mark.parametrize(
    "use", [lambda model: model.predict(some_image()), lambda model: model.save("never.safetensors")]
)
def test_an_estimator_that_was_not_fitted_says_so(estimator, use):
    with pytest.raises(ArgumentError, match=r"expected a fitted model, got one that is not\. Call fit first\."):
        use(estimator())


@every_estimator
@pytest.mark.parametrize("data", [np.zeros((4, 4)), None, {"name": "tiny"}, 5])
def test_data_of_another_kind_says_what_was_expected(estimator, data):
    with pytest.raises(ArgumentError, match=r"data: expected a Recipe.* or the (path|name) of one, got"):
        estimator().fit(data)


# ---------------------------------------------------------------- fit


@every_estimator
def test_fit_returns_the_estimator_and_what_it_learned_ends_in_an_underscore(estimator, brief_recipe):
    model = estimator(random_state=3)
    before = model.get_params()
    assert model.fit(brief_recipe) is model
    assert model.get_params() == before
    learned = {name for name in vars(model) if not name.startswith("_")} - set(before)
    assert learned and all(name.endswith("_") for name in learned)


@every_estimator
def test_the_same_seed_gives_the_same_model_whatever_happened_before(estimator, brief_recipe):
    """Bit for bit; neither another training nor the user's own random numbers have a say."""
    first = weights(estimator(random_state=3).fit(brief_recipe))
    other = weights(estimator(random_state=4).fit(brief_recipe))
    torch.rand(5)
    np.random.rand(5)  # noqa: NPY002
    assert same(first, weights(estimator(random_state=3).fit(brief_recipe)))
    assert not same(first, other)


@every_estimator
def test_fitting_again_starts_from_scratch(estimator, brief_recipe):
    model = estimator(random_state=3).fit(brief_recipe)
    once = weights(model)
    assert same(once, weights(model.fit(brief_recipe)))


def test_a_stopped_fit_goes_on_as_if_nothing_had_happened(brief_recipe, fitted, tmp_path):
    estimator = type(fitted)

    def stop(record):
        if record["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimator().fit(brief_recipe, checkpoint=tmp_path / "c.safetensors", on_record=stop)
    resumed = estimator().fit(brief_recipe, checkpoint=str(tmp_path / "c.safetensors"), resume=True)
    assert same(weights(resumed), weights(fitted))


@every_estimator
def test_fit_predict_save_and_load_leave_the_users_session_alone(estimator, brief_recipe, tmp_path):
    torch.manual_seed(2**40)  # states that no earlier fit can have left behind
    np.random.seed(2**30)  # noqa: NPY002
    random.seed(2**30)
    before = global_state()
    model = estimator().fit(brief_recipe)
    assert global_state() == before
    model.predict(some_image())
    model.save(tmp_path / "m.safetensors")
    adatom.load(tmp_path / "m.safetensors").predict(some_image())
    assert global_state() == before


def test_a_default_dtype_of_the_users_own_changes_nothing(brief_recipe, fitted):
    """Notebooks that also fit Gaussian processes live in float64."""
    torch.set_default_dtype(torch.float64)
    try:
        model = type(fitted)().fit(brief_recipe)
        maps = model.predict(some_image())
    finally:
        torch.set_default_dtype(torch.float32)
    assert same(weights(model), weights(fitted))
    assert alike(maps, fitted.predict(some_image()))


# ---------------------------------------------------------------- predict, save, load


def test_predict_changes_neither_the_model_nor_the_image(fitted):
    image = some_image()
    original = image.copy(deep=True)
    before, keys = weights(fitted), set(vars(fitted))
    first, second = fitted.predict(image), fitted.predict(image)
    assert alike(first, second)
    assert same(before, weights(fitted)) and set(vars(fitted)) == keys
    assert image.identical(original)


def test_a_model_comes_back_from_its_file_as_it_went_in(fitted, tmp_path):
    path = tmp_path / "deep" / "m.safetensors"
    fitted.save(path)
    loaded = adatom.load(path)
    assert type(loaded) is type(fitted)
    assert same(weights(loaded), weights(fitted))
    assert alike(loaded.predict(some_image()), fitted.predict(some_image()))
    assert loaded.header() == fitted.header()
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_saving_onto_a_model_replaces_it_whole(fitted, tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"x" * 10_000_000)
    fitted.save(path)
    assert adatom.load(path).header() == fitted.header()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
