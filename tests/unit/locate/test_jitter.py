import numpy as np
import pytest

from adatom.locate.jitter import is_jitter, line_shifts

N_LINES, N_ATOMS, SIDE = 200, 400, 13


def lines_with(jitter: float, seed: int = 0) -> tuple[float, float, np.ndarray]:
    """Atoms, each of 13 lines and fitted: what is left is the shift of its lines less their mean, and noise."""
    rng = np.random.default_rng(seed)
    shift = rng.normal(0, jitter, N_LINES)
    line = rng.integers(0, N_LINES - SIDE, N_ATOMS)[:, None] + np.arange(SIDE)
    information = 25 * np.exp(-((np.arange(SIDE) - 6.0) ** 2) / 9) * np.ones((N_ATOMS, 1))
    share = information / information.sum(axis=1, keepdims=True)
    seen = shift[line] + rng.normal(size=line.shape) / np.sqrt(information)
    seen -= (share * seen).sum(axis=1, keepdims=True)
    # each pair of atom and line as a pixel of its own, where the model's slope is 1
    residual, weight = np.zeros((N_LINES, N_ATOMS)), np.zeros((N_LINES, N_ATOMS))
    atom = np.broadcast_to(np.arange(N_ATOMS)[:, None], line.shape)
    residual[line, atom], weight[line, atom] = seen, information
    return line_shifts(residual, weight, np.ones_like(residual), information, line)


@pytest.mark.parametrize("jitter", [0.05, 0.2, 1.0])
def test_the_size_of_random_shifts_is_measured(jitter):
    variances = [lines_with(jitter, seed)[0] for seed in range(5)]
    assert np.sqrt(np.mean(variances)) == pytest.approx(jitter, rel=0.15)


def test_noise_alone_is_none():
    rows, columns = lines_with(0.0), lines_with(0.0, seed=1)
    assert abs(rows[0]) < 4 * rows[1]
    assert not is_jitter(rows, columns)


def test_what_columns_show_as_well_is_no_jitter():
    shifted, steady = lines_with(0.2), lines_with(0.0, seed=1)
    assert is_jitter(shifted, steady)
    assert not is_jitter(shifted, lines_with(0.2, seed=2))


def test_no_lines_no_shift():
    variance, _, shift = line_shifts(*(np.zeros((5, 5)) for _ in range(3)), np.zeros((2, 3)), np.zeros((2, 3), int))
    assert variance == 0 and not shift.any()
