"""What the commands of ``nixgen registry`` print: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nixgen.console import console, table, width
from nixgen.errors import Finding
from nixgen.registry.conditions import METRICS
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.registry import Registry
from nixgen.registry.state import Model, State
from nixgen.registry.verify import Report, document, published
from nixgen.releases.commands import Promoted

_DAY = 10  # characters of a time that are its date


def print_models(state: State, *, as_json: bool) -> None:
    """A line for each model, in the order of their names."""
    models = [model for _, model in sorted(state.models.items()) if model.versions]
    if as_json:
        _print([_model(model) for model in models])
        return
    if not models:
        console.info("Nothing is published yet: nixgen registry publish latest NAME --bump minor")
    rows = [(model.name, model.ordered()[-1], str(len(model.versions)), _aliases(model.aliases())) for model in models]
    if rows:
        console.result("\n".join(table([("model", "highest", "versions", "aliases"), *rows], width=width())))


def print_version(registry: Registry, entry: Entry, *, as_json: bool) -> None:
    """All that is known of one version."""
    model = registry.state().model(entry.model)
    aliases = [alias for alias, version in model.aliases().items() if version == entry.version]
    failed: Finding | None = None
    hashes: dict[str, str] = {}
    try:
        hashes = published(registry.files, entry)
    except Finding as error:
        failed = error
    metrics = document(registry.files, entry, METRICS)
    gone = model.deprecated.get(entry.version)
    approved = [one.by for one in model.approvals.get(entry.version, [])]
    if as_json:
        _print({**_event(entry), "aliases": aliases, "files": hashes, "metrics": metrics, "intact": failed is None,
                "deprecated": gone.why if gone else None, "approvals": approved})  # fmt: skip
        return
    rows = [
        ("published", f"{_time(entry)} by {entry.by}" + (f": {entry.why}" if entry.why else "")),
        ("run", entry.run or "none"),
        ("digest", entry.digest),
        ("aliases", ", ".join(aliases) or "none"),
        *((("approved", ", ".join(approved)),) if approved else ()),
        *((("deprecated", f"{_time(gone)} by {gone.by}: {gone.why}"),) if gone else ()),
        *((f"metric {name}", str(value)) for name, value in metrics.items()),
        *((f"file {path}", sha256) for path, sha256 in hashes.items()),
    ]
    console.result(entry.name + "\n" + "\n".join(table(rows)))
    if failed:
        raise failed


def print_events(model: Model, *, as_json: bool) -> None:
    """A model's events, the latest first; in JSON the first first."""
    if as_json:
        _print([_event(entry) for entry in model.events])
        return
    rows = [(_time(entry), did(entry), entry.by, _why(entry)) for entry in reversed(model.events)]
    console.result(model.name + "\n" + "\n".join(table(rows, width=width())))


def print_aliases(moment: str, found: Sequence[tuple[Model, dict[str, Entry]]], *, as_json: bool) -> None:
    """What each alias was at a time."""
    if as_json:
        _print({"at": moment, "aliases": {
            f"{model.name}@{alias}": _event(entry) for model, moves in found for alias, entry in sorted(moves.items())
        }})  # fmt: skip
        return
    rows = [
        (f"{model.name}@{alias}", entry.version, f"since {_time(entry)}", entry.by)
        for model, moves in found
        for alias, entry in sorted(moves.items())
    ]
    console.result("\n".join([f"at {moment}", *table(rows, width=width())] if rows else [f"at {moment}: no alias"]))


def print_report(address: str, report: Report, repaired: Sequence[str], *, as_json: bool) -> None:
    """What a verification found. Raises Finding for what is not as the log says."""
    if as_json:
        _print({
            "models": report.models, "versions": report.versions, "aliases": report.aliases,
            "entries": report.entries, "repaired": list(repaired),
            "findings": [{"where": one.where, "what": one.what} for one in report.findings],
            "notes": [{"where": one.where, "what": one.what} for one in report.notes],
        })  # fmt: skip
    else:
        for name in repaired:
            console.info(f"Repaired {name}: it is what the log says")
        for note in report.notes:
            console.warn(f"{note.where}: {note.what}")
    if report.findings:
        raise Finding(report.findings)
    if not as_json:
        console.result(
            f"{address}: {report.versions} versions of {report.models} models and {report.aliases} aliases are what "
            f"the log says, which has {report.entries} entries"
        )


def print_promoted(done: Promoted, *, as_json: bool) -> None:
    """Each condition with its value, and the move. Raises Finding where there was none."""
    if as_json:
        moved = _event(done.moved.entry) if done.moved else None
        _print({"moved": moved, "conditions": [_condition(one) for one in done.verdict]})
    elif done.verdict:
        rows = [("ok" if one.holds else "FAILS", one.name, one.value, one.wanted) for one in done.verdict]
        console.result("\n".join(table([("", "condition", "is", "wanted"), *rows])))
    else:
        console.info("There is no promotion.toml: no condition was checked")
    if done.failed:
        raise done.failed
    if done.moved and not as_json:
        print_moved(done.moved.entry)


def print_moved(entry: Entry) -> None:
    """What an alias was, and is."""
    console.result(f"{entry.model}@{entry.alias}: {entry.previous or 'nothing'} → {entry.version}")


def _model(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "versions": model.ordered(),
        "aliases": model.aliases(),
        "deprecated": sorted(model.deprecated),
    }


def _aliases(aliases: dict[str, str]) -> str:
    return ", ".join(f"{alias} {version}" for alias, version in aliases.items()) or "none"


def _event(entry: Entry) -> dict[str, Any]:
    return {str(key): value for key, value in json.loads(entry.line()).items() if key not in {"v", "verdict"}} | (
        {"verdict": [_condition(one) for one in entry.verdict]} if entry.verdict else {}
    )


def _condition(one: Condition) -> dict[str, Any]:
    return {"name": one.name, "holds": one.holds, "value": one.value, "wanted": one.wanted}


def did(entry: Entry) -> str:
    """What happened, in words."""
    if entry.alias:
        verb = "promoted" if entry.kind == "promote" else "rolled back"
        return f"{entry.alias} {verb}: {entry.previous or 'nothing'} → {entry.version}"
    return f"{entry.version} {({'publish': 'published', 'approve': 'approved'}).get(entry.kind, 'deprecated')}"


def _why(entry: Entry) -> str:
    against = [one.name for one in entry.verdict if not one.holds]
    told = entry.why.splitlines()[0] if entry.why else ""
    return f"against {', '.join(against)}: {told}" if against else told


def _time(entry: Entry) -> str:
    return f"{entry.at[:_DAY]} {entry.at[_DAY + 1 : _DAY + 6]}Z"


def _print(value: object) -> None:
    console.result(json.dumps(value, indent=2, ensure_ascii=False))
