"""Whether uv.lock is what the pyproject.toml files ask for: uv decides, and on every machine alike.

uv compares the two before it resolves anything, and says in its log what came of it. That needs no index, no cache and
no settings but the project's; the interpreter that it insists on is :mod:`nixgen.resolve.standin`. What it then
resolves, to write a better lock, would need the network, and does not count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nixgen.errors import UserError
from nixgen.machine import process
from nixgen.resolve import uv

if TYPE_CHECKING:
    from nixgen.project.project import Project

_SAME = "Existing `uv.lock` satisfies workspace requirements"  # it may still want to write it in another form
_OTHER = r"(?m)^(?:\w+ )?(?:Resolving despite|Ignoring) existing lockfile due to (.*(?:\n  .*)*)"
_BUILDS = r"(?:generate package metadata for|download and build|build) `([^`=@ ]+)"
_SHOWN = 5  # names of one kind in a sentence
_NAME = r'(?:PackageName|GroupName|ExtraName)\("([^"]+)"\)'

_KINDS = {
    "requirements": "the dependencies",
    "resolved dependencies": "the dependencies",
    "dependency groups": "the dependency groups",
    "extras": "the extras",
    "members": "the members of the workspace",
    "overrides": "override-dependencies",
    "constraints": "constraint-dependencies",
    "build constraints": "build-constraint-dependencies",
    "excludes": "exclude-dependencies",
    "static metadata": "dependency-metadata",
}
"""What uv calls "mismatched", in the words of pyproject.toml."""

_OPTION = "lock again: uv lock (an option of your own uv.toml or shell belongs under [tool.uv])"
_SENTENCES: tuple[tuple[str, ...], ...] = (
    (r"mismatched version: `(.+?)` \(expected: `(.+?)`, found: `(.+?)`\)", r"\1 is version \3, and was locked as \2"),
    (r"dynamic version: `(.+?)`.*", r"the version of \1 is dynamic now"),
    (r"static version: `(.+?)`.*", r"the version of \1 is no longer dynamic"),
    (r"mismatched source: `(.+?)`.*", r"\1 is another kind of source now (a package, editable, a workspace member)"),
    (r"missing root package: `(.+?)`", r"\1 is not in it"),
    (
        r"missing (?:remote|local) index: `(.+?)` `(.+?)` from `(.+?)`",
        r"\1 \2 was locked from \3, which is none of its indexes",
        "name that index under [[tool.uv.index]], or lock again: uv lock",
    ),
    (r"change in Python requirement: `(.+?)` vs\. `(.+?)`", r"requires-python is \2, and was \1"),
    (r"change in supported environments: .*", "environments or required-environments changed"),
    (r"change in conflicting groups: .*", "conflicts changed"),
    (r"change in (.+?): `(.+?)` vs\. `(.+?)`", r"the \1 is \3, and was \2", _OPTION),
    (r"(\w+ of .*exclude newer.*)", r"exclude-newer changed (\1)", _OPTION),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What uv found: ``why`` says how the files differ, ``unknown`` why uv cannot tell; neither: uv.lock is current.

    ``mend`` is what mends the difference. ``refusal``: uv takes no such project.
    """

    why: str = ""
    unknown: str = ""
    mend: str = "bring it up to date: uv lock"
    refusal: UserError | None = None


class Check:
    """uv at work: it compares the two, and exports the lock if it is current; ``wait`` waits, ``stop`` ends it."""

    def __init__(self, project: Project, nowhere: Path) -> None:
        self._project, self._nowhere = project, nowhere
        self._run = self._started(str(project.uv_lock().head.get("requires-python", "")))

    def wait(self) -> tuple[Verdict, process.Result | None]:
        """The verdict, and the export where there is one."""
        result = self._run.wait()
        if narrower := re.search(uv.REQUIRES, result.err):  # than what uv.lock has: which it is, uv tells only so
            self._run = self._started(narrower[1])
            result = self._run.wait()
        return verdict(result), result if result.code == 0 else None

    def stop(self) -> None:
        """Ends uv, if it still runs."""
        self._run.stop()

    def _started(self, requires_python: str) -> process.Running:
        python = uv.lowest(requires_python)
        return uv.start_export(self._project, self._project.root, self._nowhere, python)


def verdict(result: process.Result) -> Verdict:
    """What ``uv export --locked -v`` said."""
    if result.code == 0 or _SAME in result.err:
        return Verdict()
    if other := re.search(_OTHER, result.err):
        return _other(other[1])
    if built := re.search(_BUILDS, result.err):
        return Verdict(unknown=f"only the build backend of {built[1]} can tell what it depends on")
    error = uv.explained(result)
    if isinstance(error, UserError):
        return Verdict(refusal=error)
    return Verdict(unknown=error.problems[0].what)


def _other(said: str) -> Verdict:
    """uv's reason in the words of pyproject.toml; what is not known stays as it is."""
    head, *sets = said.split("\n  ")
    kind = re.fullmatch(r"mismatched ([a-z ]+?)(?: for)?:(?: `([^`=]+)(?:==[^`]*)?`)?", head)
    if kind and kind[1] in _KINDS:
        asked, recorded = (
            "".join(text for text in sets if text.startswith(word)) for word in ("Requested:", "Existing:")
        )
        owner = f" of {kind[2]}" if kind[2] else ""
        return Verdict(f"{_KINDS[kind[1]]}{owner} changed{_difference(asked, recorded)}")
    for pattern, sentence, *mend in _SENTENCES:
        if found := re.fullmatch(pattern, head):
            told = Verdict(found.expand(sentence))
            return replace(told, mend=found.expand(mend[0])) if mend else told
    return Verdict(head)


def _difference(asked: str, recorded: str) -> str:
    """Whose names are in one set only, and who differs: what uv prints of the two, in Rust's notation."""
    new, old = _entries(asked), _entries(recorded)
    both = new.keys() & old.keys()
    told = {
        "new": new.keys() - old.keys(),
        "gone": old.keys() - new.keys(),
        "changed": {name for name in both if new[name] != old[name]},
    }
    parts = [f"{what}: {_few(sorted(names))}" for what, names in told.items() if names]
    return f" ({'; '.join(parts)})" if parts else ""


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _entries(text: str) -> dict[str, list[str]]:
    """What is said of each name, sorted: nothing of one that stands alone."""
    said = [re.sub(r"[}), ]*(, GroupName.*)?$", "", part) for part in text.split("Requirement { ")[1:]]
    return {
        name: sorted(part for part in said if part.startswith(f'name: PackageName("{name}")'))
        for name in re.findall(_NAME, re.sub(r"(?:extras|groups): \[[^]]*\]", "", text))
    }
