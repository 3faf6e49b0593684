"""Measurements: a tidy table of one trained network each, and the columns it adds to a summary of
networks.
"""

from lib.measurements.measurement import Column, Kind, Measurement
from lib.measurements.registry import MEASUREMENTS, Asked, file_name, settled

__all__ = ["Asked", "Column", "Kind", "MEASUREMENTS", "Measurement", "file_name", "settled"]
