"""All ways to run the network of the finder that ships, in time and in what they change; `adatom.nets.engine` chooses.

The network looks at 512 x 512 pixels; what counts is processor time on one thread, in turns, the fastest of several.
What each way says is set beside eager torch in float32: the largest deviation of a probability on noisy two-atom
honeycombs as `find` shows them to it, and the atoms that `find` then loses, gains and moves. Integers of 8 bits are
those of ONNX Runtime, calibrated on real images. Needs the extra ``fast``; torch.compile needs a compiler
of C++, and is left out without one.
"""

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch._inductor.config
import xarray as xr
from scipy.spatial import cKDTree
from torch import Tensor, nn

import adatom as ad
from adatom.nets.engine import Engine, multiplies_bfloat16
from adatom.nets.fusion import fuse_normalisation
from adatom.nets.onnx_net import OnnxNet, openvino_request, to_onnx
from benchmarks.record import FOLDER, Recorder
from benchmarks.two_atom_images import draw_image

MODEL = "any_atoms"
SIDE, ROUNDS, N_IMAGES = 512, 7, 3
NEVER = 10**15
# A way that loses or gains more of the atoms, or moves them further than this, which is far less than their error bars,
# is no choice.
LARGEST_SHARE, LARGEST_MOVE_PX = 0.001, 0.01
DATA = FOLDER.parent.parent / "shared" / "data"
CALIBRATION = [
    Path(ad.__file__).parent / "examples" / "image_with_defects.dat",
    *(DATA / "mos2_haadf" / f"MoS2_stem_Exp-00{number}.npy" for number in ("0-2", "2-5")),
    DATA / "pt_single_atoms" / "021_HAADF_15nm_Sample_PtNC_21Oct20.tif",
]

Run = Callable[[Tensor], Tensor]


class Way:
    """A way to run a network, in place of a model's engine; keeps what it was shown if asked to."""

    def __init__(self, run: Run, net: nn.Module, shown: list[Tensor] | None = None) -> None:
        self._run, self._net, self._shown = run, net, shown

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        if self._shown is not None:
            self._shown.append(images)
        return self._run(images)

    @torch.inference_mode()
    def encode(self, images: Tensor) -> list[Tensor]:
        """Features of the levels: the same for all ways."""
        net: Any = self._net
        levels: list[Tensor] = net.encode(images)
        return levels


