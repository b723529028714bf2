"""Where this machine gets Debian packages from: apt's own source lists, read and turned into a private one.

Formats: sources.list(5), one line a source, and deb822 (``*.sources``). No mirror's address is known to nixgen; it
takes the machine's own, or what ``nixgen lock --mirror`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nixgen.errors import MachineError, UserError
from nixgen.machine import addresses

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
"""Where Debian's package debian-archive-keyring puts the keys that sign the archive."""

_SUITE = re.compile(
    r"^(?:buster|bullseye|bookworm|trixie|forky|sid|(?:old)*stable|testing|unstable)(?:-updates|-security|/updates)?$"
)
"""What a source must name to count as Debian's archive, and not another vendor's."""

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")


@dataclass(frozen=True, slots=True)
class Source:
    """One place to get packages from: an address, a suite, and the key files that its index is signed with."""

    uri: str
    suite: str
    keyrings: tuple[str, ...] = ()
    components: tuple[str, ...] = ("main",)

    def __str__(self) -> str:
        """The source as a deb822 stanza."""
        return (
            f"Types: deb\nURIs: {self.uri}\nSuites: {self.suite}\n"
            f"Components: {' '.join(self.components)}\nSigned-By: {' '.join(self.keyrings)}\n"
        )


@dataclass(frozen=True, slots=True)
class Mirror:
    """The archive, and its security archive where the machine has one."""

    archive: str
    security: str | None = None
    updates: bool = True
    keyrings: tuple[str, ...] = ()

    def sources(self, suite: str, *, stable: bool) -> tuple[Source, ...]:
        """The sources for a suite. Testing and unstable have neither updates nor a security archive of their own."""
        found = [Source(self.archive, suite, self.keyrings)]
        if stable and self.updates:
            found.append(Source(self.archive, f"{suite}-updates", self.keyrings))
        if stable and self.security:
            found.append(Source(self.security, f"{suite}-security", self.keyrings))
        return tuple(found)


def machine_mirror(folder: Path = Path("/etc/apt"), override: Sequence[str] = ()) -> Mirror:
    """The mirror to use: what ``override`` says, else the machine's own.

    Of the overriding addresses the one with "security" in its path is the security archive. Raises UserError for an
    address with credentials or one that Nix cannot fetch from, and MachineError when no Debian mirror is known or
    the keys to check it with are missing.
    """
    if override:
        for uri in override:
            check_uri(uri, "--mirror")
        chosen = [Source(uri, "-security" if "security" in urlsplit(uri).path else "") for uri in override]
    else:
        chosen = sorted(filter(_is_debian, read_sources(folder)), key=_distance)
        usable = [source for source in chosen if _problem(source.uri) is None]
        if chosen and not usable:
            check_uri(chosen[0].uri, f"{folder}/sources.list")
        chosen = usable
    archive = next((source for source in chosen if not _is_security(source)), None)
    security = next((source for source in chosen if _is_security(source)), None)
    if archive is None:
        raise MachineError.of(
            "",
            "this machine's apt knows no Debian mirror, which the debian base is pinned from",
            'name one: nixgen lock --mirror https://mirror.example.org/debian, or set base = "nixpkgs"',
        )
    keyrings = {key for source in (archive, security) if source for key in source.keyrings if Path(key).is_file()}
    keyrings.update([str(path) for path in KEYRINGS if path.is_file()][:1])
    if not keyrings:
        raise MachineError.of(
            "",
            "the keys that sign Debian's package index are not on this machine",
            "install them: apt-get install debian-archive-keyring",
        )
    return Mirror(
        archive=archive.uri,
        security=security.uri if security else None,
        updates=bool(override) or any(s.uri == archive.uri and s.suite.endswith("-updates") for s in chosen),
        keyrings=tuple(sorted(keyrings)),
    )


def check_uri(uri: str, where: str) -> None:
    """Raise UserError when packages cannot be pinned from this address."""
    problem = _problem(uri)
    if problem:
        raise UserError.of(where, *problem)


def _problem(uri: str) -> tuple[str, str] | None:
    """What is wrong with a mirror's address, and how to mend it."""
    parts = urlsplit(uri)
    secret = addresses.in_parts(parts)
    if secret:
        return (
            f"the mirror's address carries {secret}, which would end up in nixgen.lock",
            "put them into /etc/apt/auth.conf for apt and into Nix's netrc-file, and leave them out of the address",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return (
            f"Nix cannot fetch packages from {uri}",
            "name a mirror that starts with https:// or http://: nixgen lock --mirror https://mirror.example.org/debian",
        )
    return None


def read_sources(folder: Path) -> tuple[Source, ...]:
    """All enabled binary sources of an apt configuration folder, in apt's order: sources.list, then the parts."""
    found: list[Source] = []
    parts = folder / "sources.list.d"
    names = sorted(path for path in parts.iterdir()) if parts.is_dir() else []
    for path in [folder / "sources.list", *names]:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if path.suffix == ".list":
            found.extend(parse_one_line(text))
        elif path.suffix == ".sources":
            found.extend(parse_deb822(text))
    return tuple(found)


def parse_one_line(text: str) -> Iterator[Source]:
    """The ``deb`` lines of sources.list(5), "One-Line-Style Format"."""
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(part.partition("=")[::2] for part in (match["options"] or "").split())
        keyrings = _key_files(options.get("signed-by", "").replace(",", " ").split())
        yield Source(match["uri"], match["suite"], keyrings, tuple(match["components"].split()))


def parse_deb822(text: str) -> Iterator[Source]:
    """The stanzas of sources.list(5), "deb822-Style Format"; one source for each pair of address and suite."""
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        last = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t"):
                if last:
                    fields[last] += "\n" + line.strip()
                continue
            name, colon, value = line.partition(":")
            if colon:
                last = name.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        keyrings = _key_files(fields.get("signed-by", "").replace(",", " ").split())
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(uri, suite, keyrings, tuple(fields.get("components", "").split()))


def _key_files(words: Iterable[str]) -> tuple[str, ...]:
    """Only the paths: Signed-By may also hold fingerprints or a whole key."""
    return tuple(word for word in words if word.startswith("/"))


def _is_debian(source: Source) -> bool:
    return bool(_SUITE.match(source.suite)) and "main" in source.components


def _is_security(source: Source) -> bool:
    return source.suite.endswith(("-security", "/updates"))


def _distance(source: Source) -> int:
    """How far a source is from being Debian's own archive: other vendors use Debian's suite names too."""
    if any("debian-archive" in key for key in source.keyrings):
        return 0
    return 1 if urlsplit(source.uri).path.rstrip("/").endswith(("/debian", "/debian-security")) else 2
