"""The only place where pyarrow is imported: when it is first needed, with a sentence when it is not there."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from nixgen.errors import MachineError
from nixgen.machine import extras


@functools.cache
def arrow(module: str = "") -> Any:  # noqa: ANN401 -- a module of pyarrow, which has no types
    """pyarrow, or a module of it: ``arrow("parquet")``. Raises MachineError when the extra ``data`` is missing."""
    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise MachineError.of(
            "",
            "to read datasets, nixgen needs pyarrow, which is not installed",
            extras.install("data"),
        ) from None
