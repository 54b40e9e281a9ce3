"""Doubtful dim spots are atoms where there is a kind of them, and nothing where they are the odd ones."""

import numpy as np

from adatom.models.dim_atoms import learn_dim_atoms

BRIGHT = np.full(100, 0.99)


def weigh_dim_atoms(probability: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """As the image that shows these spots has it."""
    kind = learn_dim_atoms(probability, flux)
    return probability if kind is None else kind.weigh(probability, flux)


def weighed(dim: np.ndarray, *, dim_flux: float = 0.2) -> np.ndarray:
    """Probabilities of dim spots beside a hundred bright atoms."""
    rng = np.random.default_rng(0)
    probability = np.concatenate([BRIGHT, dim])
    flux = np.concatenate([rng.normal(1, 0.05, len(BRIGHT)), rng.normal(dim_flux, 0.1 * dim_flux, len(dim))])
    result = weigh_dim_atoms(probability, flux)
    assert np.array_equal(result[: len(BRIGHT)], BRIGHT)
    return result[len(BRIGHT) :]


def test_many_likely_spots_of_a_brightness_make_each_of_them_likelier():
    assert weighed(np.full(100, 0.6)).min() > 0.7


def test_a_few_doubtful_spots_are_none():
    assert weighed(np.full(3, 0.7)).max() < 0.5


def test_a_sure_spot_stays_one_though_it_is_alone():
    assert weighed(np.array([0.995]))[0] > 0.9


def test_unlikely_spots_speak_against_their_equals_and_not_against_others():
    among_unlikely = weighed(np.r_[0.6, np.full(60, 0.05)])[0]
    assert among_unlikely < 0.2
    rng = np.random.default_rng(1)
    flux = np.r_[np.ones(100), np.full(60, 0.4), rng.normal(0.05, 0.005, 60)]
    mixed = weigh_dim_atoms(np.r_[BRIGHT, np.full(60, 0.6), np.full(60, 0.05)], flux)
    assert mixed[100:160].min() > 0.6 and mixed[160:].max() < 0.05


def test_bright_spots_and_images_of_few_atoms_are_left_alone():
    probability = np.r_[BRIGHT, 0.3, 0.6]
    assert np.array_equal(weigh_dim_atoms(probability, np.r_[np.ones(100), 0.9, 1.3]), probability)
    few = np.r_[np.full(10, 0.99), 0.5]
    assert np.array_equal(weigh_dim_atoms(few, np.r_[np.ones(10), 0.1]), few)
    assert len(weigh_dim_atoms(np.zeros(0), np.zeros(0))) == 0
