"""Finding through an ONNX file beside eager torch: time, and whether the atoms are the same.

Two models are exported and find the atoms of noisy two-atom honeycombs of 512 and of 1024 pixels a side, without
refinement on the image, which is the same for all: a U-Net of AtomAI's, as users bring theirs, and the finder that
ships, whose folded network is so small that it takes less than half of the time of a find. Eager torch is the network
as it stands, in float32. What is measured is processor time on one thread, which says the same on a busy machine as on
a quiet one; runs take turns, and the fastest counts. Needs the extra ``fast``.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy.spatial import cKDTree
from torch import nn

import adatom as ad
from adatom.models.atomai_import import Meant, import_atomai
from adatom.models.image_model import exactly
from adatom.models.onnx_file import export_onnx
from adatom.nets.onnx_net import OnnxNet
from benchmarks.record import FOLDER, Recorder
from benchmarks.two_atom_images import draw_image

SHIPS = "any_atoms"
BROUGHT = FOLDER.parent.parent / "shared" / "data" / "atomai_models" / "segmentor.tar"
ROUNDS = 5
SIDES = {512: 3, 1024: 1}  # pixels -> number of images
SAME_PX = 0.01
# name -> what runs the file, and whether in bfloat16 (where the processor has it); the first is what find takes
WAYS: dict[str, dict[str, Any]] = {
    "onnx_runtime": {"runner": "ONNX Runtime", "in_bfloat16": False},
    "openvino_float32": {"runner": "OpenVINO", "in_bfloat16": False},
    "openvino_bfloat16": {"runner": "OpenVINO", "in_bfloat16": True},
}


class _Eager:
    """A network as it stands."""

    def __init__(self, net: nn.Module) -> None:
        self._net: Any = net
        self._run = exactly(net)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self._run(images)

    @torch.inference_mode()
    def encode(self, images: torch.Tensor) -> list[torch.Tensor]:
        levels: list[torch.Tensor] = self._net.encode(images)
        return levels


def run(recorder: Recorder) -> None:
    """Of each image, the fastest of several rounds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    _compare_ways(recorder, ad.load(SHIPS), "")
    if BROUGHT.exists():
        _compare_ways(
            recorder, import_atomai(BROUGHT, Meant(classes=["bright", "dim"], spacing_px=14)), "_unet_of_atomai"
        )
    torch.set_num_threads(threads)


def _compare_ways(recorder: Recorder, eager: Any, whose: str) -> None:
    engine = _Eager(eager.net_)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        recorder.add(f"engine/onnx{whose}/difference_of_logits", export_onnx(eager, path), goal="<= 0.0001")
        eager._engine = lambda: engine
        models = {"eager": eager}
        for name, way in WAYS.items():
            models[name] = ad.load(path)
            net = models[name].net_
            models[name].net_ = OnnxNet(net._file, multiple=net.multiple, n_levels=net.n_levels, **way)
    _compare_networks(recorder, models, whose)
    for side, n in SIDES.items():
        images = [draw_image("noisy", "test", 1000 + k, size=side).image for k in range(n)]
        _compare(recorder, models, images, f"{side}px", whose)


def _compare_networks(recorder: Recorder, models: dict[str, Any], whose: str) -> None:
    """The networks alone, on 512 x 512 pixels at the working scale."""
    images = torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    engines = {name: model._engine() for name, model in models.items()}
    seconds = dict.fromkeys(engines, np.inf)
    for engine in engines.values():
        engine(images)  # the first one prepares
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            started = time.process_time()
            engine(images)
            seconds[name] = min(seconds[name], time.process_time() - started)
    for name in WAYS:
        recorder.add(f"engine/{name}{whose}/network_speed_over_eager", seconds["eager"] / seconds[name])


def _compare(recorder: Recorder, models: dict[str, Any], images: list[xr.DataArray], size: str, whose: str) -> None:
    found = {name: [ad.find(image, model=model, refine=False) for image in images] for name, model in models.items()}
    seconds = {name: np.full(len(images), np.inf) for name in models}
    for _ in range(ROUNDS):
        for number, image in enumerate(images):
            for name, model in models.items():
                started = time.process_time()
                ad.find(image, model=model, refine=False)
                seconds[name][number] = min(seconds[name][number], time.process_time() - started)
    whole = {name: float(times.mean()) for name, times in seconds.items()}
    recorder.add(f"engine/eager{whose}/find_{size}_seconds", whole["eager"])
    apart = {
        name: np.concatenate([_apart_px(*each) for each in zip(images, found["eager"], found[name], strict=True)])
        for name in WAYS
    }
    same = [name for name in WAYS if apart[name].max() <= SAME_PX]
    fastest = min(same, key=whole.__getitem__, default=None)
    for name in WAYS:
        goal = ">= 1.5" if name == fastest else None  # of those that find the same atoms
        recorder.add(f"engine/{name}{whose}/find_{size}_speed_over_eager", whole["eager"] / whole[name], goal=goal)
        share = float((apart[name] <= SAME_PX).mean())
        recorder.add(f"engine/{name}{whose}/share_of_atoms_within_0.01px_{size}", share, goal=">= 1")
        recorder.add(f"engine/{name}{whose}/largest_distance_px_{size}", float(apart[name].max()))


def _apart_px(image: xr.DataArray, first: pd.DataFrame, second: pd.DataFrame) -> np.ndarray:
    """Distance of each atom of one table to its partner in the other, infinite for those without one."""
    pixel = float(image["x"][1] - image["x"][0])
    distances = []
    for one, other in ((first, second), (second, first)):
        nearest, _ = cKDTree(other[["x", "y"]].to_numpy()).query(one[["x", "y"]].to_numpy(), distance_upper_bound=pixel)
        distances.append(nearest / pixel)
    return np.concatenate(distances)
