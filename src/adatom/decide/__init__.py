"""What to measure next: from what a model says of places not yet measured to the next ones. No instrument is imported
here, so it goes with anybody's control system.

>>> search = Search(places, surrogate=ad.GaussianProcessRegressor())
>>> while len(search.measured) < 60:
...     which = search.ask()
...     search.tell(which, measure(places[which]))
"""

from adatom.decide.acquisition import ACQUISITIONS, Acquisition, Situation
from adatom.decide.posterior import Posterior, Surrogate
from adatom.decide.search import Cost, Search
from adatom.decide.stopping import Budget, NoImprovement, StopRule, UncertaintyBelow
from adatom.decide.zones import Disc, Polygon, Rectangle, Zone

__all__ = [
    "ACQUISITIONS",
    "Acquisition",
    "Budget",
    "Cost",
    "Disc",
    "NoImprovement",
    "Polygon",
    "Posterior",
    "Rectangle",
    "Search",
    "Situation",
    "StopRule",
    "Surrogate",
    "UncertaintyBelow",
    "Zone",
]
