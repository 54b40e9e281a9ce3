"""How a network predicts fastest on this machine: the same atoms, in less time.

Batch normalisations become part of the convolutions before them; products are taken in bfloat16 where the processor
does so itself; and where OpenVINO is installed (the extra ``fast``), it takes over once that pays.
"""

import io
import warnings
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adatom.nets.fusion import fuse_normalisation

# To hand a network over takes 0.4 s, which OpenVINO has saved after about so many pixels.
_PAYS_AFTER = 4_000_000


class Engine:
    """A network for prediction; what it gives differs from what the network gives by rounding.

    Parameters
    ----------
    net : takes (n, 1, y, x), gives (n, classes, y, x). Later changes of its weights are not seen.
    pays_after : number of pixels after which OpenVINO takes over, where it is installed.
    exact : take no products in bfloat16, whatever the processor has.
    """

    def __init__(self, net: nn.Module, *, pays_after: int = _PAYS_AFTER, exact: bool = False) -> None:
        self.net = fuse_normalisation(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = next(net.parameters()).device
        self.has_bfloat16 = not exact and multiplies_bfloat16(self.device)
        self._request: Any = None
        self._turn = Lock()
        ships = type(net).__module__.startswith(f"{__package__}.")  # of others nobody knows what hands over rightly
        self._left = pays_after if self.device.type == "cpu" and ships and has_openvino() else None

    @property
    def name(self) -> str:
        """What computes."""
        return "torch" if self._request is None else "OpenVINO"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits, in float32, of (n, 1, y, x) float32 images."""
        if self._left is not None:
            self._left -= images.numel()
            if self._left < 0:
                self._left = None
                self._request = _handed_over(self.net, "bf16" if self.has_bfloat16 else "f32")
        if self._request is not None:
            with self._turn:  # one at a time; the next one writes where this one did
                logits: NDArray[np.float32] = self._request.infer({0: images.numpy()})[0].copy()
            return torch.from_numpy(logits)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
            seen: Tensor = self.net(images.to(self.device).contiguous(memory_format=torch.channels_last))
        return seen.float().cpu()

    @torch.inference_mode()
    def trunk(self, images: Tensor) -> Tensor:
        """What the network's `trunk` gives, as it comes, for `finish` of this engine or another."""
        trunk: Any = self.net.trunk
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
            features: Tensor = trunk(images.to(self.device).contiguous(memory_format=torch.channels_last))
        return features

    @torch.inference_mode()
    def finish(self, features: Tensor) -> Tensor:
        """Logits, in float32, of what `trunk` gave."""
        finish: Any = self.net.finish
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
            logits: Tensor = finish(features)
        return logits.float().cpu()

    @torch.inference_mode()
    def encode(self, images: Tensor) -> list[Tensor]:
        """Features (n, channels, y', x') of each level of the network, the deepest last, in float32."""
        encode: Any = self.net.encode
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
            levels: list[Tensor] = encode(images.to(self.device).contiguous(memory_format=torch.channels_last))
        return [features.float().cpu() for features in levels]


def has_openvino() -> bool:
    """Whether all is installed that hands a network over."""
    return find_spec("openvino") is not None and find_spec("onnx") is not None


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a processor multiplies bfloat16 itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    knows: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.9
    return any(knows.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _handed_over(net: nn.Module, precision: str) -> Any:
    """The network as a request to OpenVINO, by way of ONNX, in memory."""
    import openvino

    file = io.BytesIO()
    axes = {0: "n", 2: "y", 3: "x"}
    side = int(net.multiple)  # type: ignore[arg-type]  # an attribute of every net, see adatom.nets
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter that needs no further library is called deprecated
        torch.onnx.export(
            net,
            (torch.zeros(1, 1, side, side),),
            file,  # type: ignore[arg-type]  # it takes files in memory, whatever its types say
            dynamo=False,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": axes, "logits": axes},
        )
    core = openvino.Core()
    model = core.compile_model(
        core.read_model(file.getvalue()),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        },
    )
    return model.create_infer_request()
