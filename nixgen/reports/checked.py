"""Reads what ``nixgen check --json`` printed, from a file."""

from __future__ import annotations

from pathlib import Path

from nixgen.errors import Problem, UserError
from nixgen.formats.strictjson import Table, document
from nixgen.machine import files
from nixgen.reports.model import Checked, Item, State

_MEND = "write it again: nixgen check --json > check.json"
_STATES: dict[bool | None, State] = {None: "unknown", True: "yes", False: "no"}


def read_result(path: Path) -> tuple[Checked, ...]:
    """What was checked, a value for each system. Raises UserError, MachineError for what cannot be read as that."""
    shown = path.name
    try:
        text = files.contents(path).decode()
    except UnicodeDecodeError as error:
        raise UserError.of(shown, f"is not UTF-8 text (byte {error.start})", _MEND) from None
    except FileNotFoundError:
        raise UserError.of(shown, "is not there", _MEND) from None
    except OSError as error:
        raise files.unreadable(shown, error) from None
    problems: list[Problem] = []
    top = Table(_given(document(text, shown, "a result of the check", _MEND)), shown, "", problems, _MEND)
    top.integer("version")
    when = top.text("time") if "time" in top else ""
    found = tuple(_result(table, when) for table in top.tables("reports"))
    if problems:
        raise UserError(dict.fromkeys(problems))
    return found


def _result(table: Table, when: str) -> Checked:
    steps = [
        Item(step.text("name"), _STATES[step.flag("ok") if "ok" in step else None], step.text("summary"))
        for step in table.tables("steps")
    ]
    return Checked(
        project=table.text("project"),
        system=table.text("system"),
        code=table.integer("exitCode"),
        verdict=table.text("verdict"),
        digest=table.text("digest") if "digest" in table else "",
        when=when,
        steps=tuple(steps),
    )


def _given(value: object, levels: int = 5) -> object:
    """A document without what is null down to a step's keys: that is how the check writes what it does not have."""
    if isinstance(value, dict) and levels:
        return {key: _given(item, levels - 1) for key, item in value.items() if item is not None}
    return [_given(item, levels - 1) for item in value] if isinstance(value, list) and levels else value
