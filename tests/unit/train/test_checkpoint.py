"""A training that was stopped goes on as if nothing had happened, or says in a sentence why it cannot."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from adatom.errors import TrainingError
from adatom.nets import build_net
from adatom.train import Batch, Record, TrainingSettings, train
from adatom.train.checkpoint import load_checkpoint, save_checkpoint

SETTINGS = TrainingSettings(steps=14, batch_size=2, learning_rate=0.01, validate_every=4, patience=100)


def batch(step: int) -> Batch:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(2, 1, 8, 8, generator=generator)
    return images, (images[:, 0] > 0.5).long()


def run(settings=SETTINGS, *, width: int = 4, depth: int = 1, **options) -> tuple[nn.Module, list[Record]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build_net("unet", classes=2, width=width, depth=depth)
    return net, train(net, batch, [batch(1000)], settings, **options)


class Stopped(Exception):
    """What a user's Ctrl-C is to the loop."""


def stop_after(step: int):
    def on_record(record: Record) -> None:
        if record["step"] == step:
            raise Stopped

    return on_record


def checkpoint_of(folder: Path, *, step: int = 9, settings: TrainingSettings = SETTINGS) -> Path:
    """The checkpoint of a training that was stopped after `step` steps."""
    path = folder / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        run(settings, checkpoint=path, on_record=stop_after(step))
    return path


def without_seconds(records: list[Record]) -> list[Record]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


def sentence(error: pytest.ExceptionInfo) -> str:
    text = str(error.value)
    assert text and "\n" not in text and text.endswith(".") and len(text) < 400
    return text


@pytest.mark.parametrize("average", ["none", "ema", "swa"])
@pytest.mark.parametrize("step", [2, 4, 9, 13])
def test_a_resumed_training_ends_as_the_uninterrupted_one_bit_for_bit(tmp_path, average, step):
    settings = SETTINGS.model_copy(update={"average": average, "swa_start": 0.5})
    whole_net, whole = run(settings)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        run(settings, checkpoint=path, on_record=stop_after(step))
    resumed_net, resumed = run(settings, checkpoint=path, resume=True)
    assert without_seconds(resumed) == without_seconds(whole)
    for name, value in whole_net.state_dict().items():
        assert torch.equal(value, resumed_net.state_dict()[name]), name


def test_a_training_may_be_stopped_again_and_again(tmp_path):
    whole_net, _ = run()
    path = checkpoint_of(tmp_path, step=5)
    with pytest.raises(Stopped):
        run(checkpoint=path, resume=True, on_record=stop_after(9))
    resumed_net, _ = run(checkpoint=path, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole_net.parameters(), resumed_net.parameters(), strict=True))


def test_only_what_was_not_done_is_done_again(tmp_path):
    path = checkpoint_of(tmp_path, step=9)
    heard: list[Record] = []
    run(checkpoint=path, resume=True, on_record=heard.append)
    assert [record["step"] for record in heard] == list(range(9, 15))


def test_resuming_a_finished_training_gives_its_end_again(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    net, records = run(checkpoint=path)
    heard: list[Record] = []
    again, records_again = run(checkpoint=path, resume=True, on_record=heard.append)
    assert heard == [] and records_again == records
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_time_already_spent_is_counted(tmp_path):
    path = checkpoint_of(tmp_path, step=9)
    _, facts = load_checkpoint(path)
    _, records = run(checkpoint=path, resume=True)
    assert records[-1]["seconds"] > facts["seconds"] > 0


def test_resume_without_a_checkpoint_starts_from_the_beginning(tmp_path):
    _, records = run(checkpoint=tmp_path / "checkpoint.safetensors", resume=True)
    assert records[0]["step"] == 1


@pytest.mark.parametrize(
    "other", [{"learning_rate": 0.02}, {"steps": 20}, {"seed": 3}, {"average": "swa"}, {"loss": {"dice": 1.0}}]
)
def test_other_settings_are_refused(tmp_path, other):
    path = checkpoint_of(tmp_path)
    with pytest.raises(TrainingError, match="resume: expected the settings of the run that was stopped") as error:
        run(SETTINGS.model_copy(update=other), checkpoint=path, resume=True)
    sentence(error)


@pytest.mark.parametrize("other", [{"width": 5}, {"depth": 2}])
def test_another_network_is_refused(tmp_path, other):
    path = checkpoint_of(tmp_path)
    with pytest.raises(TrainingError, match="belongs to another network") as error:
        run(checkpoint=path, resume=True, **other)
    sentence(error)


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.01, 0.3, 0.9, 0.9999])
def test_a_truncated_checkpoint_is_refused(tmp_path, share):
    path = checkpoint_of(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(TrainingError, match=r"checkpoint: checkpoint.safetensors cannot be read") as error:
        run(checkpoint=path, resume=True)
    assert "Start again without --resume" in sentence(error)


@pytest.mark.parametrize("content", [b"", b"step 4, loss 0.3\n", b"\x80\x04\x95" + bytes(100), bytes(range(256)) * 9])
def test_another_file_in_its_place_is_refused(tmp_path, content):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(TrainingError) as error:
        run(checkpoint=path, resume=True)
    sentence(error)


def test_tensors_that_are_no_checkpoint_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "checkpoint.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(TrainingError, match="expected one of this version of Adatom") as error:
        run(checkpoint=path, resume=True)
    sentence(error)


def test_a_flipped_bit_in_the_header_never_raises_anything_else(tmp_path):
    """Many flips show; one that only changes a recorded number does not."""
    path = tmp_path / "checkpoint.safetensors"
    run(SETTINGS.model_copy(update={"steps": 2}), checkpoint=path)  # finished: resuming it costs nothing
    content = bytearray(path.read_bytes())
    length = 8 + int.from_bytes(content[:8], "little")
    refused = 0
    for position in random.Random(0).sample(range(8 * length), 150):
        content[position // 8] ^= 1 << position % 8
        path.write_bytes(content)
        try:
            run(SETTINGS.model_copy(update={"steps": 2}), checkpoint=path, resume=True)
        except TrainingError as error:
            assert "\n" not in str(error)
            refused += 1
        content[position // 8] ^= 1 << position % 8
    assert refused > 30


def test_the_old_checkpoint_stays_whole_when_writing_the_new_one_fails(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"a": torch.arange(3.0)}, {"step": 1})

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_checkpoint(path, {"a": torch.zeros(3)}, {"step": 2})
    tensors, facts = load_checkpoint(path)
    assert facts == {"step": 1} and torch.equal(tensors["a"], torch.arange(3.0))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
