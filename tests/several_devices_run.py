"""What the test of several devices runs in each process: a short training, which tells what came of it."""

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file

from adatom.nets import build_net
from adatom.nets.claims import n_channels
from adatom.train import Batch, TrainingSettings, train
from adatom.train.launcher import end_with_parent
from adatom.train.loop import evaluate_loss
from adatom.train.losses import Loss, weighted_loss
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
    return images.double(), torch.tensor(atoms)


def images_and_classes(step: int) -> Batch:
    """The same images with class maps, of which Dice's overlap is no mean over images."""
    images, atoms = images_and_atoms(step)
    label = torch.zeros(N_IMAGES, SIDE, SIDE, dtype=torch.long)
    label[atoms[:, 0].long(), atoms[:, 3].long(), atoms[:, 2].long()] = 1
    return images, label


KINDS: dict[str, tuple[Callable[[int], Batch], int, Loss]] = {
    "atoms": (images_and_atoms, n_channels(1), point_process_loss),
    "classes": (images_and_classes, 2, weighted_loss({"dice": 1.0, "cross_entropy": 1.0})),
}


def main(out: Path) -> None:
    """Train one network of each kind, and write their losses and weights to `out`.

    In float64: in float32 rounding grows within 30 steps to what can be seen, in one process with another number of
    threads as well.
    """
    end_with_parent()
    told = {}
    for kind, (batches, channels, loss_of) in KINDS.items():
        torch.manual_seed(0)
        net = build_net("unet", classes=channels, width=4, depth=2).double()
        settings = TrainingSettings(steps=30, batch_size=N_IMAGES, validate_every=10)
        records = train(net, batches, [batches(1000)], settings, loss_of=loss_of, judge=evaluate_loss)
        told[f"{kind}/losses"] = torch.tensor([record["loss"] for record in records])
        told |= {f"{kind}/{name}": value.contiguous() for name, value in net.state_dict().items()}
    if leads():
        save_file(told, out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
