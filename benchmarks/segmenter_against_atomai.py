"""A `Segmenter` and AtomAI 0.8.1, trained on the same images and judged on the same others, one after the other.

Both see 512 noisy two-atom honeycombs; the validation images (of their own stream) are the ones AtomAI is given as its
test set and ours to choose its best state; all other figures are from the test stream, which neither has seen. AtomAI
trains as it was measured before (110 cycles of 8, average of its last weights), each image scaled to 0..1, and
predicts each image alone. Its training time leaves out its test steps; ours counts everything from the call of `fit`
to the first validation at which the mean IoU of the validation images is at least AtomAI's final one.

Needs ``make peers``. ``python -m benchmarks.segmenter_against_atomai --tiny`` tries the way and keeps no figures.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

import adatom as ad
from benchmarks.counting import Counts, count
from benchmarks.record import FOLDER, Recorder
from benchmarks.two_atom_images import LABEL_RADIUS_PX, Kind, Stream, TwoAtomImage, draw_image

TOLERANCE = 0.3  # bonds
PEER_PYTHON = FOLDER.parent / ".peers" / "bin" / "python"
PEER_PROGRAM = FOLDER / "peers" / "atomai_segmentor.py"
BATCH_SIZE = 8
KINDS: tuple[Kind, ...] = ("clean", "noisy")
CLASSES = ["A", "B"]
NETWORK: dict[str, Any] = {"net": "folded_unet", "width": 16, "depth": 3}


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    n_train: int = 512
    n_validation: int = 24
    n_test: int = 64
    n_timed: int = 5
    peer_cycles: int = 110
    steps: int = 1200
    validate_every: int = 50


# its average of weights takes the last 30 cycles
TINY = Size(n_train=24, n_validation=8, n_test=2, n_timed=2, peer_cycles=31, steps=20, validate_every=10)


def run(recorder: Recorder, size: Size = Size()) -> None:
    """Peer first, then ours, with the same number of threads."""
    if not PEER_PYTHON.exists():
        raise SystemExit("benchmarks: expected the peer's environment, got none. Run `make peers` first.")
    train = _draw("noisy", "train", size.n_train)
    validation = _draw("noisy", "validation", size.n_validation)
    test = {kind: _draw(kind, "test", size.n_test) for kind in KINDS}
    timed = [draw_image("noisy", "test", 1000 + k, size=512) for k in range(size.n_timed)]

    facts, peer_atoms = _train_peer(train, validation, test, timed, size)
    shown = {name: value for name, value in facts.items() if name != "losses"}
    print(f"  peer: {shown}", flush=True)
    model, seconds_to_iou = _train_ours(train, validation, size, iou=facts["iou_validation"])
    print(f"  ours: {model.figures_}", flush=True)

    for kind in KINDS:
        ours = _count(test[kind], (_ours(model, drawn) for drawn in test[kind]))
        peer = _count(test[kind], _of_images(peer_atoms[kind], len(test[kind])))
        _record(recorder, kind, ours, peer)
    best_iou = max(record["val_iou"] for record in model.history_ if "val_iou" in record)
    recorder.add("segmenter/two_atoms/validation_iou", best_iou, peer=facts["iou_validation"])
    recorder.add("segmenter/two_atoms/reaches_iou_of_peer", float(np.isfinite(seconds_to_iou)), goal=">= 1")
    if np.isfinite(seconds_to_iou):
        peer_seconds = facts["seconds_train_steps"]
        recorder.add("segmenter/two_atoms/seconds_to_iou_of_peer", seconds_to_iou, peer=peer_seconds)
        share = seconds_to_iou / peer_seconds
        recorder.add("segmenter/two_atoms/seconds_to_iou_of_peer_over_its_seconds", share, goal="<= 0.3333")
    recorder.add(
        "segmenter/two_atoms/training_images_256px_a_second",
        model.history_[-1]["step"] * BATCH_SIZE / model.history_[-1]["seconds"],
        peer=size.peer_cycles * BATCH_SIZE / facts["seconds_train_steps"],
    )
    _record_speed(recorder, model, timed, peer_seconds=float(np.median(facts["seconds_an_image"])))


def _draw(kind: Kind, stream: Stream, n: int) -> list[TwoAtomImage]:
    return [draw_image(kind, stream, index) for index in range(n)]


# -------------------------------------------------------------------------------------------------- the peer


def _train_peer(
    train: list[TwoAtomImage],
    validation: list[TwoAtomImage],
    test: dict[Kind, list[TwoAtomImage]],
    timed: list[TwoAtomImage],
    size: Size,
) -> tuple[dict[str, Any], dict[Kind, NDArray[Any]]]:
    """What the peer's process says, and its atoms: image number, x, y, class."""
    settings = {
        "cycles": size.peer_cycles,
        "batch_size": BATCH_SIZE,
        "threads": torch.get_num_threads(),
        "classes": len(CLASSES) + 1,
    }
    arrays: dict[str, Any] = {"settings": json.dumps(settings), "timed": _scaled(timed)}
    for name, images in (("train", train), ("validation", validation)):
        # its background is the last class, ours the first
        labels = np.stack([drawn.label() for drawn in images]).astype(np.int64)
        arrays |= {f"{name}_images": _scaled(images), f"{name}_labels": (labels + 2) % 3}
    arrays |= {f"test_{kind}": _scaled(images) for kind, images in test.items()}
    with tempfile.TemporaryDirectory() as folder:
        data, results = Path(folder) / "data.npz", Path(folder) / "results.npz"
        np.savez(data, **arrays)
        subprocess.run([PEER_PYTHON, PEER_PROGRAM, data, results], check=True)
        with np.load(results) as file:
            return json.loads(str(file["facts"])), {kind: file[f"test_{kind}_atoms"] for kind in test}


