"""Motifs that a user draws, found among bonds."""

import numpy as np
import pytest

from adatom.analyse.motifs import Motif, find_motif
from adatom.analyse.neighbours import find_neighbours
from adatom.errors import ArgumentError

A = 0.246
CELLS = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2) @ (
    A * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
)
GRAPHENE = np.concatenate([CELLS, CELLS + np.array([0.0, A / np.sqrt(3)])])
THREEFOLD = Motif("Si-C3", ("Si", "C", "C", "C"), ((0, 1), (0, 2), (0, 3)))


def test_silicon_with_three_carbons_is_told_once():
    names = np.array(["C"] * len(GRAPHENE), dtype=object)
    names[27] = "Si"
    found = find_motif(THREEFOLD, find_neighbours(GRAPHENE, 0.16), names)
    assert found.shape == (1, 4) and found[0, 0] == 27
    assert np.hypot(*(GRAPHENE[found[0, 1:]] - GRAPHENE[27]).T) == pytest.approx(A / np.sqrt(3))


def test_silicon_beside_a_vacancy_has_not_three_carbons():
    names = np.array(["C"] * len(GRAPHENE), dtype=object)
    names[27] = "Si"
    beside = int(find_motif(THREEFOLD, find_neighbours(GRAPHENE, 0.16), names)[0, 1])
    left = np.delete(np.arange(len(GRAPHENE)), beside)
    neighbours = find_neighbours(GRAPHENE[left], 0.16)
    assert not len(find_motif(THREEFOLD, neighbours, names[left]))
    twofold = Motif("Si-C2", ("Si", "C", "C"), ((0, 1), (0, 2)))
    assert len(find_motif(twofold, neighbours, names[left])) == 1


def test_any_species_and_rings_are_motifs_too():
    hexagon = Motif("ring", ("*",) * 6, tuple((k, (k + 1) % 6) for k in range(6)), closed=())
    found = find_motif(hexagon, find_neighbours(GRAPHENE, 0.16), ["C"] * len(GRAPHENE))
    assert len(found) == 42  # as many as the rings of this block


@pytest.mark.parametrize(
    ("species", "bonds"), [((), ()), (("A", "B"), ((0, 2),)), (("A", "B", "C"), ((0, 1),)), (("A", "B"), ((0, 0),))]
)
def test_motif_that_is_none_is_told(species, bonds):
    with pytest.raises(ArgumentError, match="motif mine"):
        Motif("mine", species, bonds)
