import sys

import numpy as np
import pandas as pd
import pytest
from crystals import square

from adatom.analyse.tracks import link_atoms, refine_drift, without_drift
from adatom.data.atoms import make_atoms
from adatom.errors import ArgumentError

WAY = np.cumsum(np.random.default_rng(2).normal(0, 0.04, (12, 2)), axis=0)
WAY -= WAY[0]


def movie(*, way=WAY, noise=0.01, missing=0.05, extra=None):
    """Atoms of a square lattice of 0.4 nm that drifts, some overlooked."""
    rng, sites, rows = np.random.default_rng(0), square(8, 0.4), []
    for frame, shift in enumerate(way):
        seen = rng.random(len(sites)) >= missing
        places = sites + shift + rng.normal(0, noise, sites.shape)
        rows.append(
            pd.DataFrame({"frame": frame, "x": places[seen, 0], "y": places[seen, 1], "site": np.flatnonzero(seen)})
        )
    table = pd.concat(rows, ignore_index=True)
    atoms = make_atoms(
        {**table[["frame", "x", "y"]], "probability": np.ones(len(table))},
        units="nm", image_shape=(100, 100), pixel_size=(0.04, 0.04),
    )  # fmt: skip
    atoms["site"] = table["site"].to_numpy()
    return atoms


def test_drift_is_refined_by_all_atoms_far_below_the_error_of_one():
    rough = WAY + np.random.default_rng(3).normal(0, 0.03, WAY.shape)
    rough -= rough[0]
    assert refine_drift(movie(), rough) == pytest.approx(WAY, abs=0.008)


def test_every_atom_keeps_its_track_although_it_drifts_and_is_overlooked_now_and_then():
    atoms = link_atoms(without_drift(movie(), WAY))
    assert atoms["track"].nunique() == 64
    assert not atoms.drop_duplicates(["site", "track"])["site"].duplicated().any()
    assert len(atoms) == len(movie()) and atoms.attrs["history"][-1].startswith("atoms linked")


def test_atoms_lost_for_longer_than_memory_are_new_ones():
    atoms = movie(way=np.zeros((12, 2)), missing=0.0)
    gone = (atoms["site"] == 10) & atoms["frame"].between(3, 7)
    kept = atoms[~gone].reset_index(drop=True)
    kept.attrs = atoms.attrs
    linked = link_atoms(kept, memory=2)
    assert len(set(linked.loc[linked["site"] == 10, "track"])) == 2
    linked = link_atoms(kept, memory=5)
    assert len(set(linked.loc[linked["site"] == 10, "track"])) == 1


def test_index_of_the_table_does_not_matter_and_no_atoms_have_no_tracks():
    atoms = movie().iloc[::-1]
    atoms.attrs = movie().attrs
    shuffled = link_atoms(without_drift(atoms, WAY))
    assert not shuffled.drop_duplicates(["site", "track"])["site"].duplicated().any()
    assert "track" in link_atoms(atoms.iloc[:0])


@pytest.mark.parametrize("reach", [0.0, float("nan")])
def test_reach_that_is_none_is_told(reach):
    with pytest.raises(ArgumentError, match="reach"):
        link_atoms(movie(), reach=reach)


def test_missing_trackpy_is_told_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "trackpy", None)
    with pytest.raises(ArgumentError, match=r"adatom\[track\]"):
        link_atoms(movie())


def test_frames_without_a_drift_are_told():
    with pytest.raises(ArgumentError, match="drift"):
        without_drift(movie(), WAY[:5])
