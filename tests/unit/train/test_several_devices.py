"""Two processes on the processor train as one does."""

import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from several_devices_run import KINDS, main
from torch.nn import functional
from typer.testing import CliRunner

from adatom.cli import app
from adatom.errors import TrainingError
from adatom.models import Ensemble
from adatom.train import several_devices
from adatom.train.launcher import run_on_devices

needs_fabric = pytest.mark.skipif(find_spec("lightning_fabric") is None, reason="the extra `cluster` is not installed")
SCRIPT = Path(__file__).parents[2] / "several_devices_run.py"


@needs_fabric
def test_two_processes_end_with_the_losses_and_the_weights_of_one(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        main(tmp_path / "one.safetensors")
    assert run_on_devices(2, [sys.executable, str(SCRIPT), str(tmp_path / "two.safetensors")]) == 0
    one, two = (load_file(tmp_path / f"{number}.safetensors") for number in ("one", "two"))
    for kind in KINDS:
        losses = one[f"{kind}/losses"]
        assert losses[-5:].mean() < 0.9 * losses[:5].mean()
        assert two[f"{kind}/losses"].numpy() == pytest.approx(losses.numpy(), rel=1e-5)
    for name, value in one.items():
        assert two[name].numpy() == pytest.approx(value.numpy(), abs=1e-4), name


def test_batch_norm_of_the_whole_batch_is_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one process, whose part is the whole."""
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda value: None)
    drawn = torch.randn(5, 3, 4, 6, generator=torch.Generator().manual_seed(0)) + 2.0
    weight, bias = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.5, 0.0, -1.0])
    results = []
    for whole in (False, True):
        mean, variance = torch.zeros(3), torch.ones(3)
        values = drawn.clone().requires_grad_()
        with several_devices.WholeBatchNorm() if whole else nullcontext():
            normalised = functional.batch_norm(values, mean, variance, weight, bias, training=True, momentum=0.3)
        normalised.sin().sum().backward()
        results.append((normalised.detach(), mean, variance, values.grad))
    for own, torchs in zip(*results, strict=True):
        assert own.numpy() == pytest.approx(torchs.numpy(), abs=1e-4)


def test_several_processes_without_a_device_for_them_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "adatom")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="device: expected cpu or cuda for several devices, got mps"):
        several_devices.join("mps")


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")  # of some other program
    assert several_devices.n_processes() == 1 and several_devices.leads()
    assert several_devices.join("cpu").n == 1


def test_an_ensemble_is_not_trained_by_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "adatom")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="devices: expected one for an ensemble, got 2"):
        Ensemble().fit("hexagonal_two_atoms")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--devices", "2", "--members", "2"], "is not for ensembles"),
        (["--devices", "100"], "expected at most the batch size"),
    ],
)
def test_the_command_refuses_what_several_devices_do_not_do(options: list[str], told: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["train", "hexagonal_two_atoms", "--out", str(tmp_path), *options])
    assert done.exit_code == 2 and told in " ".join(done.output.split())


def test_the_command_runs_itself_for_each_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["train", "hexagonal_two_atoms", "--out", str(tmp_path / "model"), "--devices", "2"]
    run: list[object] = []
    monkeypatch.setattr("adatom.train.launcher.run_on_devices", lambda n, command: run.extend([n, command]) or 3)
    monkeypatch.setattr(sys, "argv", ["adatom", *arguments])
    assert CliRunner().invoke(app, arguments).exit_code == 3  # as the first of them ended
    assert run == [2, [sys.executable, "-m", "adatom", *arguments]]
    assert not (tmp_path / "model").exists()
