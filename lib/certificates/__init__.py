"""Certificates: bounds of what a network can be made to say of an image, and SingleProp, which is none."""

from lib.certificates.checked import certified, interval_bounds, margins, singleprop
from lib.certificates.reading import Reading, read
from lib.certificates.relaxation import RULES
from lib.certificates.verify import METHODS

__all__ = ["METHODS", "RULES", "Reading", "certified", "interval_bounds", "margins", "read", "singleprop"]
