"""Asks a policy's conditions of a version: each comes out with its value and what was wanted.

What cannot be measured does not hold: a metric that is missing, not a number or infinite, a reproduction that nobody
made, a command that cannot be started.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from nixgen.errors import NixgenError
from nixgen.log.note import Note, NoteError, Verifier
from nixgen.machine import process
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.policy import Drift, Rules, Threshold
from nixgen.registry.registry import Registry
from nixgen.registry.state import Model
from nixgen.registry.verify import document, sound

if TYPE_CHECKING:
    from nixgen.data.diff import DataDiff

METRICS = "metrics.json"
DATA = "data_manifest.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the project about a version, each where the policy needs it.

    ``smoke`` runs a command on its files: whether that ended with 0, and what it came to. ``reproduced`` is the best
    verdict that a reproduction of its run came to: "bytes", "metrics", or "" for none. ``drifted`` is what differs in
    a dataset from that of another version, and raises NixgenError where that cannot be told. ``signed`` says why the
    statement about its run is not signed with the key in a file, "" if it is.
    """

    smoke: Callable[[Sequence[str]], tuple[bool, str]]
    reproduced: Callable[[], str]
    drifted: Callable[[str, Entry], DataDiff]
    signed: Callable[[str], str]


def conditions(registry: Registry, entry: Entry, alias: str, rules: Rules, asked: Asked) -> list[Condition]:
    """What the rules of an alias come to for a version."""
    model = registry.state().model(entry.model)
    found = [_intact(registry, entry)]
    mine = _metrics(registry, entry)
    now = model.versions.get(model.alias(alias))
    theirs = _metrics(registry, now) if now else {}
    for threshold in rules.metrics:
        found += _threshold(threshold, mine, theirs, now.version if now else "")
    for drift in rules.data:
        found += _data(registry, entry, now, drift, asked)
    if rules.after:
        had = any(move.version == entry.version for move in model.moves.get(rules.after, []))
        found.append(Condition(f"after {rules.after}", had, "it was" if had else "it never was", f"was {rules.after}"))
    if rules.reproduced:
        reproduced = asked.reproduced()
        fine = reproduced in {"bytes", rules.reproduced}
        wanted = "the same bytes" if rules.reproduced == "bytes" else "the same metrics"
        found.append(
            Condition("reproduced", fine, f"the same {reproduced}" if reproduced else "not reproduced", wanted)
        )
    if rules.smoke:
        fine, value = asked.smoke(rules.smoke)
        found.append(Condition("smoke", fine, value, f"{process.shown(rules.smoke)} ends with 0"))
    if rules.signed:
        why = asked.signed(rules.signed)
        found.append(Condition("signed", not why, why or "it is", f"by {rules.signed}"))
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
    return {
        name: float(value)
        for name, value in document(registry.files, entry, METRICS).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    }


def _data(registry: Registry, entry: Entry, now: Entry | None, wanted: Drift, asked: Asked) -> Iterator[Condition]:
    """How far a dataset is from that of the version that has the alias."""
    name = wanted.dataset
    mine = document(registry.files, entry, DATA).get(name)
    if mine is None or now is None:  # the first one to have the alias is compared with nothing
        yield Condition(f"data {name}", mine is not None, "none" if mine is None else "there", "there")
        return
    if mine == document(registry.files, now, DATA).get(name):
        yield Condition(f"data {name}", True, "the same", f"near that of {now.version}")
        return
    try:
        found = asked.drifted(name, now)
    except NixgenError as error:
        why = "; ".join(f"{one.where}: {one.what}" if one.where else one.what for one in error.problems)
        yield Condition(f"data {name}", False, f"not measured: {why}", f"near that of {now.version}")
        return
    yield from _drifts(found, wanted, now.version)


def _drifts(found: DataDiff, wanted: Drift, version: str) -> Iterator[Condition]:
    from nixgen.data import drift

    name = f"data {wanted.dataset}"
    unknown = "not measured"
    columns = drift.columns(found, wanted.without)
    shown = "; ".join([unknown, *found.notes]) if columns is None else f"{columns} changed"
    fine = columns is not None and columns <= wanted.columns
    yield Condition(f"{name}: columns", fine, shown, f"at most {wanted.columns} changed since {version}")
    if wanted.rows is not None:
        rows = drift.rows(found)
        fine = rows is not None and abs(rows) <= wanted.rows
        text = f"at most {wanted.rows:.4g} more or fewer than {version}, as a share"
        yield Condition(f"{name}: rows", fine, unknown if rows is None else f"{rows:+.4g}", text)
    for limit, measure, unit in (
        (wanted.nulls, drift.nulls, "as a share of the rows"),
        (wanted.mean, drift.mean, "in its spread"),
        (wanted.quantiles, drift.quantiles, "in its spread"),
    ):
        if limit is not None:
            moved = measure(found, wanted.without)
            where = f" in {moved.column}" if moved.column else ""
            fine = moved.amount is not None and moved.amount <= limit
            shown = f"{unknown}{where}" if moved.amount is None else f"{moved.amount:.4g}{where}"
            text = f"at most {limit:.4g} from {version}, {unit}"
            yield Condition(f"{name}: {measure.__name__}", fine, shown, text)


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
        with contextlib.suppress(NoteError, UnicodeEncodeError):
            notes.append(Note.parse(one.note.encode()))
    return [key for key in rules.keys if any(_signed(note, key, approval(entry)) for note in notes)]


def _signed(note: Note, key: Verifier, text: str) -> bool:
    try:
        return note.verified(key) == text
    except NoteError:
        return False
