"""What an analysis of the atoms of one image holds."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from adatom.analyse.spatial_statistics import Box, PairStatistics


@dataclass
class Analysis:
    """What the atoms of one image say.

    Attributes
    ----------
    atoms : the table with the columns that `adatom.analyser.analyse_atoms` adds.
    bonds : one row a bond: ``first``, ``second`` (rows of the atom table), ``length``, ``length_std``, ``angle_deg``.
    rings : one row a ring: ``size``, ``x``, ``y``, ``area``, ``atoms``.
    defects : one row a defect, see `adatom.analyse.defects.Defects`.
    summary : numbers with their errors, JSON-serialisable.
    pairs : pair distribution of all atoms, or None with too few.
    scattered : how the defects of each name lie, where there are ten or more.
    box : left, top, right, bottom of the image in the unit of the positions.
    """

    atoms: pd.DataFrame
    bonds: pd.DataFrame
    rings: pd.DataFrame
    defects: pd.DataFrame
    summary: dict[str, Any]
    box: Box
    pairs: PairStatistics | None = None
    scattered: dict[str, PairStatistics] = field(default_factory=dict)
