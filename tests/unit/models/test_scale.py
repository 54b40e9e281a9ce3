"""The search for the scale, with eyes that see atoms only where their model would."""

import numpy as np
import pytest

from adatom.locate import Peaks
from adatom.models.scale import Look, find_lone_scale, find_scale

BEST = 7.0  # working pixels from atom to atom


def lattice(n_atoms: int, spacing: float) -> np.ndarray:
    """Some atoms of a hexagonal lattice (n, 2)."""
    steps = np.arange(int(np.sqrt(n_atoms)))
    positions = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    return spacing * positions @ np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])


def as_peaks(positions: np.ndarray) -> Peaks:
    n = len(positions)
    return Peaks.at(positions[:, 0], positions[:, 1], np.zeros(n, dtype=np.int64), np.ones(n))


class Eyes:
    """Sees a hexagonal lattice of `spacing` image pixels best at 7 working pixels, and hardly below 4 or above 14."""

    def __init__(self, spacing: float, shape: tuple[int, int], n_atoms: int = 100) -> None:
        self.spacing, self.shape, self.n_atoms = spacing, shape, n_atoms
        self.looked: list[float] = []

    def atoms(self, factor: float) -> np.ndarray:
        del factor  # the same atoms at each scale
        return lattice(self.n_atoms, self.spacing)

    def support(self, factor: float) -> float:
        return float(np.exp(-0.5 * (np.log(self.spacing * factor / 7.5) / 0.5) ** 2))

    def __call__(self, factors: list[float]) -> list[Look]:
        self.looked += factors
        area = float(np.prod(self.shape))
        return [Look(f, self.support(f), area, lambda f=f: as_peaks(self.atoms(f))) for f in factors]


@pytest.mark.parametrize("spacing", [2.8, 3.5, 5.0, 7.0, 9.3, 14.0, 33.0, 100.0])
def test_the_scale_is_that_at_which_atoms_are_as_far_apart_as_the_model_likes(spacing):
    found = find_scale(Eyes(spacing, (800, 600)), (800, 600), spacing_px=BEST)
    assert found.factor * spacing == pytest.approx(BEST, rel=0.11)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (30, 2000), (4096, 4096)])
def test_an_image_of_any_size_is_looked_at_a_few_times_and_never_shrunk_to_nothing(shape):
    eyes = Eyes(9.0, shape)
    found = find_scale(eyes, shape, spacing_px=BEST)
    assert found.factor > 0 and len(eyes.looked) <= 24 + 9
    assert eyes.looked[0] * min(shape) >= 24 - 1e-9


@pytest.mark.parametrize("n_atoms", [0, 1, 4])
def test_too_few_atoms_do_not_move_the_scale(n_atoms):
    eyes = Eyes(9.0, (400, 400), n_atoms=n_atoms)
    found = find_scale(eyes, (400, 400), spacing_px=BEST)
    assert found.support == max(eyes.support(factor) for factor in eyes.looked)


def test_isolated_atoms_far_apart_do_not_shrink_the_image_until_they_meet():
    class Isolated(Eyes):
        def support(self, factor: float) -> float:
            return float(np.exp(-0.5 * (np.log(factor / 0.5) / 0.5) ** 2))  # goes by their width

    found = find_scale(Isolated(60.0, (600, 600)), (600, 600), spacing_px=BEST)
    assert found.factor == pytest.approx(0.5, rel=0.3)


@pytest.mark.parametrize(("share_of_support", "are_taken"), [(0.95, True), (0.4, False)])
def test_dim_atoms_between_bright_ones_that_only_a_finer_look_shows_are_taken_if_they_are_as_sure(
    share_of_support, are_taken
):
    class TwoKinds(Eyes):
        """A honeycomb with bonds of 10 px, of which one kind is seen above a scale of 0.5 only."""

        def atoms(self, factor: float) -> np.ndarray:
            bright = lattice(100, 10 * np.sqrt(3))
            return np.concatenate([bright, bright + np.array([0.0, 10.0])]) if factor > 0.5 else bright

        def support(self, factor: float) -> float:
            best = share_of_support if factor > 0.5 else 1.0
            return best * float(np.exp(-0.5 * (np.log(factor / (0.7 if factor > 0.5 else 0.4)) / 0.5) ** 2))

    found = find_scale(TwoKinds(10.0, (400, 400)), (400, 400), spacing_px=BEST)
    assert (len(found.peaks().x) == 200) == are_taken
    assert found.factor == pytest.approx(0.7 if are_taken else 0.4, rel=0.2)


@pytest.mark.parametrize("shape", [(20, 20), (400, 300)])
def test_the_scale_for_lone_atoms_is_that_at_which_most_are_sure_and_never_finer_than_the_pixels(shape):
    """More is seen the finer one looks, but surely so only near a factor of 0.4, and beyond 1.5 in the noise."""

    def look(factors):
        looks = []
        for factor in factors:
            probability = np.full(int(100 * factor), 0.7)
            probability[: 10 if 0.3 < factor < 0.5 else 50 if factor > 1.5 else 3] = 0.9
            peaks = Peaks.at(*np.zeros((2, len(probability))), np.zeros(len(probability), dtype=np.int64), probability)
            looks.append(Look(factor, 0.3, float(np.prod(shape)), lambda peaks=peaks: peaks))
        return looks

    found = find_lone_scale(look, shape).factor
    assert 0.3 < found < 0.5 if min(shape) > 60 else found > 1
