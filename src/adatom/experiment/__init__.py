"""Automated experiments: the closed loop, its plan, its record, and its report."""

from adatom.experiment.loop import Experiment
from adatom.experiment.plan import Plan, read_plan
from adatom.experiment.record import read_array, read_record

__all__ = ["Experiment", "Plan", "read_array", "read_plan", "read_record"]
