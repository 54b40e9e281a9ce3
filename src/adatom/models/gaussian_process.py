"""Gaussian processes as such: a kernel, a mean, noise; learned by marginal likelihood, asked about new places.

All in float64, with inputs and targets near 1: the estimators on top scale them. Kernels and priors are GPyTorch's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adatom.errors import ArgumentError
from adatom.nets import in_float32

Array = NDArray[np.float64]

_MOST_ROUNDS = 60  # of the search for the hyperparameters
_STARTS = (1.0, 0.2)  # length scales, of the spread of the inputs
_JITTER = 1e-8
_SMALL = 600  # points
_LEAST_NOISE = 1e-6  # variance, of that of the targets
# Of the noise's variance, of that of the targets: median and spread of its logarithm. Wide, but not without bounds:
# where few points are known, no noise at all and nothing but noise fit them alike.
_NOISE_PRIOR = (np.log(0.1), 2.0)
KERNELS = ("rbf", "matern12", "matern32", "matern52", "periodic", "linear")


@dataclass(frozen=True)
class MeanFunction:
    """What is expected before anything is measured: a formula with parameters that are known roughly.

    Parameters
    ----------
    function : of the inputs (n, d) in their own units, as a tensor, and the parameters by name; gives (n,) in the
        targets' unit, by operations of torch.
    priors : name of each parameter -> mean and standard deviation of what is believed of it, as a normal distribution.
    """

    function: Callable[[Tensor, Mapping[str, Tensor]], Tensor]
    priors: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Data:
    """What a process learns from.

    Parameters
    ----------
    inputs : (n, d), scaled.
    targets : (n, k), scaled.
    noise : (n, k) known variances of the noise, scaled; None where it is to be learned.
    raw_inputs : (n, d) in their own units, for mean functions.
    """

    inputs: Tensor
    targets: Tensor
    noise: Tensor | None
    raw_inputs: Tensor

    def part(self, which: Any) -> "Data":
        """Some of the points."""
        noise = None if self.noise is None else self.noise[which]
        return Data(self.inputs[which], self.targets[which], noise, self.raw_inputs[which])


class Process(nn.Module):
    """One Gaussian process of `n_outputs` numbers, which are correlated where there are several.

    Parameters
    ----------
    kernel : names out of `KERNELS`, joined by ``+`` and ``*``: ``matern52``, ``rbf+periodic``.
    n_inputs : numbers of an input.
    mean : ``zero``, ``constant``, ``linear``, or a function in scaled units.
    learns_noise : whether there is noise beside what is known of it.
    centres : (c, n_inputs) places between which the noise varies; None where it is the same everywhere.
    isotropic : one length scale for all numbers of an input, instead of one for each.
    """

    kernel: Any

    def __init__(
        self,
        kernel: str,
        n_inputs: int,
        *,
        n_outputs: int = 1,
        mean: "str | ScaledMean" = "constant",
        learns_noise: bool = True,
        centres: Tensor | None = None,
        isotropic: bool = False,
    ) -> None:
        super().__init__()
        arguments = {"names": kernel, "n_inputs": n_inputs, "isotropic": isotropic}
        self.kernel, self.n_inputs = in_float32(make_kernel, arguments), n_inputs
        self.n_outputs, self.mean, self.learns_noise = n_outputs, mean, learns_noise
        self.log_noise = nn.Parameter(torch.full((n_outputs,), float(_NOISE_PRIOR[0]), dtype=torch.float64))
        self.log_scale = nn.Parameter(torch.zeros(n_outputs))
        self.level = nn.Parameter(torch.zeros(n_outputs))
        self.slope = nn.Parameter(torch.zeros(n_inputs, n_outputs))
        self.centres = centres
        if centres is not None:
            self.log_noise_at = nn.Parameter(torch.zeros(len(centres), n_outputs))
        if n_outputs > 1:  # of the outputs' correlations
            self.mixing = nn.Parameter(torch.eye(n_outputs))
        if isinstance(mean, ScaledMean):
            self.belief = nn.Parameter(torch.zeros(len(mean.mean.priors)))
        self.double()

    # ---------------------------------------------------------------- what it is made of

    def expected(self, inputs: Tensor, raw: Tensor) -> Tensor:
        """The mean (n, k) before anything is measured."""
        if isinstance(self.mean, ScaledMean):
            return self.mean(raw, self.belief)[:, None].expand(-1, self.n_outputs)
        if self.mean == "zero":
            return inputs.new_zeros(len(inputs), self.n_outputs)
        level = self.level.expand(len(inputs), -1)
        return level + inputs @ self.slope if self.mean == "linear" else level

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Covariances (n, m) of a number of scale 1."""
        covariance: Tensor = self.kernel(first, second).to_dense()
        return covariance

    def alone(self, inputs: Tensor) -> Tensor:
        """Variances (n,) of a number of scale 1."""
        variance: Tensor = self.kernel(inputs, diag=True)
        return variance

    def outputs(self) -> Tensor:
        """Covariances (k, k) of the outputs."""
        scale = self.log_scale.exp()
        if self.n_outputs == 1:
            return scale[:, None]
        rows = self.mixing / self.mixing.norm(dim=1, keepdim=True)
        return (rows @ rows.T) * (scale[:, None] * scale).sqrt()

    def noise_of(self, data: Data) -> Tensor:
        """Variances (n, k) of the noise."""
        noise = data.noise if data.noise is not None else data.targets.new_zeros(data.targets.shape)
        return (noise + self.learned_noise(data.inputs) if self.learns_noise else noise) + _LEAST_NOISE

    def learned_noise(self, inputs: Tensor) -> Tensor:
        """Variances (n, k) of the noise of a measurement there, as far as they are learned."""
        if self.centres is None:
            return self.log_noise.exp().expand(len(inputs), -1)
        apart = torch.cdist(self.centres, self.centres)
        width = apart[apart > 0].min() if (apart > 0).any() else apart.new_ones(())
        near = torch.softmax(-0.5 * (torch.cdist(inputs, self.centres) / width) ** 2, dim=1)
        return (self.log_noise + near @ self.log_noise_at).exp()

    def covariance(self, data: Data) -> Tensor:
        """Of all that was measured, (n k, n k), point by point."""
        signal = torch.kron(self.between(data.inputs, data.inputs), self.outputs())
        return signal + torch.diag(self.noise_of(data).reshape(-1))

    # ---------------------------------------------------------------- learning

    def forward(self, parts: list[Data]) -> Tensor:
        """Less the logarithm of the density of the hyperparameters and of independent sets of points; a point."""
        total, n = self._surprise_of_hyperparameters(), 0
        for data in parts:
            factor = safe_cholesky(self.covariance(data))
            left = (data.targets - self.expected(data.inputs, data.raw_inputs)).reshape(-1, 1)
            total = total + 0.5 * torch.linalg.solve_triangular(factor, left, upper=False).square().sum()
            total = total + factor.diagonal().log().sum() + 0.5 * left.numel() * float(np.log(2 * np.pi))
            n += left.numel()
        return total / n

    def _surprise_of_hyperparameters(self) -> Tensor:
        total = (
            0.5 * self.slope.square().sum()
            + 0.5 * self.level.square().sum() / 4
            + 0.5 * (self.log_scale / 10).square().sum()
        )
        if self.learns_noise:
            total = total + 0.5 * ((self.log_noise - _NOISE_PRIOR[0]) / _NOISE_PRIOR[1]).square().sum()
        if self.centres is not None:
            total = total + 0.5 * (self.log_noise_at / 1.5).square().sum()
        if isinstance(self.mean, ScaledMean):
            total = total + 0.5 * self.belief.square().sum()
        for _, module, prior, closure, _ in self.kernel.named_priors():
            total = total - prior.log_prob(closure(module)).sum()
        return total

    def learn(self, parts: list[Data]) -> float:
        """Set the hyperparameters to what the points make most likely; returns the loss."""
        starts = [parameter.detach().clone() for parameter in self.parameters()]
        best: tuple[float, list[Tensor]] | None = None
        for length in _STARTS:
            with torch.no_grad():
                for parameter, value in zip(self.parameters(), starts, strict=True):
                    parameter.copy_(value)
                for part in self.kernel.modules():
                    if getattr(part, "has_lengthscale", False):
                        part.lengthscale = torch.tensor(length * self.n_inputs**0.5, dtype=torch.float64)
            loss = minimise(lambda: self(parts), list(self.parameters()))
            if best is None or loss < best[0]:
                best = loss, [parameter.detach().clone() for parameter in self.parameters()]
        assert best is not None
        with torch.no_grad():
            for parameter, value in zip(self.parameters(), best[1], strict=True):
                parameter.copy_(value)
        return best[0]


