"""How long each part may take: FUZZ_SECONDS is for all on all processors; without it, the same few examples."""

from __future__ import annotations

import os

from parsers import PARSERS

OTHERS = 1  # the wheel builder
SHARE = float(os.environ.get("FUZZ_SECONDS") or 0) * (os.cpu_count() or 1) / (len(PARSERS) + OTHERS)
"""Seconds for each parser, and for each of the others."""
