"""`Search`: candidates, what was measured of them, and which come next. Ask, measure as you can, and tell."""

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from adatom.decide.acquisition import Acquisition, Situation, make_acquisition
from adatom.decide.pending import after
from adatom.decide.posterior import Array, Indices, Posterior, Surrogate
from adatom.decide.route import short_route
from adatom.decide.zones import Zone, allowed
from adatom.errors import ArgumentError, ShapeError

_VERSION = 1
_N_FIRST = 8


@dataclass(frozen=True)
class Cost:
    """What a measurement takes.

    Parameters
    ----------
    speed_nm_per_s : of the probe on its way.
    measuring_s : at each place.
    """

    speed_nm_per_s: float
    measuring_s: float

    def seconds(self, places: Array, start: Array) -> Array:
        """Time (n,) to go to each place from `start` and measure."""
        way: Array = np.hypot(*(places - start).T)
        return way / self.speed_nm_per_s + self.measuring_s


class Search:
    """A search among candidates.

    Parameters
    ----------
    places : (n, 2) x and y of the candidates [nm].
    surrogate : a model that learns while it goes on, see `adatom.decide.Surrogate`; None for those that need none.
    inputs : (n, ...) what the model sees of each candidate; by default its place.
    acquisition : a name, see `adatom.decide.ACQUISITIONS`, or a function of the `Situation`.
    settings : of the acquisition.
    minimise : look for the least instead of the most.
    n_first : places that are spread over the field before the model is asked, where it is.
    forbidden, margin_nm : zones, and a border, from which no place is taken.
    cost : where it is given, gains are weighed by the time that they take.
    random_state : seed; the same answers to the same search lead to the same questions.

    Attributes
    ----------
    measured : candidates measured so far, in that order.
    values : (m, k) what was told of them.
    failed : candidates of which no number came back; they are not asked for again.
    pending : candidates that were asked for, and not told yet.
    reasons : DataFrame of the last `ask`: ``candidate``, ``x_nm``, ``y_nm``, ``score``, and where a model was asked
        what it believed of the first number there, ``mean`` and ``std``.
    """

    def __init__(
        self,
        places: ArrayLike,
        *,
        surrogate: Surrogate | None = None,
        inputs: NDArray[Any] | None = None,
        acquisition: str | Acquisition | Callable[[Situation], Any] = "expected_improvement",
        settings: Mapping[str, Any] | None = None,
        minimise: bool = False,
        n_first: int = _N_FIRST,
        forbidden: Sequence[Zone] = (),
        margin_nm: float = 0.0,
        cost: Cost | None = None,
        random_state: int = 0,
    ) -> None:
        self.places = np.asarray(places, dtype=float)
        if self.places.ndim != 2 or self.places.shape[1:] != (2,) or not len(self.places):
            raise ShapeError(f"places: expected (n, 2), got {self.places.shape}.")
        if not np.isfinite(self.places).all():
            raise ArgumentError("places: expected finite numbers in nm, got others.")
        self.inputs = self.places if inputs is None else np.asarray(inputs)
        if len(self.inputs) != len(self.places):
            raise ShapeError(f"inputs: expected {len(self.places)}, one for each place, got {len(self.inputs)}.")
        self.acquisition = make_acquisition(acquisition, dict(settings or {}))
        self.surrogate = surrogate
        if surrogate is None and self.acquisition.needs_model:
            raise ArgumentError(f"surrogate: expected a model, which {acquisition} asks, got none.")
        if cost is not None and getattr(self.acquisition, "gain", None) is None:
            raise ArgumentError(f"cost: expected an acquisition whose score is a gain, got {acquisition}.")
        self.minimise, self.n_first, self.cost = minimise, n_first, cost
        self.random_state = random_state
        self.allowed = allowed(self.places, forbidden, margin_nm)
        if not self.allowed.any():
            raise ArgumentError("forbidden: expected to leave some places, got zones that hold them all.")
        self.measured: list[int] = []
        self.values: Array = np.zeros((0, 1))
        self.failed: list[int] = []
        self.pending: list[int] = []
        self.n_asked = 0
        self.position: Array | None = None
        self.reasons = pd.DataFrame()
        self._belief: tuple[int, Posterior] | None = None
        self._n_told = 0

    # ---------------------------------------------------------------- ask and tell

    def ask(self, n: int = 1) -> Indices:
        """The next `n` places, in the order of a short way; fewer where no more are left.

        What was asked for before, and not told yet, is taken to come out as the model believes.
        """
        if not isinstance(n, int | np.integer) or n < 1:
            raise ArgumentError(f"n: expected a whole number of at least 1, got {n!r}.")
        chosen: list[int] = []
        rows: list[tuple[int, float, float, float]] = []
        rng = np.random.default_rng([self.random_state, self.n_asked])
        for _ in range(n):
            free = self.free()
            free[chosen] = False
            if not free.any():
                break
            score, belief = self._scores(free, chosen, rng)
            candidate = self._highest(score, free, rng)
            mean, std = (math.nan, math.nan)
            if belief is not None:
                mean, std = float(belief.mean[candidate, 0]), float(belief.std[candidate, 0])
            rows.append((candidate, float(score[candidate]), -mean if self.minimise else mean, std))
            chosen.append(candidate)
        order = short_route(self.places[chosen], self.position) if len(chosen) > 1 else np.arange(len(chosen))
        chosen = [chosen[k] for k in order]
        reasons = pd.DataFrame([rows[k] for k in order], columns=["candidate", "score", "mean", "std"])
        for axis, name in enumerate(("x_nm", "y_nm")):
            reasons.insert(1 + axis, name, self.places[chosen, axis])
        self.reasons = reasons
        self.n_asked += 1
        self.pending += chosen
        return np.array(chosen, dtype=np.int64)

    def tell(self, which: ArrayLike, values: ArrayLike) -> None:
        """What was measured at some candidates.

        Parameters
        ----------
        which : (m,) candidates, whether they were asked for or not; none that was measured before.
        values : (m,) or (m, k) in any unit; NaN where a measurement failed.
        """
        indices = np.atleast_1d(np.asarray(which))
        told = np.asarray(values, dtype=float)
        told = told.reshape(-1, 1) if told.ndim < 2 else told
        if indices.ndim != 1 or len(told) != len(indices) or not np.issubdtype(indices.dtype, np.integer):
            raise ShapeError(
                f"which: expected as many whole numbers as values, got {np.shape(which)} and {told.shape}."
            )
        if len(indices) and (indices.min() < 0 or indices.max() >= len(self.places)):
            raise ArgumentError(f"which: expected numbers from 0 to {len(self.places) - 1}, got {indices.tolist()}.")
        known = {*self.measured, *self.failed}
        again = [int(k) for k in indices if int(k) in known]
        if again or len(set(indices.tolist())) < len(indices):
            raise ArgumentError(f"which: expected each candidate once, got {again or indices.tolist()} again.")
        if np.isinf(told).any():
            raise ArgumentError("values: expected finite numbers, or NaN for what failed, got infinite ones.")
        if len(self.values) and told.shape[1] != self.values.shape[1]:
            raise ShapeError(f"values: expected {self.values.shape[1]} numbers each, got {told.shape[1]}.")
        good = np.isfinite(told).all(axis=1)
        self.failed += indices[~good].tolist()
        self.measured += indices[good].tolist()
        self.values = np.vstack([self.values, told[good]]) if len(self.values) else told[good]
        self.pending = [k for k in self.pending if k not in set(indices.tolist())]
        if len(indices):
            self.position = self.places[indices[-1]]
        self._n_told += len(indices)

    def free(self) -> NDArray[np.bool_]:
        """Which candidates (n,) may still be asked for."""
        free = self.allowed.copy()
        free[[*self.measured, *self.failed, *self.pending]] = False
        return free

    def best(self) -> tuple[int, float]:
        """The best candidate measured, and the first number measured there."""
        if not self.measured:
            raise ArgumentError("best: expected a search that was told something, got one that was not.")
        column = self.values[:, 0]
        row = int(column.argmin() if self.minimise else column.argmax())
        return self.measured[row], float(column[row])

    def belief(self) -> Posterior:
        """What the model believes of all candidates, in the unit of the values."""
        if self.surrogate is None or not self.measured:
            raise ArgumentError("belief: expected a search with a model that was told something, got none.")
        if self._belief is None or self._belief[0] != self._n_told:
            arguments: dict[str, Any] = {}
            if "all_inputs" in inspect.signature(self.surrogate.fit).parameters:
                arguments["all_inputs"] = self.inputs
            self.surrogate.fit(self.inputs[self.measured], self.values, **arguments)
            self._belief = self._n_told, self.surrogate.posterior(self.inputs)
        return self._belief[1]

    # ---------------------------------------------------------------- choosing

    def _scores(
        self, free: NDArray[np.bool_], chosen: list[int], rng: np.random.Generator
    ) -> tuple[Array, Posterior | None]:
        """A score of each candidate (n,), and what was believed of them, larger being better."""
        waiting = [*self.pending, *chosen]
        n_known = len(self.measured) + len(self.failed) + len(waiting)
        if self.acquisition.needs_model and (n_known < self.n_first or not self.measured):
            return self._farness(waiting), None
        belief, values = None, self.values
        if self.acquisition.needs_model:
            told = self.belief()
            if self.minimise:
                told, values = Posterior(-told.mean, told.std, told.noise_std, told.joint), -values
            belief = after(told, waiting)
            values = np.vstack([values, belief.mean[waiting]]) if waiting else values
        situation = Situation(
            posterior=belief,
            places=self.places,
            inputs=self.inputs,
            measured=np.array([*self.measured, *waiting], dtype=np.int64),
            values=values,
            free=free,
            rng=rng,
        )
        score = np.asarray(self.acquisition(situation), dtype=float)
        if score.shape != (len(self.places),):
            raise ArgumentError(f"acquisition: expected a score for each of {len(self.places)}, got {score.shape}.")
        if self.cost is not None:
            start = self.places[chosen[-1]] if chosen else self.position
            if start is not None:
                seconds = self.cost.seconds(self.places, start)
                in_logarithm = self.acquisition.gain == "logarithm"  # type: ignore[attr-defined]
                score = score - np.log(seconds) if in_logarithm else score / seconds
        return score, belief

    def _farness(self, waiting: list[int]) -> Array:
        """How far candidates lie from all that were taken: the first places are spread."""
        known = [*self.measured, *self.failed, *waiting]
        span = np.ptp(self.places, axis=0)
        scaled = self.places / np.where(span > 0, span, 1.0)
        if not known:  # somewhere, by the seed
            return np.random.default_rng([self.random_state, 1]).random(len(scaled))
        distance: Array = cKDTree(scaled[known]).query(scaled)[0]
        # places at the border have neighbours on one side only, and would be taken first
        inner = np.minimum(scaled - scaled.min(axis=0), scaled.max(axis=0) - scaled).min(axis=1)
        return np.minimum(distance, 2 * inner + 0.05)

    @staticmethod
    def _highest(score: Array, free: NDArray[np.bool_], rng: np.random.Generator) -> int:
        """The free candidate of the highest score, by chance among equal ones."""
        clean = np.where(free & ~np.isnan(score), score, -np.inf)
        top = np.flatnonzero(clean == clean.max()) if np.isfinite(clean.max()) else np.flatnonzero(free)
        top = top[free[top]]
        return int(top[0] if len(top) == 1 else rng.choice(top))

    # ---------------------------------------------------------------- keeping

    def state(self) -> dict[str, Any]:
        """All that was asked and told, as plain values for JSON; what the search was made with is not in it."""
        return {
            "version": _VERSION,
            "candidates_sha256": self._hash(),
            "random_state": self.random_state,
            "measured": [int(k) for k in self.measured],
            "values": self.values.tolist(),
            "failed": [int(k) for k in self.failed],
            "pending": [int(k) for k in self.pending],
            "n_asked": self.n_asked,
            "position": None if self.position is None else self.position.tolist(),
        }

    @classmethod
    def resume(cls, state: Mapping[str, Any], places: ArrayLike, **made_with: Any) -> Self:
        """The search that gave `state`, made with the same `places` and arguments: it asks what that one would have.

        Raises
        ------
        ArgumentError : if it was of other candidates, or of a newer Adatom.
        """
        search = cls(places, **{**made_with, "random_state": state.get("random_state", 0)})
        if state.get("version") != _VERSION:
            raise ArgumentError(f"state: expected version {_VERSION}, got {state.get('version')}.")
        if state["candidates_sha256"] != search._hash():
            raise ArgumentError("state: expected that of a search among these places and inputs, got one of others.")
        search.measured, search.failed = list(state["measured"]), list(state["failed"])
        search.pending, search.n_asked = list(state["pending"]), int(state["n_asked"])
        values = np.asarray(state["values"], dtype=float)
        search.values = values if values.size else np.zeros((0, 1))
        search.position = None if state["position"] is None else np.asarray(state["position"], dtype=float)
        search._n_told = len(search.measured) + len(search.failed)
        return search

    def _hash(self) -> str:
        digest = hashlib.sha256(np.ascontiguousarray(self.places).tobytes())
        digest.update(np.ascontiguousarray(np.asarray(self.inputs, dtype=float)).tobytes())
        return digest.hexdigest()
