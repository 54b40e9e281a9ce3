"""One network trained by several processes, each on a device of its own, as if by one.

Each process takes its share of every batch. What depends on all of it, does: the statistics of batch normalisations are
those of the whole batch, and so is the loss, whatever it is made of: each process sees what the others' networks gave,
and hands back the gradient of its own part. The gradients add up to that of one process, but for rounding.

The processes are started by ``adatom train --devices`` (`adatom.train.launcher`), or by torchrun, which may also start
a script of yours: both tell them of each other in the environment. Lightning Fabric (the extra ``cluster``) connects
them and deals out the devices.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from adatom.errors import TrainingError

T = TypeVar("T")
# The others wait while the first process judges; one that has died is noticed at once, by other means.
_PATIENCE = timedelta(hours=6)
# So long [s] a process that lost the others waits to be ended by what started it, which knows the cause.
_LAST_WAIT_S = 10.0


def n_processes() -> int:
    """How many processes train together here; 1 where this one is alone."""
    # what torchrun tells; WORLD_SIZE alone may be anybody's
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def leads() -> bool:
    """Whether this process judges, tells, and writes: the first of several does, and one that is alone."""
    return n_processes() == 1 or os.environ.get("RANK", "0") == "0"


class Team:
    """A process alone: it does all."""

    n = 1
    number = 0

    @property
    def leads(self) -> bool:
        """Whether this process judges, tells, and writes."""
        return self.number == 0

    def agree(self, net: nn.Module) -> None:
        """Begin with the weights of the first process."""

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done in a step that the others take as well."""
        yield

    def whole_statistics(self) -> Any:
        """Within it, batch normalisations see the whole batch."""
        return nullcontext()

    def share(self, images: Any) -> Any:
        """This process's part of the images of a batch."""
        return images

    def gathered(self, given: Tensor, n_images: int) -> Tensor:
        """What the networks of all gave for the images of a batch, in order."""
        del n_images
        return given

    def add_up(self, net: nn.Module) -> None:
        """Make the gradients of `net` those of the whole batch."""

    def told(self, say: Callable[[], T], by: int = 0) -> T:
        """What one of the processes has to say to all."""
        del by
        return say()


