"""promotion.toml: what must hold before an alias moves to a version. Closed parsing into frozen values.

    version = 1

    [aliases.prod]
    metrics.auc = { min = 0.90, drop = 0.005 }
    data.transactions = { rows = 0.2, mean = 0.1 }
    after = "staging"
    reproduced = "bytes"
    smoke = ["python", "smoke.py"]
    approvals = { count = 1, keys = ["ann+1b2c3d4e+AQ…"] }
    plan = true

    [models.fraud-detector.aliases.prod]
    metrics.auc = { min = 0.95 }

What a model says of an alias counts instead of what is said of all. docs/registry.md explains each key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nixgen.errors import Problem, UserError
from nixgen.formats import toml
from nixgen.formats.strictjson import Table
from nixgen.formats.tableform import Form
from nixgen.log.note import NoteError, Verifier

NAME = "promotion.toml"
VERSION = 1
REPRODUCED = ("bytes", "metrics")
_MEND = "the keys are in docs/registry.md"
_KEYS = ("metrics", "data", "after", "reproduced", "smoke", "signed", "approvals", "plan")
_LIMITS = ("min", "max", "drop", "rise")
_BOUNDS = ("rows", "nulls", "mean", "quantiles")


@dataclass(frozen=True, slots=True)
class Threshold:
    """What one metric must be: at least ``min``, at most ``max``.

    Against the version that has the alias now, it may be at most ``drop`` lower and at most ``rise`` higher.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    drop: float | None = None
    rise: float | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a dataset may have moved from that of the version that has the alias now.

    ``rows`` and ``nulls`` are shares, ``mean`` and ``quantiles`` are in the old column's spread; None: any. So many
    ``columns`` may be new, gone or of another type. Columns of ``without`` do not count.
    """

    dataset: str
    columns: int = 0
    rows: float | None = None
    nulls: float | None = None
    mean: float | None = None
    quantiles: float | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What one alias asks of a version.

    ``after`` is an alias that it must have had; ``reproduced`` what a reproduction of its run must have come to;
    ``smoke`` a command that must end with 0; ``signed`` the file of the key that provenance.json must be signed
    with; ``approvals`` of these ``keys`` must be in the log; ``plan``: a rollback needs a written one.
    """

    metrics: tuple[Threshold, ...] = ()
    data: tuple[Drift, ...] = ()
    after: str = ""
    reproduced: str = ""
    smoke: tuple[str, ...] = ()
    signed: str = ""
    approvals: int = 0
    keys: tuple[Verifier, ...] = ()
    plan: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of each alias; those of one model by (NAME, alias)."""

    aliases: dict[str, Rules] = field(default_factory=dict)
    models: dict[tuple[str, str], Rules] = field(default_factory=dict)

    def rules(self, name: str, alias: str) -> Rules | None:
        """What counts for a model's alias; None where the policy says nothing of it."""
        return self.models.get((name, alias)) or self.aliases.get(alias)


def read_policy(root: Path) -> Policy | None:
    """The policy of the project in ``root``; None without the file. Raises UserError with every problem."""
    path = root / NAME
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UserError.of(NAME, f"cannot be read: {why}", _MEND) from None
    return parse_policy(text)


def parse_policy(text: str) -> Policy:
    """The policy that this text is. Raises UserError with every problem."""
    try:
        document = toml.loads(text)
    except ValueError as error:
        raise UserError.of(NAME, f"is not TOML: {error}", _MEND) from None
    problems: list[Problem] = []
    top = Table(document, NAME, "", problems, _MEND)
    if type(document.get("version")) is int and document["version"] != VERSION:
        raise UserError.of(f"{NAME}: version", f"is {document['version']}, and this nixgen knows {VERSION}", _MEND)
    policy = _policy(top)
    if not policy.aliases and not policy.models and not problems:
        problems.append(Problem(NAME, "says nothing of any alias", "begin with [aliases.prod]"))
    if problems:
        raise UserError(dict.fromkeys(problems))
    return policy


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of promotion.toml, from what its reader asks for."""
    form = Form()
    _policy(form)
    form.schema["properties"]["version"] = {"enum": [VERSION]}
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": NAME}
    return {**head, **form.schema, "required": ["version"]}


def _policy(top: Table) -> Policy:
    top.closed("version", "aliases", "models")
    top.integer("version")
    policy = Policy(_aliases(top), {})
    if "models" in top:
        models = top.table("models")
        for name in models.keys():  # noqa: SIM118 -- no mapping
            model = models.table(name)
            model.closed("aliases")
            policy.models.update({(name, alias): rules for alias, rules in _aliases(model).items()})
    return policy


def _aliases(table: Table) -> dict[str, Rules]:
    if "aliases" not in table:
        return {}
    aliases = table.table("aliases")
    return {alias: _rules(aliases.table(alias)) for alias in aliases.keys()}  # noqa: SIM118 -- no mapping


def _rules(table: Table) -> Rules:
    table.closed(*_KEYS)
    metrics = table.table("metrics") if "metrics" in table else None
    names = metrics.keys() if metrics else ()
    thresholds = [_threshold(metrics, name) for name in names] if metrics else []
    data = table.table("data") if "data" in table else None
    drifts = [_drift(data, name) for name in data.keys()] if data else []  # noqa: SIM118 -- no mapping
    count, keys = _approvals(table.table("approvals")) if "approvals" in table else (0, ())
    smoke = table.texts("smoke", r"[^\x00]+") if "smoke" in table else ()
    if "smoke" in table and not smoke:
        table.problem("smoke", "is an empty command")
    return Rules(
        tuple(thresholds),
        tuple(drifts),
        after=table.text("after") if "after" in table else "",
        reproduced=table.choice("reproduced", REPRODUCED) if "reproduced" in table else "",
        smoke=smoke,
        signed=table.text("signed", r"[^\x00]+") if "signed" in table else "",
        approvals=count,
        keys=keys,
        plan="plan" in table and table.flag("plan"),
    )


def _threshold(metrics: Table, name: str) -> Threshold:
    table = metrics.table(name)
    table.closed(*_LIMITS)
    limits: dict[str, Any] = {key: table.number(key) for key in _LIMITS if key in table}
    for key, value in limits.items():
        if not math.isfinite(value) or (key in {"drop", "rise"} and value < 0):
            table.problem(key, f"is {value}: nothing can be compared with it")
    if not limits:
        metrics.problem(name, f"says no limit: {', '.join(_LIMITS)}")
    return Threshold(name, **limits)


def _drift(data: Table, name: str) -> Drift:
    table = data.table(name)
    table.closed("columns", *_BOUNDS, "except")
    bounds: dict[str, Any] = {key: table.number(key) for key in _BOUNDS if key in table}
    if "columns" in table:
        bounds["columns"] = table.integer("columns")
    for key, value in bounds.items():
        if not math.isfinite(value) or value < 0:
            table.problem(key, f"is {value}: nothing can be compared with it")
    if not bounds:
        data.problem(name, f"says no bound: columns, {', '.join(_BOUNDS)}")
    return Drift(name, **bounds, without=table.texts("except") if "except" in table else ())


def _approvals(table: Table) -> tuple[int, tuple[Verifier, ...]]:
    table.closed("count", "keys")
    keys = []
    for text in table.texts("keys"):
        try:
            keys.append(Verifier.parse(text))
        except NoteError as error:
            table.problem("keys", str(error))
    count = table.integer("count") if "count" in table else len(keys)
    if not 0 < count <= len(set(keys)):
        table.problem("count", f"is {count}, and there are {len(set(keys))} keys")
    return count, tuple(dict.fromkeys(keys))
