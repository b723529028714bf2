"""nixgen turns a uv project into an environment that any machine with Nix rebuilds byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nixgen.runs.seeding import seed_everything as seed_everything

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """``nixgen.seed_everything``, which nixgen itself has no use for."""
    if name == "seed_everything":
        from nixgen.runs.seeding import seed_everything

        return seed_everything
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
