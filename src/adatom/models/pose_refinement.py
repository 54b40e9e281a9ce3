"""Pose and content at which a patch is drawn best, starting from what the network proposes.

Orientations and kinds that the network finds likely are each taken to the nearest best place by damped Gauss-Newton
steps on the patch's posterior; the curvature there gives standard deviations, and the volume under it says how likely
each of them is (Laplace's approximation).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from adatom.nets.spatial_vae import ANGLE_STEP, SpatialVAE

_STARTS = 2  # orientations of one kind that are followed
_STEPS = 6


@dataclass(frozen=True)
class Found:
    """Of each patch: pose and content, their standard deviations (n, number), and how sure its choices are.

    Parameters
    ----------
    angle, log_scale : (n,).
    shift : (n, 2).
    content : (n, values + latent).
    kind : (n,).
    std : (n, pose and content).
    angle_probability : (n,).
    kind_probability : (n, kind).
    """

    angle: Tensor
    shift: Tensor
    log_scale: Tensor
    content: Tensor
    kind: Tensor
    std: Tensor
    angle_probability: Tensor
    kind_probability: Tensor


@torch.no_grad()
def find_best(net: SpatialVAE, images: Tensor, known: Tensor, *, refine: bool = True) -> Found:
    """Look for the best pose and content of images (n, channels, y, x); kinds `known` (n,) are taken, save for -1."""
    n = len(images)
    every = net.propose(images, known)
    height = every.allowed - net.misdrawn(images, every.mean, every)
    height = height - 0.5 * (every.mean / net.prior(images.device)).square().sum(dim=2)  # (n, proposal)
    every = every.pick(_starts(net, every.kind, height))
    n_starts = every.kind.shape[1]
    kind = every.kind.flatten()
    state = _packed(net, *net.in_patch(every.mean.flatten(0, 1), every.orientation.flatten()))
    patch = images[:, None].expand(-1, n_starts, -1, -1, -1).flatten(0, 1)
    state, energy, precision = _descend(net, patch, kind, state, _STEPS if refine else 0)
    evidence = -energy - 0.5 * torch.logdet(precision)  # (m,)
    if net.turns and net.angle_std is not None:  # the prior ends where no orientation is looked in
        farthest = max(net.angles) + net.spacing
        evidence = evidence.masked_fill(state[:, 0].abs() > farthest, -1e6)
    evidence = evidence.reshape(n, n_starts).masked_fill(every.is_wrong, -torch.inf)
    best = evidence.argmax(dim=1)  # (n,)
    number = torch.arange(n, device=images.device) * n_starts + best
    angle, shift, log_scale, content = _unpacked(net, state)
    variance = torch.diagonal(torch.linalg.inv(precision[number]), dim1=1, dim2=2)
    top = evidence.gather(1, best[:, None])
    rivals = torch.cos(angle.reshape(n, n_starts) - angle[number][:, None]) < math.cos(ANGLE_STEP)
    rivals &= every.kind == kind[number][:, None]
    rival = evidence.masked_fill(~rivals, -torch.inf).amax(dim=1)
    of_kind = torch.stack(
        [evidence.masked_fill(every.kind != k, -torch.inf).amax(dim=1) for k in range(net.kinds)], dim=1
    )
    return Found(
        angle[number],
        shift[number],
        log_scale[number],
        content[number],
        kind[number],
        variance.clamp(min=0).sqrt().float(),
        torch.sigmoid(top[:, 0] - rival).float(),
        torch.softmax(of_kind, dim=1).float(),
    )


def _starts(net: SpatialVAE, kind: Tensor, height: Tensor) -> Tensor:
    """Numbers (n, start) of the proposals that are followed: of each kind, the orientations of greatest height."""
    n_starts = min(len(net.angles), _STARTS)
    kinds = kind[0].unique() if (kind == kind[0]).all() else None
    if kinds is None:  # each patch is of its own, known kind
        return height.topk(n_starts, dim=1).indices
    chosen = [height.masked_fill(kind != k, -torch.inf).topk(n_starts, dim=1).indices for k in kinds]
    return torch.cat(chosen, dim=1)


def _descend(net: SpatialVAE, patch: Tensor, kind: Tensor, state: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """State (m, number) after damped Gauss-Newton steps, its energy (m,), and the precision (m, number, number)."""
    damping = torch.full((len(state),), 1e-2, dtype=torch.float64, device=state.device)
    energy, gradient, precision = _slope(net, patch, kind, state)
    for _ in range(steps):
        diagonal = torch.diag_embed(torch.diagonal(precision, dim1=1, dim2=2))
        damped = precision + damping[:, None, None] * diagonal
        step = torch.linalg.solve(damped, gradient[..., None])[..., 0]
        trial = state - step.to(state.dtype)
        new_energy, new_gradient, new_precision = _slope(net, patch, kind, trial)
        better = new_energy < energy
        state = torch.where(better[:, None], trial, state)
        energy = torch.where(better, new_energy, energy)
        gradient = torch.where(better[:, None], new_gradient, gradient)
        precision = torch.where(better[:, None, None], new_precision, precision)
        damping = torch.where(better, damping / 5, damping * 5).clamp(1e-6, 1e4)
    return state, energy, precision


def _slope(net: SpatialVAE, patch: Tensor, kind: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Energy of states (m,), its gradient (m, number), and the Gauss-Newton approximation of its curvature."""
    angle, shift, log_scale, content = _unpacked(net, state)
    m = len(content)
    canvas, by_content = net.paint_with_slopes(content, kind)
    pitch = 2 * net.extent / (max(net.canvas) - 1)
    layers = [canvas, *by_content.unbind(1), _difference(canvas, 3) / pitch, _difference(canvas, 2) / pitch]
    places = net.canvas_places(angle, shift, log_scale)
    sampled = functional.grid_sample(
        torch.cat(layers, dim=1), places / net.extent, padding_mode="border", align_corners=True
    ).reshape(m, len(layers), net.channels, *net.patch)
    drawn, along_x, along_y = sampled[:, 0], sampled[:, -2], sampled[:, -1]
    slopes: list[Tensor] = []
    at = places * net.short(places.device)
    if net.turns:
        slopes.append(along_x * at[:, None, ..., 1] - along_y * at[:, None, ..., 0])
    small = torch.exp(-log_scale)[:, None, None, None]
    cos, sin = torch.cos(angle)[:, None, None, None] * small, torch.sin(angle)[:, None, None, None] * small
    if net.shifts:
        slopes.append(-cos * along_x + sin * along_y)
        if net.n_shifts == 2:
            slopes.append(-sin * along_x - cos * along_y)
    if net.scales:
        slopes.append(-along_x * at[:, None, ..., 0] - along_y * at[:, None, ..., 1])
    jacobian = torch.stack([*slopes, *sampled[:, 1:-2].unbind(1)], dim=1)  # (m, number, channels, y, x)
    weight = torch.exp(-2 * net.log_noise)[:, None, None]
    residual = drawn - patch
    flat = (jacobian * weight.sqrt()).flatten(2).double()
    rest = (residual * weight.sqrt()).flatten(1).double()
    prior = _prior_precision(net, state)
    energy = 0.5 * rest.square().sum(dim=1) + 0.5 * (prior * state.double().square()).sum(dim=1)
    gradient = (flat @ rest[..., None])[..., 0] + prior * state.double()
    precision = flat @ flat.transpose(1, 2) + torch.diag_embed(prior.expand(m, -1))
    return energy, gradient, precision


