"""What instruments and files do to images, against the finder that ships: no setting, and hardly an atom lost."""

import numpy as np
import pandas as pd
import pytest

import adatom as ad
from tests.physics.conftest import Array, Crystal, draw_honeycomb

MOST_LOST = 0.02  # of F1


def positions(atoms: pd.DataFrame) -> Array:
    return atoms[["x", "y"]].to_numpy()


def find(values: Array) -> Array:
    return positions(ad.find(ad.make_image(values)))


@pytest.fixture(scope="module")
def plain(honeycomb: Crystal) -> float:
    """F1 without any fault."""
    f1 = honeycomb.f1(find(honeycomb.values))
    assert f1 >= 0.99
    return f1


def changed(values: Array, rows: slice, columns: slice, value: float) -> Array:
    values = values.copy()
    values[rows, columns] = value
    return values


@pytest.mark.parametrize(
    "fault",
    [
        lambda values: changed(values, slice(70, 71), slice(90, 91), 1000 * values.max()),
        lambda values: changed(values, slice(70, 71), slice(90, 91), -1000 * values.max()),
        lambda values: values + 1e6,
        lambda values: values * 1e-12,
        lambda values: values + 0.1 * np.arange(160) - 0.05 * np.arange(160)[:, None],
        lambda values: np.round(60 + 100 * values).clip(0, 255).astype(np.uint8),
    ],
    ids=["hot pixel", "dead pixel", "offset", "tiny unit", "tilt", "8 bit"],
)
def test_what_changes_the_values_costs_no_atoms(honeycomb: Crystal, plain: float, fault) -> None:
    assert honeycomb.f1(find(fault(honeycomb.values))) >= plain - MOST_LOST


def test_around_what_was_not_measured_all_atoms_are_found_and_none_within(honeycomb: Crystal, plain: float) -> None:
    values = changed(honeycomb.values, slice(50, 90), slice(60, 120), np.nan)
    column, row = np.round(honeycomb.atoms).astype(int).clip(0, 159).T
    judged = honeycomb.inside & np.isfinite(values[row, column])
    found = find(values)
    assert honeycomb.f1_where(judged, found) >= plain - MOST_LOST
    assert np.isfinite(values[tuple(np.round(found[:, ::-1]).astype(int).clip(0, 159).T)]).all()


@pytest.mark.parametrize("widths", [((20, 40), (40, 40)), ((0, 0), (0, 60)), ((48, 48), (48, 48))])
@pytest.mark.parametrize("value", [0.0, 0.2, np.nan])
def test_padding_holds_no_atoms_and_costs_none(honeycomb: Crystal, plain: float, widths, value: float) -> None:
    """Atoms whose centres lie just beyond the crystal's edge are half seen, and may be found or not."""
    found = find(np.pad(honeycomb.values, widths, constant_values=value)) - [widths[1][0], widths[0][0]]
    assert honeycomb.f1_where(honeycomb.inside, found) >= plain - MOST_LOST


@pytest.mark.parametrize("shape", [(64, 512), (512, 64)])
def test_a_long_strip_is_searched_to_its_ends(shape: tuple[int, int]) -> None:
    strip = draw_honeycomb(*shape)
    assert strip.f1(find(strip.values)) >= 0.97


@pytest.mark.parametrize("value", [0.0, 1.0, -3e-12, 1e6 + 0.1])
def test_a_constant_image_holds_no_atoms_and_says_so(value: float) -> None:
    atoms = ad.find(ad.make_image(np.full((60, 80), value)))
    assert len(atoms) == 0
    assert any("constant" in warning for warning in atoms.attrs["summary"]["warnings"])


def test_lone_atoms_on_a_quiet_ground_have_their_whole_flux() -> None:
    rng = np.random.default_rng(0)
    grid = np.arange(15.0, 150, 16)
    known = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2) + rng.uniform(-2, 2, (len(grid) ** 2, 2))
    along_x, along_y = (np.exp(-0.5 * ((np.arange(160) - at[:, None]) / 2.0) ** 2) for at in known.T)
    lone = Crystal(along_y.T @ along_x + 0.005 * rng.normal(size=(160, 160)), known, 10.0)
    atoms = ad.find(ad.make_image(lone.values))
    assert lone.f1(positions(atoms)) >= 0.95
    assert atoms["flux"].median() == pytest.approx(2 * np.pi * 2.0**2, rel=0.05)
