"""A Gaussian process that knows many points: each place is told by those that are nearest to it."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from adatom.models.gaussian_process import Data, Process, spread_points

_NEAREST = 48  # points that tell a place; more change little
_CLUSTERS, _IN_ONE = 6, 160  # that teach the hyperparameters
_AT_ONCE = 512  # places


def telling_clusters(inputs: Tensor) -> list[Tensor]:
    """Numbers of points in some places: what is near each other tells the length scale and the noise."""
    points = inputs.numpy()
    centres = spread_points(inputs, _CLUSTERS).numpy()
    _, nearest = cKDTree(points).query(centres, k=min(_IN_ONE, len(points)))
    return [torch.from_numpy(np.sort(each)) for each in nearest]


class NearestProcess:
    """A process that knows its data, as `gaussian_process.Conditioned`, but asks of each place its nearest points."""

    def __init__(self, process: Process, data: Data) -> None:
        self.process, self.data = process, data
        with torch.no_grad():
            self.length = self._length()
        self.tree = cKDTree((data.inputs / self.length).numpy())

    def _length(self) -> Tensor:
        """What distances are measured by: the first length scale of the kernel, where it has one."""
        for part in self.process.kernel.modules():
            if getattr(part, "has_lengthscale", False):
                length: Tensor = part.lengthscale.reshape(-1).expand(self.data.inputs.shape[1]).clone()
                return length
        return torch.ones(self.data.inputs.shape[1], dtype=torch.float64)

    @torch.no_grad()
    def mean_and_variance(self, inputs: Tensor, raw: Tensor) -> tuple[Tensor, Tensor]:
        """(n, k) each, of the true values."""
        n_near = min(_NEAREST, len(self.data.inputs))
        pieces = []
        for some in range(0, len(inputs), _AT_ONCE):
            part = slice(some, some + _AT_ONCE)
            nearest = self.tree.query((inputs[part] / self.length).numpy(), k=n_near)[1].reshape(-1, n_near)
            pieces.append(self._told(inputs[part], raw[part], nearest))
        mean, variance = (torch.cat(each) for each in zip(*pieces, strict=True))
        return mean, variance

    @torch.no_grad()
    def left_out(self) -> tuple[Tensor, Tensor]:
        """Mean and variance (n, k), noise included, that each point is given by all the others."""
        n, pieces = len(self.data.inputs), []
        for first in range(0, n, _AT_ONCE):
            part = np.arange(first, min(first + _AT_ONCE, n))
            points = self.data.inputs[part]
            nearest = self.tree.query((points / self.length).numpy(), k=min(_NEAREST + 1, n))[1]
            # itself is among them, if not always as the first; where it is not, the last one goes
            itself = nearest == part[:, None]
            itself[~itself.any(axis=1), -1] = True
            others = nearest[~itself].reshape(len(part), -1)
            pieces.append(self._told(points, self.data.raw_inputs[part], others))
        mean, variance = (torch.cat(each) for each in zip(*pieces, strict=True))
        return mean, variance + self.process.noise_of(self.data)

    def _told(self, inputs: Tensor, raw: Tensor, nearest: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """What places are told by some points each (n, near)."""
        process, k, near = self.process, self.process.n_outputs, torch.from_numpy(nearest)
        points, noise = self.data.inputs[near], process.noise_of(self.data)[near]
        outputs = process.outputs()
        among = _kron(process.kernel(points, points).to_dense(), outputs) + torch.diag_embed(noise.flatten(1))
        across = _kron(process.kernel(points, inputs[:, None]).to_dense(), outputs)  # (n, near k, k)
        expected = process.expected(self.data.inputs, self.data.raw_inputs)
        left = (self.data.targets - expected)[near].flatten(1)
        factor = torch.linalg.cholesky(among + 1e-8 * torch.eye(among.shape[-1], dtype=among.dtype))
        solved = torch.linalg.solve_triangular(factor, torch.cat([across, left[:, :, None]], dim=2), upper=False)
        mean = process.expected(inputs, raw) + (solved[:, :, :k] * solved[:, :, k:]).sum(dim=1)
        prior = process.alone(inputs)[:, None] * outputs.diagonal()
        return mean, (prior - solved[:, :, :k].square().sum(dim=1)).clamp_min(1e-12)


def _kron(covariances: Tensor, outputs: Tensor) -> Tensor:
    """(n, a, b) times (k, k) to (n, a k, b k), point by point."""
    n, a, b = covariances.shape
    k = len(outputs)
    return (covariances[:, :, None, :, None] * outputs[:, None, :]).reshape(n, a * k, b * k)
