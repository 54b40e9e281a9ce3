"""Spectral unmixing: a spectrum image as a few spectra, each with a map of where it is."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.optimize import nnls

from adatom.analyse.spectrum_blocks import SpectrumBlocks, spectrum_blocks
from adatom.analyse.vertex_components import purest
from adatom.analyse.weighted_spectra import Principal, Weights, principal_components, weigh
from adatom.errors import ArgumentError

Array = NDArray[np.float64]
UnmixingMethod = Literal["nmf", "pca", "ica", "vca"]

_MOST_COMPONENTS = 12  # that are suggested
_ROUNDS, _AT_REST = 300, 1e-5  # of multiplicative updates
# Of the median brightness: darker pixels are not looked at for pure spectra.
_DARK = 0.3


@dataclass(frozen=True)
class Unmixed:
    """``image = mean + sum of abundance x spectrum``, nearly.

    Attributes
    ----------
    spectra : (component, energy or bias or time), with the image's own axis.
    abundance : (component, y, x), NaN at pixels that were left out; with nmf in units in which each spectrum has the
        sum 1, so counts; with vca shares of the pure spectra; with pca and ica scores of either sign.
    mean : spectrum that was taken out first; 0 for nmf and vca, and after weighting.
    explained : share of variance of each principal component: the scree, of weighted spectra if they were weighted.
    n_suggested : of these above the noise.
    residual : root of the mean square of what is left at each pixel (y, x).
    method, weighting : as asked for.
    """

    spectra: xr.DataArray
    abundance: xr.DataArray
    mean: xr.DataArray
    explained: Array
    n_suggested: int
    residual: xr.DataArray
    method: UnmixingMethod
    weighting: str


def unmix(
    image: xr.DataArray,
    *,
    method: UnmixingMethod = "nmf",
    n_components: int | Literal["auto"] = "auto",
    weighting: Literal["none", "poisson"] = "none",
    mask: Any = None,
    random_state: int = 0,
) -> Unmixed:
    """Find the spectra that a spectrum image is a mixture of, and how much of each is where.

    Parameters
    ----------
    image : (y, x, energy | bias | time). Values that are computed when asked for, such as dask arrays, are gone through
        in blocks of at most 128 MiB and never held whole (four times; by ``nmf`` up to 300 times).
    method : ``nmf`` (spectra and amounts that are not negative: counts), ``pca``, ``ica``, or ``vca`` (the spectra of
        the purest pixels, and the shares of them).
    n_components : so many, or as many as stand above the noise. Unweighted ``pca`` and ``ica`` count what differs from
        the mean, so one less than there are spectra.
    weighting : ``poisson`` for counts, so that weak channels tell as much as their noise allows.
    mask : (y, x) True at pixels to leave out; pixels without a value are left out anyway.

    Raises
    ------
    ShapeError, ArgumentError : if it is no spectrum image, the components are more than pixels or channels, or values
        are negative where they must not be.

    Notes
    -----
    Poisson weighting divides a value by the root of the mean image and of the mean spectrum there (Keenan & Kotula,
    Surf. Interface Anal. 36, 203 (2004), 10.1002/sia.1657); as there, no mean is taken out then. nmf starts from the
    purest pixels and improves them by multiplicative updates (Lee & Seung, Nature 401, 788 (1999), 10.1038/44565).
    Without pure pixels neither nmf nor vca can find the true spectra: any simplex around the data does.
    """
    if method not in get_args(UnmixingMethod):
        raise ArgumentError(f"method: expected one of {', '.join(get_args(UnmixingMethod))}, got {method!r}.")
    if weighting not in ("none", "poisson"):
        raise ArgumentError(f"weighting: expected none or poisson, got {weighting!r}.")
    blocks = spectrum_blocks(image, mask)
    mixes = method in ("nmf", "vca")
    weights = weigh(blocks, needs_counts=method == "nmf" or weighting == "poisson", weighted=weighting == "poisson")
    principal = principal_components(blocks, weights)
    most = min(blocks.n_used, blocks.n_channels)
    if n_components == "auto":
        n = int(np.clip(principal.n_significant + (mixes and not weights.are_counts), 1, min(_MOST_COMPONENTS, most)))
    else:
        n = int(n_components)
    if not 1 <= n <= most:
        raise ArgumentError(f"n_components: expected 1 to {most}, got {n_components}.")
    solve = {"pca": _pca, "ica": _ica, "vca": _vca, "nmf": _nmf}[method]
    spectra, amounts, mean = solve(blocks, weights, principal, n, random_state)
    order = np.argsort(-(amounts**2).mean(axis=0) * (spectra**2).sum(axis=1), kind="stable")
    return _named(blocks, principal, spectra[order], amounts[:, order], mean, method, weighting)


def _unweighted(weights: Weights, spectra: Array, amounts: Array) -> tuple[Array, Array]:
    return spectra * weights.channel, amounts * weights.pixel[:, None]


def _pca(b: SpectrumBlocks, weights: Weights, principal: Principal, n: int, seed: int) -> tuple[Array, Array, Array]:
    return _of_either_sign(weights, principal, principal.directions[:n], principal.scores(b, weights, n))


def _ica(b: SpectrumBlocks, weights: Weights, principal: Principal, n: int, seed: int) -> tuple[Array, Array, Array]:
    from adatom.analyse.decomposition import decompose
    from adatom.analyse.descriptors import Descriptors

    scores = principal.scores(b, weights, n)
    if n == 1 or principal.variance[n - 1] <= 1e-12 * principal.variance[0]:
        return _of_either_sign(weights, principal, principal.directions[:n], scores)
    scale = float(scores[:, 0].std())
    found = decompose(
        Descriptors(scores / scale, np.arange(len(scores)), (n,)), method="ica", n_components=n, random_state=seed
    )
    # FastICA takes a mean out; that of centred scores is 0
    sources = found.scores + found.mean @ np.linalg.pinv(found.components)
    return _of_either_sign(weights, principal, found.components @ principal.directions[:n] * scale, sources)


def _of_either_sign(weights: Weights, principal: Principal, parts: Array, scores: Array) -> tuple[Array, Array, Array]:
    """Signs chosen so that the largest channel is positive; the mean spectrum."""
    spectra, amounts = _unweighted(weights, parts, scores)
    sign = np.where(spectra[np.arange(len(spectra)), np.abs(spectra).argmax(axis=1)] < 0, -1.0, 1.0)
    return spectra * sign[:, None], amounts * sign, principal.mean  # a mean is taken out of unweighted spectra only


def _vca(b: SpectrumBlocks, weights: Weights, principal: Principal, n: int, seed: int) -> tuple[Array, Array, Array]:
    spectra = _pure_spectra(b, weights, principal, n, seed) * weights.channel
    return spectra, _shares(b, spectra), np.zeros(b.n_channels)


def _pure_spectra(b: SpectrumBlocks, weights: Weights, principal: Principal, n: int, seed: int) -> Array:
    """Spectra (n, channel) of the purest pixels, weighted by channel, freed of noise by the principal components.

    Counts of a bright pixel are those of a dark one times a number: so they are divided by their brightness first,
    which brings them onto a simplex, and pixels too dark to tell are passed over.
    """
    if not weights.are_counts:
        scores = principal.scores(b, weights, max(n - 1, 1))
        spectra: Array = (
            principal.mean + scores[purest(scores, n, random_state=seed)] @ principal.directions[: scores.shape[1]]
        )
        return spectra
    scores = principal.scores(b, weights, n)
    brightness = np.abs(scores[:, 0])
    bright = np.flatnonzero(brightness > max(_DARK * float(np.median(brightness)), 1e-300))
    corners = np.arange(n) % len(scores)
    if len(bright) > n:
        plane = scores[bright, 1:] / brightness[bright, None]  # (pixel, n - 1)
        corners = bright[purest(plane - plane.mean(axis=0), n, random_state=seed)]
    pure: Array = scores[corners] @ principal.directions[:n] * weights.pixel[corners, None]
    return pure


def _shares(blocks: SpectrumBlocks, spectra: Array) -> Array:
    """Amounts (pixel, component) >= 0 of given spectra, by least squares.

    The equations of all channels are first turned to as few as there are components.
    """
    basis, triangle = np.linalg.qr(spectra.T)  # (channel, n), (n, n)
    amounts = [[nnls(triangle, one)[0] for one in values @ basis] for _, values in blocks]
    return np.array([one for block in amounts for one in block])


def _nmf(b: SpectrumBlocks, weights: Weights, principal: Principal, n: int, seed: int) -> tuple[Array, Array, Array]:
    tiny = 1e-12 + 1e-6 * float(principal.mean.max())
    parts = np.maximum(_pure_spectra(b, weights, principal, n, seed), tiny)
    parts /= np.linalg.norm(parts, axis=1, keepdims=True)
    amounts = np.full((b.n_used, n), 1e-3)
    change, before = np.inf, parts.copy()
    for _ in range(_ROUNDS):
        gram = parts @ parts.T
        above, below = np.zeros(parts.shape), np.zeros((n, n))
        for pixels, values in b:
            weighted = weights.apply(pixels, values)
            mine, wanted = amounts[pixels], weighted @ parts.T
            if not np.isfinite(change):  # the first guess: least squares without a sign, cut
                mine = np.maximum(wanted @ np.linalg.pinv(gram), 1e-3 * np.abs(wanted).mean() + 1e-300)
            for _ in range(3):
                mine = mine * wanted / np.maximum(mine @ gram, 1e-300)
            amounts[pixels] = mine
            above += mine.T @ weighted
            below += mine.T @ mine
        parts = parts * above / np.maximum(below @ parts, 1e-300)
        size = np.maximum(np.linalg.norm(parts, axis=1, keepdims=True), 1e-300)
        parts, amounts = parts / size, amounts * size[:, 0]
        change, before = float(np.abs(parts - before).max()), parts.copy()
        if change < _AT_REST:
            break
    spectra, amounts = _unweighted(weights, parts, amounts)
    total = np.maximum(spectra.sum(axis=1), 1e-300)
    return spectra / total[:, None], amounts * total, np.zeros(b.n_channels)


def _named(
    blocks: SpectrumBlocks,
    principal: Principal,
    spectra: Array,
    amounts: Array,
    mean: Array,
    method: UnmixingMethod,
    weighting: str,
) -> Unmixed:
    image, axis = blocks.image, blocks.axis
    left = np.concatenate(
        [np.sqrt(((values - mean - amounts[pixels] @ spectra) ** 2).mean(axis=1)) for pixels, values in blocks]
    )
    number = np.arange(1, len(spectra) + 1)
    channel, place = {axis: image.coords[axis]}, {name: image.coords[name] for name in ("y", "x")}
    total = float(principal.variance.sum())
    return Unmixed(
        spectra=xr.DataArray(
            spectra, dims=("component", axis), coords={"component": number, **channel}, name="spectra"
        ),
        abundance=xr.DataArray(
            blocks.maps(amounts), dims=("component", "y", "x"), coords={"component": number, **place}, name="abundance"
        ),
        mean=xr.DataArray(mean, dims=(axis,), coords=channel, name="mean"),
        explained=principal.variance / total if total > 0 else np.zeros(len(principal.variance)),
        n_suggested=principal.n_significant,
        residual=xr.DataArray(
            blocks.maps(left[:, None])[0],
            dims=("y", "x"),
            coords=place,
            name="residual",
            attrs={"units": image.attrs.get("units", "")},
        ),
        method=method,
        weighting=weighting,
    )
