"""How much of the machine's own rate of matrix products the networks that ship reach when they predict.

Products of 2048 x 2048 matrices give the rate, in float32 (the faster of torch and NumPy) and in bfloat16; a network's
rate is the number of operations that torch counts for an image of 1024 x 1024 pixels over its time. Both on one thread,
in processor time, in turns; the fastest counts. `find` predicts in bfloat16 where the processor multiplies it, else in
float32.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import adatom as ad
from adatom.nets.engine import Engine, multiplies_bfloat16
from adatom.nets.onnx_net import has_openvino, openvino_request, to_onnx
from benchmarks.record import Recorder

MODELS = ("any_atoms", "ws2_defects", "si111_7x7")
SIDE, MATRIX, ROUNDS = 1024, 2048, 6
NEVER = 10**15
NAMES = {False: "float32", True: "bfloat16"}


def run(recorder: Recorder) -> None:
    """Each model by torch and by OpenVINO, in each precision that the processor has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    image = torch.randn(1, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    precisions = [False, True] if multiplies_bfloat16(torch.device("cpu")) else [False]
    for name in MODELS:
        net = ad.load(name).net_
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            net(image)
        operations = counter.get_total_flops()
        for low in precisions:
            engine = Engine(net, pays_after=NEVER, exact=not low)
            ways: dict[str, Callable[[], Any]] = {"torch": partial(engine, image)}
            if has_openvino():
                request = openvino_request(to_onnx(engine.net), in_bfloat16=low, outputs=[0])
                ways["openvino"] = partial(request.infer, {0: image.numpy()})
            matrix = torch.randn(MATRIX, MATRIX, dtype=torch.bfloat16 if low else torch.float32)
            products: dict[str, Callable[[], Any]] = {"product": partial(torch.mm, matrix, matrix)}
            if not low:
                products["numpy"] = partial(np.matmul, matrix.numpy(), matrix.numpy())
            seconds = _fastest({**products, **ways})
            rate = 2 * MATRIX**3 / min(seconds.pop(product) for product in products)
            recorder.add(f"engine/matrix_rate_{NAMES[low]}_gflops", rate / 1e9)
            fastest = min(seconds, key=seconds.__getitem__)
            for way, each in seconds.items():
                taken = way == fastest and low == precisions[-1]
                share = operations / each / rate
                figure = f"engine/{name}/{way}_{NAMES[low]}_share_of_matrix_rate"
                recorder.add(figure, share, goal=">= 0.4" if taken else None)
    torch.set_num_threads(threads)


def _fastest(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    seconds = dict.fromkeys(ways, float("inf"))
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            if number:  # the first one prepares
                seconds[name] = min(seconds[name], time.process_time() - started)
    return seconds
