"""Asks a policy's conditions of a version: each comes out with its value and what was wanted.

What cannot be measured does not hold: a metric that is missing, not a number or infinite, a reproduction that nobody
made, a command that cannot be started.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal

from nixgen.log.note import Note, NoteError, Verifier
from nixgen.machine import process
from nixgen.registry.checksums import LONGEST
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.policy import Rules, Threshold
from nixgen.registry.registry import Registry
from nixgen.registry.state import Model
from nixgen.registry.verify import sound

METRICS = "metrics.json"
Smoke = Callable[[Sequence[str]], tuple[bool, str]]
"""Runs a command on a version's files: whether it ended with 0, and what it came to."""


def conditions(
    registry: Registry, entry: Entry, alias: str, rules: Rules, smoke: Smoke, reproduced: str
) -> list[Condition]:
    """What the rules of an alias come to for a version.

    ``smoke`` runs a command on the version's files; ``reproduced`` is the best verdict that a reproduction of
    its run came to: "bytes", "metrics", or "" for none.
    """
    model = registry.state().model(entry.model)
    found = [_intact(registry, entry)]
    mine = _metrics(registry, entry)
    now = model.versions.get(model.alias(alias))
    theirs = _metrics(registry, now) if now else {}
    for threshold in rules.metrics:
        found += _threshold(threshold, mine, theirs, now.version if now else "")
    if rules.after:
        had = any(move.version == entry.version for move in model.moves.get(rules.after, []))
        found.append(Condition(f"after {rules.after}", had, "it was" if had else "it never was", f"was {rules.after}"))
    if rules.reproduced:
        fine = reproduced in {"bytes", rules.reproduced}
        wanted = "the same bytes" if rules.reproduced == "bytes" else "the same metrics"
        found.append(
            Condition("reproduced", fine, f"the same {reproduced}" if reproduced else "not reproduced", wanted)
        )
    if rules.smoke:
        fine, value = smoke(rules.smoke)
        found.append(Condition("smoke", fine, value, f"{process.shown(rules.smoke)} ends with 0"))
    if rules.approvals:
        signed = _approved(model, entry, rules)
        value = ", ".join(key.name for key in signed) or "none"
        known = ", ".join(key.name for key in rules.keys)
        found.append(Condition("approvals", len(signed) >= rules.approvals, value, f"{rules.approvals} of {known}"))
    return found


def approval(entry: Entry) -> str:
    """The text that who approves of a version signs: it stands for every byte."""
    return f"nixgen approves\n{entry.model}@{entry.version}\n{entry.digest}\n"


def _intact(registry: Registry, entry: Entry) -> Condition:
    wrong = sound(registry, entry)
    return Condition("files", not wrong, f"{len(wrong)} differ" if wrong else "as published", "as published")


def _metrics(registry: Registry, entry: Entry) -> Mapping[str, float]:
    """The metrics that are numbers."""
    data = registry.files.read(f"{entry.model}/{entry.version}/{METRICS}", LONGEST)
    try:
        table = json.loads(data or b"{}")
    except ValueError:
        return {}
    numbers = table.items() if isinstance(table, dict) else ()
    return {
        name: float(value)
        for name, value in numbers
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _threshold(
    wanted: Threshold, mine: Mapping[str, float], theirs: Mapping[str, float], version: str
) -> Iterator[Condition]:
    value = mine.get(wanted.metric)
    shown = "no number" if value is None else f"{value:g}"
    if wanted.min is not None:
        yield Condition(wanted.metric, value is not None and value >= wanted.min, shown, f"at least {wanted.min:g}")
    if wanted.max is not None:
        yield Condition(wanted.metric, value is not None and value <= wanted.max, shown, f"at most {wanted.max:g}")
    before = theirs.get(wanted.metric)
    if not version:
        return  # the first one to have the alias is compared with nothing
    against = "no number" if before is None else f"{before:g}"
    for limit, word, sign in ((wanted.drop, "lower", -1), (wanted.rise, "higher", 1)):
        if limit is not None:
            # As decimals, which people write: 0.9 - 0.895 is 0.005, and as binary fractions a little more.
            fine = value is not None and before is not None and sign * (_exact(value) - _exact(before)) <= _exact(limit)
            text = f"at most {limit:g} {word} than {version} ({against})"
            yield Condition(wanted.metric, fine, shown, text)


def _exact(value: float) -> Decimal:
    return Decimal(repr(value))


def _approved(model: Model, entry: Entry, rules: Rules) -> list[Verifier]:
    """The keys of the policy that signed this very version."""
    notes = []
    for one in model.approvals.get(entry.version, []):
        with contextlib.suppress(NoteError):
            notes.append(Note.parse(one.note.encode()))
    return [key for key in rules.keys if any(_signed(note, key, approval(entry)) for note in notes)]


def _signed(note: Note, key: Verifier, text: str) -> bool:
    try:
        return note.verified(key) == text
    except NoteError:
        return False
