"""A variational autoencoder that knows where the content of a patch lies, how it is turned, and how large it is.

The decoder draws the content on a canvas in a pose of its own, and the canvas is then turned, shifted and scaled into
the patch (a spatial decoder). An encoder that has to give an angle as one number is poor at it, because angles are a
circle and the image is anything but linear in them. So the patch is looked at in many orientations by one small
network, which says for each what the pose would be if the content lay about upright there; the decoder draws all of
these proposals, and those that resemble the patch are the likely ones. Discrete choices (orientation, kind) are summed
over, not drawn, so the bound is that of the best possible choice.

Sources: Bepler et al., arXiv 1909.11663 (spatial decoder); Nasiri & Bepler, arXiv 2210.12918 (inference over turned
copies); Kingma & Welling, arXiv 1312.6114.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from adatom.errors import ArgumentError, ShapeError

INVARIANCES = ("rotation", "translation", "scale")
ANGLE_STEP = 2 * math.pi / 16
_LARGEST_CANVAS = 96  # nodes along a side; a larger patch is drawn from a coarser canvas
_LONGEST_LINE = 2048  # the same of spectra
_NOISE_GAIN = 10  # one step of Adam changes a parameter by the learning rate; the noise has far to go
_SCREENED = 16  # proposals that are drawn with gradients
_IMPOSSIBLE = -1e9
_LOG_STD = (-6.0, 1.0)  # of a posterior, relative to the prior


@dataclass(frozen=True)
class Proposals:
    """What may be in each patch, seen from an orientation each.

    Parameters
    ----------
    mean, log_std : of pose and content (n, proposal, number).
    orientation, kind : numbers from 0 (n, proposal).
    log_prior : logarithm of how likely orientation and kind are beforehand (n, proposal).
    is_wrong : whether the kind is known to be another (n, proposal).
    """

    mean: Tensor
    log_std: Tensor
    orientation: Tensor
    kind: Tensor
    log_prior: Tensor
    is_wrong: Tensor

    @property
    def allowed(self) -> Tensor:
        """`log_prior`, next to nothing where the kind is wrong."""
        return self.log_prior.masked_fill(self.is_wrong, _IMPOSSIBLE)

    def pick(self, index: Tensor) -> "Proposals":
        """Some of them, by their numbers (n, proposal)."""
        deep = index[..., None].expand(-1, -1, self.mean.shape[2])
        flat = (each.gather(1, index) for each in (self.orientation, self.kind, self.log_prior, self.is_wrong))
        return Proposals(self.mean.gather(1, deep), self.log_std.gather(1, deep), *flat)


class SpatialVAE(nn.Module):
    """Encoder of turned copies, decoder with a canvas.

    Parameters
    ----------
    channels, patch : of the input (n, channels, y, x); y = 1 for spectra.
    latent : numbers that say what the content is.
    kinds : discrete contents beside them.
    values : 1 if one more latent number means a quantity that is known of some patches, else 0.
    invariances : out of ``rotation``, ``translation``, ``scale``.
    angle_std : of the prior of the angle [rad]; None for a uniform one over the circle.
    shift_std : of the prior of the shift, in halves of the longer side.
    scale_std : of the prior of the scale's logarithm.
    width, filters : of the dense and of the first convolutional layers.
    learns_noise : whether the noise of pixels is learned.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        patch: Sequence[int],
        latent: int = 2,
        kinds: int = 1,
        values: int = 0,
        invariances: Sequence[str] = (),
        angle_std: float | None = None,
        shift_std: float = 0.1,
        scale_std: float = 0.1,
        width: int = 128,
        filters: int = 16,
        learns_noise: bool = True,
    ) -> None:
        unknown = [name for name in invariances if name not in INVARIANCES]
        if unknown:
            raise ArgumentError(f"invariances: expected some of {', '.join(INVARIANCES)}, got {unknown[0]!r}.")
        rows, columns = patch
        if "rotation" in invariances and rows != columns:
            raise ArgumentError(f"patch: expected a square one for rotations, got {rows} x {columns} px.")
        super().__init__()
        self.channels, self.patch = channels, (rows, columns)
        self.latent, self.kinds, self.values = latent, kinds, values
        self.turns, self.shifts = "rotation" in invariances, "translation" in invariances
        self.scales = "scale" in invariances
        self.angle_std = angle_std
        self.n_shifts = (2 if rows > 1 else 1) if self.shifts else 0
        self.n_pose = int(self.turns) + self.n_shifts + int(self.scales)
        self.n_gauss = self.n_pose + values + latent

        angles, weights, spread = _orientations(angle_std) if self.turns else ([0.0], [1.0], 1.0)
        self.angles = tuple(angles)
        self.spacing = spread
        self.log_prior = [math.log(each / sum(weights)) for each in weights]
        priors = [spread] * self.turns + [shift_std] * self.n_shifts + [scale_std] * self.scales
        self.prior_std = [*priors, *[1.0] * (values + latent)]

        self.extent = (
            1 + 0.42 * self.turns + min(2.5 * shift_std, 0.6) * self.shifts + min(scale_std, 0.3) * self.scales
        )
        self.half_px = max(1.0, (max(rows, columns) - 1) / 2)  # px in one unit of length
        longest = max(rows, columns)
        nodes = min(_LARGEST_CANVAS if rows > 1 else _LONGEST_LINE, round(longest * self.extent))
        self.canvas = tuple(1 if side == 1 else max(2, round(nodes * side / longest)) for side in patch)

        self.eye = _Eye(channels, (rows, columns), filters=filters, width=width, out=2 * kinds * self.n_gauss)
        n_canvas = channels * self.canvas[0] * self.canvas[1]
        self.draws = nn.Sequential(
            nn.Linear(latent + values + (kinds if kinds > 1 else 0), width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, n_canvas),
        )
        self.slow_log_noise = nn.Parameter(torch.zeros(channels), requires_grad=learns_noise)

    @property
    def log_noise(self) -> Tensor:
        """Logarithm of the standard deviation of a pixel's noise, of each channel."""
        return _NOISE_GAIN * self.slow_log_noise

    def set_noise(self, noise: Tensor) -> None:
        """Set the standard deviation of a pixel's noise (channels,)."""
        self.slow_log_noise.data = (torch.log(noise) / _NOISE_GAIN).to(self.slow_log_noise)

    # ---------------------------------------------------------------- looking

    def propose(self, images: Tensor, known: Tensor) -> "Proposals":
        """What may be in images (n, channels, y, x) whose kinds are `known` (n,), -1 where not: one proposal for each
        orientation and each kind that is possible.
        """
        self._check(images)
        n, n_angles = len(images), len(self.angles)
        copies = turned_copies(images, self.angles) if self.turns else images[:, None]
        seen = self.eye(copies.flatten(0, 1)).reshape(n, n_angles, self.kinds, 2, self.n_gauss)
        prior = self.prior(images.device)
        mean, raw = seen.unbind(3)
        if self.turns:  # an orientation speaks for its neighbourhood only
            angle = 1.5 * torch.tanh(mean[..., :1] / 1.5)
            mean = torch.cat([angle, mean[..., 1:]], dim=-1)
        places = torch.arange(n_angles * self.kinds, device=images.device).expand(n, -1)
        orientation, kind = places // self.kinds, places % self.kinds
        log_prior = torch.tensor(self.log_prior, dtype=images.dtype, device=images.device)[orientation]
        every = Proposals(
            (mean * prior).flatten(1, 2),
            ((raw - 1.0).clamp(*_LOG_STD) + torch.log(prior)).flatten(1, 2),
            orientation,
            kind,
            log_prior - math.log(self.kinds),
            (known[:, None] >= 0) & (known[:, None] != kind) & (self.kinds > 1),
        )
        if self.kinds > 1 and bool((known >= 0).all()):  # no other kind need be looked at
            return every.pick(torch.arange(n_angles, device=images.device) * self.kinds + known.long()[:, None])
        return every

    def in_patch(self, numbers: Tensor, orientation: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Angle (...), shift (..., 2), logarithm of the scale (...) and content (..., number) of numbers (..., number)
        that are seen from an orientation (...).
        """
        k = int(self.turns)
        zero = numbers[..., 0] * 0
        base = torch.tensor(self.angles, device=numbers.device, dtype=numbers.dtype)[orientation]
        angle = base + numbers[..., 0] if self.turns else zero
        shift = torch.stack([zero, zero], dim=-1)
        if self.shifts:
            x = numbers[..., k]
            y = numbers[..., k + 1] if self.n_shifts == 2 else zero
            cos, sin = torch.cos(base), torch.sin(base)
            shift = torch.stack([cos * x - sin * y, sin * x + cos * y], dim=-1)
        log_scale = numbers[..., self.n_pose - 1] if self.scales else zero
        return angle, shift, log_scale, numbers[..., self.n_pose :]

    def prior(self, device: torch.device) -> Tensor:
        """Standard deviations of the prior (number,), of the angle around each orientation."""
        return torch.tensor(self.prior_std, dtype=torch.float32, device=device)

    # ---------------------------------------------------------------- drawing

    def paint(self, content: Tensor, kind: Tensor) -> Tensor:
        """Content (m, values + latent) of kinds (m,) on canvases (m, channels, y, x)."""
        painted: Tensor = self.draws(self._with_kind(content, kind))
        return painted.reshape(len(content), self.channels, *self.canvas)

    def paint_with_slopes(self, content: Tensor, kind: Tensor) -> tuple[Tensor, Tensor]:
        """What `paint` gives, and its derivatives by the content (m, number, channels, y, x)."""
        m, n = content.shape
        value = self._with_kind(content, kind)
        slope = torch.eye(n, value.shape[1], dtype=value.dtype, device=value.device).expand(
            m, -1, -1
        )  # by number, of input
        for layer in self.draws:
            if isinstance(layer, nn.Linear):
                value, slope = layer(value), slope @ layer.weight.T
            else:
                gate = torch.sigmoid(value)
                slope = slope * (gate * (1 + value * (1 - gate)))[:, None]
                value = value * gate
        shape = (self.channels, *self.canvas)
        return value.reshape(m, *shape), slope.reshape(m, n, *shape)

    def _with_kind(self, content: Tensor, kind: Tensor) -> Tensor:
        if self.kinds == 1:
            return content
        return torch.cat([content, functional.one_hot(kind, self.kinds).to(content.dtype)], dim=1)

    def place(self, canvas: Tensor, angle: Tensor, shift: Tensor, log_scale: Tensor) -> Tensor:
        """Canvases in patches (m, channels, y, x): turned by angles (m,), scaled, then shifted by (m, 2)."""
        grid = self.canvas_places(angle, shift, log_scale) / self.extent
        return functional.grid_sample(canvas, grid, padding_mode="border", align_corners=True)

    def canvas_places(self, angle: Tensor, shift: Tensor, log_scale: Tensor) -> Tensor:
        """Where on the canvas the pixels of a patch lie: (m, y, x, 2), x first."""
        y, x = (
            (torch.arange(side, dtype=angle.dtype, device=angle.device) - (side - 1) / 2) / self.half_px
            for side in self.patch
        )
        dx = x[None, None, :] - shift[:, 0, None, None]
        dy = y[None, :, None] - shift[:, 1, None, None]
        small = torch.exp(-log_scale)[:, None, None]
        cos, sin = torch.cos(angle)[:, None, None] * small, torch.sin(angle)[:, None, None] * small
        along_x, along_y = cos * dx + sin * dy, cos * dy - sin * dx
        if self.patch[0] == 1:
            along_y = along_y * 0
        return torch.stack([along_x, along_y], dim=-1) / self.short(angle.device)

    def short(self, device: torch.device) -> Tensor:
        """How long the canvas is along x and along y, as a share of its longer side."""
        nodes = torch.tensor([self.canvas[1], self.canvas[0]], device=device, dtype=torch.float32)
        return (nodes - 1).clamp(min=1) / (max(self.canvas) - 1)

    # ---------------------------------------------------------------- learning

    def forward(self, batch: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """Of each patch: how badly it is drawn (negative log likelihood without its constant), divergence from the
        prior, and how badly its known kind or value is told: (n, 3).

        Parameters
        ----------
        batch : images; known kinds (n,), -1 where unknown, or known values, NaN where unknown; standard normal noise
            (n, number); weight of the divergence.
        """
        images, known, noise, beta = batch
        every = self.propose(images, known)
        if every.mean.shape[1] > _SCREENED:  # draw all roughly, and only the likeliest again with gradients
            with torch.no_grad():
                divergence = self._divergence(every).sum(dim=2)
                height = every.log_prior - divergence - self.misdrawn(images, every.mean, every) / beta
                allowed = height.masked_fill(every.is_wrong, _IMPOSSIBLE)
                first = allowed.topk(_SCREENED // 2, dim=1).indices  # then the next, of a wrong kind or not
                others = height.scatter(1, first, -torch.inf).topk(_SCREENED // 2, dim=1).indices
            every = every.pick(torch.cat([first, others], dim=1))
        drawn = every.mean + torch.exp(every.log_std) * noise[:, None, :]
        divergence = self._divergence(every)  # (n, proposal, number)
        told_badly = torch.zeros_like(drawn[..., 0])
        if self.values:
            at, is_known = self.n_pose, ~torch.isnan(known)[:, None]
            told = torch.where(is_known, known[:, None], 0.0)
            off = (told - every.mean[..., at]) / torch.exp(every.log_std[..., at])
            told_badly = is_known * (0.5 * off.square() + every.log_std[..., at])
            value = torch.where(is_known, told, drawn[..., at])[..., None]
            drawn = torch.cat([drawn[..., :at], value, drawn[..., at + 1 :]], dim=-1)
            left = torch.where(is_known, 0.0, divergence[..., at])[..., None]
            divergence = torch.cat([divergence[..., :at], left, divergence[..., at + 1 :]], dim=-1)
        divergence = divergence.sum(dim=2)  # (n, proposal)
        error = self.misdrawn(images, drawn, every)
        with torch.no_grad():  # the best choice: its gradient is none, because nothing would be better
            log_share = torch.log_softmax(every.allowed - divergence - error / beta, dim=1)
            share = torch.exp(log_share)
            choice = (share * (log_share - every.log_prior)).masked_fill(share == 0, 0.0).sum(dim=1)
        misfit = (share * told_badly).sum(dim=1)
        if bool(every.is_wrong.any()):  # what is drawn as well with another kind is told badly
            height = every.log_prior - divergence - error / beta
            right = (height.masked_fill(every.is_wrong, _IMPOSSIBLE)).logsumexp(dim=1)
            misfit = misfit + torch.where(every.is_wrong.any(dim=1), height.logsumexp(dim=1) - right, 0.0)
        error, divergence = (share * error).sum(dim=1), (share * divergence).sum(dim=1)
        return torch.stack([error, divergence + choice, misfit], dim=1)

    def _divergence(self, proposals: "Proposals") -> Tensor:
        """Kullback-Leibler divergence of normal distributions from their prior (n, proposal, number)."""
        prior = self.prior(proposals.mean.device)
        square = proposals.mean.square() + torch.exp(2 * proposals.log_std)
        return 0.5 * (square / prior.square() - 1) - proposals.log_std + torch.log(prior)

    def misdrawn(self, images: Tensor, drawn: Tensor, proposals: "Proposals") -> Tensor:
        """Negative log likelihood (n, proposal), without its constant, of images (n, channels, y, x), each drawn from
        numbers (n, proposal, number) of the orientation and kind of `proposals`.
        """
        angle, shift, log_scale, content = self.in_patch(drawn.flatten(0, 1), proposals.orientation.flatten())
        patches = self.place(self.paint(content, proposals.kind.flatten()), angle, shift, log_scale)
        patches = patches.reshape(*drawn.shape[:2], self.channels, *self.patch)
        square = (patches - images[:, None]).square().sum(dim=(3, 4))  # (n, proposal, channel)
        n_pixels = self.patch[0] * self.patch[1]
        return (0.5 * square * torch.exp(-2 * self.log_noise) + n_pixels * self.log_noise).sum(dim=2)

    def _check(self, images: Tensor) -> None:
        expected = (self.channels, *self.patch)
        if tuple(images.shape[1:]) != expected:
            raise ShapeError(f"patches: expected (n, {', '.join(map(str, expected))}), got {tuple(images.shape)}.")


class _Eye(nn.Module):
    """Convolutions that halve the image until it is small, then dense layers."""

    def __init__(self, channels: int, patch: tuple[int, int], *, filters: int, width: int, out: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sides, n_in, n_out = list(patch), channels, filters
        while max(sides) > 7:
            kernel = tuple(1 if side == 1 else 5 if not layers else 3 for side in sides)
            padding = tuple(size // 2 for size in kernel)
            layers += [nn.Conv2d(n_in, n_out, kernel, stride=2, padding=padding), nn.SiLU()]  # type: ignore[arg-type]
            sides = [(side + 1) // 2 for side in sides]
            n_in, n_out = n_out, min(2 * n_out, 4 * filters)
        layers += [nn.Flatten(), nn.Linear(n_in * sides[0] * sides[1], width), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, width), nn.SiLU(), nn.Linear(width, out))

    def forward(self, images: Tensor) -> Tensor:
        seen: Tensor = self.layers(images)
        return seen


def _orientations(angle_std: float | None) -> tuple[list[float], list[float], float]:
    """Orientations to look in, how likely each is, and the standard deviation of the angle around each: together
    they make up the prior.
    """
    if angle_std is None:
        n = round(2 * math.pi / ANGLE_STEP)
        return [k * ANGLE_STEP for k in range(n)], [1.0] * n, 0.5 * ANGLE_STEP
    if angle_std < 0.7 * ANGLE_STEP:
        return [0.0], [1.0], angle_std
    spread = 0.5 * ANGLE_STEP
    far = min(7, math.ceil(2.5 * angle_std / ANGLE_STEP))
    angles = [k * ANGLE_STEP for k in range(-far, far + 1)]
    return angles, [math.exp(-0.5 * angle**2 / (angle_std**2 - spread**2)) for angle in angles], spread


def turned_copies(images: Tensor, angles: Sequence[float]) -> Tensor:
    """Square images (n, channels, y, x), turned back by each angle, cut to the inscribed circle:
    (n, angle, channels, y, x).
    """
    side = images.shape[-1]
    places = torch.linspace(-1, 1, side, dtype=images.dtype, device=images.device)
    is_inside = (places[:, None].square() + places.square() <= 1 + 1e-6).to(images.dtype)
    oblique: dict[float, Tensor] = {0.0: images}
    copies = []
    for angle in angles:
        quarters = math.floor(angle / (math.pi / 2) + 1e-9)
        rest = round(angle - quarters * math.pi / 2, 9)
        if rest not in oblique:
            cos, sin = math.cos(rest), math.sin(rest)
            matrix = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], dtype=images.dtype, device=images.device)
            grid = functional.affine_grid(matrix[None], [1, 1, side, side], align_corners=True)
            oblique[rest] = functional.grid_sample(
                images, grid.expand(len(images), -1, -1, -1), padding_mode="border", align_corners=True
            )
        copies.append(torch.rot90(oblique[rest], quarters, (2, 3)))
    return torch.stack(copies, dim=1) * is_inside
