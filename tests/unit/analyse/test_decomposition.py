import numpy as np
import pytest

from adatom.analyse import Descriptors, decompose, mixture
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError, ShapeError

RNG = np.random.default_rng(0)
PARTS = np.array([[2.0, 0, 0, 1, 0, 0, 0, 1], [0, 3, 0, 0, 1, 1, 0, 0]])


def described(noise: float = 0.05, n: int = 300) -> tuple[Descriptors, np.ndarray]:
    amounts = RNG.exponential(size=(n, 2))
    values = amounts @ PARTS + noise * RNG.normal(size=(n, 8))
    return Descriptors(values, np.arange(n) + 5, (2, 2, 2)), amounts


def table(n: int):
    columns = {"x": np.arange(float(n)), "y": np.zeros(n), "species": ["atom"] * n}
    return make_atoms(columns, units="px", image_shape=(9, n), pixel_size=None)


@pytest.mark.parametrize("method", ["pca", "ica", "nmf"])
def test_two_components_tell_all_but_the_noise(method):
    values, _ = described()
    found = decompose(values, method=method)
    assert found.n_suggested == len(found.components) == 2
    assert (found.rebuilt() - values.values).std() < 0.07
    assert found.explained.sum() == pytest.approx(1)


@pytest.mark.parametrize("method", ["ica", "nmf"])
def test_sources_are_recovered(method):
    values, amounts = described()
    found = decompose(values, method=method)
    correlation = np.abs(np.corrcoef(found.scores.T, amounts.T)[:2, 2:])
    assert correlation.max(axis=0).min() > 0.98


def test_columns_belong_to_their_rows():
    values, _ = described(n=50)
    atoms = table(60)
    found = decompose(values, n_components=2).on_atoms(atoms)
    assert found[["pc1", "pc2"]].isna().any(axis=1).sum() == 10
    assert np.isnan(found["pc1"].iloc[4]) and np.isfinite(found["pc1"].iloc[5])
    assert found.attrs["units"] == "px" and "pc1" not in atoms
    with pytest.raises(ShapeError, match="55 rows"):
        decompose(values, n_components=2).on_atoms(table(20))


def test_noise_alone_has_no_component_above_it():
    noise = Descriptors(RNG.normal(size=(400, 20)), np.arange(400), (20,))
    found = decompose(noise)
    assert found.n_suggested == 0 and len(found.components) == 1


@pytest.mark.parametrize("method", ["pca", "ica", "nmf"])
def test_equal_values_are_no_error(method):
    same = Descriptors(np.full((10, 4), 2.0), np.arange(10), (4,))
    found = decompose(same, method=method, n_components=1)
    assert found.n_suggested == 0
    assert found.rebuilt() == pytest.approx(same.values, abs=1e-2)


def test_wrong_arguments_are_named():
    values, _ = described(n=20)
    for change in ({"method": "tsne"}, {"n_components": 0}, {"n_components": 9}):
        with pytest.raises(ArgumentError, match=next(iter(change))):
            decompose(values, **change)
    with pytest.raises(ArgumentError, match="finite"):
        decompose(Descriptors(np.full((9, 3), np.nan), np.arange(9), (3,)))
    with pytest.raises(ArgumentError, match="at least 3"):
        decompose(Descriptors(np.zeros((0, 3)), np.zeros(0, np.int64), (3,)))


def test_kinds_are_as_many_as_there_are_clouds():
    middle = np.array([[0.0, 0], [1, 0], [0, 1]])
    truth = RNG.choice(3, 600, p=[0.5, 0.3, 0.2])
    kinds = mixture(middle[truth] + 0.1 * RNG.normal(size=(600, 2)))
    assert len(kinds.weights) == 3 and min(kinds.criterion, key=kinds.criterion.get) == 3
    assert (kinds.component == truth + 1).mean() > 0.99  # the largest first
    assert kinds.means == pytest.approx(middle, abs=0.03)
    assert kinds.probability.sum(axis=1) == pytest.approx(1)


def test_kinds_become_columns():
    values, _ = described(n=50)
    found = mixture(decompose(values), n=2).on_atoms(table(60))
    assert set(found["component"].iloc[:5]) == {0} and found["component"].iloc[5:55].min() >= 1
    assert found["component_probability"].iloc[5:55].between(0.5, 1).all()


def test_kinds_of_next_to_nothing():
    assert len(mixture(np.zeros((5, 2))).weights) == 1
    for wrong in (np.full((9, 2), np.nan), np.zeros(4), np.zeros((0, 2))):
        with pytest.raises(ArgumentError):
            mixture(wrong)
    with pytest.raises(ArgumentError, match="n:"):
        mixture(np.arange(6.0)[:, None], n=7)
