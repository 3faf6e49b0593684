"""The library behind the book; the README has a plan of its packages."""

__version__ = "0.1.0"