def _prior_precision(net: SpatialVAE, state: Tensor) -> Tensor:
    std = torch.tensor(net.prior_std, dtype=torch.float64, device=state.device)
    precision = 1 / std.square()
    if net.turns:
        precision[0] = 1e-9 if net.angle_std is None else 1 / net.angle_std**2
    return precision


def _difference(canvas: Tensor, dim: int) -> Tensor:
    """Central differences along an axis, one-sided at the ends, nought where there is one node only."""
    n = canvas.shape[dim]
    if n < 2:
        return torch.zeros_like(canvas)
    return torch.gradient(canvas, dim=dim)[0]


def _packed(net: SpatialVAE, angle: Tensor, shift: Tensor, log_scale: Tensor, content: Tensor) -> Tensor:
    parts = [angle[:, None]] * net.turns + [shift[:, : net.n_shifts]] * net.shifts + [log_scale[:, None]] * net.scales
    return torch.cat([*parts, content], dim=1)


def _unpacked(net: SpatialVAE, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    zero = state[:, 0] * 0
    k = int(net.turns)
    angle = state[:, 0] if net.turns else zero
    shift = torch.stack([zero, zero], dim=1)
    if net.shifts:
        shift = state[:, k : k + net.n_shifts]
        shift = functional.pad(shift, (0, 2 - net.n_shifts))
    log_scale = state[:, net.n_pose - 1] if net.scales else zero
    return angle, shift, log_scale, state[:, net.n_pose :]
