"""Heights of peaks whose places and shape are held, on a slow background, by weighted linear least squares."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu

from adatom.locate.gaussians import Patches, Peaks
from adatom.locate.noise import estimate_noise

Array = NDArray[np.float64]

_NODES = 3.0  # spacings between the nodes of the background, which is linear between them
_ROUNDS = 3  # the first without weights, which come from what is left over
_ROBUST_ROUNDS, _FAR = 4, 2.0  # of a background alone; usual residuals, beyond which a pixel counts less
_SAMPLE = 500  # peaks whose error bars are exact; of more, the others' are taken to be as much larger than alone
_RIDGE = 1e-9  # of a peak's own information: what nothing tells is 0


@dataclass(frozen=True)
class Heights:
    """What the fit says.

    Attributes
    ----------
    height, std : (n,) of the peaks.
    background : (y, x) what they stand on.
    peaks_image : (y, x) what they add to it.
    variance : (y, x) of the noise.
    """

    height: Array
    std: Array
    background: Array
    peaks_image: Array
    variance: Array


def fit_heights(values: Array, known: NDArray[np.bool_], peaks: Peaks, *, spacing_px: float) -> Heights:
    """Fit heights, background and noise.

    Parameters
    ----------
    values : (y, x) image in which atoms are bright; anything where it is not known.
    known : (y, x) bool, where something was measured.
    peaks : whose heights are not used.
    spacing_px : typical distance of neighbours.
    """
    values = np.where(known, values, 0.0)
    n = len(peaks.height)
    of_peaks = _image_of_each(peaks, known)
    of_nodes = _image_of_nodes(values.shape, _NODES * spacing_px)
    design = sparse.hstack([of_peaks, of_nodes], format="csc")
    weight = known.ravel().astype(float)
    least = 1e-12 * float(np.var(values[known])) + 1e-300
    for _ in range(_ROUNDS):
        weighted = sparse.diags_array(weight) @ design
        normal = (design.T @ weighted).tocsc()
        own = normal.diagonal()
        ridge = _RIDGE * np.maximum(own, float(np.median(own)))
        solver = splu((normal + sparse.diags_array(ridge)).tocsc())
        solution = np.asarray(solver.solve(weighted.T @ values.ravel()), dtype=float)
        peaks_image = np.asarray(of_peaks @ solution[:n]).reshape(values.shape)
        background = np.asarray(of_nodes @ solution[n:]).reshape(values.shape)
        model = peaks_image + background
        variance = np.maximum(estimate_noise(np.where(known, values - model, 0.0), model, known).variance(model), least)
        weight = known.ravel() / variance.ravel()
    # the last weights hardly differ from those before, by which the solver's inverse is a covariance
    std = np.sqrt(np.maximum(_variances(solver, own, n), 0.0))
    return Heights(solution[:n], std, background, peaks_image, variance)


def fit_background(rest: Array, known: NDArray[np.bool_], variance: Array, *, spacing_px: float) -> Array:
    """The slow background (y, x) of what an image has beside its atoms; what stands out of it counts little.

    Parameters
    ----------
    rest : (y, x) image without its atoms.
    variance : (y, x) of the noise.
    """
    of_nodes = _image_of_nodes(rest.shape, _NODES * spacing_px)
    left, weight = np.where(known, rest, 0.0).ravel(), known.ravel() / variance.ravel()
    background = np.zeros_like(left)
    robust = weight
    for _ in range(_ROBUST_ROUNDS):
        weighted = sparse.diags_array(robust) @ of_nodes
        normal = (of_nodes.T @ weighted).tocsc()
        own = normal.diagonal()
        ridge = sparse.diags_array(_RIDGE * np.maximum(own, float(np.median(own))))
        background = np.asarray(of_nodes @ splu((normal + ridge).tocsc()).solve(weighted.T @ left))
        size = np.abs(left - background) * np.sqrt(weight)
        usual = max(1.0, 1.4826 * float(np.median(size[weight > 0])))
        robust = weight / np.maximum(size / (_FAR * usual), 1.0)
    return background.reshape(rest.shape)


def _image_of_each(peaks: Peaks, known: NDArray[np.bool_]) -> sparse.csc_array:
    """Image of each peak of height 1: (pixel, n)."""
    patches = Patches.around(peaks.position, known, peaks.width)
    xx, xy, yy = peaks.shape
    dx = (patches.column - peaks.position[:, 0, None])[:, None, :]
    dy = (patches.row - peaks.position[:, 1, None])[:, :, None]
    gaussian = np.exp(-0.5 * (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy))
    number = np.broadcast_to(np.arange(len(peaks.height))[:, None, None], gaussian.shape)
    seen = patches.inside
    return sparse.csc_array((gaussian[seen], (patches.index[seen], number[seen])), shape=(known.size, len(number)))


def _image_of_nodes(shape: tuple[int, ...], spacing: float) -> sparse.csc_array:
    """A tent over each node of a grid: (pixel, nodes)."""
    along = []
    for size in shape:
        count = max(2, round((size - 1) / spacing) + 1)
        at = np.arange(size) * (count - 1) / max(size - 1, 1)
        first = np.minimum(at.astype(np.int64), count - 2)
        share = at - first
        rows = np.concatenate([np.arange(size), np.arange(size)])
        columns = np.concatenate([first, first + 1])
        along.append(sparse.csc_array((np.concatenate([1 - share, share]), (rows, columns)), shape=(size, count)))
    return sparse.csc_array(sparse.kron(along[0], along[1]))


def _variances(solver: SuperLU, own: Array, n: int) -> Array:
    """Diagonal (n,) of the inverse of the normal matrix, as far as the peaks go."""
    alone = 1 / np.maximum(own[:n], 1e-300)
    some = np.arange(n) if n <= _SAMPLE else np.random.default_rng(0).choice(n, _SAMPLE, replace=False)
    units = np.zeros((len(own), len(some)))
    units[some, np.arange(len(some))] = 1.0
    exact = solver.solve(units)[some, np.arange(len(some))]
    if len(some) == n:
        return np.asarray(exact)
    larger = alone * float(np.median(exact / alone[some]))
    larger[some] = exact
    return np.asarray(larger)
