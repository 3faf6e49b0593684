"""Sweeps: which runs are missing, and who makes them."""

from lib.sweeps.file import Sweep, read
from lib.sweeps.planning import Outcome, Plan, check_budget, parse_shard, plan
from lib.sweeps.work import run

__all__ = ["Outcome", "Plan", "Sweep", "check_budget", "parse_shard", "plan", "read", "run"]
