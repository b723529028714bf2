"""What differs between two runs, as one value; what explains the most comes first. Nothing is read here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from nixgen.console import size
from nixgen.data.diff import DataDiff
from nixgen.machine import process
from nixgen.runs.model import Artifact, Environment, Git, Machine, Run, Seeds

INPUTS = ("command", "code", "data", "models", "config", "environment", "seeds", "variables")
RESULTS = ("status", "metrics", "outputs")
KINDS = (*INPUTS, "machine", *RESULTS)
"""Inputs first, in the order in which they explain results; the machine should explain nothing."""

NOTHING = "—"
_GROUP = 12  # digits of a hash


@dataclass(frozen=True, slots=True)
class Difference:
    """What is one thing in one run and another in the other: its kind (of ``KINDS``), its name, and both values."""

    kind: str
    name: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Known:
    """What was found out of a run beside its record.

    ``config``: keys and values by the path of each configuration that can be read; ``packages``: versions by name,
    None where no lock is at hand.
    """

    config: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    packages: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What differs between two runs. ``data`` has, by name, what differs inside of datasets that are at hand."""

    old: Run
    new: Run
    differences: tuple[Difference, ...]
    data: Mapping[str, DataDiff] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[Difference, ...]:
        """What may explain other results."""
        return tuple(one for one in self.differences if one.kind in INPUTS)

    @property
    def results(self) -> tuple[Difference, ...]:
        """What came out otherwise."""
        return tuple(one for one in self.differences if one.kind in RESULTS)

    @property
    def unexplained(self) -> bool:
        """Whether something else came out, and no input says why."""
        return bool(self.results) and not self.inputs


def diff(
    old: Run,
    new: Run,
    old_known: Known | None = None,
    new_known: Known | None = None,
    data: Mapping[str, DataDiff] = {},
) -> Lineage:
    """What differs between two runs."""
    sides = (old_known or Known(), new_known or Known())
    found = [
        *_pair("command", "command", process.shown(old.command), process.shown(new.command)),
        *_pair("command", "folder", old.folder, new.folder),
        *_code(old.git or Git(), new.git or Git()),
        *_artifacts("data", old.data, new.data),
        *_artifacts("models", old.models, new.models),
        *_config(old, new, sides[0], sides[1]),
        *_environment(old.environment or Environment(), new.environment or Environment(), sides[0], sides[1]),
        *_seeds(old.seeds or Seeds(), new.seeds or Seeds()),
        *_texts("variables", old.variables, new.variables),
        *_machine(old.machine or Machine(), new.machine or Machine()),
        *_pair("status", "status", old.status, new.status),
        *_pair("status", "exit code", _text(old.exit), _text(new.exit)),
        *_metrics(old.metrics, new.metrics),
        *_outputs(old, new),
    ]
    order = sorted(found, key=lambda one: KINDS.index(one.kind))
    return Lineage(old, new, tuple(order), data)


def same(old: float, new: float) -> bool:
    """Whether a metric is the same: what is not a number is never so."""
    return old == new


def _pair(kind: str, name: str, old: str, new: str) -> Iterator[Difference]:
    if old != new:
        yield Difference(kind, name, old or NOTHING, new or NOTHING)


def _texts(kind: str, old: Mapping[str, str], new: Mapping[str, str], prefix: str = "") -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield Difference(kind, f"{prefix}{name}", old.get(name, NOTHING), new.get(name, NOTHING))


def _code(old: Git, new: Git) -> Iterator[Difference]:
    yield from _pair("code", "commit", old.commit, new.commit)
    yield from _pair("code", "changes", _changes(old), _changes(new))


def _changes(git: Git) -> str:
    return f"{git.diff or 'changes'} {git.sha256[:_GROUP]}".strip() if git.dirty else "none"


def _artifacts(kind: str, old: Mapping[str, Artifact], new: Mapping[str, Artifact]) -> Iterator[Difference]:
    for name in sorted(old.keys() | new.keys()):
        first, second = old.get(name), new.get(name)
        if first is None or second is None:
            yield Difference(kind, name, _artifact(first), _artifact(second))
            continue
        yield from _pair(kind, f"{name}: content", first.sha256[:_GROUP], second.sha256[:_GROUP])
        yield from _pair(kind, f"{name}: source", first.source, second.source)
        yield from _pair(kind, f"{name}: revision", first.revision, second.revision)
        was, now = first.manifest, second.manifest
        if was is not None and now is not None:
            yield from _pair(kind, f"{name}: rows", _text(was.record_count), _text(now.record_count))
            hashes = ((side.schema_hash or "")[:_GROUP] for side in (was, now))
            yield from _pair(kind, f"{name}: schema", *hashes)


def _artifact(one: Artifact | None) -> str:
    return f"{one.source} {one.sha256[:_GROUP]}" if one is not None else NOTHING


