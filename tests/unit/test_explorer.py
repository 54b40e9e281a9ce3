"""From atoms to order parameters, on images of which all is known."""

import numpy as np
import pytest

import adatom as ad
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError
from adatom.explorer import explore_atoms

PIXEL_NM = 0.1
TRAINING = {"steps": 8, "validate_every": 4, "batch_size": 16}


def crystal(*, n_frames=1, side=9, seed=0):
    """Dimers at random angles, some longer than others, on a coarse lattice: image, atoms, and their kinds."""
    rng = np.random.default_rng(seed)
    places = 0.8 + 1.1 * np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    kind = (rng.random(len(places)) < 0.4).astype(int)
    size = int((places.max() + 0.8) / PIXEL_NM)
    grid = PIXEL_NM * np.arange(size)
    frames, rows = [], []
    for frame in range(n_frames):
        angle = rng.uniform(0, 2 * np.pi, len(places))
        partners = places + np.where(kind, 0.5, 0.3)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        image = np.zeros((size, size))
        for group, height in ((places, 1.0), (partners, 0.8)):
            x, y = (np.exp(-0.5 * ((grid[None] - at[:, None]) / 0.11) ** 2) for at in group.T)
            image += height * y.T @ x
        frames.append(image + rng.normal(0, 0.03, image.shape))
        rows.append(np.column_stack([np.full(len(places), frame), places]))
    frame, x, y = np.concatenate(rows).T
    atoms = make_atoms(
        {"frame": frame, "x": x, "y": y, "probability": np.ones(len(x)), "species": ["dimer"] * len(x),
         "flux": np.tile(1.0 + kind, n_frames)},
        units="nm", image_shape=(size, size), pixel_size=(PIXEL_NM, PIXEL_NM),
    )  # fmt: skip
    values = np.stack(frames) if n_frames > 1 else frames[0]
    return ad.make_image(values, pixel_size=PIXEL_NM), atoms, np.tile(kind, n_frames)


@pytest.fixture(scope="module")
def still():
    return crystal()


@pytest.fixture(scope="module")
def explored(still):
    image, atoms, _ = still
    return explore_atoms(atoms, image, window=1.0, states=2, training=TRAINING)


def test_every_atom_keeps_its_row_and_those_at_the_border_have_no_numbers(still, explored):
    image, atoms, _ = still
    wide = explore_atoms(atoms, image, model=explored.model, states=2)
    assert wide.atoms["state"].tolist() == explored.atoms["state"].tolist()  # the model's own window, and its numbers
    table = explored.atoms
    assert len(table) == len(atoms) and table[["x", "y"]].equals(atoms[["x", "y"]])
    assert {"z1", "z2", "z1_std", "angle", "shift_x", "state", "state_probability"} <= set(table)
    assert explored.summary["n_windows"] + explored.summary["n_left_out"] == len(atoms)
    assert explored.dynamics is None and "movie" not in explored.summary


def test_a_wider_window_leaves_atoms_at_the_border_out(still):
    image, atoms, _ = still
    found = explore_atoms(atoms, image, window=2.0, training={**TRAINING, "steps": 2, "validate_every": 1})
    outside = found.atoms["z1"].isna()
    assert outside.sum() == 81 - 49 == found.summary["n_left_out"]
    assert (found.atoms.loc[outside, "state"] == 0).all()
    assert found.windows.shape[0] <= 33  # coarser pixels, not more of them
    assert any("few" in sentence for sentence in found.summary["warnings"])


def test_only_some_atoms_are_looked_at(still):
    image, atoms, kind = still
    bright = explore_atoms(
        atoms, image, window=0.9, brighter_than=1.2, training={**TRAINING, "steps": 2, "validate_every": 1}
    )
    assert bright.summary["n_looked_at"] == kind.sum()
    with pytest.raises(ArgumentError, match="expected one of dimer, got 'Si'"):
        explore_atoms(atoms, image, of="Si")
    with pytest.raises(ArgumentError, match="expected at least 20"):
        explore_atoms(atoms.iloc[:5], image, window=0.9)


def test_a_movie_gets_tracks_and_transitions_between_states():
    image, atoms, _ = crystal(n_frames=4, side=5)
    found = explore_atoms(atoms, image, window=1.0, states=2, training=TRAINING, frame_time_s=0.5)
    assert found.dynamics is not None and found.drift is not None
    assert found.summary["movie"]["n_tracks"] == 25
    assert np.abs(found.drift).max() < 0.05
    assert (found.atoms.groupby("track").size() == 4).all()
    assert found.dynamics.changes.counts.sum() == 3 * 25
    assert found.summary["movie"]["lifetime_unit"] == "s"


def test_what_is_no_image_of_atoms_is_told(still):
    image, atoms, _ = still
    with pytest.raises(ArgumentError, match="VariationalAutoencoder"):
        explore_atoms(atoms, image, model="any_atoms")
