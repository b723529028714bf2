"""nixgen.lock: reading and writing it. The format's version is 2 where something is built from its source, else 1.

Parsing is closed: a key that is not known, twice there or of the wrong shape is an error with the path to it, and all
errors are told at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nixgen.artifacts import pins
from nixgen.bases.model import PARTS, Base, Bootstrap, Deb, DebianBase, NixpkgsBase, Part
from nixgen.builds import pins as buildpins
from nixgen.errors import Problem, UserError
from nixgen.formats.strictjson import Table, document
from nixgen.lock import logpins
from nixgen.lock.logpins import LogPin
from nixgen.lock.model import Lock
from nixgen.machine.files import contents
from nixgen.resolve.model import FileHash

VERSION = 2
"""The newest version of the format that this nixgen knows; it reads and writes all from 1 on."""

_BUILDS = 2  # the first version with builds
NAME = "nixgen.lock"
_MEND = "write it again: nixgen lock --upgrade"
_BROKEN = "restore it: git checkout HEAD -- nixgen.lock && nixgen lock (all pinned anew: nixgen lock --upgrade)"

_DEBIAN_NAME = r"[a-z0-9][a-z0-9+.\-]+"  # Debian Policy 5.6.7
_DEBIAN_VERSION = r"(?:[0-9]+:)?[0-9][A-Za-z0-9.+~\-]*"  # Debian Policy 5.6.12
_ATTRIBUTE = r"[A-Za-z0-9_][A-Za-z0-9_.+'\-]*"
_DOTTED = r"[0-9]+\.[0-9]+"
_SHA256 = r"[0-9a-f]{64}"
_STAMP = r"[0-9]{8}T[0-9]{6}Z"
_OPEN = 4  # objects that are indented by less have one line for each key
_ALWAYS = ("core", "extra")
_BUILDING = ("build-libraries", "build-tools")
_DEBIAN_SYSTEMS = ("aarch64-linux", "x86_64-linux")


def read_lock(path: Path, again: str = "nixgen sync") -> Lock:
    """The lock in this file, which ``again`` makes. Raises UserError with all that is wrong with it."""
    try:
        text = contents(path).decode()
    except FileNotFoundError:
        raise UserError.of(NAME, "is not there", f"make it: {again}") from None
    except UnicodeDecodeError:
        raise UserError.of(NAME, "is not UTF-8 text", _BROKEN) from None
    except OSError as error:
        raise UserError.of(NAME, f"cannot be read: {error.strerror}", "make it readable") from None
    return parse_lock(text)


def parse_lock(text: str) -> Lock:
    """The lock that this text is. Raises UserError with all that is wrong with it."""
    problems: list[Problem] = []
    found = document(text, NAME, "a lock", _BROKEN)
    if isinstance(found, dict) and found.get("version", VERSION) not in range(1, VERSION + 1):
        raise UserError.of(
            f"{NAME}: version",
            f"is {json.dumps(found['version'])}, and this nixgen knows 1 to {VERSION}",
            "use the nixgen that wrote it, or " + _MEND,
        )
    top = Table(found, NAME, "", problems, _MEND)
    top.closed("version", "base", "hashes", *pins.KEYS, *buildpins.KEYS, *logpins.KEYS)
    top.integer("version")
    base = _base(top.table("base"))
    urls = top.table("hashes")
    hashes = tuple(_hash(urls, url) for url in sorted(urls.keys()))
    artifacts = pins.parse(top)
    cache, registry = (logpins.parse(top, key) for key in logpins.KEYS)
    builds = buildpins.parse(top)
    if problems:
        raise UserError(dict.fromkeys(problems))
    return Lock(base, hashes, artifacts, cache, registry, builds)


def logs_of(text: str, key: str) -> tuple[LogPin, ...]:
    """The logs of a text that may be no lock any more: what a log once was cannot be found out again.

    None where they cannot be read either.
    """
    problems: list[Problem] = []
    try:
        found = logpins.parse(Table(document(text, NAME, "a lock", _BROKEN), NAME, "", problems, _MEND), key)
    except UserError:
        return ()
    return () if problems else found


def dump_lock(lock: Lock) -> str:
    """The file's text: JSON with sorted keys, a line for each package, tarball, hash, file, cache and wheel."""
    hashes = {entry.url: {"sha256": entry.sha256, "size": entry.size} for entry in lock.hashes}
    base = _dump_debian(lock.base) if isinstance(lock.base, DebianBase) else _dump_nixpkgs(lock.base)
    builds = buildpins.dump(lock.builds)
    table = {
        "version": _BUILDS if builds else 1,
        "base": base,
        "hashes": hashes,
        **pins.dump(lock.artifacts),
        **logpins.dump(lock.cache),
        **logpins.dump(lock.registry, logpins.REGISTRY),
        **builds,
    }
    return _layout(table, "") + "\n"


