"""The closed loop: look, decide, go there, measure, learn; and its record, from which it goes on after any crash."""

from adatom.experiment.history import History, history_of
from adatom.experiment.plan import ExperimentPlan, plan_of, read_plan
from adatom.experiment.record import Record, read_record
from adatom.experiment.session import State, resume_experiment, run_experiment

__all__ = [
    "ExperimentPlan",
    "History",
    "Record",
    "State",
    "history_of",
    "plan_of",
    "read_plan",
    "read_record",
    "resume_experiment",
    "run_experiment",
]
