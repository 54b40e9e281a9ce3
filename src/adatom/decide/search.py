"""Which candidate to measure next: ask, measure by whatever means, tell."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from adatom.decide.acquisitions import acquisition_of, described
from adatom.decide.conditioning import Conditioned
from adatom.decide.outlook import Acquisition, Outlook, weighted
from adatom.decide.posterior import Array, Indices, Posterior, Surrogate
from adatom.decide.route import short_route
from adatom.decide.worth import Constraint, Costs, local_penalty, per_second, shared, steepest
from adatom.decide.zones import EVERYWHERE, Mask, Region
from adatom.errors import ArgumentError, ExperimentError, ShapeError

_POOL = 600  # candidates among which a batch is conditioned on itself; their covariances take 3 MB an output
_BATCHES = ("conditioning", "penalise")
_FORM = 1  # of the state


class Search:
    """Chooses among candidates; holds what was asked and told, and nothing else.

    Parameters
    ----------
    places : (n, 2), x and y of the candidates [nm].
    surrogate : what learns with the search; None for an acquisition that needs no model.
    inputs : (n, ...), what the surrogate sees of each candidate; the places where left out.
    acquisition : one of `adatom.decide.acquisitions.ACQUISITIONS`, an object of one of these classes, or any function
        of an `adatom.decide.Outlook` that gives a score a candidate.
    weights : (k,), what one unit of each output is worth, negative where less is better; by default 1 each.
    constraints : on outputs, which the best place has to meet.
    costs : of moving and measuring; then worth is counted a second, and a batch comes as a short route.
    region : where measuring is allowed.
    initial : acquisition without a model that chooses until `n_initial` values are known.
    n_initial : >= 2.
    batch : how the candidates of one `ask` know of each other and of pending ones: ``conditioning`` on their joint
        covariance, exact; or ``penalise``, for surrogates that know none.
    random_state : of all that is drawn.

    Raises
    ------
    ShapeError, ArgumentError : if an argument does not fit the others.
    """

    def __init__(
        self,
        places: ArrayLike,
        *,
        surrogate: Surrogate | None,
        inputs: ArrayLike | None = None,
        acquisition: str | Acquisition = "expected_improvement",
        weights: Sequence[float] | None = None,
        constraints: Sequence[Constraint] = (),
        costs: Costs | None = None,
        region: Region = EVERYWHERE,
        initial: str | Acquisition = "maximin",
        n_initial: int = 10,
        batch: str = "conditioning",
        random_state: int = 0,
    ) -> None:
        self.places, self.inputs = _checked(places, inputs)
        self._surrogate = surrogate
        self._acquisition = acquisition_of(acquisition) if isinstance(acquisition, str) else acquisition
        self._initial = acquisition_of(initial) if isinstance(initial, str) else initial
        if _needs_model(self._initial):
            raise ArgumentError(
                f"initial: expected an acquisition that needs no model, got {initial!r}. Try 'maximin'."
            )
        if surrogate is None and _needs_model(self._acquisition):
            raise ArgumentError(f"surrogate: expected a model, which {acquisition!r} needs, got None.")
        if n_initial < 2:
            raise ArgumentError(f"n_initial: expected 2 or more, got {n_initial}.")
        if batch not in _BATCHES:
            raise ArgumentError(f"batch: expected one of {', '.join(_BATCHES)}, got {batch!r}.")
        self._weights = None if weights is None else np.asarray(weights, dtype=float)
        self._constraints, self._costs = tuple(constraints), costs
        self._allowed = region.allows(self.places)
        self._n_initial, self._batch, self._seed = n_initial, batch, random_state
        self._measured: list[int] = []
        self._values: list[list[float]] = []
        self._failed: list[int] = []
        self._pending: list[int] = []
        self._last: int | None = None  # where the probe is, or will be when all is measured
        self._n_picks = 0
        self._belief: Posterior | None = None

    def ask(self, n: int = 1) -> Indices:
        """The next `n` candidates to measure; fewer, or none, where no more are left.

        They count as pending until they are told, and are not asked again.

        Raises
        ------
        ArgumentError : if `n` is less than 1.
        """
        if n < 1:
            raise ArgumentError(f"n: expected 1 or more, got {n}.")
        n = min(n, len(self.open()))
        if not n:
            return np.array([], dtype=np.int64)
        is_early = len(self._measured) < self._n_initial and _needs_model(self._acquisition)
        acquisition = self._initial if is_early else self._acquisition
        choose = self._choose_by_model if _needs_model(acquisition) else self._choose_without_model
        picked = choose(acquisition, n)
        if self._costs is not None and len(picked) > 1:
            picked = [picked[each] for each in short_route(self.places[picked], self._here())]
        self._pending += picked
        self._n_picks += len(picked)
        self._last = picked[-1]
        return np.array(picked, dtype=np.int64)

    def tell(self, which: ArrayLike, values: ArrayLike) -> None:
        """What was measured at candidates, asked for or not.

        Parameters
        ----------
        which : (m,).
        values : (m,) or (m, k); NaN where the measurement failed. Such a place is not asked again, and the model does
            not see it. A place that is told twice was measured twice.

        Raises
        ------
        ShapeError, ArgumentError : if there are no such candidates, or other numbers of values; nothing is kept then.
        """
        numbers = np.atleast_1d(np.asarray(which))
        rows = np.asarray(values, dtype=float)
        rows = rows.reshape(1, -1) if rows.ndim == 0 else rows[:, None] if rows.ndim == 1 else rows
        if numbers.ndim != 1 or rows.ndim != 2 or len(numbers) != len(rows) or not rows.shape[1]:
            raise ShapeError(
                f"values: expected (m,) or (m, k) for m = {numbers.size} candidates, got {np.shape(values)}."
            )
        if not np.issubdtype(numbers.dtype, np.integer) or ((numbers < 0) | (numbers >= len(self.places))).any():
            raise ArgumentError(f"which: expected numbers of candidates, 0 to {len(self.places) - 1}, got {which!r}.")
        k = self.n_outputs or (None if self._weights is None else len(self._weights))
        if k is not None and rows.shape[1] != k:
            raise ShapeError(f"values: expected {k} a candidate, got {rows.shape[1]}.")
        if any(each.output not in range(rows.shape[1]) for each in self._constraints):
            raise ShapeError(f"constraints: expected outputs 0 to {rows.shape[1] - 1}, got others.")
        for number, row in zip(numbers.tolist(), rows, strict=True):
            if number in self._pending:
                self._pending.remove(number)
            if np.isfinite(row).all():
                self._measured.append(number)
                self._values.append(row.tolist())
            else:
                self._failed.append(number)
            self._last = number if not self._pending else self._last
        self._belief = None

    @property
    def n_outputs(self) -> int:
        """How many numbers were told a candidate; 0 before."""
        return len(self._values[0]) if self._values else 0

    @property
    def measured(self) -> Indices:
        """(m,), candidates whose values are known, in the order of `tell`."""
        return np.array(self._measured, dtype=np.int64)

    @property
    def values(self) -> Array:
        """(m, k), their values."""
        return np.array(self._values, dtype=float).reshape(len(self._measured), self.n_outputs)

    @property
    def failed(self) -> Indices:
        """Candidates at which a measurement failed."""
        return np.array(self._failed, dtype=np.int64)

    @property
    def pending(self) -> Indices:
        """Candidates that were asked for and not told yet."""
        return np.array(self._pending, dtype=np.int64)

    def open(self) -> Indices:
        """Candidates that may be asked for."""
        is_open = self._allowed.copy()
        is_open[self._measured + self._failed + self._pending] = False
        return np.flatnonzero(is_open)

    def belief(self) -> Posterior:
        """What the surrogate says of all candidates, fitted to all that was told; kept until more is told.

        Raises
        ------
        ExperimentError : if there is no surrogate, or fewer than two values are known.
        """
        if self._surrogate is None or len(self._measured) < 2:
            raise ExperimentError("belief: expected a surrogate and two values at least, got fewer.")
        if self._belief is None:
            knows_all = "all_inputs" in signature(self._surrogate.fit).parameters
            beside = {"all_inputs": self.inputs} if knows_all else {}
            self._surrogate.fit(self.inputs[self._measured], self.values, **beside)
            belief = self._surrogate.posterior(self.inputs)
            expected = (len(self.places), self.n_outputs)
            if belief.mean.shape != expected:
                raise ShapeError(f"posterior: expected {expected} of the surrogate, got {belief.mean.shape}.")
            self._belief = belief
        return self._belief

    def worth(self) -> Posterior:
        """Of the weighted sum of the outputs, at all candidates."""
        return weighted(self.belief(), self._used_weights())

    def best(self) -> tuple[int, Array]:
        """The measured candidate of the highest weighted sum that meets the constraints, and its values (k,).

        Raises
        ------
        ExperimentError : if none was measured that does.
        """
        meets = self._meets(self.values)
        if not meets.any():
            raise ExperimentError("best: expected a measured place that meets the constraints, got none yet.")
        worth = np.where(meets, self.values @ self._used_weights(), -np.inf)
        number = int(np.argmax(worth))
        return self._measured[number], self.values[number]

    def state(self) -> dict[str, Any]:
        """All that `resume` needs, as plain values that JSON can hold."""
        return {
            "form": _FORM,
            "candidates": self._fingerprint(),
            "acquisition": described(self._acquisition),
            "initial": described(self._initial),
            "weights": None if self._weights is None else self._weights.tolist(),
            "constraints": [asdict(each) for each in self._constraints],
            "costs": None if self._costs is None else asdict(self._costs),
            "not_allowed": np.flatnonzero(~self._allowed).tolist(),
            "n_initial": self._n_initial,
            "batch": self._batch,
            "random_state": self._seed,
            "measured": list(self._measured),
            "values": [list(row) for row in self._values],
            "failed": list(self._failed),
            "pending": list(self._pending),
            "last": self._last,
            "n_picks": self._n_picks,
        }

    @classmethod
    def resume(
        cls,
        state: dict[str, Any],
        places: ArrayLike,
        *,
        surrogate: Surrogate | None,
        inputs: ArrayLike | None = None,
        acquisition: Acquisition | None = None,
        initial: Acquisition | None = None,
    ) -> Self:
        """The search as it was when `state` was taken; it asks what that one would have asked.

        Parameters
        ----------
        surrogate : made as the first one was.
        acquisition, initial : only where they were not of this package, since a state holds no code.

        Raises
        ------
        ExperimentError : if the state is of other candidates, or of another version.
        """
        if state.get("form") != _FORM:
            raise ExperimentError(
                f"state: expected form {_FORM}, got {state.get('form')}. Resume with the same Adatom."
            )
        given = {"acquisition": acquisition, "initial": initial}
        for name, kept in ((each, state[each]) for each in given):
            if kept is None and given[name] is None:
                raise ExperimentError(f"{name}: expected the one that the search was begun with, got None.")
            if kept is not None:
                given[name] = acquisition_of(kept["name"], kept["settings"])
        allowed = np.ones(len(np.asarray(places)), dtype=bool)
        not_allowed = np.asarray(state["not_allowed"], dtype=int)
        allowed[not_allowed[not_allowed < len(allowed)]] = False
        search = cls(
            places,
            surrogate=surrogate,
            inputs=inputs,
            acquisition=given["acquisition"] or "expected_improvement",
            initial=given["initial"] or "maximin",
            weights=state["weights"],
            constraints=[Constraint(**each) for each in state["constraints"]],
            costs=None if state["costs"] is None else Costs(**state["costs"]),
            region=Region(mask=allowed),
            n_initial=state["n_initial"],
            batch=state["batch"],
            random_state=state["random_state"],
        )
        if search._fingerprint() != state["candidates"]:
            raise ExperimentError(
                "places: expected the candidates that the search was begun with, got others. Give the same places and "
                "inputs, or begin a new search and tell it what is known."
            )
        search._measured, search._values = list(state["measured"]), [list(row) for row in state["values"]]
        search._failed, search._pending = list(state["failed"]), list(state["pending"])
        search._last, search._n_picks = state["last"], state["n_picks"]
        return search

    def _choose_without_model(self, acquisition: Acquisition, n: int) -> list[int]:
        picked: list[int] = []
        while len(picked) < n:
            open_now = np.setdiff1d(self.open(), picked)
            scores = self._score(acquisition, self._outlook(None, open_now, picked, self.values))
            # an order stays the same, whatever was picked
            n_now = n - len(picked) if getattr(acquisition, "is_order", False) else 1
            picked += open_now[np.argsort(-scores, kind="stable")[:n_now]].tolist()
        return picked

    def _choose_by_model(self, acquisition: Acquisition, n: int) -> list[int]:
        belief, candidates = self.belief(), self.open()
        waiting = np.unique(self._pending).astype(np.int64)
        is_conditioned = self._batch == "conditioning"
        uses_joint = getattr(acquisition, "uses_joint", False)
        pool, first = candidates, None
        size = max(_POOL, n)
        if len(candidates) > size and uses_joint:
            pool = self._hopeful(candidates, size)
        elif not uses_joint:
            first = self._worth_of(acquisition, _part(belief, candidates), candidates, [])
            if n == 1 and not len(waiting):
                return [int(candidates[self._highest(first, 0)])]
            pool = np.sort(candidates[np.argsort(-first, kind="stable")[:size]])
        conditioned = None
        if is_conditioned:
            conditioned = Conditioned(belief, np.concatenate([pool, waiting]))
            for each in range(len(pool), len(pool) + len(waiting)):
                conditioned.measure(each)
        picked: list[int] = []
        is_open = np.ones(len(pool), dtype=bool)
        while len(picked) < n and is_open.any():
            where = np.flatnonzero(is_open)
            seen = _part(belief, pool[where]) if conditioned is None else conditioned.posterior(where)
            scores = self._worth_of(acquisition, seen, pool[where], picked)
            number = int(where[self._highest(scores, len(picked))])
            if conditioned is not None:
                conditioned.measure(number)
            is_open[number] = False
            picked.append(int(pool[number]))
        return picked

    def _worth_of(self, acquisition: Acquisition, seen: Posterior, candidates: Indices, picked: list[int]) -> Array:
        """(m,), scores with constraints, costs and, where asked for, penalties near picks."""
        belief, weights = self.belief(), self._used_weights()
        is_logarithm = getattr(acquisition, "is_logarithm", False)
        believed = np.array([*self._pending, *picked], dtype=np.int64)
        meets = self._meets(self.values)
        # the best measured value is the luckiest one too: what counts is what is believed of the true values there;
        # what is pending is believed to turn out as expected
        expected = belief.mean[believed]
        known = np.vstack([belief.mean[self._measured][meets], expected[self._meets(expected)]])
        outlook = self._outlook(seen, candidates, picked, known)
        chance = sum((each.log_probability(seen) for each in self._constraints), np.zeros(len(candidates)))
        if meets.any():
            scores = shared(self._score(acquisition, outlook), chance, is_logarithm=is_logarithm)
        else:  # first find a place at all
            scores, is_logarithm = chance, True
        if self._costs is not None:
            here = self.places[picked[-1]] if picked else self._here()
            scores = per_second(scores, self._costs.seconds(here, outlook.places), is_logarithm=is_logarithm)
        if self._batch == "penalise" and len(believed):
            worth = weighted(belief, weights)
            best = float(worth.mean[self._measured, 0].max())
            slope = steepest(self.places, worth.mean[:, 0])
            mean, std = worth.mean[believed, 0], worth.std[believed, 0]
            penalty = local_penalty(outlook.places, self.places[believed], mean, std, best, slope)
            if not is_logarithm:
                spread = max(float(np.std(scores[np.isfinite(scores)])), 1e-300)
                scores = np.log(np.logaddexp(0, (scores - np.median(scores)) / spread))
            scores = scores + penalty
        return scores

    def _score(self, acquisition: Acquisition, outlook: Outlook) -> Array:
        scores = np.asarray(acquisition(outlook), dtype=float)
        if scores.shape != (len(outlook.numbers),) or np.isnan(scores).any():
            raise ShapeError(
                f"acquisition: expected a number for each of {len(outlook.numbers)} candidates, got {scores.shape}"
                f"{' with NaN' if scores.shape == outlook.numbers.shape else ''}."
            )
        return scores

    def _highest(self, scores: Array, n_before: int) -> int:
        """Number of the highest score; of equal ones, which a model that knows little gives to whole regions, any."""
        finite = scores[np.isfinite(scores)]
        rounding = 1e-9 * float(np.ptp(finite)) + 1e-12 * float(np.abs(finite).max()) if len(finite) else 0.0
        rng = np.random.default_rng([self._seed, self._n_picks + n_before, 2])
        return int(rng.choice(np.flatnonzero(scores >= scores.max() - rounding)))

    def _outlook(self, seen: Posterior | None, candidates: Indices, picked: list[int], known: Array) -> Outlook:
        taken = [*self._measured, *self._failed, *self._pending, *picked]
        flat = self.inputs.reshape(len(self.inputs), -1)
        return Outlook(
            belief=seen,
            weights=self._used_weights(),
            known=known,
            places=self.places[candidates],
            inputs=flat[candidates],
            taken_places=self.places[taken],
            taken_inputs=flat[taken],
            numbers=candidates,
            all_places=self.places,
            seed=self._seed,
            # each decision draws anew, and a resumed search draws what the first one would have drawn
            rng=np.random.default_rng([self._seed, self._n_picks + len(picked)]),
        )

    def _hopeful(self, candidates: Indices, size: int) -> Indices:
        """So many that their joint covariance can be held: the highest by mean plus two deviations, and others."""
        worth = self.worth()
        order = np.argsort(-(worth.mean[candidates, 0] + 2 * worth.std[candidates, 0]), kind="stable")
        high, rest = order[: size // 2], order[size // 2 :]
        rng = np.random.default_rng([self._seed, self._n_picks, 1])
        return np.sort(candidates[np.concatenate([high, rng.choice(rest, size - len(high), replace=False)])])

    def _meets(self, values: Array) -> Mask:
        meets = np.ones(len(values), dtype=bool)
        for each in self._constraints:
            meets &= each.is_met(values)
        return meets

    def _used_weights(self) -> Array:
        return np.ones(max(self.n_outputs, 1)) if self._weights is None else self._weights

    def _here(self) -> Array:
        """Where the probe is; nobody knows before the first measurement, so it is in the middle."""
        return self.places.mean(axis=0) if self._last is None else self.places[self._last]

    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for array in (self.places, self.inputs):
            digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()


def _checked(places: ArrayLike, inputs: ArrayLike | None) -> tuple[Array, Array]:
    places = np.asarray(places, dtype=float)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise ShapeError(f"places: expected (n, 2), x and y of each candidate, got {places.shape}.")
    seen = places if inputs is None else np.asarray(inputs, dtype=float)
    if len(seen) != len(places):
        raise ShapeError(f"inputs: expected one row for each of {len(places)} candidates, got {len(seen)}.")
    if not (np.isfinite(places).all() and np.isfinite(seen).all()):
        raise ArgumentError("places, inputs: expected finite numbers, got others. Leave such candidates out.")
    return places, seen


def _needs_model(acquisition: Acquisition) -> bool:
    return bool(getattr(acquisition, "needs_model", True))


def _part(belief: Posterior, which: Indices) -> Posterior:
    """What is believed of some candidates."""
    return Posterior(
        belief.mean[which], belief.std[which], belief.noise_std[which], lambda some: belief.covariance(which[some])
    )
