"""Seeds derived from one seed and a purpose."""

from __future__ import annotations

import hashlib
import json


def derived_seed(seed: int, *purpose: str | int) -> int:
    """Derive a separate seed for each purpose, such as ("weights",) or ("order", 3): 63 bits of a SHA-256."""
    text = json.dumps([seed, *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
