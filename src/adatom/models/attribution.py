"""Which pixels of a patch a feature of its predicted spectrum comes from."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from adatom.errors import ArgumentError
from adatom.models.image_to_spectrum import ImageToSpectrum

Array = NDArray[np.float64]

_N_STEPS = 32
Feature = Callable[[Array], Array]  # spectra (n, point) to numbers (n,)


def integrated_gradients(
    model: ImageToSpectrum, patch: Array, weights: Array, *, baseline: Array | None = None
) -> Array:
    """Contribution of each pixel to a linear feature of the spectrum, by the networks.

    Parameters
    ----------
    patch : (channel, y, x).
    weights : (spectrum, point); the feature is the sum of the predicted spectrum times these.
    baseline : patch (channel, y, x) with which it is compared; by default every pixel at the middle of its channel.

    Returns
    -------
    (channel, y, x), in the unit of the feature; they add up to the difference between what the networks say of the two
    patches, to the precision of 32 steps.

    Notes
    -----
    The trees of the blend have no gradients: `occlusion` asks the whole model. Source: Sundararajan, Taly & Yan, ICML
    2017, arXiv 1703.01365.
    """
    model._check_fitted("integrated_gradients")
    scale = model.patch_scale_
    start = (
        scale.middle[:, None, None] + np.zeros_like(patch) if baseline is None else np.asarray(baseline, dtype=float)
    )
    ends = [torch.from_numpy(scale.scaled(each[None])).float() for each in (start, np.asarray(patch, dtype=float))]
    factor = torch.from_numpy(np.asarray(weights) * model.spectrum_scale_.spread[:, None]).float()
    shares = (torch.arange(_N_STEPS) + 0.5) / _N_STEPS
    total = torch.zeros_like(ends[0])
    for member in model.net_:
        device = next(member.parameters()).device
        between = (ends[0] + shares[:, None, None, None] * (ends[1] - ends[0])).to(device).requires_grad_()
        mean = member(between)[:, : factor.shape[0]]
        (gradient,) = torch.autograd.grad((mean * factor.to(device)).sum(), between)
        total = total + gradient.mean(dim=0, keepdim=True).cpu()
    contribution = (ends[1] - ends[0]) * total / len(model.net_)
    return contribution[0].double().numpy()


def occlusion(model: ImageToSpectrum, patch: Array, feature: Feature, *, size: int = 1) -> Array:
    """What a feature of the predicted spectrum loses when a piece of the patch is covered by the channel's middle.

    Parameters
    ----------
    patch : (channel, y, x).
    feature : spectra (n, point), of the first spectrum of the model, to numbers (n,).
    size : side of the piece [px], an odd number.

    Returns
    -------
    (y, x): the feature of the whole patch less that of the patch covered there; of the whole model, trees included.
    """
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise ArgumentError(f"size: expected an odd number of pixels, got {size!r}.")
    patch = np.asarray(patch, dtype=float)
    rows, columns = patch.shape[1:]
    covered = np.repeat(patch[None], rows * columns, axis=0)
    half = size // 2
    for number, (y, x) in enumerate(np.ndindex(rows, columns)):
        piece = (slice(None), slice(max(0, y - half), y + half + 1), slice(max(0, x - half), x + half + 1))
        covered[(number, *piece)] = model.patch_scale_.middle[:, None, None]
    spectra, _ = model.predict_patches(np.concatenate([patch[None], covered]))
    values = feature(spectra[:, 0])
    return np.asarray(values[0] - values[1:].reshape(rows, columns))
