"""From what Nix says when it fails to sentences: whose fault it is, which file or package it is about, how to go on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from nixgen.errors import BuildFailed, MachineError, NixgenError, Problem, Stale, UserError
from nixgen.nix import install
from nixgen.nix.json import Derivation, hexadecimal
from nixgen.nix.log import Failure, plain

SYNC = "nixgen sync"
STRANGE = "and nix/nixgen were not written by this nixgen"
HINT = "\nhint: "
"""What stands before the last line of the Nix library's refusals, as :func:`last_error` gives them."""
_HASH = 33  # letters of a store path's hash and its hyphen
_SHOWN = 12  # lines of an error of the evaluation
_DOWNLOAD = re.compile(r"unable to download '([^']*)': (.*)")
_STATUS = re.compile(r"HTTP error (\d{3})")
_GONE = {404, 410}
_FORBIDDEN = {401, 403, 407}
_HUB = re.compile(r"(https?://[^/\s]+/(?:(?:datasets|spaces)/)?[^/\s]+/[^/\s]+)/resolve/[0-9a-f]{40}/")
# What programs of builders that fetch say (curl, git, Python), where there is no network.
_NO_NETWORK = re.compile(
    r"[Cc]ould(?:n't| not) resolve|[Tt]emporary failure in name resolution|Network is unreachable|No route to host|"
    r"[Cc]ouldn't connect|[Cc]ould not connect|[Cc]onnection (?:refused|timed out|reset)|"
    r"curl: \((?:5|6|7|28|35|52|55|56)\)"
)
_FULL = re.compile(r"No space left on device|[Dd]isk quota exceeded")
# Nix 2.8; then three sentences of newer ones.
_OTHER_MACHINE = re.compile(
    r"is required to build|required system or feature not available|platform mismatch|missing system features"
)
_STALE = re.compile(r"(?:^|\s)(\S+(?: and \S+)*) changed after default\.nix was generated")
_OLDER = re.compile(
    r"attribute '(?:recipes|root|imports|smoke|checks|project|images)' (?:in selection path '[^']*' not found|missing)"
    r"|called (?:with unexpected|without required) argument"
)
_MACHINE = re.compile(
    r"specified in 'build-users-group'|"
    r"unable to download|cannot connect to|[Cc]onnection refused|cannot open connection|failed to start SSH|"
    r"Permission denied|No space left|opening lock file|database is (?:busy|locked)|Read-only file system|"
    r"could not set permissions on '/nix/|"
    r"is not supported|experimental Nix feature|does not exist and cannot be created|while connecting to"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """What a file belongs to, the lock that pins it, and the command that pins it anew.

    ``what`` is a package with its version ("numpy 2.4.6"), a Debian package or a model ("models.minilm: config.json").
    ``fetch`` is the command that puts it into the store with the user's own login, where there is one.
    """

    what: str
    lock: str
    mend: str
    fetch: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A derivation that was tried and failed, with the lines of its log that may say what it lacked, and the last."""

    derivation: Derivation
    log: tuple[str, ...]


Advise = Callable[[Mapping[str, Broken]], Mapping[str, str]]
"""Who knows what to do when builds fail: by the .drv."""


def evaluation(stderr: str) -> NixgenError:
    """The error of an evaluation of the project's default.nix that failed, from what Nix printed."""
    text = last_error(stderr)
    if stale := _STALE.search(text):
        names = stale[1].split(" and ")
        return Stale(Problem(name, "changed after default.nix was generated", SYNC) for name in names)
    if _OLDER.search(text):
        return Stale.of("default.nix", STRANGE, SYNC)
    if _MACHINE.search(text):
        return MachineError.of("Nix", f"cannot evaluate the project: {text}", _machine_mend(text))
    said, _, mend = text.partition(HINT)
    return UserError.of("default.nix", said if mend else f"cannot be evaluated: {text}", mend)


def unusable(stderr: str) -> MachineError:
    """The error of a Nix that does not even start, from what it printed."""
    text = last_error(stderr)
    return MachineError.of("Nix", f"cannot be used: {text}", _machine_mend(text))


def last_error(stderr: str) -> str:
    """The innermost of the errors that Nix printed: what comes behind the last "error:", without a trace."""
    lines = plain(stderr).rstrip().splitlines()
    starts = [number for number, line in enumerate(lines) if re.match(r"\s*error:", line)]
    if not starts:
        return "\n".join(lines[-_SHOWN:])
    first, *rest = lines[starts[-1] :]
    kept = [first.partition("error:")[2].strip()]
    for line in rest:
        if re.match(r"\s*(?:at (?:/|«)|\d+\||\||… )|\(use '--show-trace'", line):
            break
        kept.append(line.strip())
    return "\n".join(kept).strip()


def offline(failure: Failure) -> bool:
    """Whether a download failed for want of a network, and not for what a server said."""
    return not failure.hashes and any(
        _NO_NETWORK.search(line) and not _STATUS.search(line) for line in failure.log if _DOWNLOAD.search(line)
    )


def failed(
    failures: Sequence[Failure],
    errors: Sequence[str],
    show: Callable[[Iterable[str]], Mapping[str, Derivation]],
    owners: Mapping[str, Owner],
    store: str = "",
    advise: Advise | None = None,
) -> NixgenError:
    """The error of a build that failed: one problem for each derivation, and for each of ``errors``.

    ``show`` reads derivations; ``owners`` says, by SHA-256 in hexadecimal digits, whose a file is; ``advise`` what to
    do about builds, in the first lines of the hint. BuildFailed when anything cannot be built or fetched any more, else
    MachineError: no network, no room, no such machine.
    """
    drvs = show([failure.drv for failure in failures if failure.drv])
    broken = {
        failure.drv: Broken(drvs[failure.drv], (*failure.telling, *failure.log))
        for failure in failures
        if failure.log and failure.drv in drvs and drvs[failure.drv].fixed is None
    }
    advice = advise(broken) if advise is not None and broken else {}
    told = [_told(failure, drvs.get(failure.drv), owners, store, advice.get(failure.drv, "")) for failure in failures]
    told += [(MachineError, Problem("Nix", text, _machine_mend(text))) for text in dict.fromkeys(errors)]
    grave = any(kind is BuildFailed for kind, _ in told)
    return (BuildFailed if grave else MachineError)(dict.fromkeys(problem for _, problem in told))


def _told(
    failure: Failure, drv: Derivation | None, owners: Mapping[str, Owner], store: str, advice: str
) -> tuple[type[NixgenError], Problem]:
    """One failure: of which class, and the problem."""
    name = drv.name if drv is not None else failure.drv.rpartition("/")[2].removesuffix(".drv")[_HASH:]
    pinned = drv.fixed if drv is not None else None
    if failure.hashes is not None:
        return BuildFailed, _replaced(failure.hashes, name, drv, owners)
    if _FULL.search(failure.reason):
        return MachineError, Problem(
            name, "cannot be built: the disk is full", "free some room, e.g.: nix-collect-garbage"
        )
    if _OTHER_MACHINE.search(failure.reason):
        system = f" for {drv.system}" if drv is not None else ""
        mend = "run it on such a machine, or name one: --builders"
        return MachineError, Problem(name, f"cannot be built{system} on this machine: {failure.reason}", mend)
    if pinned is not None:
        return _not_fetched(failure, name, drv, owners.get(_hex(pinned)))
    # What a builder prints chooses no exit code: it may be anything, and a full disk only one of its reasons.
    shown = f"to see its whole log: nix-store {f'--store {store} ' if store else ''}--read-log {failure.drv}"
    room = "if the disk is full, as its log says: nix-collect-garbage" if any(map(_FULL.search, failure.log)) else ""
    mend = "\n".join(filter(None, (advice, shown, room)))
    # What a builder says to those who see no advice is not for this one.
    log = "".join(f"\n    > {line}" for line in failure.log if not line.endswith(": nixgen check"))
    return BuildFailed, Problem(name, f"cannot be built: {failure.reason}{log}", mend)


def _replaced(hashes: tuple[str, str], name: str, drv: Derivation | None, owners: Mapping[str, Owner]) -> Problem:
    """A file is another than the one that is pinned."""
    pinned, found = map(_hex, hashes)
    owner = owners.get(pinned)
    url = f" at {drv.env['url'].partition('#')[0]}" if drv is not None and drv.env.get("url") else ""
    lock = owner.lock if owner is not None else "its lock"
    what = f"{name}{url} is not the file that {lock} pins: its SHA-256 is {found}, pinned is {pinned}"
    mend = "find out who replaced it and why"
    if owner is not None:
        mend += f"; to pin what is there now: {owner.mend}"
    return Problem(owner.what if owner is not None else name, what, mend)


def _not_fetched(
    failure: Failure, name: str, drv: Derivation | None, owner: Owner | None
) -> tuple[type[NixgenError], Problem]:
    """A file that could not be fetched: gone, forbidden, or out of reach."""
    found = next((match for line in reversed(failure.log) if (match := _DOWNLOAD.search(line))), None)
    where = owner.what if owner is not None else name
    url = found[1] if found else (drv.env.get("url", "") if drv is not None else "")
    url = url.partition("#")[0]  # behind it, the Nix library says how to go on
    file = f"{name} at {url}" if url else name
    if found is None:
        if any(_NO_NETWORK.search(line) for line in failure.log):
            return MachineError, Problem(where, f"{file} cannot be fetched: {failure.log[-1].strip()}", _NETWORK)
        log = "".join(f"\n    > {line}" for line in failure.log)
        return BuildFailed, Problem(where, f"{name} cannot be had: {failure.reason}{log}")
    why = found[2].strip()
    status = _STATUS.search(why)
    if status and int(status[1]) in _GONE:
        mend = f"to pin what is there now: {owner.mend}" if owner is not None else ""
        return BuildFailed, Problem(where, f"{file} is not there any more ({why})", mend)
    hub = _HUB.match(url)
    if status and int(status[1]) in _FORBIDDEN and hub:
        # A hub says the same of all three, so that nobody learns which names there are.
        what = f"{file} is not given to Nix ({why}): the repository is gone, private or gated"
        fetch = owner.fetch if owner is not None else "nixgen model fetch"
        mend = (
            f"see {hub[1]}: if it is gone, take another source in models.toml, and run nixgen sync; "
            f"if it is private or gated, get access there, run hf auth login, and: {fetch}"
        )
        return MachineError, Problem(where, what, mend)
    if status and int(status[1]) in _FORBIDDEN:
        mend = "log in as for uv (~/.netrc, uv auth login), then: nixgen sync; or put the login into Nix's netrc-file"
        return MachineError, Problem(where, f"{file} may not be fetched without a login ({why})", mend)
    return MachineError, Problem(where, f"{file} cannot be fetched: {why}", _NETWORK)


_NETWORK = "try again when there is a network"


_VARIABLES = ("NIX_REMOTE", "NIX_DAEMON_SOCKET_PATH", "NIX_STATE_DIR", "NIX_LOG_DIR")

_MENDS = (
    (_FULL, "free some room, e.g.: nix-collect-garbage"),
    (re.compile(r"daemon-socket.*ermission denied"), install.DEBIAN.member + install.LOG_IN),
    (
        re.compile(r"build-users-group"),
        "to build as root alone: mkdir -p /etc/nix && echo 'build-users-group =' >> /etc/nix/nix.conf",
    ),
    (
        re.compile(r"opening lock file ['\"]/nix/.*ermission denied"),
        "if Nix's daemon runs here, hand the whole store to it: sudo chown -R root /nix",
    ),
    (
        re.compile(r"creating directory ['\"]/nix(?:/(?:store|var)[^'\"]*)?['\"].*ermission denied"),
        f"install Nix's daemon: {install.DEBIAN.nix} (or own /nix: {install.OWN})",
    ),
    (
        re.compile(r"daemon-socket|could not set permissions on ['\"]/nix/"),  # without it Nix would do it itself
        install.STARTED,
    ),
    (re.compile(r"unable to download"), _NETWORK),
    (_NO_NETWORK, _NETWORK),
)


def _machine_mend(text: str) -> str:
    """What mends a Nix that cannot be used: first the variables that it says the values of."""
    known = next((mend for pattern, mend in _MENDS if pattern.search(text)), "")
    moved = " ".join(name for name in _VARIABLES if (value := os.environ.get(name)) and value in text)
    return " or: ".join(filter(None, (moved and f"unset {moved}", known)))


def _hex(value: str) -> str:
    return hexadecimal(value) if value.startswith("sha256-") else value
