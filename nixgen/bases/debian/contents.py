"""Which package of a suite has a file: Debian's Contents index, which apt fetches and checks as it does its others.

The index has a line for each path, with the packages that have it ("usr/bin/cmake  devel/cmake"). It is large, and
asked only when something failed; a copy of the last days is used as it is. Whoever has no network and no copy gets no
answer, and no error.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from nixgen.bases.debian import apt
from nixgen.bases.debian.sources import Source
from nixgen.bases.needs import Need
from nixgen.console import console
from nixgen.errors import NixgenError

_TARGETS = """\
Acquire::IndexTargets::deb::Packages::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb {
  MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)"; ShortDescription "Contents-$(ARCHITECTURE)";
  Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents"; KeepCompressed "true";
};
Acquire::IndexTargets::deb::Contents-legacy {
  MetaKey "Contents-$(ARCHITECTURE)"; ShortDescription "Contents-$(ARCHITECTURE)"; Fallback-Of "Contents-deb";
  Description "$(RELEASE) $(ARCHITECTURE) Contents"; KeepCompressed "true";
};"""
"""The second is Ubuntu's way: one index for all components."""

INDEX = apt.Index("the list of files", "*_Contents-*", (_TARGETS,))
FRESH = 7 * 24 * 3600
"""Seconds that a copy is used without asking whether there is a newer one."""

TRIPLETS = {"aarch64-linux": "aarch64-linux-gnu", "x86_64-linux": "x86_64-linux-gnu"}
_LINE = re.compile(r"(?P<path>\S.*?)\s+(?P<packages>\S+)")


def packages_with(
    needs: Iterable[Need], source: Source, system: str, cache: Path | None = None
) -> dict[Need, tuple[str, ...]]:
    """The packages that have what is needed, the likeliest first; what no package has is absent.

    ``source`` is the suite's archive; ``cache`` is where the index is kept, if not in nixgen's own folder.
    """
    wanted = sorted(set(needs))
    if not wanted:
        return {}
    try:
        with apt.open_apt([source], system, cache, INDEX, FRESH) as tool:
            started = time.monotonic()
            lines = tool.lines({needle for need in wanted for needle, _ in _patterns(need, system)})
            console.detail(f"looked into the list of files in {time.monotonic() - started:.2f} s")
    except NixgenError as error:
        console.detail(f"the list of files of {source.suite} cannot be had: {error}")
        return {}
    return ranked(wanted, lines, system)


def ranked(needs: Iterable[Need], lines: Iterable[str], system: str) -> dict[Need, tuple[str, ...]]:
    """The same from lines of the index."""
    by_path = [(match["path"], match["packages"]) for line in lines if (match := _LINE.fullmatch(line.rstrip("\n")))]
    found: dict[Need, tuple[str, ...]] = {}
    for need in needs:
        best: dict[str, tuple[int, bool, int, int]] = {}
        for rank, (_, pattern) in enumerate(_patterns(need, system)):
            for path, packages in by_path:
                if not pattern.fullmatch(path):
                    continue
                for package in (name.rpartition("/")[2] for name in packages.split(",")):
                    key = (rank, package.endswith("-dev") == (need.kind == "soname"), path.count("/"), len(package))
                    best[package] = min(key, best.get(package, key))
        if best:
            found[need] = tuple(sorted(best, key=lambda package: (best[package], package)))
    return found


def _patterns(need: Need, system: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Where it lies, the best place first: a text to find the index's lines by, and the paths that count."""
    name, triplet = need.name, TRIPLETS[system]
    lib = rf"(?:usr/)?lib/(?:{triplet}/)?"

    def place(before: str, file: str, needle: str) -> tuple[str, re.Pattern[str]]:
        return f"{needle}{file}", re.compile(before + re.escape(file))

    if need.kind == "header":
        yield place(rf"usr/include/(?:{triplet}/)?", name, "/")
        yield place(rf"usr/include/(?:{triplet}/)?[^/]+/", name, "/")
        yield place(r"usr/(?:include/|lib/.*/include/).*", f"/{name}", "")
    elif need.kind == "library":
        yield place(lib, f"lib{name}.so", "/")
        yield place(lib, f"lib{name}.a", "/")
        yield place(rf"{lib}.*", f"/lib{name}.so", "")
    elif need.kind == "soname":
        yield place(lib, name, "/")
        yield place(rf"{lib}.*", f"/{name}", "")
    elif need.kind == "program":
        yield place(r"(?:usr/)?s?", f"bin/{name}", "")
    else:
        configs = [f"{name}Config.cmake", f"{name.lower()}-config.cmake"]
        modules = [f"{one}.pc" for one in dict.fromkeys((name, name.lower(), f"lib{name}", f"lib{name.lower()}"))]
        cmake, pkgconfig = rf"(?:{lib}|usr/share/).*", rf"(?:{lib}|usr/share/)(?:.*/)?pkgconfig/"
        if need.kind == "cmake":
            yield from (place(cmake, f"/{file}", "") for file in configs)
        yield from (place(rf"(?:{lib}|usr/share/)pkgconfig/", file, "pkgconfig/") for file in modules)
        yield from (place(pkgconfig, file, "pkgconfig/") for file in modules)
        if need.kind == "module":
            yield from (place(cmake, f"/{file}", "") for file in configs)
