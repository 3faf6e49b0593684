"""The commands of `python -m lib`: a module for each, or for a few that belong together.

They check their words with what is light to import, and import what works below, so that help and typos are
answered at once.
"""
