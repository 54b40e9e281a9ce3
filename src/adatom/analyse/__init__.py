"""Atoms to findings."""

from adatom.analyse.decomposition import Decomposition, decompose
from adatom.analyse.descriptors import Descriptors
from adatom.analyse.distortions import Distortions, find_distortions
from adatom.analyse.domain_walls import Domains, find_domains
from adatom.analyse.lattice import Lattice, find_bright_lattice, find_lattice, find_species_lattice
from adatom.analyse.lattice_phases import LatticePhases, lattice_phases
from adatom.analyse.mixture import Mixture, mixture
from adatom.analyse.neighbour_vectors import neighbour_vectors
from adatom.analyse.patches import patches_around_atoms
from adatom.analyse.spectrum_blocks import outlying_pixels
from adatom.analyse.states import States, find_states
from adatom.analyse.transitions import Transitions, transitions
from adatom.analyse.unmixing import Unmixed, unmix
from adatom.data.lattice_constants import LATTICE_CONSTANTS_NM, read_lattice_constant

__all__ = [
    "LATTICE_CONSTANTS_NM",
    "Decomposition",
    "Descriptors",
    "Distortions",
    "Domains",
    "Lattice",
    "LatticePhases",
    "Mixture",
    "States",
    "Transitions",
    "Unmixed",
    "decompose",
    "find_bright_lattice",
    "find_distortions",
    "find_domains",
    "find_lattice",
    "find_species_lattice",
    "find_states",
    "lattice_phases",
    "mixture",
    "neighbour_vectors",
    "outlying_pixels",
    "patches_around_atoms",
    "read_lattice_constant",
    "transitions",
    "unmix",
]
