"""How a network predicts fastest on this machine: the same atoms, in less time.

Batch normalisations become part of the convolutions before them; products are taken in bfloat16 where the processor
does so itself; and where OpenVINO is installed (the extra ``fast``), it takes over once that pays. Where memory runs
out, it goes on in pieces (`adatom.nets.pieces`), and where a GPU has too little for these, on the processor.

`benchmarks.engines` measured eager and compiled torch, ONNX Runtime and OpenVINO in 32, 16 and 8 bits: OpenVINO in
bfloat16 is the fastest of those that find the same atoms at the same places to 0.01 px, twice as fast as eager torch.
Integers of 8 bits are faster by another third, but move atoms by 0.04 to 0.11 px, as much as their error bars, and lose
one in a thousand: they are not taken, nor is torch.compile, which gains a tenth and compiles for 14 s.
"""

import copy
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from adatom.nets.fusion import fuse_normalisation
from adatom.nets.onnx_net import OnnxNet, has_openvino, infer, openvino_request, to_onnx
from adatom.nets.pieces import Pieces, tell, tells_of_memory

T = TypeVar("T")
# To hand a network over takes 0.2 to 0.5 s the first time, which OpenVINO saves in 4 (si111_7x7) to 19 (any_atoms)
# megapixels, where torch has bfloat16 too.
_PAYS_AFTER = 10_000_000


class Engine:
    """A network for prediction; what it gives differs from what the network gives by rounding.

    Parameters
    ----------
    net : takes (n, 1, y, x), gives (n, classes, y, x); an `OnnxNet` runs as it is. Later changes of
        its weights are not seen.
    device : where it computes; by default where the network is, which itself is never moved.
    pays_after : number of pixels after which OpenVINO takes over, where it is installed.
    exact : take no products in bfloat16, whatever the processor has.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        device: torch.device | None = None,
        pays_after: int = _PAYS_AFTER,
        exact: bool = False,
    ) -> None:
        self.onnx = net if isinstance(net, OnnxNet) else None
        self._request: Any = None
        self._turn = Lock()
        self._pays_after, self._exact = pays_after, exact
        if self.onnx is not None:
            self.device = torch.device("cpu")
            self._pieces = Pieces(self.onnx.multiple, "this machine")
            return
        self.net = fuse_normalisation(net)
        self._ships = type(net).__module__.startswith(f"{__package__}.")  # others may not be handed over rightly
        self._settle(device or next(net.parameters()).device)

    def _settle(self, device: torch.device) -> None:
        """Compute on a device from now on."""
        self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device
        self.has_bfloat16 = not self._exact and multiplies_bfloat16(device)
        self._left = self._pays_after if device.type == "cpu" and self._ships and has_openvino() else None
        where = "this machine" if device.type == "cpu" else str(device)
        self._pieces = Pieces(int(self.net.multiple), where)  # type: ignore[arg-type]

    @property
    def name(self) -> str:
        """What computes."""
        if self.onnx is not None:
            return self.onnx.runner
        return "torch" if self._request is None else "OpenVINO"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits, in float32, of (n, 1, y, x) float32 images."""
        return self._on_some_device(lambda: self._pieces.see(images, self._see, self._see_exactly))

    def _on_some_device(self, see: Callable[[], T]) -> T:
        """What `see` gives, on the processor where a GPU has too little memory."""
        try:
            return see()
        except Exception as error:
            if self.device.type == "cpu" or not tells_of_memory(error):
                raise
        tell(f"memory of {self.device} does not suffice: the network computes on the processor from now on.")
        self._settle(torch.device("cpu"))
        return see()

    def _see(self, images: Tensor) -> Tensor:
        if self.onnx is not None:
            return self.onnx.forward(images)
        with self._turn:  # several threads may look at once, and one of them hands over
            self._count(images.numel())
        request = self._request
        if request is not None:
            try:
                with self._turn:  # one at a time; the next one writes where this one did
                    return infer(request, images.numpy())[0]
            except MemoryError:
                self._request = None  # it keeps what it once took, and needs more than torch does
                raise
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

    def _see_exactly(self, images: Tensor) -> Tensor:
        """On the processor, in float32: where a GPU is full."""
        if self.onnx is not None:
            return self.onnx.forward(images)
        net = self.net if self.device.type == "cpu" else copy.deepcopy(self.net).cpu()
        said: Tensor = net(images)
        return said

    @torch.inference_mode()
    def trunk(self, images: Tensor) -> Tensor:
        """What the network's `trunk` gives, as it comes, for `finish` of this engine or another."""
        trunk: Any = self.net.trunk

        def see() -> Tensor:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
                features: Tensor = trunk(images.to(self.device).contiguous(memory_format=torch.channels_last))
            return features

        return self._on_some_device(see)

    @torch.inference_mode()
    def finish(self, features: Tensor) -> Tensor:
        """Logits, in float32, of what `trunk` gave."""
        finish: Any = self.net.finish

        def see() -> Tensor:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
                logits: Tensor = finish(features.to(self.device))
            return logits.float().cpu()

        return self._on_some_device(see)

    @torch.inference_mode()
    def encode(self, images: Tensor) -> list[Tensor]:
        """Features (n, channels, y', x') of each level of the network, the deepest last, in float32."""
        if self.onnx is not None:
            return self.onnx.levels(images)
        encode: Any = self.net.encode

        def see() -> list[Tensor]:
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.has_bfloat16):
                levels: list[Tensor] = encode(images.to(self.device).contiguous(memory_format=torch.channels_last))
            return [features.float().cpu() for features in levels]

        return self._on_some_device(see)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a processor multiplies bfloat16 itself."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    knows: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.9
    return any(knows.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
