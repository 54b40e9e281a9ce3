import numpy as np
import pytest

from adatom.models.support import support


def maps_of(claimed: np.ndarray, sure: float, n_species: int = 2) -> np.ndarray:
    """(class, y, x): the first species with probability `sure` where `claimed`, the rest shared by the others."""
    maps = np.empty((n_species + 1, *claimed.shape))
    maps[1:] = np.where(claimed, (1 - sure) / n_species, 0.0)
    maps[1] = np.where(claimed, sure, 0.0)
    maps[0] = 1 - maps[1:].sum(axis=0)
    return maps


def dots(share: float) -> np.ndarray:
    rows = np.arange(60)
    spots = (rows[:, None] % 6 < 3) & (rows[None, :] % 6 < 3)
    return spots & (rows[:, None] < share * 60)


def test_nothing_claimed_is_no_support():
    assert support(maps_of(np.zeros((8, 8), bool), 1.0)) == 0.0


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_support_grows_with_how_sure_the_claims_are_and_stays_a_share(share):
    values = [support(maps_of(dots(share), sure)) for sure in (0.4, 0.6, 0.8, 1.0)]
    assert values == sorted(values) and 0 < values[0] < values[-1] <= 1


def test_a_region_without_atoms_costs_little_but_a_lone_spot_is_no_evidence():
    lone = np.zeros((60, 60), bool)
    lone[30:33, 30:33] = True
    whole, half, spot = (support(maps_of(claimed, 1.0)) for claimed in (dots(1.0), dots(0.5), lone))
    assert half > 0.9 * whole and spot < 0.2 * whole
