"""Which of a package's wheels a target takes, and why none does.

A wheel's file name carries its tags (PEP 427, PEP 425); the best is the one with the tag that stands first in the
target's list, and of several with the same one that with the highest build number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from nixgen.errors import Problem
from nixgen.resolve.model import Target
from nixgen.resolve.targets import platforms, tags

OTHER_PYTHON = "has no wheel that fits Python"
"""How the problem begins of a package whose wheels are for other Pythons."""

_ANY_GLIBC, _ANY_MACOS = "2.99", "99.0"
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar.zst", ".tar")
_FAR = 10**12
_SHOWN = 6

_GROUP = 10**6  # more than any target has platforms

_PLAIN = re.compile(r"/[^/\n-]*-[^/\n-]*(?:-([0-9]+)([^/\n-]*))?-([^/\n-]*-[^/\n-]*-[^/\n-]*)\.whl$", re.MULTILINE)
"""The end of an address that is a wheel's, in a text with an address a line."""

Tags = tuple[tuple[str, str], ...]
"""The tags of a wheel, each as its Python with ABI ("cp311-cp311") and its platform."""

Build = tuple[int, str]
"""A build number: the number, and what stands behind it."""

Named = tuple[Tags, Build]
"""The tags of a wheel, and its build number."""

_NO_BUILD: Build = (0, "")

Offer = tuple[str, Build, Mapping[str, Any]]
"""A file that is a wheel: its tags as its name has them ("cp311-cp311-linux_x86_64"), its build number, its entry."""


