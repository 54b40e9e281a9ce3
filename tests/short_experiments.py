"""A short experiment on a simulated sample, without a model."""

from typing import Any

from adatom.experiment import ExperimentPlan, plan_of

LIMITS: dict[str, Any] = {
    "x_nm": [-700, 700],
    "y_nm": [-700, 700],
    "speed_nm_per_s": 5000,
    "total_time_s": 1e5,
    "bias_V": [-8, 8],
}
OVERVIEW: dict[str, Any] = {"width_nm": 1200, "height_nm": 1200, "rows": 12, "columns": 12, "dwell_time_s": 0.03}


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "limits": LIMITS,
        "overview": OVERVIEW,
        "quantity": {"name": "work"},
        "policy": {"acquisition": "random", "model": "none"},
        "stop": {"points": 6},
        **changes,
    }


def plan(**changes: Any) -> ExperimentPlan:
    return plan_of(facts(**changes))
