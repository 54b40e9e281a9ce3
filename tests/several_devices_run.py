"""What the test of several devices runs in each process: a short training, which tells what came of it."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from adatom.nets import build_net
from adatom.nets.claims import n_channels
from adatom.train import Batch, TrainingSettings, train
from adatom.train.launcher import end_with_parent
from adatom.train.loop import evaluate_loss
from adatom.train.losses import weighted_loss
from adatom.train.point_process import point_process_loss
from adatom.train.several_devices import leads

N_IMAGES, SIDE = 5, 16  # shares of 2 and 3


def images_and_atoms(step: int) -> Batch:
    """Images with bright pixels, and the table of these as `point_process_loss` takes it; more in later images."""
    generator = torch.Generator().manual_seed(step)
    images = 0.3 * torch.randn(N_IMAGES, 1, SIDE, SIDE, generator=generator)
    atoms = []
    for number in range(N_IMAGES):
        for row, column in torch.randint(2, SIDE - 2, (1 + number, 2), generator=generator).tolist():
            images[number, 0, row, column] += 2.0
            atoms.append([number, 0, column, row, 0.0])
    return images, torch.tensor(atoms)


def images_and_classes(step: int) -> Batch:
    """The same images with class maps, of which Dice's overlap is no mean over images."""
    images, atoms = images_and_atoms(step)
    label = torch.zeros(N_IMAGES, SIDE, SIDE, dtype=torch.long)
    label[atoms[:, 0].long(), atoms[:, 3].long(), atoms[:, 2].long()] = 1
    return images, label


def main(out: Path, kind: str) -> None:
    """Train, and write the weights and losses to `out`."""
    end_with_parent()
    batches = {"atoms": images_and_atoms, "classes": images_and_classes}[kind]
    channels = n_channels(1) if kind == "atoms" else 2
    torch.manual_seed(0)
    net = build_net("unet", classes=channels, width=4, depth=2)
    settings = TrainingSettings(
        steps=30, batch_size=N_IMAGES, learning_rate=0.003, validate_every=10, optimiser="sgd", average="ema"
    )
    records = train(
        net,
        batches,
        [batches(1000)],
        settings,
        loss_of=point_process_loss if kind == "atoms" else weighted_loss({"dice": 1.0, "cross_entropy": 1.0}),
        judge=evaluate_loss,
    )
    if leads():
        losses = torch.tensor([record["loss"] for record in records])
        save_file(
            {"losses": losses, **{f"net/{name}": value.contiguous() for name, value in net.state_dict().items()}}, out
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
