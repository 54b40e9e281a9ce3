"""How a network predicts fastest on this machine: the same atoms, in less time.

Batch normalisations become part of the convolutions before them; products are taken in bfloat16 where the processor
does so itself; and where OpenVINO is installed (the extra ``fast``), it takes over once that pays.
"""

from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adatom.nets.fusion import fuse_normalisation
from adatom.nets.onnx_net import OnnxNet, has_openvino, openvino_request, to_onnx

# To hand a network over takes 0.4 s, which OpenVINO has saved after about so many pixels.
_PAYS_AFTER = 4_000_000


class Engine:
    """A network for prediction; what it gives differs from what the network gives by rounding.

    Parameters
    ----------
    net : takes (n, 1, y, x), gives (n, classes, y, x); an `OnnxNet` runs as it is. Later changes of
        its weights are not seen.
    pays_after : number of pixels after which OpenVINO takes over, where it is installed.
    exact : take no products in bfloat16, whatever the processor has.
    """

    def __init__(self, net: nn.Module, *, pays_after: int = _PAYS_AFTER, exact: bool = False) -> None:
        self.onnx = net if isinstance(net, OnnxNet) else None
        self._request: Any = None
        self._turn = Lock()
        if self.onnx is not None:
            return
        self.net = fuse_normalisation(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = next(net.parameters()).device
        self.has_bfloat16 = not exact and multiplies_bfloat16(self.device)
        ships = type(net).__module__.startswith(f"{__package__}.")  # of others nobody knows what hands over rightly
        self._left = pays_after if self.device.type == "cpu" and ships and has_openvino() else None

    @property
    def name(self) -> str:
        """What computes."""
        if self.onnx is not None:
            return self.onnx.runner
        return "torch" if self._request is None else "OpenVINO"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits, in float32, of (n, 1, y, x) float32 images."""
        if self.onnx is not None:
            return self.onnx.forward(images)
        with self._turn:  # several threads may look at once, and one of them hands over
            self._count(images.numel())
        if self._request is not None:
            with self._turn:  # one at a time; the next one writes where this one did
                logits: NDArray[np.float32] = self._request.infer({0: images.numpy()})[0].copy()
            return torch.from_numpy(logits)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
            seen: Tensor = self.net(images.to(self.device).contiguous(memory_format=torch.channels_last))
        return seen.float().cpu()

    def _count(self, n_pixels: int) -> None:
        """Hand over to OpenVINO once so many pixels were seen that it pays."""
        if self._left is None:
            return
        self._left -= n_pixels
        if self._left < 0:
            self._left = None
            self._request = openvino_request(to_onnx(self.net), in_bfloat16=self.has_bfloat16, outputs=[0])

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
        if self.onnx is not None:
            return self.onnx.levels(images)
        encode: Any = self.net.encode
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
            levels: list[Tensor] = encode(images.to(self.device).contiguous(memory_format=torch.channels_last))
        return [features.float().cpu() for features in levels]


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a processor multiplies bfloat16 itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    knows: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.9
    return any(knows.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
