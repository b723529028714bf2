"""The measurements behind docs/benchmarks.md: ``python -m bench`` (or ``make bench``)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # support, which measurements use, too
