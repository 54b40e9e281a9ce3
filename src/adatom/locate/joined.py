"""Atoms that several models, or one model from several sides, found in the same image: matched, and made one list.

Matching is by assignment: each atom of a model goes to at most one joined atom, and each joined atom takes at most one
atom of a model. Nothing depends on the order of the models.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from adatom.errors import ArgumentError
from adatom.locate.peaks import Peaks

Array = NDArray[np.float64]

_ROUNDS = 1  # in which the joined atoms move to the middle of those that they took
_CELLS, _KERNEL = 3, 1.2  # cells of a raster in the tolerance, and how far in it an atom's vote counts
_SMALLEST_WEIGHT = 1e-9
_TILT = np.float32(1e-6)
_SMALLEST_STD = 1e-3  # [px]: no model is surer of a position than that


@dataclass(frozen=True, kw_only=True)
class JoinedPeaks(Peaks):
    """Atoms joined out of those of several models.

    Attributes
    ----------
    n_members : (n,) models that saw the atom, however unlikely it seemed to them.
    probability_std : (n,) between the models; one that did not see it says 0.
    x_std_data, y_std_data : (n,) the part of ``x_std``, ``y_std`` that each model states itself: what data leave open.
    x_std_model, y_std_model : (n,) the part that the models disagree in; NaN where only one saw the atom.
    entropy_data, entropy_model : (n,) [nat] doubts of what is here, nothing or an atom of which species: those that
        models state, and those that they disagree in. Their sum is the entropy of the mean.
    """

    n_members: NDArray[np.int64]
    probability_std: Array
    x_std_data: Array
    y_std_data: Array
    x_std_model: Array
    y_std_model: Array
    entropy_data: Array
    entropy_model: Array

    def doubts(self) -> dict[str, Array]:
        return {name: getattr(self, name) for name in DOUBTS}

    def rescaled(self, factor: float) -> "JoinedPeaks":
        """The same with all standard deviations of positions times `factor`."""
        return replace(self, **{name: factor * getattr(self, name) for name in ("x_std", "y_std", *DOUBTS[2:6])})


DOUBTS = (
    "n_members",
    "probability_std",
    "x_std_data",
    "y_std_data",
    "x_std_model",
    "y_std_model",
    "entropy_data",
    "entropy_model",
)


def join_peaks(members: Sequence[Peaks], *, tolerance_px: float, n_species: int) -> JoinedPeaks:
    """Match the atoms of several models, and make one atom of those that are the same.

    Parameters
    ----------
    members : atoms of each model in the same image, the unlikely ones included; at least one model.
    tolerance_px : atoms of two models that are further apart are two.
    n_species : that the models know.

    Returns
    -------
    ``probability`` is the mean over all models, of which one that did not see the atom says 0. Positions are means
    weighted by probability and precision; their variance is the mean of those that the models state, plus the variance
    between the models. Species are means weighted by probability: a model for which there is no atom does not vote.

    Notes
    -----
    A mixture of the models' statements, taken apart by the law of total variance, and its entropy into the mean of the
    models' entropies and their mutual information: Depeweg et al., ICML 2018, PMLR 80:1184. The mean position is not
    taken for surer than one model's: all saw the same noise.
    """
    if not members:
        raise ArgumentError("members: expected the atoms of at least one model, got none.")
    places = [np.column_stack([one.x, one.y]) for one in members]
    table = _match_members(places, [one.probability for one in members], tolerance_px)  # (member, atom), -1 for none
    seen = table >= 0

    def gathered(column: str) -> Array:
        """(member, atom, ...) of what the members say; 0 where one says nothing."""
        parts = []
        for one, rows, there in zip(members, table, seen, strict=True):
            values = _of_species(one, n_species) if column == "of_species" else np.asarray(getattr(one, column), float)
            part = np.zeros((len(rows), *values.shape[1:]))
            part[there] = values[rows[there]]
            parts.append(part)
        return np.stack(parts)

    n = len(members)
    probability = gathered("probability")
    weight = np.where(seen, np.maximum(probability, _SMALLEST_WEIGHT), 0.0)
    weight /= np.maximum(weight.sum(axis=0), 1e-300)
    of_species = np.einsum("ma,mas->as", weight, gathered("of_species"))
    n_members = seen.sum(axis=0)
    columns: dict[str, Array] = {}
    for axis in ("x", "y"):
        position, std = gathered(axis), gathered(f"{axis}_std")
        known = np.isfinite(std) & seen
        precision = np.where(known, 1 / np.maximum(std, _SMALLEST_STD) ** 2, 0.0)
        precise = weight * np.where(known.sum(axis=0) == n_members, precision, 1.0)
        precise /= np.maximum(precise.sum(axis=0), 1e-300)
        mean = (precise * position).sum(axis=0)
        stated = (weight * np.where(seen, std, 0.0) ** 2).sum(axis=0)
        # the variance of few members is too small on average by the share that their mean takes
        lost = 1 - (weight**2).sum(axis=0)
        between = (weight * np.where(seen, position - mean, 0.0) ** 2).sum(axis=0) / np.where(lost > 1e-9, lost, np.nan)
        columns[axis] = mean
        columns[f"{axis}_std"] = np.sqrt(stated + np.nan_to_num(between))
        columns[f"{axis}_std_data"], columns[f"{axis}_std_model"] = np.sqrt(stated), np.sqrt(between)
    share = gathered("of_species") * probability[:, :, None]  # (member, atom, species) of an atom of that species
    said = np.concatenate([1 - share.sum(axis=2, keepdims=True), share], axis=2)
    total, stated_entropy = _entropy(said.mean(axis=0)), _entropy(said).mean(axis=0)
    return JoinedPeaks(
        species=of_species.argmax(axis=1) if n_species else np.zeros(table.shape[1], dtype=np.int64),
        probability=probability.sum(axis=0) / n,
        flux=(weight * gathered("flux")).sum(axis=0),
        species_probability=of_species.max(axis=1, initial=0),
        of_species=of_species,
        n_members=n_members,
        probability_std=probability.std(axis=0),
        entropy_data=stated_entropy,
        entropy_model=np.maximum(total - stated_entropy, 0.0),
        **columns,
    )


def _of_species(peaks: Peaks, n_species: int) -> Array:
    """(n, species) as the model states it; certainty where it states nothing."""
    if peaks.of_species is not None:
        return peaks.of_species
    return np.eye(n_species)[peaks.species]


def _entropy(probability: Array) -> Array:
    """Entropy [nat] over the last axis."""
    cut = np.clip(probability, 1e-12, 1.0)
    entropy: Array = -(cut * np.log(cut)).sum(axis=-1)
    return np.maximum(entropy, 0.0)


def _match_members(places: list[Array], probability: list[Array], tolerance: float) -> NDArray[np.int64]:
    """For each member the row (member, n) of its atom that each joined atom takes, -1 where it takes none.

    Joined atoms are first where the models say most often and surest that one is, then wherever atoms are left that
    none of these took.
    """
    member = np.repeat(np.arange(len(places)), [len(each) for each in places])
    row = np.concatenate([np.arange(len(each)) for each in places])
    place, sure = np.concatenate(places), np.maximum(np.concatenate(probability), _SMALLEST_WEIGHT)
    left = np.arange(len(place))
    tables: list[NDArray[np.int64]] = []
    while len(left):
        raster = _Raster.of(place[left], tolerance)
        centre = raster.tops(place[left], sure[left])
        for _ in range(_ROUNDS):
            mine = _takers(raster, place[left], member[left], centre, tolerance)
            centre = _middles(place[left], sure[left], mine, centre)
        mine = _takers(raster, place[left], member[left], centre, tolerance)
        if (mine < 0).all():  # a top that is no atom's own, of some that are wide apart: each is one
            mine = np.arange(len(left))
        taken = mine >= 0
        used, number = np.unique(mine[taken], return_inverse=True)
        table = np.full((len(places), len(used)), -1, dtype=np.int64)
        table[member[left[taken]], number] = row[left[taken]]
        tables.append(table)
        left = left[~taken]
    return np.concatenate(tables, axis=1) if tables else np.zeros((len(places), 0), dtype=np.int64)


@dataclass(frozen=True)
class _Raster:
    """Cells of a third of the tolerance, over all atoms and some way beyond: neighbours are found by them at once."""

    origin: Array
    cell: float
    shape: tuple[int, int]

    @classmethod
    def of(cls, places: Array, tolerance: float) -> "_Raster":
        cell = tolerance / _CELLS
        origin = places.min(axis=0) - (_CELLS + 1) * cell
        columns, rows = (np.ceil((places.max(axis=0) - origin) / cell)).astype(int) + _CELLS + 2
        return cls(origin, cell, (int(rows), int(columns)))

    def at(self, places: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column (n,) of the cell of each place (n, 2)."""
        column, row = ((places - self.origin) / self.cell).astype(np.int64).T
        return np.clip(row, 0, self.shape[0] - 1), np.clip(column, 0, self.shape[1] - 1)

    def tops(self, places: Array, probability: Array) -> Array:
        """Centres (n, 2) of the cells around which most is claimed."""
        row, column = self.at(places)
        size = self.shape[0] * self.shape[1]
        claimed = np.bincount(row * self.shape[1] + column, probability, minlength=size).reshape(self.shape)
        votes = ndimage.gaussian_filter(claimed.astype(np.float32), _KERNEL, mode="constant", truncate=3.0)
        # of two cells with as many votes one has to be the top
        votes *= 1 + _TILT * np.arange(self.shape[0], dtype=np.float32)[:, None]
        votes *= 1 + np.sqrt(np.float32(2.0)) * _TILT * np.arange(self.shape[1], dtype=np.float32)
        top = (votes == ndimage.maximum_filter(votes, size=2 * (_CELLS - 1) + 1, mode="constant")) & (votes > 0)
        rows, columns = np.nonzero(top)
        return self.origin + (np.column_stack([columns, rows]) + 0.5) * self.cell

    def nearest(self, places: Array, centre: Array) -> NDArray[np.int64]:
        """The centre (m, 2) whose cell is nearest to that of each place (n, 2), -1 where none is near."""
        label = np.full(self.shape, -1, dtype=np.int32)
        row, column = self.at(centre)
        reach = np.arange(-_CELLS - 1, _CELLS + 2)
        steps = np.array([(i, j) for i in reach for j in reach])
        for down, right in steps[np.argsort(-(steps**2).sum(axis=1), kind="stable")]:  # the nearest comes last
            label[np.clip(row + down, 0, self.shape[0] - 1), np.clip(column + right, 0, self.shape[1] - 1)] = np.arange(
                len(centre)
            )
        return label[self.at(places)].astype(np.int64)