def _hash(urls: Table, url: str) -> FileHash:
    urls.check_url(url, url, ("https", "http", "file"))
    entry = urls.table(url)
    entry.closed("sha256", "size")
    return FileHash(url, entry.text("sha256", _SHA256), entry.integer("size"))


def _base(table: Table) -> Base:
    kind = table.choice("kind", ("debian", "nixpkgs"))
    return _nixpkgs(table) if kind == "nixpkgs" else _debian(table)


def _nixpkgs(table: Table) -> NixpkgsBase:
    table.closed(
        *("kind", "name", "rev", "narHash", "lastModified", "glibc", "python", "pythonFull", "libraries", "tools"),
        *("unfree", *_BUILDING),
    )
    return NixpkgsBase(
        name=table.text("name", r"[A-Za-z0-9][A-Za-z0-9._\-]*"),
        rev=table.text("rev", r"[0-9a-f]{40}"),
        nar_hash=table.text("narHash", r"sha256-[A-Za-z0-9+/]{43}="),
        last_modified=table.integer("lastModified"),
        glibc=table.text("glibc", _DOTTED),
        python=table.text("python", _DOTTED),
        libraries=table.texts("libraries", _ATTRIBUTE),
        tools=table.texts("tools", _ATTRIBUTE),
        python_full=table.text("pythonFull", r"[0-9]+\.[0-9]+\.[0-9]+") if "pythonFull" in table else "",
        build_libraries=table.texts("build-libraries", _ATTRIBUTE) if "build-libraries" in table else (),
        build_tools=table.texts("build-tools", _ATTRIBUTE) if "build-tools" in table else (),
        unfree="unfree" in table and table.flag("unfree"),
    )


def _debian(table: Table) -> DebianBase:
    table.closed("kind", "suite", "python", "glibc", "libraries", "tools", *_BUILDING, "bootstrap", "debs", "snapshots")
    tarballs = table.table("bootstrap")
    tarballs.closed(*_DEBIAN_SYSTEMS)
    systems = table.table("debs")
    systems.closed(*_DEBIAN_SYSTEMS)
    debs: list[Deb] = []
    bootstrap: list[Bootstrap] = []
    for system in sorted({*tarballs.keys(), *systems.keys()} & {*_DEBIAN_SYSTEMS}):
        tarball = tarballs.table(system)
        tarball.closed("file", "sha256")
        bootstrap.append(
            Bootstrap(system, tarball.text("file", r"[A-Za-z0-9][A-Za-z0-9._\-]*"), tarball.text("sha256", _SHA256))
        )
        parts = systems.table(system)
        parts.closed(*PARTS)
        seen: dict[str, set[str]] = {"core": set()}
        for part in PARTS:
            for entry in parts.tables(part) if part in parts or part in _ALWAYS else ():
                deb = _deb(entry, system, part)
                if deb.name in seen["core"] | seen.setdefault(part, set()):
                    entry.problem("name", f'"{deb.name}" is there twice')
                seen[part].add(deb.name)
                debs.append(deb)
    return DebianBase(
        suite=table.text("suite", r"[a-z][a-z0-9\-]*"),
        python=table.text("python", _DOTTED),
        glibc=table.text("glibc", _DOTTED),
        libraries=table.texts("libraries", _DEBIAN_NAME),
        tools=table.texts("tools", _DEBIAN_NAME),
        bootstrap=tuple(bootstrap),
        debs=tuple(sorted(debs, key=_deb_order)),
        build_libraries=table.texts("build-libraries", _DEBIAN_NAME) if "build-libraries" in table else (),
        build_tools=table.texts("build-tools", _DEBIAN_NAME) if "build-tools" in table else (),
        snapshots=table.texts("snapshots", _STAMP) if "snapshots" in table else (),
    )