class ScaledMean:
    """A mean function in scaled targets, with parameters in units of what is believed of them."""

    def __init__(self, mean: MeanFunction, offset: float, scale: float) -> None:
        self.mean, self.offset, self.scale = mean, offset, scale

    def parameters(self, belief: Tensor) -> dict[str, Tensor]:
        """In their own units."""
        priors = self.mean.priors.items()
        return {name: middle + spread * belief[k] for k, (name, (middle, spread)) in enumerate(priors)}

    def __call__(self, raw: Tensor, belief: Tensor) -> Tensor:
        values = self.mean.function(raw, self.parameters(belief))
        if values.shape != (len(raw),):
            raise ArgumentError(f"mean: expected a function that gives ({len(raw)},), got {tuple(values.shape)}.")
        return (values - self.offset) / self.scale


class Conditioned:
    """A process that knows its data: exact, of O(n^3) once."""

    def __init__(self, process: Process, data: Data) -> None:
        self.process, self.data = process, data
        with torch.no_grad():
            self.factor = safe_cholesky(process.covariance(data))
            left = (data.targets - process.expected(data.inputs, data.raw_inputs)).reshape(-1, 1)
            self.weights = torch.cholesky_solve(left, self.factor)

    @torch.no_grad()
    def mean_and_variance(self, inputs: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(n, k) each, of the true values."""
        mean, solved = self._seen(inputs, raw)
        prior = self.process.alone(inputs)[:, None] * self.process.outputs().diagonal()
        return mean, (prior - solved.square().sum(dim=0)).clamp_min(1e-12)

    @torch.no_grad()
    def covariance(self, inputs: Tensor, raw: Tensor) -> Tensor:
        """(k, m, m) of the true values."""
        _, solved = self._seen(inputs, raw)
        prior = self.process.between(inputs, inputs)
        scales = self.process.outputs().diagonal()
        return torch.stack([scales[j] * prior - solved[..., j].T @ solved[..., j] for j in range(len(scales))])

    def _seen(self, inputs: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        process = self.process
        across = torch.kron(process.between(self.data.inputs, inputs), process.outputs())  # (n k, m k)
        mean = process.expected(inputs, raw) + (across.T @ self.weights).reshape(len(inputs), -1)
        solved = torch.linalg.solve_triangular(self.factor, across, upper=False)
        return mean, solved.reshape(len(across), len(inputs), -1)

    @torch.no_grad()
    def left_out(self) -> tuple[Tensor, Tensor]:
        """Mean and variance (n, k), noise included, that each point is given by all the others.

        Notes
        -----
        By the inverse covariance, with the hyperparameters that all points gave (Rasmussen & Williams 2006, 5.4.2).
        """
        n, k = self.data.targets.shape
        at = torch.arange(n)
        inverse = torch.cholesky_inverse(self.factor).reshape(n, k, n, k)[at, :, at]  # (n, k, k)
        block = torch.linalg.inv(inverse)
        mean = self.data.targets - (block @ self.weights.reshape(n, k, 1))[:, :, 0]
        return mean, block.diagonal(dim1=1, dim2=2)


def make_kernel(names: str, n_inputs: int, *, isotropic: bool = False) -> Any:
    """A kernel of GPyTorch by name, with priors on its length scales.

    Notes
    -----
    The prior grows with the number of inputs, among which each alone tells less (Hvarfner, Hellsten & Nardi, ICML 2024,
    arXiv 2402.02229); it is wider than theirs.

    Raises
    ------
    ArgumentError : if a name is unknown, or GPyTorch is missing.
    """
    try:
        import gpytorch
    except ImportError as error:
        raise ArgumentError(
            'kernel: expected GPyTorch, which is missing. Install it: pip install "adatom[bo]"'
        ) from error
    n_lengths = None if isotropic else n_inputs

    def with_lengths(kind: Any, *arguments: float) -> Any:
        prior = gpytorch.priors.LogNormalPrior(2**0.5 + 0.5 * float(np.log(n_inputs)), 3.0)
        return kind(*arguments, ard_num_dims=n_lengths, lengthscale_prior=prior)

    makers: dict[str, Callable[[], Any]] = {
        "rbf": partial(with_lengths, gpytorch.kernels.RBFKernel),
        "matern12": partial(with_lengths, gpytorch.kernels.MaternKernel, 0.5),
        "matern32": partial(with_lengths, gpytorch.kernels.MaternKernel, 1.5),
        "matern52": partial(with_lengths, gpytorch.kernels.MaternKernel, 2.5),
        "periodic": partial(with_lengths, gpytorch.kernels.PeriodicKernel),
        "linear": gpytorch.kernels.LinearKernel,
    }
    total = None
    for term in str(names).replace(" ", "").split("+"):
        product = None
        for name in term.split("*"):
            if name not in makers:
                raise ArgumentError(
                    f"kernel: expected names out of {', '.join(KERNELS)}, joined by + or *, got {names!r}."
                )
            product = makers[name]() if product is None else product * makers[name]()
        total = product if total is None else total + product
    return total


def spread_points(points: Tensor, n: int) -> Tensor:
    """Up to `n` of some points (m, d), each far from all before; the first one is in their middle."""
    chosen = [int((points - points.mean(dim=0)).square().sum(dim=1).argmin())]
    far = (points - points[chosen[0]]).square().sum(dim=1)
    while len(chosen) < n and float(far.max()) > 0:
        chosen.append(int(far.argmax()))
        far = torch.minimum(far, (points - points[chosen[-1]]).square().sum(dim=1))
    return points[chosen]


def safe_cholesky(matrix: Tensor) -> Tensor:
    """Lower factor of a covariance, to which rounding may have done harm."""
    jitter = _JITTER * float(matrix.detach().diagonal().mean())
    eye = torch.eye(len(matrix), dtype=matrix.dtype)
    for _ in range(8):
        factor, failed = torch.linalg.cholesky_ex(matrix + jitter * eye)
        if not failed:
            return factor
        jitter *= 10
    raise ArgumentError(
        "inputs: expected points of which a covariance can be made, got ones that are numerically alike."
    )


@contextmanager
def as_many_threads_as_pay(n: int) -> Iterator[None]:
    """One thread for matrices of so few points that waking others takes longer than the sums."""
    before = torch.get_num_threads()
    if n <= _SMALL:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def minimise(loss: Callable[[], Tensor], parameters: list[nn.Parameter]) -> float:
    """Bring a loss to its nearest minimum (L-BFGS); returns it. Steps that lead nowhere are taken back."""
    from scipy.optimize import minimize

    shapes = [parameter.shape for parameter in parameters]
    sizes = [parameter.numel() for parameter in parameters]

    def place(vector: Array) -> None:
        with torch.no_grad():
            for parameter, values, shape in zip(parameters, torch.from_numpy(vector).split(sizes), shapes, strict=True):
                parameter.copy_(values.reshape(shape))

    def of(vector: Array) -> tuple[float, Array]:
        place(vector)
        for parameter in parameters:
            parameter.grad = None
        try:
            value = loss()
            if not torch.isfinite(value):
                raise ArgumentError("no number")
            value.backward()
        except (ValueError, RuntimeError):  # so far out that no covariance is left, or no length
            return 1e10, np.zeros(sum(sizes))
        gradients = [
            torch.zeros(shape) if parameter.grad is None else parameter.grad
            for parameter, shape in zip(parameters, shapes, strict=True)
        ]
        gradient = torch.cat([each.reshape(-1).double() for each in gradients]).numpy()
        return float(value.detach()), np.nan_to_num(gradient)

    start = torch.cat([parameter.detach().reshape(-1) for parameter in parameters]).double().numpy()
    with torch.enable_grad():
        found = minimize(of, start.copy(), jac=True, method="L-BFGS-B", options={"maxiter": _MOST_ROUNDS})
    place(found.x)
    return float(found.fun)
