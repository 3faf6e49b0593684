"""The cache: trained networks and the tables measured on them."""

from lib.runs.epochs import snapshots
from lib.runs.run import (
    CONFIG,
    HISTORY,
    WEIGHTS,
    check_images,
    command,
    config,
    frozen,
    grid,
    load,
    make,
    missing,
)
from lib.runs.simulation import Simulation
from lib.runs.simulations import simulated
from lib.runs.tables import history, network_selectivity, summary, table, tables_at_hand
from lib.training.training import Training

__all__ = [
    "CONFIG",
    "HISTORY",
    "Simulation",
    "Training",
    "WEIGHTS",
    "check_images",
    "command",
    "config",
    "frozen",
    "grid",
    "history",
    "load",
    "make",
    "missing",
    "network_selectivity",
    "simulated",
    "snapshots",
    "summary",
    "table",
    "tables_at_hand",
]
