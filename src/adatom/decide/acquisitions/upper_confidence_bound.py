"""What a place may be worth at best."""

from dataclasses import dataclass

from adatom.decide.outlook import Outlook
from adatom.decide.posterior import Array


@dataclass(frozen=True)
class UpperConfidenceBound:
    """Mean plus some deviations.

    Parameters
    ----------
    deviations : the more, the farther it looks around.

    Notes
    -----
    Source: N. Srinivas et al., IEEE Trans. Inf. Theory 58, 3250 (2012), doi:10.1109/TIT.2011.2182033.
    """

    deviations: float = 2.0

    def __call__(self, outlook: Outlook) -> Array:
        worth = outlook.worth
        return worth.mean[:, 0] + self.deviations * worth.std[:, 0]