class OneOfSeveral(Team):
    """One of several processes that train a network together.

    Parameters
    ----------
    fabric : of lightning_fabric, launched.
    """

    def __init__(self, fabric: Any) -> None:
        self._fabric = fabric
        self.n, self.number = fabric.world_size, fabric.global_rank

    def agree(self, net: nn.Module) -> None:
        with torch.no_grad():
            for value in net.state_dict().values():
                same = value.contiguous()
                torch.distributed.broadcast(same, src=0)
                value.copy_(same)

    @contextmanager
    def together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if not _is_lost_connection(error):
                raise
            time.sleep(_LAST_WAIT_S)
            raise TrainingError("devices: lost the other processes of this training. See what they said.") from error

    def whole_statistics(self) -> Any:
        return WholeBatchNorm()

    def share(self, images: Any) -> Any:
        if isinstance(images, tuple):
            return tuple(self.share(each) if each.ndim else each for each in images)  # numbers are everybody's
        if len(images) < self.n:
            raise TrainingError(
                f"devices: expected at most as many as the images of a batch, {len(images)}, got {self.n}. "
                "Enlarge batch_size."
            )
        return images[self._part(len(images))]

    def gathered(self, given: Tensor, n_images: int) -> Tensor:
        part = self._part(n_images)
        if len(given) != part.stop - part.start:
            raise TrainingError(
                f"net: expected one output an image on several devices, got {len(given)} of "
                f"{part.stop - part.start} images. Train on one device."
            )
        whole = given.new_zeros(n_images, *given.shape[1:])
        whole[part] = given.detach()
        torch.distributed.all_reduce(whole)
        return torch.cat([whole[: part.start], given, whole[part.stop :]])

    def add_up(self, net: nn.Module) -> None:
        gradients = [parameter.grad for parameter in net.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        torch.distributed.all_reduce(flat)
        for gradient, total in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(total.view(gradient.shape))

    def told(self, say: Callable[[], T], by: int = 0) -> T:
        said: T = self._fabric.broadcast(say() if self.number == by else None, src=by)
        return said

    def _part(self, n_images: int) -> slice:
        return slice(n_images * self.number // self.n, n_images * (self.number + 1) // self.n)


def join(device: torch.device | str) -> Team:
    """The processes that train together, of which this is one.

    Parameters
    ----------
    device : that this process computes on.

    Raises
    ------
    TrainingError : if there are several and Lightning Fabric is not installed, or the device is of another kind than a
        processor or a GPU of CUDA.
    """
    if n_processes() == 1:
        return Team()
    kind = torch.device(device).type
    if kind not in ("cpu", "cuda"):
        raise TrainingError(f"device: expected cpu or cuda for several devices, got {kind}.")
    return OneOfSeveral(_launched(kind))


@lru_cache(maxsize=1)
def _launched(kind: str) -> Any:
    """Lightning Fabric, connected; once a process."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies import DDPStrategy
    except ModuleNotFoundError as error:
        raise TrainingError(
            "devices: expected Lightning Fabric to be installed for several. Install it: pip install 'adatom[cluster]'"
        ) from error
    for name in ("lightning_fabric", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)  # it tells each process's number
    here = int(os.environ.get("LOCAL_WORLD_SIZE", n_processes()))
    fabric = Fabric(
        accelerator=kind, devices=here, num_nodes=n_processes() // here, strategy=DDPStrategy(timeout=_PATIENCE)
    )
    fabric.launch()
    return fabric


class Ahead:
    """Batches made ahead in a thread; of several processes each makes every n-th one, and hands it to the others.

    Parameters
    ----------
    batches : number of a step to its batch.
    first, last : steps that are taken.
    """

    def __init__(self, batches: Callable[[int], T], team: Team, *, first: int, last: int) -> None:
        self._batches, self._team, self._last = batches, team, last
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="adatom-batches")
        self._coming: Future[Any] | None = None
        self._make(first + (team.number - first) % team.n)

    def take(self, step: int) -> Any:
        """The batch of a step; steps are taken in turn."""
        return self._team.told(lambda: self._made(step), by=step % self._team.n)

    def _made(self, step: int) -> Any:
        assert self._coming is not None
        batch = self._coming.result()
        self._make(step + self._team.n)
        return batch

    def _make(self, step: int) -> None:
        if step <= self._last:
            self._coming = self._pool.submit(self._batches, step)

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()


class _Sum(torch.autograd.Function):
    """The sum of the numbers of all processes; each of them depends on it, so their gradients add up too."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        del context
        total = own.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        del context
        total = gradient.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total


class WholeBatchNorm(TorchFunctionMode):
    """Within it, batch normalisations take the statistics of all processes' parts; networks stay as they are.

    torch's own SyncBatchNorm does this on GPUs only, and has to be built into a network.
    """

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        if function is functional.batch_norm:
            return _batch_norm(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


def _batch_norm(
    values: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`torch.nn.functional.batch_norm`, in training over the parts (n, channel, ...) of all processes."""
    if not training:
        return functional.batch_norm(values, running_mean, running_var, weight, bias, training, momentum, eps)
    seen = values.to(torch.promote_types(values.dtype, torch.float32))
    others = [0, *range(2, values.ndim)]
    shape = [1, -1, *[1] * (values.ndim - 2)]
    sums = _Sum.apply(torch.cat([seen.sum(dim=others), seen.new_full((1,), seen.numel() / seen.shape[1])]))
    n = sums[-1].detach()
    mean = sums[:-1] / n
    centred = seen - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(dim=others)) / n
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * n / (n - 1)).to(running_var.dtype), momentum)
    normalised = centred * torch.rsqrt(variance + eps).view(shape)
    if weight is not None:
        normalised = normalised * weight.view(shape)
    if bias is not None:
        normalised = normalised + bias.view(shape)
    return normalised.to(values.dtype)


def _is_lost_connection(error: RuntimeError) -> bool:
    """Whether another process is gone; gloo raises plain errors that name its files."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
