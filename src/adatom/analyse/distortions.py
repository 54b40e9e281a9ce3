"""Distortion domains of one image: what surrounds each atom, its components, kinds of atoms, and domains of a kind."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from adatom.analyse.decomposition import Decomposition, Method, decompose
from adatom.analyse.domain_walls import Domains, find_domains
from adatom.analyse.mixture import Mixture, mixture
from adatom.analyse.neighbour_vectors import neighbour_vectors
from adatom.analyse.neighbours import bond_cutoff, find_neighbours
from adatom.analyse.patches import patches_around_atoms
from adatom.data import check_atoms
from adatom.errors import ArgumentError

# With so few atoms nobody tells how many neighbours are usual.
_FEWEST, _USUAL = 8, 4


@dataclass(frozen=True)
class Distortions:
    """Each step from the atoms to their domains.

    Attributes
    ----------
    atoms : the atoms with the columns ``pc1``, ..., ``component``, ``component_probability``, ``class``, ``domain``.
    parts : components of the descriptors.
    kinds : Gaussians that their scores are drawn from.
    domains : of the kinds, with their walls.
    """

    parts: Decomposition
    kinds: Mixture
    domains: Domains

    @property
    def atoms(self) -> pd.DataFrame:
        """See above."""
        return self.domains.atoms


def find_distortions(
    atoms: pd.DataFrame,
    image: xr.DataArray | None = None,
    *,
    patch: float | None = None,
    n_neighbours: int | None = None,
    of: str | None = None,
    to: str | None = None,
    method: Method = "pca",
    n_components: int | Literal["auto"] = "auto",
    n_kinds: int | Literal["auto"] = "auto",
    random_state: int = 0,
) -> Distortions:
    """Find domains of atoms whose surroundings are alike.

    Parameters
    ----------
    atoms : table of atoms.
    image, patch : with both, patches of this side (in the atoms' unit) of the image describe an atom; else the vectors
        to its neighbours do.
    n_neighbours : so many; by default as many as most atoms have.
    of, to : species of the atoms and of their neighbours, see `neighbour_vectors`.
    method, n_components : see `decompose`.
    n_kinds : see `mixture`.

    Raises
    ------
    ArgumentError : if fewer than three atoms can be described.
    """
    check_atoms(atoms)
    if patch is not None and image is None:
        raise ArgumentError("patch: expected an image beside it, got none. Give the image that the atoms are of.")
    if image is not None and patch is not None:
        described = patches_around_atoms(image, atoms, patch, standardise=True)
    else:
        described = neighbour_vectors(atoms, n_neighbours or _usual_number(atoms, of, to), of=of, to=to)
    parts = decompose(described, method=method, n_components=n_components, random_state=random_state)
    kinds = mixture(parts, n=n_kinds, random_state=random_state)
    return Distortions(parts, kinds, find_domains(kinds.on_atoms(parts.on_atoms(atoms))))


def _usual_number(atoms: pd.DataFrame, of: str | None, to: str | None) -> int:
    """Of bonds of an atom to neighbours of the wanted species."""
    first = atoms[atoms["frame"] == atoms["frame"].min()] if len(atoms) else atoms
    species = first["species"].to_numpy(object)
    mine = species == of if of is not None else np.ones(len(first), dtype=bool)
    others = species == to if to is not None else mine
    asked = mine | others
    positions = first.loc[asked, ["x", "y"]].to_numpy(float)
    if len(positions) < _FEWEST:
        return _USUAL
    bonds = find_neighbours(positions, bond_cutoff(positions))
    wanted = bonds.of(mine[asked][bonds.first] & others[asked][bonds.second])
    numbers = wanted.coordination[mine[asked]]
    return int(np.clip(np.bincount(numbers).argmax(), 2, 12)) if len(numbers) else _USUAL
