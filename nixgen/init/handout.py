"""What ``nixgen init --enter`` writes for people who were sent the repository: ./enter, and ENVIRONMENT.md.

Both have how Nix is installed from ``nix/install.py``, the one place that says so.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nixgen import resources
from nixgen.bases.model import DebianBase
from nixgen.console import size
from nixgen.formats.foreign import lookup, table, tables
from nixgen.machine import files
from nixgen.machine.host import Host
from nixgen.nix import install, tools

if TYPE_CHECKING:
    from nixgen.generate.model import Plan

ENTER = "enter"
PAGE = "ENVIRONMENT.md"
BEGIN = "<!-- nixgen writes what follows, up to its end; to write it again: nixgen init --enter -->"
END = "<!-- the end of what nixgen writes -->"
_MACHINES = {
    "aarch64-darwin": "macOS on Apple's processors",
    "aarch64-linux": "Linux on ARM",
    "x86_64-darwin": "macOS on Intel",
    "x86_64-linux": "Linux on Intel and AMD",
}
_PLAIN = re.compile(r"[\w ./:=,@%+-]*")  # what no shell changes
_BYTES = 50_000_000 // 8  # a second, of the line that the page names
_MINUTE = 60
_NAMED = [kind for kind in install.KINDS if kind.ids]


def wanted(
    root: Path, plan: Plan, pyproject: Mapping[str, Any], origin: str
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Both files, where they are not the user's by now; and what there is to say."""
    found: dict[str, bytes] = {}
    notes: list[str] = []
    old = files.read(root, ENTER)
    if old is None:
        found[ENTER] = enter_sh().encode()
    elif not files.written_by_nixgen(old.partition(b"\n")[2]):  # the first line is the interpreter's
        notes.append(f"{ENTER} stays as it is, because nixgen did not write it.")
    there = (files.read(root, PAGE) or b"").decode(errors="replace")
    page = with_page(there, f"# {plan.name}: how to run it", page_of(plan, pyproject, origin))
    if page is None:
        notes.append(f"{PAGE} stays as it is: it has no line {BEGIN}")
    else:
        found[PAGE] = page.encode()
    return found, tuple(notes)


def renewed(root: Path, plan: Plan, pyproject: Mapping[str, Any]) -> dict[str, bytes]:
    """ENVIRONMENT.md as it is to be, where it is there and has nixgen's marks.

    The repository's address stays the one that is in it: another clone's remote is no news.
    """
    there = (files.read(root, PAGE) or b"").decode(errors="surrogateescape")
    _, begin, rest = there.partition(BEGIN)
    part, end, _ = rest.partition(f"{END}\n")
    if not (begin and end):
        return {}
    origin = next(iter(re.findall(r"^- (https://\S+)$", part, re.MULTILINE)), "")
    page = with_page(there, "", page_of(plan, pyproject, origin))
    return {} if page is None else {PAGE: page.encode(errors="surrogateescape")}


def with_page(there: str, title: str, page: str) -> str | None:
    """A file with the page between its marks; a new one where nothing is ``there``. None for one without marks."""
    if not there:
        return f"{title}\n\n{page}"
    before, begin, rest = there.partition(BEGIN)
    _, end, after = rest.partition(f"{END}\n")
    return f"{before}{page}{after}" if begin and end else None


def enter_sh() -> str:
    """The script ./enter."""
    return (
        resources.templates()
        .get_template("enter.sh.j2")
        .render(
            known=" | ".join(f"{name}:other" for kind in _NAMED for name in kind.ids),
            beside=" ".join(f'"${{HOME:-}}{one[1:]}"' if one.startswith("~") else one for one in tools.BESIDE),
            units=" ".join(install.UNITS),
            rows=[(pattern, shlex.quote(command)) for pattern, command in _rows()],
        )
    )


