"""The library behind the book; the README has a plan of its packages."""

from lib.base import account, paths

__version__ = "0.1.0"

account.settle()  # before torch and Jupyter, which ask for the user's name as they are imported
paths.hand_down()
