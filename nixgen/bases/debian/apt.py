"""The one wrapper round apt: what would be installed for a list of packages, with the hashes of the signed index.

apt runs with folders, sources and an empty installation of its own (apt.conf(5), "Directories"), so it needs no
root, changes nothing on the machine and can resolve for another architecture. Of the machine's settings only those
that say how to reach the network are taken over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote

from nixgen import console as told
from nixgen.bases.debian.sources import KEYRING_PACKAGES, Source, vendor_of
from nixgen.console import console
from nixgen.errors import MachineError
from nixgen.machine import folders, process

ARCHITECTURES = {"aarch64-linux": "arm64", "x86_64-linux": "amd64"}
"""Debian's name for a Nix system."""

_TAKEN_OVER = re.compile(
    r"^Acquire::(https?(::|\s)|Retries\s|Check-Valid-Until\s|Check-Date\s|ForceIPv[46]\s|Max-ValidTime|Min-ValidTime)"
)
_PLANNED = re.compile(
    r"'(?P<url>[^']+)' (?P<name>[^\s_]+)_(?P<version>[^\s_]+)_\w+\.deb (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})"
)
_STUB_FIELDS = ("Package", "Version", "Architecture", "Multi-Arch", "Provides")
_TAIL = 12
_FETCHED = "fetched"  # its time is that of the last fetch

_ROOM = 128 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Package:
    """A package file as the signed index describes it; ``sha256`` is hexadecimal, ``size`` is in bytes."""

    name: str
    version: str
    url: str
    sha256: str
    size: int


class RefusedError(Exception):
    """apt cannot install these packages together; the message is apt's reason."""


@dataclass(frozen=True, slots=True)
class Index:
    """What apt fetches of a suite: what people call it, how its files are named, and what apt.conf(5) is to say."""

    title: str
    files: str
    configuration: tuple[str, ...] = ()


_DATE = re.compile(r"^Date: *(.+)$", re.MULTILINE)
PACKAGES = Index("the package index", "*_Packages")


