"""Code behind the book: one concept a module, read from the ground up (see README)."""

__version__ = "0.1.0"
