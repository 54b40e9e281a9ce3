"""Networks as ONNX files: written by torch, run by ONNX Runtime or OpenVINO (the extra ``fast``)."""

import copy
import io
import warnings
from importlib.util import find_spec
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adatom.errors import ArgumentError

Runner = Literal["OpenVINO", "ONNX Runtime"]
LOGITS = "logits"


def to_onnx(net: nn.Module, *, with_levels: bool = False) -> bytes:
    """A network as an ONNX file that takes ``images`` (n, 1, y, x) of any number and size, and gives ``logits``.

    Parameters
    ----------
    net : has `multiple`, see `adatom.nets`.
    with_levels : give ``level0`` and so on beside, which are what its `encode` gives.
    """
    given = copy.deepcopy(net).eval()
    side = int(given.multiple)  # type: ignore[arg-type]  # an attribute of every net, see adatom.nets
    images = torch.zeros(1, 1, side, side)
    names = [LOGITS]
    if with_levels:
        encode: Any = given.encode
        with torch.no_grad():
            names += [f"level{number}" for number in range(len(encode(images)))]
        given = _WithLevels(given)
    axes = {0: "n", 2: "y", 3: "x"}
    inner = {name: {0: "n", 2: f"y_{name}", 3: f"x_{name}"} for name in names[1:]}
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter that needs no further library is called deprecated
        torch.onnx.export(
            given,
            (images,),
            file,  # type: ignore[arg-type]  # it takes files in memory, whatever its types say
            dynamo=False,
            input_names=["images"],
            output_names=names,
            dynamic_axes={"images": axes, LOGITS: axes, **inner},
        )
    return file.getvalue()


class _WithLevels(nn.Module):
    """A network that gives the features of its levels beside the logits, and computes them once."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        net: Any = self.net
        levels = net.encode(images)
        net.encode = lambda _: list(levels)  # what a call asks for once more
        try:
            return (net(images), *levels)
        finally:
            del net.encode


class OnnxNet(nn.Module):
    """A network out of an ONNX file; it predicts, and learns nothing.

    Parameters
    ----------
    file : what `to_onnx` gave.
    multiple : what the sides of images must be multiples of.
    n_levels : of features that it gives beside the logits.
    in_bfloat16 : whether OpenVINO takes products in bfloat16: faster where the processor does so itself, but atoms
        move by some hundredths of a pixel (`benchmarks.onnx_speed`).
    runner : what runs it; by default ONNX Runtime, and where that is not installed OpenVINO.

    Raises
    ------
    ArgumentError : if nothing is installed that could run it.
    """

    def __init__(
        self, file: bytes, *, multiple: int, n_levels: int = 0, in_bfloat16: bool = False, runner: Runner | None = None
    ) -> None:
        super().__init__()
        self.multiple, self.n_levels = multiple, n_levels
        self.runner = runner or _runner()
        self._file, self._in_bfloat16 = file, in_bfloat16
        self._requests: dict[int, Any] = {}
        self._turn = Lock()
        if self.runner == "ONNX Runtime":
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # beside others, waiting is better
            self._session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, y, x) to logits (n, classes, y, x)."""
        return self._run(images, [0])[0]

    def levels(self, images: Tensor) -> list[Tensor]:
        """Features of each level, the finest first, where the file gives them."""
        return self._run(images, list(range(1, self.n_levels + 1)))

    def train(self, mode: bool = True) -> "OnnxNet":
        """Nothing, as it learns nothing; to ask it to learn is an error."""
        if mode:
            raise ArgumentError("net: expected one that can learn, got an ONNX file. Load the model it was made from.")
        return self

    def _run(self, images: Tensor, outputs: list[int]) -> list[Tensor]:
        values = images.contiguous().numpy()
        if self.runner == "ONNX Runtime":
            names = [LOGITS if number == 0 else f"level{number - 1}" for number in outputs]
            return [torch.from_numpy(given) for given in self._session.run(names, {"images": values})]
        with self._turn:  # one at a time; the next one writes where this one did
            first = outputs[0]
            if first not in self._requests:
                self._requests[first] = openvino_request(self._file, in_bfloat16=self._in_bfloat16, outputs=outputs)
            return infer(self._requests[first], values)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnnxNet":
        return self  # it never changes


def _runner() -> Runner:
    if find_spec("onnxruntime") is not None:
        return "ONNX Runtime"
    if has_openvino():
        return "OpenVINO"
    raise ArgumentError("model: expected onnxruntime or openvino to be installed, got neither. Install adatom[fast].")


def has_openvino() -> bool:
    """Whether all is installed that hands a network over."""
    return find_spec("openvino") is not None and find_spec("onnx") is not None


def openvino_request(file: bytes, *, in_bfloat16: bool, outputs: list[int]) -> Any:
    """An ONNX file as a request to OpenVINO for some of its outputs."""
    import openvino

    core = openvino.Core()
    whole = core.read_model(file)
    model = openvino.Model([whole.outputs[number] for number in outputs], whole.get_parameters())
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if in_bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        },
    )
    return compiled.create_infer_request()


def infer(request: Any, values: NDArray[np.float32]) -> list[Tensor]:
    """What `openvino_request` gives of images (n, 1, y, x).

    Raises
    ------
    MemoryError : if memory ran out; OpenVINO itself then gives what it gave before, and does not say so.
    """
    for output in request.output_tensors:
        if output.size:
            output.data.flat[0] = np.nan  # and stays there if nothing is computed
    given = list(request.infer({0: values}).values())
    if any(not each.size or np.isnan(each.flat[0]) for each in given) and np.isfinite(values).all():
        raise MemoryError("OpenVINO: out of memory")
    return [torch.from_numpy(each) for each in given]


def arrays_of(onnx_model: Any) -> dict[str, NDArray[Any]]:
    """All numbers that an ONNX file holds, by their names."""
    from onnx import numpy_helper

    arrays = {each.name: numpy_helper.to_array(each) for each in onnx_model.graph.initializer}
    for node in onnx_model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                arrays[f"node {','.join(node.output)} {attribute.name}"] = numpy_helper.to_array(attribute.t)
    return {name: np.asarray(values) for name, values in arrays.items()}
