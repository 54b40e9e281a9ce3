"""The search and the stopping rules that a plan asks for."""

from typing import Any

from adatom.decide import Costs, Disc, Rectangle, Region, Search, Surrogate, acquisition_of
from adatom.decide.stopping import Budget, NoMoreImprovement, StoppingRule, UncertaintyBelow
from adatom.experiment.history import History
from adatom.experiment.plan import ExperimentPlan, ForbiddenDisc, Policy
from adatom.experiment.targets import Array, TargetSet


def search_of(plan: ExperimentPlan, targets: TargetSet, history: History, surrogate: Surrogate | None) -> Search:
    """The search as the record left it.

    Raises
    ------
    ArgumentError : if the policy makes no sense for these targets.
    """
    policy = plan.policy
    speed = plan.speed_nm_per_s or plan.limits.speed_nm_per_s
    zones = [(Disc if isinstance(each, ForbiddenDisc) else Rectangle)(**each.model_dump()) for each in policy.forbidden]
    search = Search(
        targets.places,
        surrogate=surrogate,
        inputs=targets.inputs,
        acquisition=acquisition_of(policy.acquisition, policy.settings),
        weights=[-1.0 if plan.quantity.goal == "lowest" else 1.0],
        costs=Costs(speed, _spectrum_s(plan)) if policy.moving_costs else None,
        region=Region(zones, margin_nm=policy.margin_nm),
        initial=policy.initial,
        n_initial=policy.n_initial,
        random_state=plan.seed,
    )
    state = history.search_state(search.state())
    return Search.resume(state, targets.places, surrogate=surrogate, inputs=targets.inputs)


def surrogate_of(policy: Policy, seed: int) -> Surrogate | None:
    """The model that a policy names.

    Raises
    ------
    ArgumentError : if the model has no such setting.
    """
    if policy.model == "none":
        return None
    import adatom

    if policy.model == "dkl":
        deep: Surrogate = adatom.DeepKernelRegressor(random_state=seed, **policy.model_settings)
        return deep
    # one length for all inputs, which are alike: few measurements do not tell several
    made: Surrogate = adatom.GaussianProcessRegressor(
        **{"isotropic": True, "random_state": seed, **policy.model_settings}
    )
    return made


def described_model(surrogate: Surrogate | None) -> dict[str, Any] | None:
    """What is recorded of a model at each decision: its name, and how well it foretells what it was not shown."""
    if surrogate is None:
        return None
    return {"name": type(surrogate).__name__, "figures": dict(getattr(surrogate, "figures_", {}))}


def stopping_rules(plan: ExperimentPlan) -> list[StoppingRule]:
    """Whichever of them says so first ends the experiment."""
    stop = plan.stop
    rules: list[StoppingRule] = [Budget(points=stop.points, seconds=stop.seconds)]
    if stop.std_below is not None:
        rules.append(UncertaintyBelow(stop.std_below))
    if stop.no_improvement is not None:
        rules.append(NoMoreImprovement(regret=stop.regret, n_last=stop.no_improvement))
    return rules


def expected_at(search: Search, candidates: list[int]) -> dict[str, list[float]] | None:
    """What the model says of candidates before they are measured; None where it knows too little."""
    if len(search.measured) < 2:
        return None
    belief = search.belief()
    columns: dict[str, Array] = {"mean": belief.mean, "std": belief.std, "noise_std": belief.noise_std}
    return {name: [float(value) for value in column[candidates, 0]] for name, column in columns.items()}


def _spectrum_s(plan: ExperimentPlan) -> float:
    """Of one spectrum; where the instrument says the points, a hundred of them are taken for granted."""
    n_points = 100 if plan.spectrum.values is None else len(plan.spectrum.values)
    return n_points * plan.spectrum.dwell_time_s
