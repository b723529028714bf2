"""Which package of a suite has a file: Debian's Contents index, which apt fetches and checks as it does its others.

The index has a line for each path, with the packages that have it ("usr/bin/cmake  devel/cmake"). It is large, and
asked only when something failed; a copy of the last days is used as it is. A mirror may have another file than the one
that is signed, or none: then the index of the next suite is asked, and what it names counts where this suite has a
package of that name. Whoever has no network and no copy gets no answer, and no error.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_USUAL = ("openssl", "pthread")
"""Of packages that have the same file, built in several ways, those that Debian's own packages are built with."""


def packages_with(
    needs: Iterable[Need], source: Source, system: str, cache: Path | None = None, others: Sequence[Source] = ()
) -> dict[Need, tuple[str, ...]]:
    """The packages that have what is needed, the likeliest first; what no package has is absent.

    ``source`` is the suite's archive; ``cache`` is where the index is kept, if not in nixgen's own folder. ``others``
    are suites to ask where that of ``source`` has no index.
    """
    wanted = sorted(set(needs))
    failures: list[str] = []
    for asked in (source, *others) if wanted else ():
        try:
            found = ranked(wanted, _lines(asked, wanted, system, cache), system)
            if asked == source:
                return found
            console.warn(
                f"the list of files of {source.suite} cannot be had, so that of {asked.suite} was asked ({failures[0]})"
            )
            return _known(found, source, system, cache)
        except NixgenError as error:
            failures.append(_short(error))
            if failures[-1].startswith("Could not"):
                break  # no network: there is none for the others either
    if failures:
        console.warn(f"which packages have what is missing is not known: {failures[0]}")
    return {}


def _lines(source: Source, wanted: Iterable[Need], system: str, cache: Path | None) -> list[str]:
    with apt.open_apt([source], system, cache, INDEX, FRESH) as tool:
        started = time.monotonic()
        lines = tool.lines({needle for need in wanted for needle, _ in _patterns(need, system)})
        console.detail(f"read the list of files in {time.monotonic() - started:.2f} s")
        return lines


def _known(
    found: Mapping[Need, tuple[str, ...]], source: Source, system: str, cache: Path | None
) -> dict[Need, tuple[str, ...]]:
    """Those of the packages that the suite of ``source`` has."""
    with apt.open_apt([source], system, cache, fresh=FRESH) as tool:
        there = tool.show({name for names in found.values() for name in names})
    kept = {need: tuple(name for name in names if name in there) for need, names in found.items()}
    return {need: names for need, names in kept.items() if names}


def _short(error: NixgenError) -> str:
    """apt's own reason, in one line and without the address, which may be long."""
    text = "\n".join(problem.what for problem in error.problems)
    found = re.search(r"File has unexpected size|Hash Sum mismatch|404 +Not Found|Could not (?:connect|resolve)", text)
    if found is None:
        return text.partition("\n")[0]
    return "the mirror's file is not the signed one" if found[0].startswith(("File", "Hash")) else found[0]


_Place = tuple[int, bool, int, bool, int, int]
"""How good a package is for a need, the best least: where the file lies in it, what the package is, its name."""


def ranked(needs: Iterable[Need], lines: Iterable[str], system: str) -> dict[Need, tuple[str, ...]]:
    """The same from lines of the index."""
    by_path = [(match["path"], match["packages"]) for line in lines if (match := _LINE.fullmatch(line.rstrip("\n")))]
    found: dict[Need, tuple[str, ...]] = {}
    for need in needs:
        best: dict[str, _Place] = {}
        own = _bare(need.name.rpartition("/")[2].partition(".")[0].lower())
        for rank, (_, pattern) in enumerate(_patterns(need, system)):
            for path, packages in by_path:
                if not pattern.fullmatch(path):
                    continue
                for package in (name.rpartition("/")[2] for name in packages.split(",")):
                    key = (
                        rank,
                        package.endswith("-dev") == (need.kind == "soname"),
                        2 - (own in package) - (own == _bare(package)),
                        not any(word in package for word in _USUAL),
                        path.count("/"),
                        len(package),
                    )
                    best[package] = min(key, best.get(package, key))
        if best:
            found[need] = tuple(sorted(best, key=lambda package: (best[package], package)))
    return found


def _bare(name: str) -> str:
    """What a library is called: "krb5" of "krb5-config" and of "libkrb5-dev"."""
    return re.sub(r"^lib|-(?:dev|config)$", "", name)


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
        if name.endswith(".so"):  # without a version: what programs load has one
            for folded in dict.fromkeys((name, name.lower())):
                yield f"/{folded}.", re.compile(lib + re.escape(folded) + r"\.\d+")
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
