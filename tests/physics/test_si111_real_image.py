"""The real Si(111)-7x7 image, raw file, no setting, against positions marked by eye (`benchmarks.si111_real_image`)."""

import numpy as np
import pandas as pd
import pytest

import adatom as ad
from adatom.data import make_image
from benchmarks.si111_real_image import (
    IMAGE,
    MARKS,
    REGION,
    countable,
    inside,
    judge,
    local_maxima,
    on_islands,
    raw_heights,
    with_tilt_and_row_offsets,
    with_white_noise,
)


def positions(atoms: pd.DataFrame) -> np.ndarray:
    return atoms[["x", "y"]].to_numpy()


@pytest.fixture(scope="module")
def atoms() -> pd.DataFrame:
    return ad.find(ad.read(IMAGE))


def test_region_is_large_enough_and_marked() -> None:
    assert REGION[1] - REGION[0] >= 80 and REGION[3] - REGION[2] >= 80 and REGION[0] >= 170
    assert inside(MARKS).sum() >= 45


def test_atoms_are_where_the_eye_sees_them(atoms: pd.DataFrame) -> None:
    precision, recall, rms = judge(positions(atoms))
    assert precision >= 0.98
    assert recall >= 0.98
    assert rms <= 0.6


def test_tilt_and_row_offsets_change_nothing() -> None:
    precision, recall, rms = judge(positions(ad.find(make_image(with_tilt_and_row_offsets(raw_heights())))))
    assert precision >= 0.98
    assert recall >= 0.98
    assert rms <= 0.6


def test_white_noise_as_high_as_the_corrugation_is_borne() -> None:
    precision, recall, _ = judge(positions(ad.find(make_image(with_white_noise(raw_heights(), 0.05)))))
    assert precision >= 0.97
    assert recall >= 0.97


def test_number_of_adatoms_in_the_inner_part_is_that_of_plain_local_maxima(atoms: pd.DataFrame) -> None:
    raw = raw_heights()
    plain = countable(local_maxima(raw, 1.0), raw).sum()
    assert countable(positions(atoms), raw).sum() == pytest.approx(plain, rel=0.02)


def test_no_adatom_is_claimed_on_an_island(atoms: pd.DataFrame) -> None:
    assert not on_islands(positions(atoms)).any()


def test_cell_edge_is_that_of_the_7x7_reconstruction(atoms: pd.DataFrame) -> None:
    lattice = atoms.attrs["summary"]["lattice"]
    assert lattice["edge_px"] == pytest.approx(45.7, rel=0.015)
    assert lattice["pixel_size"] == pytest.approx(2.688 / 45.7, rel=0.015)


def test_the_model_for_this_surface_is_chosen_unasked(atoms: pd.DataFrame) -> None:
    assert atoms.attrs["summary"]["model"] == "si111_7x7"