class Choice:
    """Ranks wheels for one target. ``glibc`` and ``macos`` are the newest system versions that a wheel may ask for."""

    def __init__(self, target: Target, glibc: str, macos: str) -> None:
        self.target, self.glibc, self.macos = target, glibc, macos
        self._groups = _groups(target.python)
        self._platforms = _platforms(target.system, glibc, macos)
        self._ranks: dict[str, int] = {}

    def best(self, offered: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """The wheel that uv would install, None if none fits."""
        return self.best_of(offers(offered))

    def best_of(self, offered: Iterable[Offer]) -> Mapping[str, Any] | None:
        """The same of files whose names were read: once for all targets."""
        ranks = self._ranks
        best, best_rank, best_build = None, _FAR, (0, "")
        for names, build, wheel in offered:
            rank = ranks.get(names)
            if rank is None:
                rank = ranks[names] = min(self.rank(group, platform) for group, platform in _tags(names))
            if rank < best_rank or (rank == best_rank < _FAR and build > best_build):
                best, best_rank, best_build = wheel, rank, build
        return best

    def explain(self, package: str, offered: Sequence[Mapping[str, Any]]) -> Problem:
        """Why none of these wheels fits: the system is too old for one, or the Python or system is another."""
        names = sorted({name for wheel in offered for name in (parse(file_name(wheel)) or ((), 0))[0]})
        too_old = self._too_old(package, offered)
        if too_old is not None:
            return too_old
        here = {*_platforms(self.target.system, _ANY_GLIBC, _ANY_MACOS), "any"}
        pythons = sorted({group.split("-")[0] for group, platform in names if platform in here}, key=_by_number)
        if pythons:
            what = f"{OTHER_PYTHON} {self.target.python}: its wheels are for {_listed(pythons)}"
            return Problem(package, what, "choose a version that has one, or set another python under [tool.nixgen]")
        systems = sorted({platform for _, platform in names})
        known = _listed(systems) or "nothing that is known"
        what = f"has no wheel that fits this system: its wheels are for {known}"
        mend = "choose a version that has one, or take this system out of systems under [tool.nixgen]"
        return Problem(package, what, mend)

    def other_python(self, offered: Sequence[Mapping[str, Any]], pythons: Iterable[str]) -> str:
        """The first of these Pythons that one of these wheels fits, "" if none does."""
        others = ((python, Choice(Target(self.target.system, python), self.glibc, self.macos)) for python in pythons)
        return next((python for python, other in others if other.best(offered) is not None), "")

    def _too_old(self, package: str, offered: Sequence[Mapping[str, Any]]) -> Problem | None:
        """The problem of a wheel that would fit if glibc or macOS were newer."""
        relaxed = Choice(self.target, _ANY_GLIBC, _ANY_MACOS)
        later = [
            (needed, file_name(wheel))
            for wheel in offered
            for group, platform in (parse(file_name(wheel)) or ((), 0))[0]
            if relaxed.rank(group, platform) < _FAR and (needed := _needs(platform)) is not None
        ]
        if not later:
            return None
        (major, minor), file = min(later)
        if self.target.system.endswith("-darwin"):
            what = f"has no wheel that fits: {file} needs macOS {major}.{minor}, and tool.nixgen.macos is {self.macos}"
            return Problem(package, what, f'choose another version, or set macos = "{major}.{minor}" ([tool.nixgen])')
        what = f"has no wheel that fits: {file} needs glibc {major}.{minor}, and the base has {self.glibc}"
        return Problem(package, what, "choose an older version, or a base with a newer glibc")

    def rank(self, group: str, platform: str) -> int:
        """The place of a tag among those of the target, the best being the lowest; a high number for any other tag."""
        if platform == "any":
            return self._groups.get(f"{group}-any", _FAR)
        first, second = self._groups.get(group), self._platforms.get(platform)
        return _FAR if first is None or second is None else first + second


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _by_number(tag: str) -> tuple[str, int]:
    """Sorts cp39 before cp310."""
    return tag.rstrip("0123456789"), int("0" + tag[len(tag.rstrip("0123456789")) :])


@lru_cache(maxsize=32)
def _groups(python: str) -> dict[str, int]:
    """Where the tags of each Python with ABI begin: those of all platforms stand together, as PEP 425 orders them."""
    found: dict[str, int] = {}
    for place, tag in enumerate(tags(python, [""])):
        group = f"{tag.interpreter}-{tag.abi}"
        found.setdefault(f"{group}-any" if tag.platform == "any" else group, place * _GROUP)
    return found


@lru_cache(maxsize=32)
def _platforms(system: str, glibc: str, macos: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, name in enumerate(platforms(system, glibc, macos)):
        found.setdefault(name, place)
    return found


def offers(files: Iterable[Mapping[str, Any]]) -> tuple[Offer, ...]:
    """Those of these files that are wheels by their names; uv skips the others, too."""
    files = tuple(files)
    # All at once take half the time, and a lock has thousands.
    text = "\n".join([str(file.get("url")) for file in files])
    named = _PLAIN.findall(text) if not any(sign in text for sign in "%?#\\") else []
    if len(named) == len(files) == text.count("\n") + 1:
        return tuple(
            (tags.lower(), (int(build), more.lower()) if build else _NO_BUILD, file)
            for (build, more, tags), file in zip(named, files, strict=True)
        )
    found: list[Offer] = []
    for file in files:
        split = _split(file_name(file))
        if split is not None:
            found.append((*split, file))
    return tuple(found)


def parse(name: str) -> Named | None:
    """A wheel's tags and build number; None if it is not a wheel's name."""
    split = _split(name)
    return (_tags(split[0]), split[1]) if split else None


def _split(name: str) -> tuple[str, Build] | None:
    """The tags of a wheel as they are written, in lower case, and its build number."""
    if not name.endswith(".whl"):
        return None
    stem = name[: -len(".whl")].lower()
    head, *names = stem.rsplit("-", 3)
    more = head.count("-")  # name and version, or name, version and build
    if len(names) != 3 or more not in {1, 2}:  # noqa: PLR2004 -- the three kinds of tags
        return None
    build = _NO_BUILD
    if more > 1:
        found = re.fullmatch(r"(\d+)(.*)", head.rpartition("-")[2], re.ASCII)
        if found is None:
            return None
        build = (int(found[1]), found[2])
    return stem[len(head) + 1 :], build


@lru_cache(maxsize=4096)
def _tags(names: str) -> Tags:
    """The tags that the last three parts of a name stand for; most of a lock's wheels share theirs with others."""
    pythons, abis, systems = (part.split(".") for part in names.split("-"))
    return tuple((f"{python}-{abi}", system) for python in pythons for abi in abis for system in systems)


def file_name(file: Mapping[str, Any]) -> str:
    """The name of a file of pylock.toml: the last part of its address or path, decoded, as its publisher wrote it.

    Where that is not a file's name, what the entry's ``name`` says, which uv writes with the package's name normalized.
    """
    url = file.get("url")
    name = _last_part(str(url)) if url is not None else re.split(r"[/\\]", str(file.get("path") or ""))[-1]
    return name if name.endswith(_ARCHIVES) else str(file.get("name") or name)


def _last_part(url: str) -> str:
    path = url.partition("#")[0].partition("?")[0]
    return unquote(path[max(path.rfind("/"), path.rfind("\\")) + 1 :])


def needs(file: str) -> str:
    """What a wheel asks of a system, for people: "glibc 2.28", "macOS 11.0", "linux", "any"."""
    systems = [platform for _, platform in (parse(file) or ((), 0))[0]]
    versions = [version for version in map(_needs, systems) if version is not None]
    if versions:
        major, minor = min(versions)
        return f"{'macOS' if systems[0].startswith('macosx') else 'glibc'} {major}.{minor}"
    return systems[0].partition("_")[0] if systems else file


def _needs(platform: str) -> tuple[int, int] | None:
    """The glibc or macOS version that a platform asks for."""
    for legacy, minor in (("manylinux2014", 17), ("manylinux2010", 12), ("manylinux1", 5)):
        if platform.startswith(f"{legacy}_"):
            return (2, minor)
    found = re.match(r"(?:manylinux|macosx)_(\d+)_(\d+)_", platform)
    return (int(found[1]), int(found[2])) if found else None
