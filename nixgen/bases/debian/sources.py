"""Where this machine gets Debian packages from: apt's own source lists, read and turned into a private one.

Formats: sources.list(5), one line a source, and deb822 (``*.sources``). No mirror's address is known to nixgen; it
takes the machine's own, or what ``nixgen lock --mirror`` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from nixgen.errors import MachineError, UserError
from nixgen.machine import addresses

APT = Path("/etc/apt")
"""Apt's configuration on this machine."""

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
"""Where Debian's package debian-archive-keyring puts the keys that sign the archive."""

UBUNTU_KEYRINGS = (Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),)
"""Where ubuntu-keyring, which Debian has, too, puts the keys that sign Ubuntu's archive."""

KEYRING_PACKAGES = {"Debian": "debian-archive-keyring", "Ubuntu": "ubuntu-keyring"}
_SUITES = {
    "Debian": r"buster|bullseye|bookworm|trixie|forky|sid|(?:old)*stable|testing|unstable",
    "Ubuntu": r"focal|jammy|noble|oracular|plucky|questing|resolute",
}
"""What a source must name to count as the vendor's archive, and not another's."""

_STAMP = "%Y%m%dT%H%M%SZ"
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

    def sources(self, suite: str, *, stable: bool, components: tuple[str, ...] = ("main",)) -> tuple[Source, ...]:
        """The sources for a suite. Testing and unstable have neither updates nor a security archive of their own."""
        found = [(self.archive, suite)]
        if stable and self.updates:
            found.append((self.archive, f"{suite}-updates"))
        if stable and self.security:
            found.append((self.security, f"{suite}-security"))
        return tuple(Source(uri, name, self.keyrings, components) for uri, name in found)


def known_vendors(folder: Path | None = None) -> frozenset[str]:
    """Whose archives this machine's apt knows: "Debian", "Ubuntu"."""
    found = read_sources(folder or APT)
    return frozenset(vendor for vendor in _SUITES if any(_is_of(source, vendor) for source in found))


def machine_mirror(folder: Path | None = None, override: Sequence[str] = (), vendor: str = "Debian") -> Mirror:
    """The mirror of a vendor's to use: what ``override`` says, else the machine's own.

    Of the overriding addresses the one with "security" in its host or path is the security archive. Raises UserError
    for an address with credentials or one that Nix cannot fetch from, and MachineError when no mirror of the vendor's
    is known or the keys to check it with are missing.
    """
    folder = folder or APT
    if override:
        for uri in override:
            check_uri(uri, "--mirror")
        chosen = [
            Source(uri, "-security" if _names_security(uri, alone=len(override) == 1) else "") for uri in override
        ]
    else:
        known = [source for source in read_sources(folder) if _is_of(source, vendor)]
        chosen = sorted(known, key=lambda source: _distance(source, vendor))
        usable = [source for source in chosen if _problem(source.uri) is None]
        if chosen and not usable:
            check_uri(chosen[0].uri, f"{folder}/sources.list")
        chosen = usable
    archive = next((source for source in chosen if not _is_security(source)), None)
    security = next((source for source in chosen if _is_security(source)), None)
    if archive is None:
        example = f"https://mirror.example.org/{vendor.lower()}"
        mend = f'name one: --mirror {example}; or set base = "nixpkgs"'
        if vendor == "Debian" and "Ubuntu" in known_vendors(folder):
            mend = f'it knows Ubuntu\'s: set base = "debian" and suite = "noble", which has Python 3.12; or {mend}'
        raise MachineError.of(
            "", f"this machine's apt knows no {vendor} mirror, which the debian base is pinned from", mend
        )
    keyrings = {key for source in (archive, security) if source for key in source.keyrings if Path(key).is_file()}
    usual = UBUNTU_KEYRINGS if vendor == "Ubuntu" else KEYRINGS
    keyrings.update([str(path) for path in usual if path.is_file()][:1])
    if not keyrings:
        raise MachineError.of(
            "",
            f"the keys that sign {vendor}'s package index are not on this machine",
            f"install them: apt-get install {KEYRING_PACKAGES[vendor]}",
        )
    return Mirror(
        archive=archive.uri,
        security=security.uri if security else None,
        updates=bool(override) or any(s.uri == archive.uri and s.suite.endswith("-updates") for s in chosen),
        keyrings=tuple(sorted(keyrings)),
    )


def snapshots(stamps: Iterable[str], service: str = "") -> tuple[str, ...]:
    """Debian's archive as it was at these times: addresses that ``pool/…`` is below, the first to try first.

    A snapshot that is asked for is the last one until then: what an index of that time has may have come in the one
    behind it, so the next day's is asked, too. ``service`` is another address than the service's own.
    """
    service = service.rstrip("/") or f"https://snapshot.{'Debian'.lower()}.org"
    times = [datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC) for stamp in stamps]
    days = [(time + timedelta(days=later)).strftime(_STAMP) for time in times for later in (0, 1)]
    return tuple(f"{service}/archive/{archive}/{day}" for day in days for archive in ("debian", "debian-security"))


def stamp(dates: Iterable[str]) -> str:
    """The latest of the dates of signed indexes (Release, "Date"), as the snapshot service writes it; "" for none."""
    read = [parsedate_to_datetime(date).astimezone(UTC) for date in dates]
    return max(read).strftime(_STAMP) if read else ""


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
            f"the mirror's address carries {secret}, which would be written to nixgen.lock",
            "put them into /etc/apt/auth.conf for apt and into Nix's netrc-file, and leave them out of the address",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return (
            f"Nix cannot fetch packages from {uri}",
            "name a mirror that starts with https:// or http://, like --mirror https://mirror.example.org/debian",
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


def vendor_of(suite: str) -> str:
    """Whose a suite is: "Ubuntu" or "Debian"."""
    return "Ubuntu" if re.match(_SUITES["Ubuntu"], suite) else "Debian"


def _is_of(source: Source, vendor: str) -> bool:
    """Whether a source is the vendor's archive."""
    return (
        re.fullmatch(rf"(?:{_SUITES[vendor]})(?:-updates|-security|/updates)?", source.suite) is not None
        and "main" in source.components
    )


def _is_security(source: Source) -> bool:
    return source.suite.endswith(("-security", "/updates"))


def _names_security(uri: str, *, alone: bool) -> bool:
    """Whether an address that --mirror names is the security archive's; Ubuntu's differs only in its host."""
    parts = urlsplit(uri)
    return "security" in parts.path or (not alone and "security" in (parts.hostname or ""))


def _distance(source: Source, vendor: str) -> int:
    """How far a source is from being the vendor's own archive: others use the same suite names."""
    name = vendor.lower()
    if any(f"{name}-archive" in key for key in source.keyrings):
        return 0
    return 1 if urlsplit(source.uri).path.rstrip("/").endswith((f"/{name}", f"/{name}-security")) else 2
