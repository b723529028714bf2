"""The metrics of a run: numbers by name, out of a file that the command wrote or of lines that it printed."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import sys
from pathlib import Path
from typing import Any

from nixgen.errors import UserError
from nixgen.formats import yamltext
from nixgen.machine import files

MARK = b"nixgen-metric:"
"""How a line of stdout begins that has metrics: ``nixgen-metric: auc=0.93 loss=0.2``. The last value of each counts."""

_LONGEST = 1 << 16  # bytes of such a line


def from_file(path: Path) -> dict[str, float]:
    """The numbers in a JSON or YAML file, by dotted names: ``test.auc``, ``folds.0``. Texts and the like are left out.

    Raises UserError for what cannot be read, and OSError.
    """
    shown = f"--metrics {path}"
    try:
        text = files.contents(path).decode()
        value = _loads(text, path.suffix.lower())
    except (ValueError, RecursionError) as error:
        raise UserError.of(shown, f"is neither JSON nor YAML: {error}") from None
    found: dict[str, float] = {}
    try:
        _collect(value, "", found, set())
    except RecursionError:
        raise UserError.of(shown, "nests too deeply") from None
    if not found:
        raise UserError.of(shown, "has no numbers in it")
    return found


def from_lines(path: Path) -> dict[str, float]:
    """Those of the lines of a file that begin with ``MARK``. The file may be as long as it likes."""
    found: dict[str, float] = {}
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return found
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            at = data.find(MARK)
            while at != -1:
                end = data.find(b"\n", at, at + _LONGEST)
                end = end if end != -1 else min(len(data), at + _LONGEST)
                if at == 0 or data[at - 1 : at] in {b"\n", b"\r"}:
                    found |= _pairs(data[at + len(MARK) : end].decode("utf-8", "replace"))
                at = data.find(MARK, end)
    return found


def _loads(text: str, suffix: str) -> Any:  # noqa: ANN401 -- any plain value
    if suffix in {".yaml", ".yml"}:
        return yamltext.loads(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if suffix == ".json":
            raise
        return yamltext.loads(text)


def _collect(value: Any, name: str, found: dict[str, float], above: set[int]) -> None:  # noqa: ANN401 -- the same
    """Numbers by name. What holds itself (YAML's aliases can) is looked at once."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        large = abs(value) > sys.float_info.max  # as a number with a fraction, which JSON reads as infinite then
        found[name] = (math.inf if value > 0 else -math.inf) if large else value
    if isinstance(value, dict | list) and id(value) not in above:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            _collect(item, f"{name}.{key}" if name else str(key), found, above | {id(value)})


def _pairs(line: str) -> dict[str, float]:
    found = {}
    for word in line.split():
        name, _, text = word.partition("=")
        if name:
            with contextlib.suppress(ValueError):
                found[name] = float(text)
    return found
