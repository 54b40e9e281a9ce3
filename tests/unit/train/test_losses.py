import math

import pytest
import torch
from torch.nn import functional

from adatom.train.losses import LOSSES, cross_entropy, dice, focal, weighted_loss


def some_case(classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits (2, classes, 6, 5) and a class map."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 6, 5, generator=generator)
    return logits, torch.randint(classes, (2, 6, 5), generator=generator)


def certain(label: torch.Tensor, classes: int) -> torch.Tensor:
    """Logits that are sure of `label`."""
    return 50.0 * functional.one_hot(label, classes).movedim(-1, 1).float()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_a_perfect_prediction_costs_nothing(name, classes):
    _, label = some_case(classes)
    assert LOSSES[name](certain(label, classes), label).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_wrong_prediction_costs_more_than_a_right_one_and_a_sure_one_most(name):
    _, label = some_case()
    wrong = certain((label + 1) % 3, 3)
    costs = [LOSSES[name](logits, label).item() for logits in (-0.01 * wrong, 0.01 * wrong, wrong)]
    assert costs == sorted(costs)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_one_number_that_gradients_flow_through(name):
    logits, label = some_case()
    logits.requires_grad_()
    loss = LOSSES[name](logits, label)
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(logits.grad).all() and logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_absurdly_sure_logits_stay_finite(name):
    _, label = some_case()
    logits = (1e4 * certain((label + 1) % 3, 3)).requires_grad_()
    loss = LOSSES[name](logits, label)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_cross_entropy_of_no_opinion_is_log_of_the_number_of_classes(classes):
    _, label = some_case(classes)
    uniform = torch.zeros(2, classes, 6, 5)
    assert cross_entropy(uniform, label).item() == pytest.approx(math.log(classes))


def test_focal_without_focus_is_cross_entropy():
    logits, label = some_case()
    torch.testing.assert_close(focal(logits, label, gamma=0.0), cross_entropy(logits, label))


def test_focal_of_no_opinion_has_the_factor_of_the_paper():
    _, label = some_case()
    uniform = torch.zeros(2, 3, 6, 5)
    assert focal(uniform, label, gamma=2.0).item() == pytest.approx((2 / 3) ** 2 * math.log(3))


def test_dice_is_one_minus_the_overlap_of_the_classes_but_the_background():
    """Class 1 claimed on 30 of the 60 pixels it has, sure and right; class 2 neither there nor claimed."""
    label = torch.ones(1, 6, 10, dtype=torch.long)
    claimed = torch.zeros_like(label)
    claimed[:, :3] = 1
    overlap_1, overlap_2 = (2 * 30 + 1) / (30 + 60 + 1), 1.0
    expected = 1 - (overlap_1 + overlap_2) / 2
    assert dice(certain(claimed, 3), label).item() == pytest.approx(expected, abs=1e-6)


def test_dice_does_not_care_how_large_the_background_is():
    label = torch.zeros(1, 8, 8, dtype=torch.long)
    label[:, 2:4, 2:4] = 1
    claimed = torch.zeros_like(label)
    claimed[:, 2:4, 2:5] = 1
    small = dice(certain(claimed, 2), label)
    large = dice(certain(functional.pad(claimed, (0, 56, 0, 56)), 2), functional.pad(label, (0, 56, 0, 56)))
    torch.testing.assert_close(small, large)


def test_weighted_loss_is_the_weighted_sum():
    logits, label = some_case()
    together = weighted_loss({"cross_entropy": 1.0, "dice": 0.5, "focal": 2.0})(logits, label)
    apart = cross_entropy(logits, label) + 0.5 * dice(logits, label) + 2.0 * focal(logits, label)
    torch.testing.assert_close(together, apart)
