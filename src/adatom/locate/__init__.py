"""Maps to atoms: peaks, refinement on the image, the classical way beside it, and atoms against known atoms."""

from adatom.locate.blobs import find_blobs
from adatom.locate.claims import find_claimed
from adatom.locate.combine import combine_positions
from adatom.locate.match import Match, match_likeliest_first, match_positions
from adatom.locate.peaks import Peaks, find_peaks
from adatom.locate.refine import refine_positions

__all__ = [
    "Match",
    "Peaks",
    "combine_positions",
    "find_blobs",
    "find_claimed",
    "find_peaks",
    "match_likeliest_first",
    "match_positions",
    "refine_positions",
]
