"""A simulated ferroelectric: domains and their wall from the displacements of single columns."""

import numpy as np
import pandas as pd
import pytest

from adatom.analyse import decompose, find_domains, mixture, neighbour_vectors
from adatom.data.atoms import make_atoms

CELL_NM, N_CELLS = 0.4, 30
CENTRE = np.full(2, 0.5 * N_CELLS * CELL_NM)


def perovskite(*, angle_deg: float, position_error_nm: float = 0.008) -> tuple[pd.DataFrame, np.ndarray]:
    """Pb at the corners, Ti 0.02 nm off the centres; up on one side of a tanh wall, down on the other.

    Returns the atoms and the wall's normal.
    """
    rng = np.random.default_rng(3)
    corners = CELL_NM * np.stack(np.meshgrid(np.arange(N_CELLS), np.arange(N_CELLS)), axis=-1).reshape(-1, 2)
    normal = np.array([np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))])
    centres = corners + 0.5 * CELL_NM
    polarisation = np.tanh((centres - CENTRE) @ normal / (0.6 * CELL_NM))
    centres = centres + np.outer(polarisation, [0.0, 0.02])
    x, y = np.concatenate([corners, centres]).T + rng.normal(0, position_error_nm, (2, 2 * len(corners)))
    species = ["Pb"] * len(corners) + ["Ti"] * len(centres)
    atoms = make_atoms(
        {"x": x, "y": y, "species": species}, units="nm", image_shape=(1200, 1200), pixel_size=(0.01,) * 2
    )
    return atoms, normal


@pytest.mark.parametrize("angle_deg", [0.0, 25.0, 45.0])
def test_wall_is_found_within_a_cell(angle_deg):
    atoms, normal = perovskite(angle_deg=angle_deg)
    vectors = neighbour_vectors(atoms, 4, of="Ti", to="Pb")
    parts = decompose(vectors)
    kinds = mixture(parts)
    assert parts.n_suggested in (1, 2)
    assert len(kinds.weights) == 2
    domains = find_domains(kinds.on_atoms(atoms))

    ends = domains.walls[["x0", "y0", "x1", "y1"]].to_numpy().reshape(-1, 2)
    assert np.abs((ends - CENTRE) @ normal).max() < CELL_NM
    across = (N_CELLS - 2) * CELL_NM / np.cos(np.deg2rad(angle_deg))
    assert domains.wall_lengths()["length"].sum() == pytest.approx(across, rel=0.05 if angle_deg < 45 else 0.1)
    assert len(domains.table) == 2
    assert domains.table["n_atoms"].sum() == len(vectors.rows)


def test_displacement_is_the_first_component():
    atoms, _ = perovskite(angle_deg=0.0)
    first = decompose(neighbour_vectors(atoms, 4, of="Ti", to="Pb")).pictures()[0]  # (neighbour, 2)
    assert np.abs(first[:, 1]) == pytest.approx(0.5, abs=0.02)  # all four corners move along y together
    assert np.abs(first[:, 0]).max() < 0.05


def test_without_a_wall_there_is_one_kind():
    atoms, _ = perovskite(angle_deg=0.0)
    half = atoms[atoms["x"] < CENTRE[0] - 3 * CELL_NM]
    half.attrs = atoms.attrs
    kinds = mixture(decompose(neighbour_vectors(half, 4, of="Ti", to="Pb"), n_components=2))
    assert len(kinds.weights) == 1