def _takers(
    raster: _Raster, place: Array, member: NDArray[np.int64], centre: Array, tolerance: float
) -> NDArray[np.int64]:
    """The centre (n,) that takes each atom, -1 for none: of a member's atoms each takes the nearest one alone."""
    mine = raster.nearest(place, centre)
    near = np.flatnonzero(mine >= 0)
    distance = np.hypot(*(place[near] - centre[mine[near]]).T)
    near, distance = near[distance <= tolerance], distance[distance <= tolerance]
    near = near[np.argsort(-distance, kind="stable")]
    chosen = np.full((int(member.max()) + 1, len(centre)), -1, dtype=np.int64)
    chosen[member[near], mine[near]] = near  # the nearest comes last, and stays
    taken = np.full(len(place), -1, dtype=np.int64)
    rows, numbers = np.nonzero(chosen >= 0)
    taken[chosen[rows, numbers]] = numbers
    return taken


def _middles(place: Array, weight: Array, mine: NDArray[np.int64], centre: Array) -> Array:
    """The centres (m, 2), each in the middle of the atoms that it took."""
    taken = mine >= 0
    total = np.bincount(mine[taken], weight[taken], minlength=len(centre))
    mean = [np.bincount(mine[taken], weight[taken] * place[taken, k], minlength=len(centre)) for k in (0, 1)]
    return np.where(total[:, None] > 0, np.column_stack(mean) / np.maximum(total, 1e-300)[:, None], centre)
