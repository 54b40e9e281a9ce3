"""The likelihood of the set of true atoms: what it likes best is the truth, stated as surely as it is known."""

import math

import numpy as np
import pytest
import torch

from adatom.nets.claims import N_NUMBERS, n_channels, read_claims
from adatom.train.point_process import point_process_loss

SIDE = 16


def claiming(*atoms: tuple[int, int, float], n_species: int = 1, offset=(0.0, 0.0), std: float = 0.1) -> torch.Tensor:
    """What a network gives (1, channels, y, x) that claims atoms of species 0: row, column and log-odds of each."""
    raw = torch.zeros(1, n_channels(n_species), SIDE, SIDE)
    raw[:, 0] = 12.0
    raw[:, -3:] = math.log(math.expm1(std))
    for row, column, odds in atoms:
        raw[0, 0, row, column], raw[0, 1, row, column] = 0.0, odds
        raw[0, 1 + n_species, row, column], raw[0, 2 + n_species, row, column] = offset
    return raw


def table(*atoms: tuple[float, float], species: int = 0, flux: float = 1.0) -> torch.Tensor:
    return torch.tensor([[0, species, x, y, math.log(flux)] for x, y in atoms], dtype=torch.float32).reshape(-1, 5)


def loss(raw: torch.Tensor, atoms: torch.Tensor) -> float:
    return float(point_process_loss(raw, atoms))


def test_a_claim_is_a_probability_for_each_class_and_three_numbers_with_their_deviations():
    claims = read_claims(torch.randn(5, n_channels(3)))
    assert claims.log_probability.shape == (5, 4) and claims.numbers.shape == claims.std.shape == (5, 3)
    assert torch.allclose(claims.log_probability.exp().sum(dim=-1), torch.ones(5))
    assert (claims.std > 0).all() and claims.numbers[:, :2].abs().max() <= 1.5


def test_the_true_claim_is_better_than_one_elsewhere_of_another_kind_or_none():
    truth = table((7.0, 5.0))
    right = loss(claiming((5, 7, 6.0)), truth)
    assert right < loss(claiming((5, 9, 6.0)), truth)
    assert right < loss(claiming(), truth)
    assert right < loss(claiming((5, 7, 6.0), (10, 10, 6.0)), truth)
    two_kinds = [loss(claiming((5, 7, 6.0), n_species=2), table((7.0, 5.0), species=kind)) for kind in (0, 1)]
    assert two_kinds[0] < two_kinds[1]


def test_an_offset_places_the_atom_inside_its_pixel():
    truth = table((7.3, 4.8))
    at = {dx: loss(claiming((5, 7, 6.0), offset=(dx, -0.2)), truth) for dx in (-0.3, 0.0, 0.3)}
    assert min(at, key=at.get) == 0.3


def test_the_best_stated_deviation_is_that_of_the_errors():
    rng = np.random.default_rng(0)
    errors = rng.normal(0, 0.2, (200, 2))
    losses = {
        std: np.mean([loss(claiming((5, 7, 6.0), std=std), table((7 + x, 5 + y))) for x, y in errors])
        for std in (0.1, 0.15, 0.2, 0.3, 0.4)
    }
    # the flux, which has no error here, would have its own as small as can be
    assert min(losses, key=losses.get) in (0.15, 0.2)


def test_the_best_stated_probability_is_the_share_of_atoms_that_are_there():
    """Of ten equal spots seven are atoms: no other probability is better than 0.7."""
    there, gone = table((7.0, 5.0)), table()
    losses = {}
    for p in (0.5, 0.6, 0.7, 0.8, 0.9):
        raw = claiming((5, 7, math.log(p / (1 - p))))
        losses[p] = 7 * loss(raw, there) + 3 * loss(raw, gone)
    assert min(losses, key=losses.get) == 0.7


def test_an_atom_between_two_pixels_may_be_claimed_by_both_in_equal_shares():
    truth = table((7.5, 5.0))
    raw = claiming((5, 7, 0.0), (5, 8, 0.0))
    raw[0, 2, 5, 7], raw[0, 2, 5, 8] = 0.5, -0.5
    raw.requires_grad_()
    point_process_loss(raw, truth).backward()
    gradient = raw.grad[0, 1, 5, 7:9]
    assert gradient.abs().max() < 0.01  # two halves that add up to one: nothing to be gained


def test_close_atoms_need_no_gap():
    truth = table((7.0, 5.0), (8.2, 5.0))
    both = claiming((5, 7, 6.0), (5, 8, 6.0))
    assert loss(both, truth) < min(loss(claiming((5, 7, 6.0)), truth), loss(claiming((5, 8, 6.0)), truth))


def test_an_unknown_flux_says_nothing():
    raw = claiming((5, 7, 6.0))
    unknown = table((7.0, 5.0))
    unknown[:, 4] = torch.nan
    raw.requires_grad_()
    point_process_loss(raw, unknown).backward()
    assert torch.isfinite(raw.grad).all()
    flux = raw.grad[0, -N_NUMBERS:][[2, 5]]
    assert not flux.any()


def test_images_and_atoms_of_a_batch_belong_together():
    first, second = claiming((5, 7, 6.0)), claiming((10, 3, 6.0))
    atoms = torch.cat([table((7.0, 5.0)), table((3.0, 10.0))])
    atoms[1, 0] = 1
    both = loss(torch.cat([first, second]), atoms)
    assert both == pytest.approx((loss(first, table((7.0, 5.0))) + loss(second, table((3.0, 10.0)))) / 2, rel=1e-5)


def test_atoms_at_the_very_corner_cost_no_error():
    assert math.isfinite(loss(claiming(), table((-0.4, -0.4), (SIDE - 0.6, SIDE - 0.6))))


def test_an_image_without_atoms_is_best_left_without_claims():
    assert loss(claiming(), table()) < loss(claiming((5, 7, 0.0)), table())
