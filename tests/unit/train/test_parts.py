"""Parts of a training that its user brings, as objects or by name."""

from functools import partial

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from adatom.errors import ArgumentError, TrainingError
from adatom.models import Localizer, Segmenter
from adatom.train import StopTraining, TrainingParts, TrainingSettings, names, register, train
from adatom.train.loop import evaluate_loss
from adatom.train.point_process import point_process_loss

STEPS = 12


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(names, "_registered", {kind: {} for kind in names.SHIPPED})


def a_line(step: int):
    """Pairs (8, 3) and (8, 1) of a linear law, a function of the step."""
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
    return x, x.sum(dim=1, keepdim=True)


def mse(given, known):
    return functional.mse_loss(given, known)


def learn(parts=None, *, steps=STEPS, net=None, **options):
    torch.manual_seed(0)
    net = net or nn.Linear(3, 1)
    settings = TrainingSettings(
        **{"steps": steps, "validate_every": 4, "learning_rate": 0.05, "average": "none", **options.pop("settings", {})}
    )
    options = {"loss_of": mse, "judge": evaluate_loss, **options}
    return net, train(net, a_line, [a_line(1000)], settings, parts=parts, **options)


@pytest.mark.parametrize("loss", [lambda given, known: (given - known).abs().mean(), nn.L1Loss(), nn.L1Loss])
def test_a_loss_may_be_a_function_a_module_or_its_class(loss):
    records = learn(TrainingParts(loss=loss))[1]
    expected = learn(loss_of=nn.L1Loss())[1]
    assert [each["loss"] for each in records] == [each["loss"] for each in expected]


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (
            lambda given, known: (given - known) ** 2,
            r"expected one number as a tensor, got shape \(8, 1\)\. Take the mean",
        ),
        (lambda given, known: 1.0, "got a float"),
        (lambda given, known: known.mean(), "expected a number that depends on the network"),
        ("mse", "expected something that can be called, got 'mse'"),
    ],
)
def test_a_loss_that_cannot_be_learned_from_is_refused(loss, told):
    with pytest.raises(ArgumentError, match=told):
        learn(TrainingParts(loss=loss))


@pytest.mark.parametrize(
    "optimiser",
    [torch.optim.SGD, torch.optim.RMSprop, partial(torch.optim.AdamW, weight_decay=0.1), torch.optim.Adagrad],
)
def test_a_resumed_run_is_the_same_with_any_optimiser(optimiser, tmp_path):
    parts = TrainingParts(
        optimiser=optimiser, schedule=partial(torch.optim.lr_scheduler.StepLR, step_size=3, gamma=0.7)
    )
    whole = learn(parts)[0]

    def stop(record):
        if record["step"] == 9:
            raise KeyboardInterrupt

    path = tmp_path / "c.safetensors"
    with pytest.raises(KeyboardInterrupt):
        learn(parts, checkpoint=path, on_record=stop)
    resumed, records = learn(parts, checkpoint=path, resume=True)
    assert len(records) == STEPS
    assert torch.equal(resumed.weight, whole.weight)
    with pytest.raises(TrainingError, match="expected the settings of the run that was stopped"):
        learn(TrainingParts(optimiser=torch.optim.Adam), checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("optimiser", "told"),
    [
        (lambda parameters: None, "takes parameters and lr"),
        (lambda parameters, lr: "sgd", "expected one of torch.optim that steps by itself, got str"),
        (torch.optim.LBFGS, "that steps by itself, got LBFGS"),
    ],
)
def test_what_makes_no_optimiser_is_refused(optimiser, told):
    with pytest.raises(ArgumentError, match=told):
        learn(TrainingParts(optimiser=optimiser))


def rates_of(parts, **options) -> list[float]:
    seen = []

    class Seen(torch.optim.SGD):
        def step(self, closure=None):
            seen.append(self.param_groups[0]["lr"])
            return super().step(closure)

    learn(TrainingParts(optimiser=Seen, schedule=parts), **options)
    return seen


def test_a_schedule_is_a_function_of_the_step_or_one_of_torch():
    assert rates_of(lambda step, steps: step / steps) == pytest.approx([0.05 * k / STEPS for k in range(1, STEPS + 1)])
    halved = rates_of(partial(torch.optim.lr_scheduler.StepLR, step_size=4, gamma=0.5))
    assert halved == pytest.approx([0.05] * 4 + [0.025] * 4 + [0.0125] * 4)
    assert rates_of(None, settings={"schedule": "constant"}) == pytest.approx([0.05] * STEPS)
    with pytest.raises(ArgumentError, match=r"expected a factor of at least 0, got -1.0 at step 1"):
        rates_of(lambda step, steps: -1)
    with pytest.raises(ArgumentError, match="got ReduceLROnPlateau"):
        rates_of(torch.optim.lr_scheduler.ReduceLROnPlateau)


