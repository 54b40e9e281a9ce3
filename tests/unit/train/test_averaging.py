import pytest
import torch
from torch import nn

from adatom.nets import build_net
from adatom.train.averaging import WeightAverage, estimate_statistics


def wander(net: nn.Module, n: int) -> list[dict[str, torch.Tensor]]:
    """`n` states a training might have gone through."""
    generator = torch.Generator().manual_seed(0)
    states = []
    for step in range(1, n + 1):
        state = {name: torch.randn(value.shape, generator=generator) for name, value in net.state_dict().items()}
        states.append({**state, "1.num_batches_tracked": torch.tensor(step)})
    return states


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3))


def average_of(states, *, kind, decay=0.9, start=0):
    """The average after a training that went through `states`."""
    net = small_net()
    average = WeightAverage(net, kind=kind, decay=decay, start=start)
    for step, state in enumerate(states, start=1):
        net.load_state_dict(state)
        average.update(net, step)
    return average


def test_none_is_the_last_state():
    states = wander(small_net(), 5)
    average = average_of(states, kind="none")
    assert all(torch.equal(average.state[name], states[-1][name]) for name in states[-1])
    assert not average.needs_statistics


@pytest.mark.parametrize("start", [1, 3, 6])
def test_swa_is_the_plain_mean_of_the_states_from_its_start_on(start):
    states = wander(small_net(), 8)
    average = average_of(states, kind="swa", start=start)
    for name in ("0.weight", "0.bias", "1.weight", "1.bias"):
        mean = torch.stack([state[name] for state in states[start - 1 :]]).mean(dim=0)
        torch.testing.assert_close(average.state[name], mean)
    assert average.needs_statistics


def test_swa_from_step_0_counts_every_state_but_the_untrained_one():
    states = wander(small_net(), 8)
    average = average_of(states, kind="swa", start=0)
    torch.testing.assert_close(average.state["0.weight"], torch.stack([s["0.weight"] for s in states]).mean(dim=0))


def test_swa_before_its_start_is_the_last_state():
    states = wander(small_net(), 4)
    average = average_of(states, kind="swa", start=5)
    assert all(torch.equal(average.state[name], states[-1][name]) for name in states[-1])
    assert not average.needs_statistics


def test_ema_follows_its_formula():
    states = wander(small_net(), 40)
    start = small_net()
    average = WeightAverage(start, kind="ema", decay=0.7, start=0)
    expected = start.state_dict()["0.weight"].double().clone()
    net = small_net()
    for step, state in enumerate(states, start=1):
        net.load_state_dict(state)
        average.update(net, step)
        kept = min(0.7, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * state["0.weight"].double()
    torch.testing.assert_close(average.state["0.weight"].double(), expected, rtol=1e-5, atol=1e-6)
    assert average.state["1.num_batches_tracked"] == 40  # a count is no average


def test_the_average_leaves_the_network_alone():
    states = wander(small_net(), 2)
    net = small_net()
    net.load_state_dict(states[0])
    average = WeightAverage(net, kind="ema", decay=0.9, start=0)
    average.update(net, 1)
    average.state["0.weight"].zero_()
    assert torch.equal(net.state_dict()["0.weight"], states[0]["0.weight"])


def test_estimated_statistics_are_the_direct_mean_over_the_batches():
    net = build_net("unet", classes=2, width=3, depth=1)
    batches = [torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(k)) for k in range(5)]
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    seen: dict[nn.Module, list[torch.Tensor]] = {norm: [] for norm in norms}
    hooks = [norm.register_forward_hook(lambda norm, inputs, _: seen[norm].append(inputs[0])) for norm in norms]
    net.train()
    with torch.no_grad():
        for images in batches:  # in training mode each batch is normalised by itself
            net(images)
    for hook in hooks:
        hook.remove()

    estimate_statistics(net, batches)
    for norm in norms:
        mean = torch.stack([features.mean(dim=(0, 2, 3)) for features in seen[norm]]).mean(dim=0)
        variance = torch.stack([features.var(dim=(0, 2, 3)) for features in seen[norm]]).mean(dim=0)
        torch.testing.assert_close(norm.running_mean, mean)
        torch.testing.assert_close(norm.running_var, variance)


@pytest.mark.parametrize("training", [True, False])
def test_estimating_statistics_touches_neither_weights_nor_mode_nor_momentum(training):
    net = small_net().train(training)
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    estimate_statistics(net, [torch.ones(2, 1, 8, 8)])
    assert all(torch.equal(before[name], weight) for name, weight in net.named_parameters())
    assert net.training is training
    assert net[1].momentum == 0.1
