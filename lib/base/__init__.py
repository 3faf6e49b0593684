"""The ground floor: errors, places, text, files written whole, seeds, and the fingerprint of code."""
