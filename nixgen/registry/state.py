"""What a registry is after the events of its log: versions, aliases with all their moves, and what contradicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

from nixgen.errors import UserError
from nixgen.registry.entry import Entry
from nixgen.registry.names import Ref, Version


@dataclass(slots=True)
class Model:
    """One model: its versions as they were published, in the log's order; the moves of each alias; the rest."""

    name: str
    versions: dict[str, Entry] = field(default_factory=dict)
    moves: dict[str, list[Entry]] = field(default_factory=dict)
    deprecated: dict[str, Entry] = field(default_factory=dict)
    approvals: dict[str, list[Entry]] = field(default_factory=dict)
    events: list[Entry] = field(default_factory=list)

    def alias(self, alias: str) -> str:
        """The version that an alias has now; "" for none."""
        moves = self.moves.get(alias)
        return moves[-1].version if moves else ""

    def aliases(self) -> dict[str, str]:
        """Each alias and its version, sorted."""
        return {alias: self.alias(alias) for alias in sorted(self.moves)}

    def ordered(self) -> list[str]:
        """The versions by precedence, lowest first."""
        return sorted(self.versions, key=Version.parse)

    def before(self, alias: str) -> str:
        """The version that a rollback of an alias goes to: what it had before the one that it has was promoted."""
        moves = self.moves.get(alias, [])
        here = (
            move.previous for move in reversed(moves) if move.kind == "promote" and move.version == moves[-1].version
        )
        return next(here, "")


@dataclass(slots=True)
class State:
    """All models by PROJECT/NAME. ``wrong``: entries that say what cannot be, each with the reason."""

    models: dict[str, Model] = field(default_factory=dict)
    wrong: list[tuple[Entry, str]] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)

    def extend(self, entries: Iterable[Entry]) -> None:
        """Takes in the next events. What lost against another of its kind (``conflict``) did not happen."""
        for entry in entries:
            if entry.conflict:
                self.lost.append(entry)
            elif why := self._add(entry):
                self.wrong.append((entry, why))

    def _add(self, entry: Entry) -> str:
        """Takes one event in; why it cannot be, or ""."""
        model = self.models.setdefault(entry.model, Model(entry.model))
        if entry.kind == "publish":
            if entry.version in model.versions:
                return "was published before"
            model.versions[entry.version] = entry
        elif entry.version not in model.versions:
            return "was never published"
        elif entry.kind == "deprecate":
            model.deprecated[entry.version] = entry
        elif entry.kind == "approve":
            model.approvals.setdefault(entry.version, []).append(entry)
        else:
            moves = model.moves.setdefault(entry.alias, [])
            if (entry.serial, entry.previous) != (len(moves) + 1, model.alias(entry.alias)):
                return f"does not go on from the move of {entry.alias} before it"
            moves.append(entry)
        model.events.append(entry)
        return ""

    def model(self, name: str) -> Model:
        """Raises UserError for a model that was never published."""
        found = self.models.get(name)
        if found is None or not found.versions:
            known = ", ".join(sorted(key for key, one in self.models.items() if one.versions)) or "none yet"
            raise UserError.of(name, "there is no such model in the registry", f"there are: {known}")
        return found

    def version(self, project: str, ref: Ref) -> Entry:
        """The version that a word means: itself, an alias's, or the highest that is a release and not deprecated.

        Raises UserError.
        """
        model = self.model(f"{project}/{ref.name}")
        word = ref.version or (model.alias(ref.alias) if ref.alias else "")
        if ref.alias and not word:
            known = f"versions: {', '.join(model.ordered()[-5:])}; aliases: {', '.join(model.aliases()) or 'none yet'}"
            raise UserError.of(str(ref), f"{ref.alias} is neither a version (like 1.2.3) nor an alias", known)
        if not word:
            fit = [one for one in model.ordered() if one not in model.deprecated]
            released = [one for one in fit if not Version.parse(one).before]
            word = (released or fit or model.ordered())[-1]
        if word not in model.versions:
            known = ", ".join(model.ordered()[-5:])
            raise UserError.of(str(ref), "there is no such version", f"the highest are: {known}")
        return model.versions[word]


def at(model: Model, moment: str) -> dict[str, Entry]:
    """The move by which each alias had its version at a moment (UTC, RFC 3339).

    The log's order counts: where a clock was set back, an event took place no earlier than those before it.
    """
    found: dict[str, Entry] = {}
    times = accumulate((entry.at for entry in model.events), max)
    for entry, time in zip(model.events, times, strict=True):
        if time > moment:
            break
        if entry.alias:
            found[entry.alias] = entry
    return found