def _deb(entry: Table, system: str, part: Part) -> Deb:
    entry.closed("name", "version", "url", "sha256", "size")
    url = entry.text("url")
    entry.check_url("url", url, ("https", "http"))
    return Deb(
        name=entry.text("name", _DEBIAN_NAME),
        version=entry.text("version", _DEBIAN_VERSION),
        system=system,
        part=part,
        url=url,
        sha256=entry.text("sha256", _SHA256),
        size=entry.integer("size"),
    )


def _deb_order(deb: Deb) -> tuple[str, str, str]:
    return (deb.system, deb.part, deb.name)


def _dump_nixpkgs(base: NixpkgsBase) -> dict[str, Any]:
    return {
        "kind": base.kind,
        "name": base.name,
        "rev": base.rev,
        "narHash": base.nar_hash,
        "lastModified": base.last_modified,
        "glibc": base.glibc,
        "python": base.python,
        **({"pythonFull": base.python_full} if base.python_full else {}),
        "libraries": list(base.libraries),
        "tools": list(base.tools),
        **({"unfree": True} if base.unfree else {}),
        **_dump_building(base),
    }


def _dump_building(base: Base) -> dict[str, list[str]]:
    both = {"build-libraries": list(base.build_libraries), "build-tools": list(base.build_tools)}
    return {key: names for key, names in both.items() if names}


def _dump_debian(base: DebianBase) -> dict[str, Any]:
    debs: dict[str, dict[str, list[dict[str, Any]]]] = {
        system: {part: [] for part in _ALWAYS}
        for system in [*(b.system for b in base.bootstrap), *(d.system for d in base.debs)]
    }
    for deb in sorted(base.debs, key=_deb_order):
        debs[deb.system].setdefault(deb.part, []).append(
            {"name": deb.name, "version": deb.version, "url": deb.url, "sha256": deb.sha256, "size": deb.size}
        )
    return {
        "kind": base.kind,
        "suite": base.suite,
        "python": base.python,
        "glibc": base.glibc,
        "libraries": list(base.libraries),
        "tools": list(base.tools),
        **_dump_building(base),
        **({"snapshots": list(base.snapshots)} if base.snapshots else {}),
        "bootstrap": {entry.system: {"file": entry.file, "sha256": entry.sha256} for entry in base.bootstrap},
        "debs": debs,
    }


def _layout(value: Any, indent: str) -> str:  # noqa: ANN401 -- any JSON value
    """JSON where what is small is on one line: a list of texts, and an object below the second level without others."""
    inner = indent + "  "
    if (
        isinstance(value, Mapping)
        and value
        and (len(indent) < _OPEN or any(isinstance(item, dict | list) for item in value.values()))
    ):
        items = [f"{inner}{_scalar(key)}: {_layout(value[key], inner)}" for key in sorted(value)]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{inner}{_layout(item, inner)}" for item in value) + f"\n{indent}]"
    return _scalar(value)


def _scalar(value: Any) -> str:  # noqa: ANN401 -- the same
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
