"""What the atoms of a movie did, with what a summary has of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from adatom.analyse.events import Occupation, find_events, occupation
from adatom.analyse.sites_over_time import SitesOverTime, follow_sites
from adatom.analyse.spatial_statistics import Box
from adatom.data.atoms import check_atoms, spacing
from adatom.data.rounding import rounded
from adatom.errors import ArgumentError

# Finds within this share of the distance of neighbours are one site's.
_REACH = 0.35
_LIKELIER_THAN_NOT = 0.5


@dataclass(frozen=True)
class MovieEvents:
    """Sites, their occupation, and the events of a movie.

    Attributes
    ----------
    events : see `adatom.analyse.events.find_events`.
    spacing : typical distance of neighbours, in the unit of the table.
    summary : JSON-serialisable.
    """

    sites: SitesOverTime
    held: Occupation
    events: pd.DataFrame
    spacing: float
    summary: dict[str, Any]


def analyse_movie(atoms: pd.DataFrame, box: Box) -> MovieEvents:
    """Follow the atoms of all frames; the movie is to be without drift.

    Parameters
    ----------
    atoms : an atom table of several frames, with doubtful finds too (``adatom find --min-probability 0.1``): what was
        doubtful tells more than nothing.
    box : left, top, right, bottom of the image, in the unit of the table.

    Raises
    ------
    ShapeError : if it is no atom table.
    ArgumentError : if there are fewer than two frames, or so few atoms that they have no neighbours.
    """
    check_atoms(atoms)
    apart = spacing(atoms)
    if not np.isfinite(apart):
        raise ArgumentError(f"atoms: expected frames with at least two atoms, got {len(atoms)} atoms in all.")
    sites = follow_sites(atoms, reach=_REACH * apart, box=box)
    held = occupation(sites)
    events = find_events(sites, held, spacing=apart)
    summary = {
        "n_frames": len(sites.frames),
        "n_sites": len(sites.positions),
        "n_unstable": int((held.unstable > _LIKELIER_THAN_NOT).sum()),
        "n_unstable_expected": rounded(float(held.unstable.sum())),
        "rate_per_frame": rounded(held.rate),
        "overlooked": rounded(held.overlooked),
        "events": {str(kind): int(n) for kind, n in events["kind"].value_counts().items()},
    }
    return MovieEvents(sites, held, events, apart, summary)
