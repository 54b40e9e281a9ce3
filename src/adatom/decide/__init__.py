"""What to measure next: from what a model says of places not yet measured to the next ones. No instrument is imported
here, so it goes with anybody's control system."""

from adatom.decide.acquisitions import ACQUISITIONS, acquisition_of
from adatom.decide.outlook import Acquisition, Outlook
from adatom.decide.posterior import Posterior, Surrogate
from adatom.decide.search import Search
from adatom.decide.worth import Constraint, Costs
from adatom.decide.zones import Disc, Polygon, Rectangle, Region

__all__ = [
    "ACQUISITIONS",
    "Acquisition",
    "Constraint",
    "Costs",
    "Disc",
    "Outlook",
    "Polygon",
    "Posterior",
    "Rectangle",
    "Region",
    "Search",
    "Surrogate",
    "acquisition_of",
]
