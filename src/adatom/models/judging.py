"""Finds of a model on images with known atoms: which are right, and what was stated of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from adatom.locate import Peaks, match_likeliest_first, match_positions
from adatom.models.batches import Sample

Array = NDArray[np.float64]

# Errors of position are those of finds that are likelier atoms than not.
_LIKELIER_THAN_NOT = 0.5


@dataclass(frozen=True)
class Judged:
    """Finds against known atoms.

    Attributes
    ----------
    probability, is_atom : (n,) of all finds, however unlikely.
    species_probability, is_species : (m,) of those that are atoms, whether the species is right.
    error, std : (k,) along both axes, of those that are likelier atoms than not.
    of_species : (m, species) of those that are atoms; (m, 0) by a model that does not say.
    true_species : (m,) numbers of theirs.
    """

    probability: Array
    is_atom: NDArray[np.bool_]
    species_probability: Array
    is_species: NDArray[np.bool_]
    error: Array
    std: Array
    of_species: Array
    true_species: NDArray[np.int64]


def judge_finds(see: Callable[[Sample], Peaks], samples: Sequence[Sample], *, tolerance: float) -> Judged:
    """Judge what `see` finds in samples, all of it: a find within `tolerance` [px] of a known atom is right."""
    parts: list[Judged] = []
    for sample in samples:
        peaks = see(sample).within(sample.inside)
        found, near = np.column_stack([peaks.x, peaks.y]), sample.near.positions
        mine = match_likeliest_first(found, peaks.probability, near, tolerance=tolerance)
        is_atom = mine >= 0
        sure = is_atom & (peaks.probability > _LIKELIER_THAN_NOT)
        true = sample.near.species[mine[is_atom]]
        nothing = np.zeros((int(is_atom.sum()), 0))
        parts.append(
            Judged(
                peaks.probability,
                is_atom,
                peaks.species_probability[is_atom],
                peaks.species[is_atom] == true,
                (found[sure] - near[mine[sure]]).ravel(),
                np.column_stack([peaks.x_std, peaks.y_std])[sure].ravel(),
                nothing if peaks.of_species is None else peaks.of_species[is_atom],
                true,
            )
        )
    return Judged(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Judged)))


def score_finds(found: Sequence[Peaks], samples: Sequence[Sample], *, tolerance: float) -> dict[str, float]:
    """F1 of the finds in each sample, species included, and the distance of the matched atoms."""
    hits, n_found, n_known, squares = 0, 0, 0, 0.0
    for every, sample in zip(found, samples, strict=True):
        peaks = every.within(sample.inside)
        match = match_positions(np.column_stack([peaks.x, peaks.y]), sample.known.positions, tolerance=tolerance)
        hits += int((peaks.species[match.found] == sample.known.species[match.known]).sum())
        n_found, n_known = n_found + match.n_found, n_known + match.n_known
        squares += float((match.distance**2).sum())
    return {
        "val_f1": 2 * hits / max(1, n_found + n_known),
        "val_position_rms_px": float(np.sqrt(squares / max(1, hits))),
    }