def page_of(plan: Plan, pyproject: Mapping[str, Any], origin: str) -> str:
    """ENVIRONMENT.md, from mark to mark. ``origin`` is the repository's public address, "" for none."""
    run = lookup(pyproject, "tool", "nixgen", "run")
    line = run if isinstance(run, str) else ""
    count = max((len(one.packages) for one in plan.resolutions), default=0)
    download = max((_download(plan, system) for system in plan.systems), default=0)
    seconds = max(download // _BYTES, 1)
    took = f"{seconds} s" if seconds < _MINUTE else f"{seconds // _MINUTE} min"
    return (
        resources.templates()
        .get_template("environment.md.j2")
        .render(
            begin=BEGIN,
            end=END,
            python=plan.base.python,
            packages=f"{count} package{'' if count == 1 else 's'}",
            systems=[_line(kind) for kind in install.KINDS if kind is not install.NIXOS],
            served=", ".join(sorted((_MACHINES.get(system, system) for system in plan.systems), key=_linux_first)),
            command=f"./enter {line if _PLAIN.fullmatch(line) else f'sh -c {shlex.quote(line)}'}"
            if line
            else "./enter",
            run=line,
            download=size(download),
            more="" if isinstance(plan.base, DebianBase) else ", and Python with its libraries from nixpkgs",
            minutes=took,
            ask="\n".join(f"- {who}" for who in _people(pyproject, origin)),
        )
    )


def _download(plan: Plan, system: str) -> int:
    """Bytes that a machine fetches, as far as the locks know."""
    wheels = {
        (one.url or one.file): one.size or 0
        for resolution in plan.resolutions
        if resolution.target.system == system
        for one in resolution.packages
    }
    pinned = {file.sha256: file.size for artifact in plan.artifacts for file in artifact.files if file.url}
    debs = plan.base.debs if isinstance(plan.base, DebianBase) else ()
    return sum(wheels.values()) + sum(pinned.values()) + sum(deb.size for deb in debs if deb.system == system)


def _people(pyproject: Mapping[str, Any], origin: str) -> list[str]:
    project = table(pyproject, "project")
    listed = [*tables(project.get("maintainers")), *tables(project.get("authors"))]
    found = [", ".join(" ".join(str(one[key]).split()) for key in ("name", "email") if one.get(key)) for one in listed]
    return list(dict.fromkeys(filter(None, [*found, origin]))) or ["Whoever sent you this."]


def _linux_first(name: str) -> tuple[bool, str]:
    return not name.startswith("Linux"), name


def _line(kind: install.Kind) -> tuple[str, str, str]:
    """A kind of system, the command that installs Nix there, and what is to be done then."""
    host = Host("darwin" if kind is install.MACOS else "linux", kind.ids, systemd=kind is not install.BARE)
    command = install.nix(host, root=False)
    return kind.names, command.removesuffix(install.LOG_IN), command.removeprefix(command.removesuffix(install.LOG_IN))


def _rows() -> list[tuple[str, str]]:
    """The patterns of WHAT:ID:SYSTEMD:WHO in ./enter, each with its command; the first one counts."""
    rows: list[tuple[str, str]] = []
    usual = install.member(Host("linux"))
    for names, system in (*((kind.ids, "linux") for kind in _NAMED), (("macos",), "darwin"), (("*",), "linux")):
        ids = () if system == "darwin" or names == ("*",) else names
        told = {
            f"{'yes' if systemd else 'no'}:{'root' if root else 'user'}": install.nix(
                Host(system, ids, systemd=systemd), root=root
            )
            for systemd in (True, False)
            for root in (False, True)
        }
        for command in dict.fromkeys(told.values()):
            cases = [case for case, other in told.items() if other == command]
            cases = ["*"] if len(cases) == len(told) else cases
            rows.append((" | ".join(f"nix:{name}:{case}" for name in names for case in cases), command))
        member = install.member(Host(system, ids))
        if member != usual or names == ("*",):
            rows.append((" | ".join(f"member:{name}:*" for name in names), member))
    rows.append(("start:macos:*", install.start(Host("darwin"))))
    rows += [("start:*:yes:*", install.start(Host("linux", systemd=True))), ("start:*", install.start(Host("linux")))]
    return [*rows, ("store:*", install.OWN)]
