"""Scan lines shifted sideways at random: how far, from what a fit leaves over, and what it does to the atoms."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

Array = NDArray[np.float64]

_SURE = 5.0  # standard deviations of what noise alone does


def line_shifts(
    residual: Array, weight: Array, slope: Array, information: Array, line: NDArray[np.int64]
) -> tuple[float, float, Array]:
    """How much the lines of an image are shifted along themselves.

    Parameters
    ----------
    residual, weight, slope : (y, x) what the fit left, one over the variance of its noise, and the derivative of the
        model by a common shift of all atoms along x.
    information : (n, side) Fisher information on the x of each atom in each row of its patch.
    line : (n, side) the numbers of those rows.

    Returns
    -------
    The variance of the shifts beyond noise [px^2], its standard error, and each line's shift (y,), drawn to 0 as far as
    noise makes it.

    Notes
    -----
    A line's shift is the regression of its residuals on the slope. The atoms' fitted x have taken up the mean shift of
    their rows: what is left is a linear map of the true shifts, which the expectation of the sum of squares allows for.
    """
    n_lines = len(residual)
    known = (line >= 0) & (line < n_lines) & (information > 0)
    atom, position = np.nonzero(known)
    each = information[known]
    shape = (len(information), n_lines)
    by_line = csr_array((each, (atom, line[atom, position])), shape=shape)  # (atom, line)
    of_atom, of_line = by_line.sum(axis=1), by_line.sum(axis=0)
    seen = of_line > 0
    if seen.sum() < 8:
        return 0.0, 0.0, np.zeros(n_lines)
    share = csr_array((each / of_atom[atom], (atom, line[atom, position])), shape=shape)  # of the atom's information
    part = csr_array((each / of_line[line[atom, position]], (atom, line[atom, position])), shape=shape)  # of the line's
    power = (weight * slope * slope).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(seen & (power > 0), (weight * slope * residual).sum(axis=1) / power, 0.0)
    left = eye_array(n_lines, format="csr") - part.T @ share  # what the atoms have not taken up
    response = float(((left * left).T @ of_line).sum())
    freedom = float(seen.sum() - by_line.multiply(share).multiply(1 / np.maximum(of_line, 1e-300)[None, :]).sum())
    freedom = max(freedom, 1.0)
    # a line of little information must not be outweighed, nor a faulty one (a gap, a tear) decide
    squares = np.minimum(shift**2 * of_line, 25 * max(1.0, float(np.median((shift**2 * of_line)[seen]))))
    variance, error = (float(squares[seen].sum()) - freedom) / response, np.sqrt(2 * freedom) / response
    shrunk = shift * np.maximum(variance, 0.0) / (np.maximum(variance, 0.0) + 1 / np.maximum(of_line, 1e-300))
    return variance, error, np.where(seen, shrunk, 0.0)


def is_jitter(rows: tuple[float, float, Array], columns: tuple[float, float, Array]) -> bool:
    """Whether rows are shifted: what columns, shifted along y, show too is the misfit of the model."""
    excess = rows[0] - max(0.0, columns[0])
    return excess > _SURE * float(np.hypot(rows[1], columns[1]))
