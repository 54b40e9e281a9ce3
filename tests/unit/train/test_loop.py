"""The training loop on a toy: bright squares on noise, a network of width 4 and depth 1."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from adatom.errors import ShapeError, TrainingError
from adatom.nets import build_net
from adatom.train import Batch, TrainingSettings, train
from adatom.train.loop import STATISTICS_BATCHES, evaluate
from adatom.train.losses import weighted_loss
from adatom.train.parts import warm_up_cosine

SETTINGS = TrainingSettings(steps=12, batch_size=2, learning_rate=0.01, validate_every=4, patience=100)


def batch(step: int) -> Batch:
    """Two images with squares and their class maps; the same ones for the same step."""
    generator = torch.Generator().manual_seed(step)
    label = torch.zeros(2, 8, 8, dtype=torch.long)
    for n, (row, column) in enumerate(torch.randint(0, 5, (2, 2), generator=generator).tolist()):
        label[n, row : row + 3, column : column + 3] = 1
    return label[:, None] + 0.3 * torch.randn(2, 1, 8, 8, generator=generator), label


VALIDATION = [batch(1000), batch(1001)]


def fresh_net(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_net("unet", classes=2, width=4, depth=1)


def run(settings=SETTINGS, *, net: nn.Module | None = None, batches: Callable[[int], Batch] = batch, **options):
    net = net or fresh_net()
    return net, train(net, batches, VALIDATION, settings, **options)


def changed(**update) -> TrainingSettings:
    return SETTINGS.model_copy(update=update)


def opposite(step: int) -> Batch:
    """What teaches the opposite of what the validation asks: the more is learned, the worse."""
    images, label = batch(step)
    return images, 1 - label


def validated(records):
    return [record for record in records if "val_loss" in record]


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    return all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def without_seconds(records):
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


# ---------------------------------------------------------------- what comes back


def test_the_loss_falls():
    _, records = run(changed(steps=40))
    assert sum(r["loss"] for r in records[-5:]) < 0.7 * sum(r["loss"] for r in records[:5])


def test_the_loss_falls_as_well_with_products_of_half_the_precision_and_weights_keep_the_whole():
    net, records = run(changed(steps=40, precision="bfloat16"))
    _, exact = run(changed(steps=40))
    assert records[-1]["val_loss"] == pytest.approx(exact[-1]["val_loss"], rel=0.3)
    assert records[0]["loss"] != exact[0]["loss"]
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}


def test_every_step_is_recorded_and_validations_come_at_their_interval_and_at_the_end():
    _, records = run(changed(steps=10))
    assert [record["step"] for record in records] == list(range(1, 11))
    assert [record["step"] for record in validated(records)] == [4, 8, 10]
    assert records == sorted(records, key=lambda record: record["seconds"])


def test_on_record_gets_what_is_returned():
    heard = []
    _, records = run(on_record=heard.append)
    assert heard == records


def test_a_score_is_recorded_at_each_validation():
    _, records = run(score=lambda net: {"parameters": float(sum(1 for _ in net.parameters()))})
    assert all("parameters" in record for record in validated(records))


@pytest.mark.parametrize("average", ["none", "ema", "swa"])
def test_the_net_that_comes_back_has_the_lowest_recorded_validation_loss(average):
    settings = changed(average=average, steps=16, validate_every=2)
    net, records = run(settings, batches=opposite)
    losses = [record["val_loss"] for record in validated(records)]
    again = evaluate(net, VALIDATION, weighted_loss(settings.loss), "cpu")
    assert again["val_loss"] == min(losses)
    assert min(losses) < losses[-1]
    assert not net.training


def test_the_validation_loss_is_the_mean_over_the_images():
    net, records = run(changed(average="none", loss={"cross_entropy": 1.0}, steps=4))
    with torch.no_grad():
        each = [
            weighted_loss({"cross_entropy": 1.0})(net(images[k : k + 1]), label[k : k + 1])
            for images, label in VALIDATION
            for k in range(len(images))
        ]
    assert records[-1]["val_loss"] == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)


def test_swa_ends_with_the_mean_weights_and_statistics_of_its_own():
    """The mean of the states from the start of the averaging, batch norm estimated on the first training batches."""
    net = fresh_net()
    states = []

    def remember(_):
        states.append({name: value.clone() for name, value in net.state_dict().items()})

    settings = changed(average="swa", swa_start=0.5, steps=8, validate_every=8)
    run(settings, net=net, on_record=remember)
    for name, weight in net.named_parameters():
        torch.testing.assert_close(weight.data, torch.stack([state[name] for state in states[3:]]).mean(dim=0))
    first_convolution = net.down[0][0]
    with torch.no_grad():
        features = [first_convolution(batch(step)[0]) for step in range(1, STATISTICS_BATCHES + 1)]
    mean = torch.stack([f.mean(dim=(0, 2, 3)) for f in features]).mean(dim=0)
    torch.testing.assert_close(net.down[0][1].running_mean, mean)


# ---------------------------------------------------------------- stopping


def test_training_stops_when_validations_no_longer_improve():
    settings = changed(steps=200, validate_every=2, patience=3, average="none", learning_rate=0.03)
    _, records = run(settings, batches=opposite)
    losses = [record["val_loss"] for record in validated(records)]
    best = validated(records)[losses.index(min(losses))]["step"]
    assert records[-1]["step"] == best + 3 * 2 < 200


def test_patience_is_not_spent_while_validations_improve():
    _, records = run(changed(steps=24, validate_every=2, patience=1, learning_rate=1e-3, average="none"))
    losses = [record["val_loss"] for record in validated(records)]
    assert len(losses) == 12 or losses[-1] >= min(losses)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_with_a_sentence(value):
    def broken(step: int) -> Batch:
        images, label = batch(step)
        return (images * value if step == 3 else images), label

    with pytest.raises(TrainingError, match=r"loss: expected a finite number, got nan at step 3\."):
        run(batches=broken)


def test_weights_that_blow_up_in_the_last_step_do_not_pass_as_a_model(tmp_path):
    with pytest.raises(TrainingError, match="validation loss: expected a finite number"):
        run(changed(steps=1, learning_rate=1e30, average="none"), checkpoint=tmp_path / "c.safetensors")
    assert not (tmp_path / "c.safetensors").exists()


def test_an_error_in_making_a_batch_is_what_the_caller_sees():
    def missing(step: int) -> Batch:
        raise ShapeError("images: too small") if step == 3 else ShapeError(f"step {step}")

    with pytest.raises(ShapeError, match="step 1"):
        run(batches=missing)


def test_without_validation_images_training_says_so():
    with pytest.raises(TrainingError, match="validation: expected at least one batch"):
        train(fresh_net(), batch, [], SETTINGS)


# ---------------------------------------------------------------- repeatability


def test_the_same_start_gives_the_same_weights_bit_for_bit_and_another_start_others():
    (first, records), (second, again), (other, _) = run(), run(), run(net=fresh_net(seed=1))
    assert same_weights(first, second) and not same_weights(first, other)
    assert without_seconds(records) == without_seconds(again)


def test_validation_sees_the_same_images_each_time_and_no_training_image():
    seen: list[torch.Tensor] = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = fresh_net()

        def forward(self, images):
            if not self.training:
                seen.append(images.clone())
            return self.net(images)

    run(net=Watched())
    assert len(seen) == 3 * len(VALIDATION)
    for k, images in enumerate(seen):
        assert torch.equal(images, VALIDATION[k % len(VALIDATION)][0])


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth():
    factors = [warm_up_cosine(step, 1000) for step in range(1, 1001)]
    assert max(factors) == factors[29] == 1.0
    assert factors[:30] == sorted(factors[:30]) and factors[29:] == sorted(factors[29:], reverse=True)
    assert factors[-1] == pytest.approx(0.01)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_a_short_training_still_learns_at_each_step(steps):
    assert all(0 < warm_up_cosine(step, steps) <= 1 for step in range(1, steps + 1))


def test_weight_decay_makes_weights_smaller_and_none_changes_nothing():
    sizes = []
    for decay in (0.0, 20.0):
        torch.manual_seed(0)
        net = nn.Conv2d(1, 2, 3, padding=1)
        images, label = torch.randn(4, 1, 8, 8), torch.zeros(4, 8, 8, dtype=torch.long)
        settings = TrainingSettings(steps=20, learning_rate=0.01, validate_every=20, average="none")
        train(net, lambda step: (images, label), [(images, label)], settings, weight_decay=decay)  # noqa: B023
        sizes.append(float(net.weight.detach().square().sum()))
    assert sizes[1] < 0.5 * sizes[0]
