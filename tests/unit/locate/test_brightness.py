"""Bright and dim columns, and how many of them are mistaken for each other."""

import numpy as np
import pytest

from adatom.locate.brightness import split_by_flux


def fluxes(*groups: tuple[int, float, float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Fluxes of groups (number, mean, standard deviation), mixed, and the group of each."""
    rng = np.random.default_rng(seed)
    flux = np.concatenate([rng.normal(mean, std, n) for n, mean, std in groups])
    kind = np.repeat(np.arange(len(groups)), [n for n, *_ in groups])
    order = rng.permutation(len(flux))
    return flux[order], kind[order]


@pytest.mark.parametrize("unit", [1.0, 1e-12, 1e9])
def test_two_kinds_are_told_apart_in_any_unit(unit):
    flux, kind = fluxes((200, 2.0, 0.1), (150, 1.0, 0.1))
    split = split_by_flux(unit * flux)
    assert split.names == ("bright", "dim") and np.array_equal(split.group, kind)
    assert split.flux / unit == pytest.approx([2.0, 1.0], abs=0.05)
    assert split.spread / unit == pytest.approx([0.1, 0.1], rel=0.3)
    assert split.error_rate < 0.01


def test_three_kinds_are_three_groups():
    flux, kind = fluxes((150, 3.0, 0.15), (150, 2.0, 0.15), (150, 1.0, 0.15))
    split = split_by_flux(flux)
    assert split.names == ("bright", "middle", "dim") and (split.group == kind).mean() > 0.98


@pytest.mark.parametrize("spread", [0.25, 0.3])
def test_the_stated_error_rate_is_the_true_one(spread):
    stated, wrong = [], []
    for seed in range(8):
        flux, kind = fluxes((400, 2.0, spread), (400, 1.0, spread), seed=seed)
        split = split_by_flux(flux)
        stated.append(split.error_rate)
        wrong.append((split.group != kind).mean())
    assert np.mean(stated) == pytest.approx(np.mean(wrong), abs=0.01)


@pytest.mark.parametrize(
    "groups",
    [
        [(300, 1.0, 0.1)],
        [(300, 1.0, 0.1), (3, 5.0, 0.1)],  # three outliers are no kind
        [(200, 1.0, 0.05), (200, 1.0, 0.3)],  # another spread is no other brightness
        [(200, 1.0, 0.3), (200, 1.2, 0.3)],  # nobody could tell
        [(5, 1.0, 0.1), (5, 2.0, 0.1)],  # too few
    ],
)
def test_what_is_one_kind_stays_one(groups):
    assert split_by_flux(fluxes(*groups)[0]) is None


def test_atoms_of_unknown_flux_belong_to_no_group():
    flux, _ = fluxes((100, 2.0, 0.1), (100, 1.0, 0.1))
    flux[3] = np.nan
    split = split_by_flux(flux)
    assert split.group[3] == -1 and set(np.delete(split.group, 3)) == {0, 1}


def test_no_fluxes_or_all_the_same_are_no_trouble():
    assert split_by_flux(np.zeros(0)) is None
    assert split_by_flux(np.full(50, np.nan)) is None
    assert split_by_flux(np.ones(50)) is None
