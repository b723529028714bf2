"""What a source may have nixgen fetch: strangers write it, and it is read on machines that reach more than they do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nixgen.errors import Problem
from nixgen.formats.foreign import table, tables
from nixgen.machine import addresses

if TYPE_CHECKING:
    from nixgen.builds.asked import Source
    from nixgen.project.project import Project

_OWN = re.compile(r"registry\+https://github\.com/rust-lang/[A-Za-z0-9.-]+/?")
"""The registry of crates that cargo itself knows."""

_ADDRESS = re.compile(r"[A-Za-z0-9._-]+\s*(?:\[[^\]]*\]\s*)?@\s*(\S+)")  # behind a name (PEP 508)
_ANY = re.compile(r"(?:https?|ssh)://[^\s\"'<>]+")
_SCHEMES = ("https", "http", "ssh")
_PATCH = "change it by a patch, under packages of [tool.nixgen]"


@dataclass(frozen=True, slots=True)
class Trust:
    """What the project itself names: registries of crates, and what all its addresses belong to."""

    registries: frozenset[str]
    origins: frozenset[tuple[str, str | None, int | None]]

    @classmethod
    def of(cls, project: Project) -> Trust:
        """That of a project: its settings, pyproject.toml and lock."""
        texts = (project.pyproject_text(), project.lock_text())
        found = {addresses.origin(match[0]) for text in texts for match in _ANY.finditer(text)}
        return cls(frozenset(map(_plain, project.settings.crate_registries)), frozenset(found))

    def registry_problems(self, source: Source, registries: Iterable[str]) -> list[Problem]:
        """The registries of crates that nobody of the project has named.

        What the project's own Cargo.lock names, it names itself.
        """
        if source.package.kind == "directory":
            return []
        strange = {one for one in registries if not _OWN.fullmatch(one) and _plain(one) not in self.registries}
        what = "Cargo.lock names a registry that this project does not trust"
        mend = "if you do: crate-registries = [{}] under [tool.nixgen], then: nixgen sync; else " + _PATCH
        shown = sorted(map(addresses.blotted, strange))
        return [Problem(source.name, f"{what}: {one}", mend.format(f'"{one}"')) for one in shown]

    def address_problems(self, source: Source, requires: Iterable[str], places: str) -> list[Problem]:
        """What a source requires from this machine or a private network, and the project does not name itself.

        ``places`` is where its requirements come from besides, as :class:`Question` has it.
        """
        if source.package.kind == "directory":
            return []
        named = dict.fromkeys(_named(requires, places))
        return [
            Problem(source.name, f"cannot be built: {what}: {addresses.blotted(url)}", _PATCH)
            for url in named
            if (what := self._fault(url))
        ]

    def _fault(self, url: str) -> str:
        plain = url.removeprefix("git+")
        if addresses.fault(plain, _SCHEMES) or not plain.isascii():
            return "it requires what is neither at an https nor at a git address"
        if addresses.origin(plain) in self.origins or not addresses.internal(urlsplit(plain).hostname or ""):
            return ""
        return "it requires what lies on this machine or in a private network"


def _plain(registry: str) -> str:
    return registry.rstrip("/")


def _named(requires: Iterable[str], places: str) -> Iterator[str]:
    """The addresses of requirements, of their sources, and of the indexes that these name."""
    yield from (match[1] for line in requires if (match := _ADDRESS.match(line.strip())))
    found = json.loads(places or "{}")
    for source in table(found, "sources").values():
        for one in source if isinstance(source, list) else [source]:
            yield from (value for key in ("url", "git") if isinstance(value := table(one).get(key), str))
    yield from (url for index in tables(found.get("index")) if isinstance(url := index.get("url"), str))