def run(recorder: Recorder) -> None:
    """Every way that this machine has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model: Any = ad.load(MODEL)
    net = model.net_
    images = [draw_image("noisy", "test", 1000 + k, size=SIDE).image for k in range(N_IMAGES)]
    shown = [_what_is_shown(model, image) for image in images]
    ways = _ways(recorder, net, [_what_is_shown(model, image) for image in _real_images()])
    seconds = _fastest(ways)
    said = {name: [_probabilities(model, way, image) for image in shown] for name, way in ways.items()}
    found = {name: _found(model, net, way, images) for name, way in ways.items() if name != "compiled"}
    found["compiled"] = found["fused"]  # each size would be compiled anew, for the same numbers
    good = []
    for name in ways:
        deviation = max(np.abs(one - two).max() for one, two in zip(said[name], said["eager"], strict=True))
        lost, gained, moved = _compare(images, found["eager"], found[name])
        recorder.add(f"engines/{name}/milliseconds", 1e3 * seconds[name])
        recorder.add(f"engines/{name}/largest_deviation_of_probability", deviation)
        recorder.add(f"engines/{name}/share_of_atoms_lost", lost)
        recorder.add(f"engines/{name}/share_of_atoms_gained", gained)
        recorder.add(f"engines/{name}/atoms_moved_rms_px", moved)
        if max(lost, gained) <= LARGEST_SHARE and moved <= LARGEST_MOVE_PX:
            good.append(name)
    chosen = "openvino_bfloat16" if "openvino_bfloat16" in ways else "openvino_float32"
    fastest = min(seconds[name] for name in good)
    recorder.add("engines/chosen_is_as_good_as_any", chosen in good, goal=">= 1")
    recorder.add("engines/chosen_over_fastest_good", seconds[chosen] / fastest, goal="<= 1.1")
    _hand_over(recorder, net, seconds)
    torch.set_num_threads(threads)


def _hand_over(recorder: Recorder, net: nn.Module, seconds: dict[str, float]) -> None:
    """What it costs to make OpenVINO run a network, and after how many pixels that is saved."""
    low = "bfloat16" in seconds
    started = time.process_time()
    openvino_request(to_onnx(fuse_normalisation(net)), in_bfloat16=low, outputs=[0])
    cost = time.process_time() - started
    of_torch, of_openvino = ("bfloat16", "openvino_bfloat16") if low else ("fused", "openvino_float32")
    saved = (seconds[of_torch] - seconds[of_openvino]) / SIDE**2
    recorder.add("engines/openvino_seconds_to_hand_over", cost)
    if saved > 0:
        recorder.add("engines/openvino_pays_after_megapixels", cost / saved / 1e6)


def _ways(recorder: Recorder, net: nn.Module, calibration: list[Tensor]) -> dict[str, Run]:
    """Each way by name; the first is what the others are set beside."""
    plain = copy.deepcopy(net).eval()
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fused = fuse_normalisation(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    file = to_onnx(fused)
    integers = _in_integers(file, calibration)
    multiple = int(net.multiple)  # type: ignore[arg-type]

    def in_last(images: Tensor) -> Tensor:
        return last(images.contiguous(memory_format=torch.channels_last))

    ways: dict[str, Run] = {
        "eager": plain,
        "channels_last": in_last,
        "fused": Engine(net, pays_after=NEVER, exact=True),
        "onnx_float32": OnnxNet(file, multiple=multiple, runner="ONNX Runtime"),
        "onnx_int8": OnnxNet(integers, multiple=multiple, runner="ONNX Runtime"),
        "openvino_int8": OnnxNet(integers, multiple=multiple, runner="OpenVINO"),
        "openvino_float32": OnnxNet(file, multiple=multiple, runner="OpenVINO"),
    }
    if multiplies_bfloat16(torch.device("cpu")):
        ways["bfloat16"] = Engine(net, pays_after=NEVER)
        ways["openvino_bfloat16"] = OnnxNet(file, multiple=multiple, runner="OpenVINO", in_bfloat16=True)
    if which("g++") or which("clang++"):
        compiled = torch.compile(fused)

        def run_compiled(images: Tensor) -> Tensor:
            with torch.inference_mode():
                given: Tensor = compiled(images.contiguous(memory_format=torch.channels_last))
            return given

        torch._inductor.config.force_disable_caches = True
        started = time.monotonic()
        run_compiled(torch.zeros(1, 1, SIDE, SIDE))
        recorder.add("engines/compiled/seconds_to_compile", time.monotonic() - started)
        ways["compiled"] = run_compiled
    return ways


def _in_integers(file: bytes, calibration: list[Tensor]) -> bytes:
    """The ONNX file with products of 8-bit integers, whose ranges are those that real images need."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._coming: Iterator[Tensor] = iter(calibration)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._coming, None)
            return None if image is None else {"images": image.numpy()}

    with tempfile.TemporaryDirectory() as folder:
        plain, ready, whole = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "whole"))
        plain.write_bytes(file)
        quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(whole),
            Images(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return whole.read_bytes()


def _real_images() -> list[xr.DataArray]:
    """Those that are here, the quarters of each."""
    quarters = []
    for file in CALIBRATION:
        if file.exists():
            image = ad.read(file)
            rows, columns = (np.array_split(np.arange(image.sizes[axis]), 2) for axis in ("y", "x"))
            quarters += [image.isel(y=row, x=column) for row in rows for column in columns]
    return quarters


def _what_is_shown(model: Any, image: xr.DataArray) -> Tensor:
    """The largest of what `find` shows to the network, as it sees it."""
    shown: list[Tensor] = []
    _find(model, Way(model.net_, model.net_, shown), image)
    return max(shown, key=lambda images: images.shape[-2] * images.shape[-1])[:1]


def _found(model: Any, net: nn.Module, way: Run, images: list[xr.DataArray]) -> list[pd.DataFrame]:
    return [_find(model, Way(way, net), image) for image in images]


def _find(model: Any, way: Way, image: xr.DataArray) -> pd.DataFrame:
    asked = copy.copy(model)
    asked._engine = lambda: way
    return ad.find(image, model=asked, refine=False)


@torch.inference_mode()
def _probabilities(model: Any, way: Run, shown: Tensor) -> np.ndarray:
    """(class, y, x), of what was shown to the network before."""
    maps = model._maps_type(model._values(way(shown))[0], (1.0, 1.0), 1.0)
    probabilities: np.ndarray = model.inner(maps)
    return probabilities


def _fastest(ways: dict[str, Run]) -> dict[str, float]:
    image = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    seconds = dict.fromkeys(ways, float("inf"))
    with torch.inference_mode():
        for number in range(ROUNDS + 1):
            for name, way in ways.items():
                started = time.process_time()
                way(image)
                if number:  # the first one prepares
                    seconds[name] = min(seconds[name], time.process_time() - started)
    return seconds


def _compare(
    images: list[xr.DataArray], usual: list[pd.DataFrame], other: list[pd.DataFrame]
) -> tuple[float, float, float]:
    """Shares of the usual atoms that are lost and gained, and how far [px] the others moved."""
    lost = gained = total = 0
    moved: list[np.ndarray] = []
    for image, first, second in zip(images, usual, other, strict=True):
        pixel = float(image["x"][1] - image["x"][0])
        one, two = (atoms[["x", "y"]].to_numpy() / pixel for atoms in (first, second))
        distance, _ = cKDTree(two).query(one, distance_upper_bound=1.0)
        back, _ = cKDTree(one).query(two, distance_upper_bound=1.0)
        lost, gained, total = lost + np.isinf(distance).sum(), gained + np.isinf(back).sum(), total + len(one)
        moved.append(distance[np.isfinite(distance)])
    return lost / total, gained / total, float(np.sqrt(np.mean(np.concatenate(moved) ** 2)))