class Apt:
    """apt for one suite and architecture, with its folders under ``cache``. Use it inside :func:`open_apt`."""

    def __init__(self, cache: Path, architecture: str, index: Index = PACKAGES) -> None:
        self._cache = cache
        self._architecture = architecture
        self._index = index
        self._status = cache / "status"
        self._answers = cache / "answers"
        self._shown: dict[str, dict[str, str] | None] = {}
        self._environment = {**os.environ, "LC_ALL": "C", "APT_CONFIG": str(cache / "apt.conf")}

    def prepare(self, sources: Sequence[Source], fresh: float = 0) -> None:
        """Write the private configuration, and fetch the index, unless it is younger than ``fresh`` seconds.

        Raises MachineError.
        """
        for folder in ("state/lists/partial", "cache/archives/partial", "etc"):
            (self._cache / folder).mkdir(parents=True, exist_ok=True)
        self._status.write_bytes(b"")
        (self._cache / "etc/nixgen.sources").write_text("\n".join(map(str, sources)), encoding="utf-8")
        (self._cache / "apt.conf").write_text(self._configuration(), encoding="utf-8")
        self._fetch(sources, fresh)
        self._answers = self._cache / "answers" / self._state()
        for other in (self._cache / "answers").glob("*"):
            if other != self._answers:
                shutil.rmtree(other)
        self._answers.mkdir(parents=True, exist_ok=True)

    def _fetch(self, sources: Sequence[Source], fresh: float) -> None:
        known = self._fetched()
        if known and fresh and time.time() - (self._cache / _FETCHED).stat().st_mtime < fresh:
            return
        if (free := shutil.disk_usage(self._cache).free) < _ROOM:  # apt-get waits for ever where it cannot write
            what = f"has {told.size(free)} free, and what apt fetches needs {told.size(_ROOM)}"
            raise MachineError.of(str(self._cache), what, "make room or set XDG_CACHE_HOME to a folder with room")
        index = f"{self._index.title} of {sources[0].suite} for {self._architecture} ({sources[0].uri})"
        with console.step(f"{'Asking whether' if known else 'Fetching'} {index}{' has changed' if known else ''}"):
            # What it has parsed stays where the signed index is the same; else it does so anew with each update.
            done = self._run("apt-get", "update", "-q", "-o", "pkgCacheFile::Generate=false")
        failed = [line for line in done.err.splitlines() if line.startswith(("E:", "W: Failed", "W: Some index"))]
        if done.code or failed:
            vendor = vendor_of(sources[0].suite)
            raise MachineError.of(
                "",
                f"apt could not fetch {vendor}'s {self._index.title.removeprefix('the ')}\n" + _tail(done.err),
                _mend_update(done.err, vendor),
            )
        (self._cache / _FETCHED).touch()

    def lines(self, texts: Iterable[str]) -> list[str]:
        """The lines of the index's files that hold one of the texts."""
        (self._cache / "texts").write_text("".join(f"{text}\n" for text in sorted(texts)), encoding="utf-8")
        found: list[str] = []
        for file in self._fetched():
            unpacked = ("/usr/lib/apt/apt-helper", "cat-file", str(file))
            through = ("grep", "-a", "-F", "-f", str(self._cache / "texts"))
            found += process.piped(unpacked, through, env=self._environment).out.splitlines()
        return found

    def _fetched(self) -> list[Path]:
        """The files of the index that are here, and were checked."""
        return sorted((self._cache / "state/lists").glob(self._index.files))

    def dates(self) -> list[str]:
        """When the signed indexes here were made (Release, "Date")."""
        lists = sorted((self._cache / "state/lists").glob("*Release"))
        return [found[1] for path in lists if (found := _DATE.search(path.read_text("utf-8", "replace")))]

    def show(self, names: Iterable[str]) -> dict[str, dict[str, str]]:
        """The newest version's control fields of each name that is a package; an unknown or virtual one is absent."""
        wanted = sorted(set(names))
        if new := [name for name in wanted if name not in self._shown]:
            shown = self._asked("apt-cache", "show", "--no-all-versions", *new)
            stanzas = [dict(_fields(stanza)) for stanza in shown.split("\n\n") if stanza.strip()]
            self._shown |= dict.fromkeys(new) | {name: one for one in stanzas if (name := one.get("Package")) in new}
        return {name: found for name in wanted if (found := self._shown[name]) is not None}

    def nearest(self, name: str) -> tuple[str, ...]:
        """Up to three known names that look like this one."""
        known = self._run("apt-cache", "pkgnames").out.split()
        return tuple(get_close_matches(name, known, n=3, cutoff=0.75))

    def plan(
        self, roots: Iterable[str], without: Iterable[str] = (), pinned: Mapping[str, str] | None = None
    ) -> tuple[Package, ...]:
        """What ``apt-get install`` of the roots needs on an empty machine, sorted by name; no Recommends.

        ``without`` are packages to take as installed already: neither they nor what only they need is planned. So are
        ``pinned`` (name → version), unless something needs another version of one. Raises RefusedError when apt finds
        no solution.
        """
        pinned = pinned or {}
        names = sorted(set(roots) - pinned.keys())
        if not names:
            return ()
        self._status.write_bytes(b"")
        stubs = self.show({*without, *pinned} - set(names))
        for name, version in pinned.items():
            # What the mirror does not have any more is there all the same.
            stubs[name] = {
                "Package": name,
                "Architecture": self._architecture,
                **stubs.get(name, {}),
                "Version": version,
            }
        self._status.write_text("\n".join(_stub(stubs[name]) for name in sorted(stubs)), encoding="utf-8")
        printed = self._asked("apt-get", "install", "--yes", "--print-uris", *names)
        return tuple(sorted(parse_plan(printed), key=lambda package: package.name))

    def _configuration(self) -> str:
        """apt.conf(5): what the machine says about the network, and all folders our own."""
        dump = process.run(["apt-config", "dump"], env={**os.environ, "LC_ALL": "C"}).out
        lines = ['Acquire::Retries "2";', *(line for line in dump.splitlines() if _TAKEN_OVER.match(line))]
        lines += self._index.configuration
        own = {
            "Dir::State": self._cache / "state",
            "Dir::State::status": self._status,
            "Dir::Cache": self._cache / "cache",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::sourcelist": "/dev/null",
            "Dir::Etc::sourceparts": self._cache / "etc",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "APT::Architecture": self._architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "SHA256",
        }
        lines += [f'{key} "{value}";' for key, value in own.items()]
        lines.append(f'APT::Architectures {{ "{self._architecture}"; }};')
        return "\n".join(lines) + "\n"

    def _asked(self, *command: str) -> str:
        """What apt prints, kept as long as it would say the same: it takes a second. Raises RefusedError."""
        asked = "\n".join([*command, self._status.read_text(encoding="utf-8")])
        place = self._answers / hashlib.sha256(asked.encode()).hexdigest()
        if (kept := _kept(place)) is not None:
            return kept
        done = self._run(*command)
        if done.code and command[0] == "apt-get":
            raise RefusedError(_tail(done.out + done.err))
        if not done.code:
            data = done.out.encode()
            place.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
        return done.out

    def _state(self) -> str:
        """What is another when apt's answers may be: what it reads, and apt itself."""
        lists = sorted(path for path in (self._cache / "state/lists").iterdir() if path.is_file())
        files = [*lists, Path(shutil.which("apt-get") or "")]
        stated = [f"{file.name} {(stat := file.stat()).st_size} {stat.st_mtime_ns} {stat.st_ino}" for file in files]
        signed = [path.read_bytes() for path in lists if path.name.endswith("Release")]
        told = (self._cache / "apt.conf").read_text(encoding="utf-8")
        return hashlib.sha256(repr((stated, signed, told)).encode()).hexdigest()[:32]

    def _run(self, *command: str) -> process.Result:
        return process.run(command, env=self._environment, check=False)