def _config(old: Run, new: Run, first: Known, second: Known) -> Iterator[Difference]:
    """By key where both can be read. Where one is named otherwise in each, they are told by their place."""
    for was, now in zip_longest(old.config, new.config):
        if was is None or now is None:
            found = was or now
            yield Difference("config", found.path, was.sha256[:_GROUP] if was else NOTHING, _hash(now))
            continue
        if was.sha256 == now.sha256:
            continue
        one, other = first.config.get(was.path), second.config.get(now.path)
        keys = [] if one is None or other is None else list(_texts("config", one, other, f"{now.path}: "))
        masked = ", ".join(sorted({*was.masked, *now.masked}))
        if keys:
            yield from keys
        else:
            name = f"{now.path} (masked: {masked})" if masked else now.path
            yield Difference("config", name, was.sha256[:_GROUP], now.sha256[:_GROUP])


def _hash(one: object) -> str:
    return str(getattr(one, "sha256", ""))[:_GROUP] or NOTHING


def _environment(old: Environment, new: Environment, first: Known, second: Known) -> Iterator[Difference]:
    for name in ("name", "system", "base", "python"):
        yield from _pair("environment", name, getattr(old, name), getattr(new, name))
    if first.packages is not None and second.packages is not None:
        yield from _texts("environment", first.packages, second.packages)
    if old.closure and new.closure:  # a run that did not get that far knows of none
        yield from _pair("environment", "closure", old.closure, new.closure)
    elif old.path != new.path:
        yield from _pair("environment", "path", old.path, new.path)


def _seeds(old: Seeds, new: Seeds) -> Iterator[Difference]:
    yield from _pair("seeds", "seed", _text(old.seed), _text(new.seed))
    yield from _texts("seeds", old.variables, new.variables)
    yield from _texts("seeds", old.libraries, new.libraries)
    yield from _pair("seeds", "deterministic", _text(old.deterministic), _text(new.deterministic))
    yield from _pair("seeds", "not deterministic", ", ".join(old.nondeterministic), ", ".join(new.nondeterministic))


def _machine(old: Machine, new: Machine) -> Iterator[Difference]:
    for name in ("os", "kernel", "cpu"):
        yield from _pair("machine", name, getattr(old, name), getattr(new, name))
    yield from _pair("machine", "cores", _text(old.cores or None), _text(new.cores or None))
    if old.memory != new.memory:
        yield from _pair("machine", "memory", *(size(one.memory) if one.memory else "" for one in (old, new)))
    gpus = (", ".join(f"{gpu.name} {gpu.driver}".strip() for gpu in one.gpus) for one in (old, new))
    yield from _pair("machine", "gpus", *gpus)


def _metrics(old: Mapping[str, float], new: Mapping[str, float]) -> Iterator[Difference]:
    """Those that changed the most come first, as a part of what they were."""
    rows: list[tuple[float, str, Difference]] = []
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            known = [repr(side[name]) if name in side else NOTHING for side in (old, new)]
            rows.append((-math.inf, name, Difference("metrics", name, *known)))
        elif not same(old[name], new[name]):
            rows.append(
                (-_weight(old[name], new[name]), name, Difference("metrics", name, *_both(old[name], new[name])))
            )
    yield from (difference for _, _, difference in sorted(rows, key=lambda row: row[:2]))


def _both(old: float, new: float) -> tuple[str, str]:
    return repr(old), repr(new)


def _weight(old: float, new: float) -> float:
    if not (math.isfinite(old) and math.isfinite(new)):
        return math.inf
    return abs(new - old) / max(abs(old), abs(new))


def _outputs(old: Run, new: Run) -> Iterator[Difference]:
    first, second = ({one.path: one for one in run.outputs} for run in (old, new))
    for path in sorted(first.keys() | second.keys()):
        values = [
            f"{size(side[path].size)} {side[path].sha256[:_GROUP]}" if path in side else "" for side in (first, second)
        ]
        if path not in first or path not in second or first[path].sha256 != second[path].sha256:
            yield from _pair("outputs", path, values[0], values[1])


def _text(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def change(old: float | None, new: float | None) -> float | None:
    """What a metric changed by, None where that is no number."""
    if old is None or new is None or not (math.isfinite(old) and math.isfinite(new)):
        return None
    return new - old


def flat(value: object, name: str = "", above: Sequence[int] = ()) -> Iterator[tuple[str, str]]:
    """Dotted names and values of what a configuration holds. What holds itself (YAML's aliases can) is read once."""
    if isinstance(value, dict | list) and value and id(value) not in above:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from flat(item, f"{name}.{key}" if name else str(key), (*above, id(value)))
    else:
        yield name, _text(value) if isinstance(value, bool) else str(value)
