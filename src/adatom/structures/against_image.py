"""A structure back to the image: what it would look like under the microscope that took it, and what does not fit.

The microscope is estimated from the image: one elliptical Gaussian for all atoms, a slow background, the noise. Each
element has one brightness, and atoms above each other add up, as in the dark field; so a column that is called what it
is not is too bright or too dim, and what the structure lacks is left over.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from adatom.data import check_image, pixel_size_nm
from adatom.data.rounding import rounded
from adatom.errors import ArgumentError
from adatom.locate.gaussians import Patches, Peaks, render
from adatom.locate.refine import refine_positions
from adatom.prepare import SquareImage, positions_back
from adatom.simulate.columns import atomic_number
from adatom.structures.build import image_positions
from adatom.structures.elements import formula_of
from adatom.structures.peak_heights import Heights, fit_background, fit_heights

if TYPE_CHECKING:
    from ase import Atoms

Array = NDArray[np.float64]

_NEAR = 2.5  # widths of an atom's image: what is nearer to an atom is its neighbourhood
_CONTRADICTED = 4.0  # standard deviations: of a thousand atoms, hardly one by chance
_MISSED = 5.0  # the same of places, of which there are more
_LEAST = 0.25  # of the dimmest element: less is no atom
_ROUNDS = 20  # of the robust fit of brightnesses
_HUBER = 1.5  # standard deviations, from which on a column counts less
_LEAST_SCATTER = 0.01  # of a column's brightness: no two are more alike
_FEWEST = 3
_TOLD = 20  # rows that a warning names
_CLEAR = 0.35  # spacings from any atom, at which a peak is one of its own
_INSET = 1.5  # widths from the border, from which on an atom is judged


@dataclass(frozen=True)
class Comparison:
    """An image beside that of a structure.

    Attributes
    ----------
    measured, simulated : (y, x) in the image's unit, levelled; NaN where nothing was measured.
    noise : (y, x) standard deviation of the noise.
    pixel_nm : size of these pixels.
    columns : table of the columns: row (of the atom table), x, y [nm], column (formula), flux and expected (in units of
        the brightest element's), sigma (by how many standard deviations it is too bright), looks_like.
    contradicted : the columns that the image contradicts, and what is left over where the structure has no atom, the
        worst first: x, y [nm], row, column, reason, sigma.
    brightness : of each element, that of the brightest 1.
    width_nm : standard deviation of the image of an atom.
    r2, r2_free : share of the variance in the atoms' neighbourhoods that the structure explains; and that one would
        in which each column had its own brightness.
    r2_possible : the share that is not noise.
    chi2 : mean square of what is left there, in units of the noise.
    """

    measured: Array
    simulated: Array
    noise: Array
    pixel_nm: float
    columns: pd.DataFrame
    contradicted: pd.DataFrame
    brightness: dict[str, float]
    width_nm: float
    r2: float
    r2_free: float
    r2_possible: float
    chi2: float

    @property
    def residual(self) -> Array:
        """Measured less simulated (y, x), in standard deviations of the noise."""
        return (self.measured - self.simulated) / self.noise

    @property
    def contrast_exponent(self) -> float | None:
        """The power of the atomic number that the brightest and the dimmest element go with; None with one element."""
        known = {symbol: value for symbol, value in self.brightness.items() if value > 0}
        if len(known) < 2:
            return None
        high, low = max(known, key=atomic_number), min(known, key=atomic_number)
        return float(np.log(known[high] / known[low]) / np.log(atomic_number(high) / atomic_number(low)))

    @property
    def unseen(self) -> NDArray[np.int64]:
        """Rows of the atom table where the image shows next to nothing, though the structure has a column there."""
        dim = (self.columns["sigma"] < -_CONTRADICTED) & (self.columns["flux"] < _LEAST * self.columns["expected"])
        return self.columns["row"][dim].to_numpy(dtype=np.int64)

    def facts(self) -> dict[str, Any]:
        """For a summary."""
        return {
            "r2": rounded(self.r2),
            "r2_free": rounded(self.r2_free),
            "r2_possible": rounded(self.r2_possible),
            "chi2": rounded(self.chi2),
            "width_nm": rounded(self.width_nm),
            "brightness": {symbol: rounded(value) for symbol, value in self.brightness.items()},
            "contrast_exponent": rounded(self.contrast_exponent),
            "n_columns": len(self.columns),
            "n_contradicted": len(self.contradicted),
            "contradicted": [
                {str(name): rounded(value) if isinstance(value, float) else value for name, value in row.items()}
                for row in self.contradicted.to_dict("records")
            ],
        }


def compare_with_image(structure: "Atoms", image: xr.DataArray) -> Comparison:
    """Simulate the image of a structure under the microscope that an image shows, and set it against that image.

    Parameters
    ----------
    structure : made of the atoms found in this image, or relaxed from it.
    image : (y, x), calibrated.

    Raises
    ------
    ShapeError : if the image is no still.
    ArgumentError : if it has no pixel size, shows nothing, or fewer than three columns lie on it.

    Notes
    -----
    Atoms are where the structure has them, also where it was relaxed away from the image. Heights of single columns are
    fitted with these places held (linear least squares, weighted by the noise); brightnesses of the elements to these
    heights, robustly. Columns of one kind scatter by more than the noise (thickness, tilt, contamination): a column is
    contradicted if it is `_CONTRADICTED` standard deviations off, noise and scatter of its fellows together.
    """
    pixels = _Pixels.of(check_image(image, ndim=2).transpose("y", "x"))
    square = pixels.square
    if square.is_blank:
        raise ArgumentError("image: expected one that shows something, got one that is constant. Choose a channel.")
    table = _columns_on(structure, pixels)
    if len(table) < _FEWEST:
        raise ArgumentError(
            f"image: expected at least {_FEWEST} columns of the structure on it, got {len(table)}. Is it the image "
            "that the atoms were found in?"
        )
    position = table[["x_px", "y_px"]].to_numpy()
    known = np.isfinite(square.values)
    sign = _sign(square.values, position)
    values = sign * square.values
    apart = float(np.median(cKDTree(position).query(position, k=2)[0][:, 1]))
    # what the structure lacks would be taken for background, or for its neighbours' light: it is fitted beside them
    peaks = _peaks_at(values, position, apart)
    missed = _left_over(values, known, fit_heights(values, known, peaks, spacing_px=apart), peaks, apart)
    if len(missed):
        peaks = _peaks_at(values, np.concatenate([position, missed]), apart)
    fit = fit_heights(values, known, peaks, spacing_px=apart)
    n = len(position)
    # where the model does not quite explain the image, heights are off by more than the noise
    all_std = fit.std * _usual(_scores(values, known, fit, peaks)[known])
    height, std = fit.height[:n], all_std[:n]

    counts, symbols = _counts(table["symbols"].to_list())
    brightness, scatter = _brightness(height, std, counts)
    expected = counts @ brightness
    top = float(brightness.max()) if brightness.max() > 0 else 1.0
    sigma = (height - expected) / np.hypot(std, scatter * np.maximum(expected, 0.1 * top))
    of_structure = Peaks(expected, position, peaks.shape)
    patches = Patches.around(position, known, peaks.width)
    # heights of their own and a background trade light; with heights that are given it has to be told anew
    atoms_alone = render(of_structure, patches, values.shape)
    simulated = atoms_alone + fit_background(values - atoms_alone, known, fit.variance, spacing_px=apart)
    free = render(replace(of_structure, height=height), patches, values.shape) + fit.background
    near = known & _neighbourhood(position, _NEAR * peaks.width, values.shape)
    columns = pd.DataFrame(
        {
            "row": table["row"],
            "x": table["x"],
            "y": table["y"],
            "column": table["formula"],
            "flux": height / top,
            "expected": expected / top,
            "sigma": sigma,
            "looks_like": _alike(height, expected, table["formula"].to_numpy()),
        }
    )
    dimmest = float(brightness[brightness > 0].min()) if (brightness > 0).any() else top
    lacking = pd.DataFrame(pixels.back(missed), columns=["x", "y"])
    lacking["height"], lacking["sigma"] = fit.height[n:] / top, fit.height[n:] / all_std[n:]
    lacking = lacking[(lacking["sigma"] > _MISSED) & (lacking["height"] > _LEAST * dimmest / top)]
    inner = _distance_to_border(position, values.shape) > _INSET * peaks.width
    return Comparison(
        measured=np.where(known, sign * values, np.nan),
        simulated=np.where(known, sign * simulated, np.nan),
        noise=np.sqrt(fit.variance),
        pixel_nm=pixels.nm,
        columns=columns,
        contradicted=_contradicted(columns[inner], lacking),
        brightness={symbol: float(value / top) for symbol, value in zip(symbols, brightness, strict=True)},
        width_nm=peaks.width * pixels.nm,
        r2=_explained(values, simulated, near),
        r2_free=_explained(values, free, near),
        r2_possible=float(1 - fit.variance[near].mean() / max(float(values[near].var()), 1e-300)),
        chi2=float(((values - simulated)[near] ** 2 / fit.variance[near]).mean()),
    )


@dataclass(frozen=True)
class _Pixels:
    """An image with square pixels, and the way to them from nm and back.

    Attributes
    ----------
    size : (2,) of a pixel of the image itself along x and y [nm].
    """

    square: SquareImage
    size: Array

    @classmethod
    def of(cls, image: xr.DataArray) -> "_Pixels":
        size = pixel_size_nm(image)
        if size is None:
            raise ArgumentError(
                "image: expected a pixel size, got none. Give --pixel-size NM (pixel_size= in adatom.read)."
            )
        return cls(SquareImage.of(image), np.array(size[::-1]))

    @property
    def nm(self) -> float:
        """Side of a square pixel."""
        assert self.square.pixel_nm is not None  # there is a size
        return self.square.pixel_nm

    def places(self, nm: Array) -> Array:
        """Places (n, 2) x, y in square pixels."""
        factor = np.array(self.square.factor[::-1])
        return np.asarray((nm / self.size + 0.5) * factor - 0.5)

    def back(self, px: Array) -> Array:
        """The opposite."""
        axes = zip(px.T, self.square.factor[::-1], self.size, strict=True)
        return np.column_stack([positions_back(at, factor) * size for at, factor, size in axes])


def without_unseen(structure: "Atoms", comparison: Comparison) -> "Atoms":
    """The structure without the columns of which the image shows next to nothing."""
    kept = structure[~np.isin(structure.arrays["row"], comparison.unseen)]
    if not len(kept):
        raise ArgumentError("image: expected atoms of the structure in it, got none that it shows.")
    rows = [str(row) for row in comparison.unseen]
    if rows:
        told = ", ".join(rows[:_TOLD]) + (", ..." if len(rows) > _TOLD else "")
        kept.info["warnings"] = [
            *structure.info["warnings"],
            f"{len(rows)} columns were left out, as the image shows next to nothing there (rows {told}).",
        ]
    return kept


def _columns_on(structure: "Atoms", pixels: _Pixels) -> pd.DataFrame:
    """Columns on the image: row, formula, symbols, place in nm and in square pixels."""
    place = image_positions(structure)
    row = structure.arrays["row"]
    order = np.argsort(row, kind="stable")
    first = np.flatnonzero(np.diff(row[order], prepend=-1))
    held = np.split(order, first[1:])
    mean = np.array([place[members].mean(axis=0) for members in held])
    symbols = [tuple(sorted(structure.symbols[members])) for members in held]
    table = pd.DataFrame({"row": row[order][first], "x": mean[:, 0], "y": mean[:, 1]})
    table["symbols"] = symbols
    table["formula"] = [formula_of(each) for each in symbols]
    table["x_px"], table["y_px"] = pixels.places(mean).T
    rows, across = pixels.square.values.shape
    inside = table["x_px"].between(-0.5, across - 0.5) & table["y_px"].between(-0.5, rows - 0.5)
    return table[inside].reset_index(drop=True)


def _sign(values: Array, position: Array) -> int:
    """1 if atoms are brighter than what is between them, else -1."""
    column, row = np.clip(np.round(position).astype(int), 0, np.array(values.shape[::-1]) - 1).T
    at = values[row, column]
    return 1 if np.nanmedian(at) >= np.nanmedian(values) else -1


def _counts(symbols: list[tuple[str, ...]]) -> tuple[Array, list[str]]:
    """How many atoms of each element (n, k) each column holds."""
    names = sorted({symbol for column in symbols for symbol in column})
    number = {name: k for k, name in enumerate(names)}
    counts = np.zeros((len(symbols), len(names)))
    for row, column in enumerate(symbols):
        for symbol in column:
            counts[row, number[symbol]] += 1
    return counts, names


def _brightness(height: Array, std: Array, counts: Array) -> tuple[Array, float]:
    """Brightness of an atom of each element (k,), and the relative scatter of columns beyond their noise."""
    weight = np.ones(len(height))
    scatter = _LEAST_SCATTER
    brightness: Array = np.zeros(counts.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)
        brightness = np.asarray(np.linalg.lstsq(counts * root[:, None], height * root, rcond=None)[0], dtype=float)
        expected = counts @ brightness
        size = np.maximum(expected, 0.1 * max(float(expected.max()), 1e-300))
        spread = 1.4826 * float(np.median(np.abs(height - expected) / size))
        scatter = max(_LEAST_SCATTER, float(np.sqrt(max(0.0, spread**2 - float(np.median((std / size) ** 2))))))
        error = np.hypot(std, scatter * size)
        weight = 1 / (error**2 * np.maximum(np.abs(height - expected) / (_HUBER * error), 1.0))
    return brightness, scatter


def _alike(height: Array, expected: Array, formula: NDArray[np.object_]) -> list[str]:
    """The column (n,) among those of the structure that is as bright as each is."""
    kinds = {str(name): float(np.median(expected[formula == name])) for name in np.unique(formula)}
    names, bright = list(kinds), np.array(list(kinds.values()))
    return [names[int(np.argmin(np.abs(bright - each)))] for each in height]


def _peaks_at(values: Array, position: Array, apart: float) -> Peaks:
    """Peaks at these places, of the shape that an atom has in the image."""
    fitted = refine_positions(values, *position.T, spacing_px=apart).fitted
    assert fitted is not None  # there are columns
    return Peaks(np.ones(len(position)), position, fitted.shape)


def _left_over(values: Array, known: NDArray[np.bool_], fit: Heights, peaks: Peaks, apart: float) -> Array:
    """Places (m, 2) [px] of peaks in what is left where no atom is."""
    score = _scores(values, known, fit, peaks)
    side = 2 * max(2, int(np.ceil(3 * peaks.width))) + 1
    row, column = np.nonzero((score == ndimage.maximum_filter(score, size=side)) & known)
    place = np.column_stack([column, row]).astype(float)
    plain = score[row, column] > _MISSED * _usual(score[known])
    free = cKDTree(peaks.position).query(place)[0] > max(1.5 * peaks.width, _CLEAR * apart)
    inner = _distance_to_border(place, values.shape) > _INSET * peaks.width
    return place[plain & free & inner]


def _scores(values: Array, known: NDArray[np.bool_], fit: Heights, peaks: Peaks) -> Array:
    """Height (y, x) of a peak at each pixel in what is left, in standard deviations: a matched filter."""
    residual = np.where(known, values - fit.peaks_image - fit.background, 0.0)
    half = max(2, int(np.ceil(3 * peaks.width)))
    offsets = np.arange(-half, half + 1)
    xx, xy, yy = peaks.shape
    dx, dy = offsets[None, :], offsets[:, None]
    shape = np.exp(-0.5 * (xx * dx * dx + 2 * xy * dx * dy + yy * dy * dy))
    weight = known / fit.variance
    power = ndimage.correlate(weight, shape**2, mode="constant")
    scores: Array = ndimage.correlate(residual * weight, shape, mode="constant") / np.sqrt(np.maximum(power, 1e-300))
    return scores


def _usual(scores: Array) -> float:
    """How far scores scatter, at least the 1 that noise alone would make it."""
    return max(1.0, 1.4826 * float(np.median(np.abs(scores))))


def _contradicted(columns: pd.DataFrame, lacking: pd.DataFrame) -> pd.DataFrame:
    """What does not fit, the worst first."""
    rows: list[dict[str, Any]] = []
    for one in columns[columns["sigma"].abs() > _CONTRADICTED].to_dict("records"):
        too = "bright" if one["sigma"] > 0 else "dim"
        like = f", as bright as {one['looks_like']}" if one["looks_like"] != one["column"] else ""
        times = (
            f"{one['flux'] / one['expected']:.2f} times as bright as {one['column']} is: "
            if one["expected"] > 0
            else ""
        )
        rows.append({name: one[name] for name in ("x", "y", "row", "column", "sigma")})
        rows[-1]["reason"] = f"{times}too {too}{like}"
    for one in lacking.to_dict("records"):
        reason = f"no atom in the structure, but a peak of {one['height']:.2f} of the brightest element"
        rows.append({"x": one["x"], "y": one["y"], "row": None, "column": "", "sigma": one["sigma"], "reason": reason})
    rows.sort(key=lambda row: -abs(float(row["sigma"])))
    table = pd.DataFrame(rows, columns=["x", "y", "row", "column", "reason", "sigma"])
    # whole numbers, also beside places without a row
    table["row"] = pd.Series([row["row"] for row in rows], dtype=object)
    return table


def _neighbourhood(position: Array, reach: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels (y, x) within `reach` of an atom."""
    empty = np.ones(shape, dtype=bool)
    column, row = np.clip(np.round(position).astype(int), 0, np.array(shape[::-1]) - 1).T
    empty[row, column] = False
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(empty) <= reach
    return near


def _distance_to_border(position: Array, shape: tuple[int, ...]) -> Array:
    size = np.array(shape[::-1])
    distance: Array = np.minimum(position + 0.5, size - 0.5 - position).min(axis=1)
    return distance


def _explained(values: Array, model: Array, where: NDArray[np.bool_]) -> float:
    """Share of the variance."""
    measured = values[where]
    return float(1 - ((measured - model[where]) ** 2).sum() / max(((measured - measured.mean()) ** 2).sum(), 1e-300))
