"""Names of distributions."""

from __future__ import annotations

import re


def normalized(name: str) -> str:
    """The one form of a distribution's name: lower, one hyphen a run of hyphens, underscores and dots (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
