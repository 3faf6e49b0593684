"""Measurements: a tidy table of one trained network each, and the columns it adds to a summary of
networks.
"""

from lib.measurements.measurement import Measurement
from lib.measurements.registry import MEASUREMENTS, file_name, settled

__all__ = ["MEASUREMENTS", "Measurement", "file_name", "settled"]