@contextmanager
def open_apt(
    sources: Sequence[Source], system: str, cache: Path | None = None, index: Index = PACKAGES, fresh: float = 0
) -> Iterator[Apt]:
    """An :class:`Apt` with an index that is at most ``fresh`` seconds old, for one Nix system.

    ``cache`` is where the index is kept between runs; it is nixgen's own folder under $XDG_CACHE_HOME if not given.
    Only one process at a time uses a folder: a second one waits. Raises MachineError.
    """
    if shutil.which("apt-get") is None:
        raise MachineError.of(
            "",
            "there is no apt on this machine, which the debian base is pinned with",
            "run nixgen lock on Debian or Ubuntu (a container is enough; the result serves all), "
            'or set base = "nixpkgs"',
        )
    architecture = ARCHITECTURES[system]
    parts = [architecture, *map(str, sources), *index.configuration]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = (cache or folders.cache("apt")) / f"{sources[0].suite}-{architecture}-{digest}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            apt = Apt(folder, architecture, index)
            apt.prepare(sources, fresh)
            yield apt
    except OSError as error:
        raise MachineError.of(
            str(error.filename or folder),
            f"cannot be written: {error.strerror}",
            "make room or set XDG_CACHE_HOME to a folder that can be written",
        ) from error


def parse_plan(text: str) -> Iterator[Package]:
    """The package lines of ``apt-get install --print-uris``: 'address' file size SHA256:hash.

    apt names the file PACKAGE_VERSION_ARCHITECTURE.deb, with the version's colon as %3a.
    """
    for line in text.splitlines():
        if not line.startswith("'"):
            continue
        match = _PLANNED.fullmatch(line)
        if match is None:
            raise MachineError.of("", f"apt printed a line that nixgen does not understand: {line}", "report it")
        yield Package(match["name"], unquote(match["version"]), match["url"], match["sha256"], int(match["size"]))


def _kept(place: Path) -> str | None:
    """The answer in a file behind its own digest; None where there is none, or not the whole."""
    try:
        digest, _, data = place.read_bytes().partition(b"\n")
        return data.decode() if hashlib.sha256(data).hexdigest().encode() == digest else None
    except (OSError, ValueError):
        return None


def _fields(stanza: str) -> Iterator[tuple[str, str]]:
    for line in stanza.splitlines():
        name, colon, value = line.partition(":")
        if colon and not line.startswith((" ", "\t")):
            yield name, value.strip()


def _stub(fields: Mapping[str, str]) -> str:
    """An entry of dpkg's status file that says that a package is installed and needs nothing."""
    kept = [f"{name}: {fields[name]}" for name in _STUB_FIELDS if name in fields]
    kept += ["Status: install ok installed", "Maintainer: nobody", "Description: left out"]
    return "\n".join(kept) + "\n"


def _tail(text: str) -> str:
    """The last lines of apt's complaint, indented."""
    lines = [line for line in text.splitlines() if line.startswith(("E:", "W:", " ", "The following"))]
    return "\n".join(f"    {line.rstrip()}" for line in lines[-_TAIL:])


def _mend_update(stderr: str, vendor: str) -> str:
    if "NO_PUBKEY" in stderr or "is not signed" in stderr:
        return f"install the newest keys: apt-get install {KEYRING_PACKAGES[vendor]}"
    mirror = f"https://mirror.example.org/{vendor.lower()}"
    if "is expired" in stderr:
        known = 'Acquire::Check-Valid-Until "false"; in /etc/apt/apt.conf.d/99frozen'
        return f"use a mirror that is up to date: --mirror {mirror}; or, on purpose: {known}"
    if "is not valid yet" in stderr:
        return "set this machine's clock: date"
    return f"check the network, the proxy and the mirror; or use another mirror: --mirror {mirror}"
