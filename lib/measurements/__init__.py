"""Measurements: a tidy table of one trained network each, and the columns it adds to a summary of
networks.
"""

from lib.measurements.asked import Asked, file_name, settled
from lib.measurements.measurement import Column, Kind, Measurement
from lib.measurements.registry import MEASUREMENTS

__all__ = ["Asked", "Column", "Kind", "MEASUREMENTS", "Measurement", "file_name", "settled"]
