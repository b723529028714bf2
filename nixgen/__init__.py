"""nixgen turns a uv project into an environment that any machine with Nix rebuilds byte for byte."""

from __future__ import annotations

__version__ = "0.1.0"