def test_metrics_are_recorded_at_validations():
    records = learn(TrainingParts(metrics={"worst": lambda given, known: (given - known).abs().max()}))[1]
    assert [each["step"] for each in records if "val_worst" in each] == [4, 8, 12]
    assert records[-1]["val_worst"] > records[-1]["val_loss"] ** 0.5


def test_a_callback_sees_every_step_and_may_stop_the_training():
    seen = []

    def enough(record):
        seen.append(record["step"])
        if record["step"] == 6:
            raise StopTraining

    records = learn(TrainingParts(callbacks=[enough]))[1]
    assert seen == [1, 2, 3, 4, 5, 6]
    assert len(records) == 6 and "val_loss" in records[-1]


def test_names_stand_for_parts_in_a_recipe(tiny_recipe):
    stopped = []
    register("loss", "mine", lambda logits, label: functional.cross_entropy(logits, label))
    register("optimiser", "fast", partial(torch.optim.SGD, momentum=0.5))
    register("schedule", "down", lambda step, steps: 1 - 0.5 * step / steps)
    register("metric", "sure", lambda logits, label: logits.softmax(dim=1).amax(dim=1).mean())
    register("callback", "note", lambda record: stopped.append(record["step"]))
    training = {
        **{"steps": 3, "batch_size": 2, "validate_every": 3, "validation_images": 2, "seed": 1},
        **{"loss": {"mine": 1.0}, "optimiser": "fast", "schedule": "down", "metrics": ["sure"], "callbacks": ["note"]},
    }
    recipe = type(tiny_recipe).model_validate({**tiny_recipe.model_dump(), "training": training})
    model = Segmenter(width=4, depth=2).fit(recipe)
    assert stopped == [1, 2, 3]
    assert 1 / 3 < model.figures_["val_sure"] <= 1
    again = Segmenter(
        width=4,
        depth=2,
        training={**training, "loss": {"cross_entropy": 1.0}, "optimiser": "adam", "schedule": "constant"},
        parts=TrainingParts(
            optimiser=partial(torch.optim.SGD, momentum=0.5), schedule=lambda step, steps: 1 - 0.5 * step / steps
        ),
    ).fit(recipe)
    assert [each["loss"] for each in model.history_] == pytest.approx([each["loss"] for each in again.history_])


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"loss": {"mine": 1.0}}, "some of cross_entropy, dice, focal, got {'mine': 1.0}"),
        ({"optimiser": "lion"}, "expected one of adam, adamw, sgd, got 'lion'"),
        ({"schedule": "sawtooth"}, "expected one of warm_up_cosine, constant, got 'sawtooth'"),
        ({"metrics": ["dice"]}, r"expected one of those that were registered .*got 'dice'"),
        ({"callbacks": ["bell"]}, r"got 'bell'"),
    ],
)
def test_a_name_that_nobody_knows_is_an_error_at_once(part, told):
    with pytest.raises(ValidationError, match=told):
        TrainingSettings(**part)


def test_names_are_given_once():
    register("loss", "mine", mse)
    register("loss", "mine", mse)
    for kind, name, part, told in (
        ("loss", "mine", nn.L1Loss, "expected one that is not taken, got 'mine'"),
        ("loss", "dice", mse, "expected one that is not taken, got 'dice'"),
        ("lose", "x", mse, "expected one of loss, optimiser"),
        ("metric", "x", 3, "expected something that can be called"),
    ):
        with pytest.raises(ArgumentError, match=told):
            register(kind, name, part)


def test_a_localizer_learns_by_a_loss_of_your_own(tiny_recipe):
    training = {"steps": 2, "batch_size": 2, "validate_every": 2, "validation_images": 2, "seed": 1}
    seen = []

    def twice(raw, atoms):
        seen.append(tuple(atoms.shape)[1])
        return 2 * point_process_loss(raw, atoms)

    once, double = (
        Localizer(width=4, depth=2, training=training, parts=parts).fit(tiny_recipe)
        for parts in (None, TrainingParts(loss=twice))
    )
    assert set(seen) == {5}
    assert double.history_[0]["loss"] == pytest.approx(2 * once.history_[0]["loss"], rel=1e-5)


def test_settings_of_before_are_resumed(tmp_path):
    """A checkpoint of before names neither optimiser nor schedule."""
    from adatom.train import checkpoint as kept

    path = tmp_path / "c.safetensors"
    learn(checkpoint=path, steps=STEPS)
    tensors, facts = kept.load_checkpoint(path)
    for name in ("optimiser", "schedule", "metrics", "callbacks"):
        del facts["settings"][name]
    kept.save_checkpoint(
        path, tensors, {name: value for name, value in facts.items() if name not in ("parts", "plain")}
    )
    assert len(learn(checkpoint=path, steps=STEPS, resume=True)[1]) == STEPS
    assert np.isfinite(facts["best_loss"])
