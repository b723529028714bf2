"""nixgen's extras: which are installed, and the command that adds one and keeps the others."""

from __future__ import annotations

from importlib import util

MODULES = {
    "cache": "cryptography",
    "data": "pyarrow",
    "mlflow": "mlflow",
    "remote": "obstore",
    "sign": "model_signing",
}
"""A module of each extra; README installs the first two."""
_USUAL = ("cache", "data")


def install(*wanted: str) -> str:
    """What to type for these extras: nixgen is on no index, and ``uv tool install`` drops what it is not told again."""
    present = (extra for extra, module in MODULES.items() if util.find_spec(module) is not None)
    names = ",".join(sorted({*_USUAL, *wanted, *present}))
    locked = "--constraints .ci/requirements-dev.lock --build-constraints requirements.lock"
    return f"in a clone of nixgen: uv tool install {locked} '.[{names}]'"