def _scaled(images: list[TwoAtomImage]) -> NDArray[np.float32]:
    lowest = [(drawn.values - drawn.values.min()) / np.ptp(drawn.values) for drawn in images]
    return np.stack(lowest).astype(np.float32)


def _of_images(atoms: NDArray[Any], n: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    for number in range(n):
        mine = atoms[atoms[:, 0] == number]
        yield mine[:, 1:3], mine[:, 3].astype(int)


# -------------------------------------------------------------------------------------------------- ours


def _train_ours(
    train: list[TwoAtomImage], validation: list[TwoAtomImage], size: Size, *, iou: float
) -> tuple[ad.Segmenter, float]:
    """The model, and the seconds from the call of `fit` until its IoU was at least `iou`; infinite if it never was."""
    reached = [float("inf")]
    settings = {
        "steps": size.steps,
        "batch_size": BATCH_SIZE,
        "validate_every": size.validate_every,
        "validation_images": size.n_validation,
        "patience": 1000,
        "precision": "bfloat16",
    }
    data = _training_set([*train, *validation])
    started = time.perf_counter()

    def look(record: dict[str, Any]) -> None:
        if "val_iou" in record:
            seconds = time.perf_counter() - started
            known = {name: record[name] for name in ("step", "val_loss", "val_iou", "val_f1", "val_position_rms_px")}
            print(f"  ours: {seconds:.1f} s, {known}", flush=True)
            if record["val_iou"] >= iou:
                reached[0] = min(reached[0], seconds)

    model = ad.Segmenter(classes=CLASSES, training=settings, random_state=0, **NETWORK)
    model.fit(data, on_record=look)
    return model, reached[0]


def _training_set(images: list[TwoAtomImage]) -> xr.Dataset:
    """As `adatom.data.training_set` has it; the last images are those that `fit` validates on."""
    owner = np.repeat(np.arange(len(images)), [len(drawn.x) for drawn in images])
    return xr.Dataset(
        {
            "image": (("sample", "y", "x"), np.stack([drawn.values for drawn in images]).astype(np.float32)),
            "label": (("sample", "y", "x"), np.stack([drawn.label() for drawn in images])),
            "atom_sample": ("atom", owner),
            "atom_x": ("atom", np.concatenate([drawn.x for drawn in images])),
            "atom_y": ("atom", np.concatenate([drawn.y for drawn in images])),
            "atom_species": ("atom", np.concatenate([drawn.species for drawn in images])),
        },
        attrs={
            "classes": CLASSES,
            "pixel_size_nm": None,
            "label_radius_px": LABEL_RADIUS_PX,
            "recipe": "",
            "seed": 0,
        },
    )


def _ours(model: ad.Segmenter, drawn: TwoAtomImage) -> tuple[NDArray[Any], NDArray[Any]]:
    atoms = ad.find(drawn.image, model=model)
    return atoms[["x", "y"]].to_numpy(), atoms["species"].map(CLASSES.index).to_numpy(dtype=int)


# -------------------------------------------------------------------------------------------------- figures


def _count(images: list[TwoAtomImage], finds: Iterator[tuple[NDArray[Any], NDArray[Any]]]) -> Counts:
    total = Counts()
    for drawn, (positions, species) in zip(images, finds, strict=True):
        total += count(
            positions,
            drawn.positions,
            tolerance=TOLERANCE * drawn.bond,
            found_species=species,
            known_species=drawn.species,
            at_border=drawn.at_border(positions),
        )
    return total


def _record(recorder: Recorder, kind: Kind, ours: Counts, peer: Counts) -> None:
    goals = {
        "f1": {"clean": ">= 0.998", "noisy": ">= 0.99"},
        "rms": {"clean": "<= 0.1", "noisy": "<= 0.3"},
        "class_accuracy": {"clean": ">= 0.998", "noisy": ">= 0.998"},
    }
    for name in ("precision", "recall", "f1", "rms", "class_accuracy"):
        goal = goals[name][kind] if name in goals else None
        figure = f"segmenter/two_atoms/{kind}/{'rms_px' if name == 'rms' else name}"
        recorder.add(figure, getattr(ours, name), goal=goal, peer=getattr(peer, name))
    for whose, counts in (("ours", ours), ("peer", peer)):
        print(f"      {whose}: {counts}", flush=True)


def _record_speed(recorder: Recorder, model: ad.Segmenter, timed: list[TwoAtomImage], *, peer_seconds: float) -> None:
    """From an npy file on the disk to atoms; the peer's network and Locator have the image in memory already.

    ``default`` is the finder that ships, at its second image, ``default_of_many`` the same after 60.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.npy" for number in range(len(timed))]
        for file, drawn in zip(files, timed, strict=True):
            np.save(file, drawn.values.astype(np.float32))
        # OpenVINO, where it is installed, takes over after some images
        for name, chosen, n_before in (("default", None, 1), ("segmenter", model, 1), ("default_of_many", None, 60)):
            for _ in range(n_before):
                ad.find(ad.read(files[0]), model=chosen)
            seconds = []
            for file in files:
                started = time.perf_counter()
                ad.find(ad.read(file), model=chosen)
                seconds.append(time.perf_counter() - started)
            median = float(np.median(seconds))
            recorder.add(f"speed/512px/{name}/read_to_atoms_seconds", median, peer=peer_seconds)
            recorder.add(f"speed/512px/{name}/times_as_fast_as_peer", peer_seconds / median, goal=">= 3")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a try; nothing is kept")
    parser.add_argument("--tiny", action="store_true", help="a few images and steps")
    arguments = parser.parse_args()
    run(Recorder(command="a try"), TINY if arguments.tiny else Size())
