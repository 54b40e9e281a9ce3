"""Defects that a user draws as a small graph: a silicon atom with three carbon neighbours, say."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from adatom.analyse.neighbours import Neighbours
from adatom.data.ranges import StrictModel
from adatom.errors import ArgumentError, MissingFileError, RecipeError

_LARGEST = 24


@dataclass(frozen=True)
class Motif:
    """A small graph of bonded atoms.

    Attributes
    ----------
    name : what a find is called.
    species : of each atom; "*" for any.
    bonds : pairs of numbers of these atoms.
    closed : numbers of the atoms that have no other bonds than these, by default the first.
    """

    name: str
    species: tuple[str, ...]
    bonds: tuple[tuple[int, int], ...]
    closed: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        n = len(self.species)
        if not 1 <= n <= _LARGEST:
            raise ArgumentError(f"motif {self.name}: expected 1 to {_LARGEST} atoms, got {n}.")
        ends = [end for bond in self.bonds for end in bond]
        if any(len(bond) != 2 or bond[0] == bond[1] for bond in self.bonds) or any(
            not 0 <= end < n for end in (*ends, *self.closed)
        ):
            raise ArgumentError(f"motif {self.name}: expected pairs of numbers from 0 to {n - 1}, got {self.bonds}.")
        if n > 1 and not nx.is_connected(self.graph()):
            raise ArgumentError(f"motif {self.name}: expected bonds that join all atoms, got {self.bonds}.")

    def graph(self) -> "nx.Graph[int]":
        """The motif as a graph with the attribute ``species``."""
        graph: nx.Graph[int] = nx.Graph()
        graph.add_nodes_from((k, {"species": name}) for k, name in enumerate(self.species))
        graph.add_edges_from(self.bonds)
        return graph


def find_motif(motif: Motif, neighbours: Neighbours, species: Sequence[Any]) -> NDArray[np.int64]:
    """All places where a motif is.

    Parameters
    ----------
    neighbours : bonds of all atoms.
    species : (n,) names.

    Returns
    -------
    (k, atoms of the motif) numbers of atoms in the motif's order; the same atoms are told once.
    """
    names = np.asarray(species).astype(str)
    pattern = motif.graph()
    degree = {k: pattern.degree(k) for k in motif.closed}
    # start from the atom of the motif that the fewest atoms can be
    able = {k: _able(k, motif, pattern, degree, neighbours, names) for k in range(len(motif.species))}
    centre = min(able, key=lambda k: len(able[k]))
    reach = nx.eccentricity(pattern, centre) if len(pattern) > 1 else 0
    found: dict[frozenset[int], list[int]] = {}
    for atom in able[centre]:
        around = _around(int(atom), reach, neighbours, names)

        def alike(one: dict[str, Any], other: dict[str, Any]) -> bool:
            return other["species"] == "*" or one["species"] == other["species"]

        matcher = nx.isomorphism.GraphMatcher(around, pattern, node_match=alike)
        for mapping in matcher.subgraph_monomorphisms_iter():
            place = {number: node for node, number in mapping.items()}
            if place[centre] != atom or any(neighbours.coordination[place[k]] != bonds for k, bonds in degree.items()):
                continue
            found.setdefault(frozenset(mapping), [place[k] for k in range(len(pattern))])
    return np.array(list(found.values()), dtype=np.int64).reshape(-1, len(pattern))


def _able(
    k: int, motif: Motif, pattern: Any, degree: dict[int, int], neighbours: Neighbours, names: NDArray[Any]
) -> NDArray[np.int64]:
    """Atoms that atom `k` of the motif could be, by their species and the number of their bonds."""
    bonds = neighbours.coordination
    possible = bonds == degree[k] if k in degree else bonds >= pattern.degree(k)
    if motif.species[k] != "*":
        possible &= names == motif.species[k]
    return np.flatnonzero(possible)


def _around(atom: int, reach: int, neighbours: Neighbours, names: NDArray[Any]) -> "nx.Graph[int]":
    """The graph of the atoms so many bonds away."""
    members, rim = {atom}, {atom}
    for _ in range(reach):
        rim = {int(b) for a in rim for b in _bonded(a, neighbours)} - members
        members |= rim
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from((a, {"species": str(names[a])}) for a in members)
    graph.add_edges_from((a, int(b)) for a in members for b in _bonded(a, neighbours) if int(b) in members)
    return graph


def _bonded(atom: int, neighbours: Neighbours) -> NDArray[np.int64]:
    return neighbours.second[neighbours.start[atom] : neighbours.start[atom + 1]]


def read_motifs(path: Path) -> list[Motif]:
    """Motifs of a YAML file: a list with ``name``, ``species``, ``bonds`` (pairs of numbers from 0) and, if wanted,
    ``closed`` for each.

    Raises
    ------
    MissingFileError, RecipeError, ArgumentError : if there is no such file, or it says something else.
    """
    if not path.is_file():
        raise MissingFileError(f"motifs: expected a YAML file, got {path}, which is not there.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        stated = TypeAdapter(list[_Stated]).validate_python(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise RecipeError(f"motifs: {path.name} cannot be read as YAML ({error}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"motifs: {path.name}: {where}: {first['msg']}.") from error
    return [Motif(one.name, one.species, one.bonds, one.closed) for one in stated]


class _Stated(StrictModel):
    name: str = Field(min_length=1, max_length=60)
    species: tuple[str, ...]
    bonds: tuple[tuple[int, int], ...] = ()
    closed: tuple[int, ...] = (0,)
