"""Names of distributions."""

from __future__ import annotations

import re
from pathlib import Path


def normalized(name: str) -> str:
    """The one form of a distribution's name: lower, one hyphen a run of hyphens, underscores and dots (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def from_folder(folder: Path) -> str:
    """A name for a project that has none: its folder's, as far as a distribution can be called so."""
    return from_title(folder.resolve().name) or "project"


def from_title(title: str) -> str:
    """What of a title a distribution can be called, "" where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
