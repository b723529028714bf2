"""Whether a tracker is asked for: nothing else is imported where none is."""

from __future__ import annotations

import os
from pathlib import Path

from nixgen.trackers.client import VARIABLE


def after_record(root: Path, folder: Path) -> None:
    """Logs the run that was just recorded, where that is wanted; not what ``nixgen reproduce`` runs."""
    if os.environ.get(VARIABLE) and not os.environ.get("NIXGEN_REPRODUCING"):
        from nixgen.trackers.tracking import log_recorded

        log_recorded(root, folder)
