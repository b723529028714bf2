"""What Nix knows about the store paths among the files."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .model import Tree
from .report import Found
from .scan import Entry

_AT_ONCE = 1000  # store paths in one call of Nix: some 100 KiB of arguments
_NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"


class Background:
    """A function that runs beside the rest; ``result`` waits for what it gives or raises."""

    def __init__(self, function: Callable[[], tuple[str, list[Found]]]) -> None:
        self._outcome: list[tuple[str, list[Found]] | BaseException] = []
        self._thread = threading.Thread(target=self._run, args=[function], daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], tuple[str, list[Found]]]) -> None:
        try:
            self._outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._outcome.append(error)

    def result(self) -> tuple[str, list[Found]]:
        """Waits for the function's end."""
        self._thread.join()
        outcome = self._outcome[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class _Wanted(NamedTuple):
    """What a store path must be to Nix: valid, and, where it is a file by itself, fixed by this SHA-256."""

    artifact: str
    path: str
    sha256: str


def ask_nix(trees: Sequence[Tree], entries: Sequence[Entry], store: tuple[str, ...]) -> tuple[str, list[Found]]:
    """Asks Nix's database about the store paths among the files: whether each is valid, and fixed by the pinned hash.

    The file's existence in the store proves neither. Without Nix on the machine, or a file in the store: nothing.
    """
    wanted: dict[str, set[_Wanted]] = {}
    for tree, path, sha256, target in [
        *((tree, ".", "", os.path.realpath(tree.folder)) for tree in trees if os.path.exists(tree.folder)),
        *((entry.tree, entry.file.path, entry.file.sha256, entry.target) for entry in entries),
    ]:
        for place in store:
            if target.startswith(f"{place}/"):
                top, slash, _ = target.removeprefix(f"{place}/").partition("/")
                wanted.setdefault(f"{store[0]}/{top}", set()).add(_Wanted(tree.name, path, "" if slash else sha256))
                break
    if not wanted:
        return "not needed", []
    programs = _nix_programs()
    if programs is None:
        return "not on this machine", []
    findings: list[Found] = []
    paths = sorted(wanted)
    for start in range(0, len(paths), _AT_ONCE):
        findings += _ask_about(programs, paths[start : start + _AT_ONCE], wanted)
    return "asked", findings


def _ask_about(programs: tuple[str, str], paths: list[str], wanted: Mapping[str, set[_Wanted]]) -> list[Found]:
    nix, nix_store = programs
    try:
        invalid = {*_output([nix_store, "--check-validity", "--print-invalid", *paths]).split()}
        valid = [path for path in paths if path not in invalid]
        known = addresses(_path_info(nix, [path for path in valid if any(w.sha256 for w in wanted[path])]))
    except (OSError, ValueError) as error:
        whose = min(min(wanted[path]) for path in paths)
        return [Found(whose.artifact, whose.path, "nix", f"Nix cannot be asked about it: {error}")]
    findings = []
    for path in paths:
        for artifact, below, sha256 in wanted[path]:
            found = "" if path in invalid else known.get(os.path.basename(path), "")
            if path in invalid:
                findings.append(Found(artifact, below, "nix", f"is not valid to Nix: {path}"))
            elif sha256 and found != f"flat:{sha256}":
                said = f"is not fixed by its hash, says Nix ({found or 'no content address'}): {path}"
                findings.append(Found(artifact, below, "nix", said, f"flat:{sha256}", found))
    return findings


def _path_info(nix: str, paths: list[str]) -> str:
    if not paths:
        return "[]"
    command = [nix, "--extra-experimental-features", "nix-command", "path-info", "--json"]
    try:
        return _output([*command, *paths])
    except ValueError as error:
        if "--json-format" not in str(error):
            raise
    return _output([*command, "--json-format", "1", *paths])


def _nix_programs() -> tuple[str, str] | None:
    """nix and nix-store, from PATH or where installers put them."""
    places = os.environ.get("PATH", os.defpath).split(":")
    for place in (*places, "/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin"):
        both = os.path.join(place, "nix"), os.path.join(place, "nix-store")
        if place and all(os.access(program, os.X_OK) for program in both):
            return both
    return None


def _output(command: list[str]) -> str:
    """What a program prints. Raises ValueError with the end of its stderr when it fails."""
    import subprocess

    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{os.path.basename(command[0])} did not answer within 10 minutes") from None
    if done.returncode != 0:
        printed = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise ValueError(f"{os.path.basename(command[0])} failed: {' '.join(printed)}")
    return done.stdout.decode("utf-8", "replace")


def addresses(answer: str) -> dict[str, str]:
    """The content addresses ("flat:" and SHA-256 in hexadecimal, "" for none) that ``nix path-info --json`` tells.

    By the store paths' base names; paths that are not valid are left out. Knows the shapes of all versions: a list
    (until 2.18), an object (2.19 and later), and a versioned one whose addresses are objects (2.33 and later).
    Paths of any other shape are left out, too, so that they count as having no address.
    """
    document = json.loads(answer)
    records: dict[str, Any] = {}
    if isinstance(document, list):
        records = {str(record.get("path")): record for record in document}
    elif isinstance(document, dict):
        records = document["info"] if isinstance(document.get("info"), dict) else document
    found = {}
    for path, record in records.items():
        if isinstance(record, dict) and record.get("valid") is not False:
            found[os.path.basename(str(path))] = _address(record.get("ca"))
    return found


def _address(ca: object) -> str:
    if isinstance(ca, str):
        parts = ca.split(":")
        if parts[0] == "fixed" and parts[-2:-1] == ["sha256"]:
            method = {"r": "nar", "sha256": "flat"}.get(parts[1], parts[1])
            return f"{method}:{_hexadecimal(parts[-1])}"
        return ca
    if isinstance(ca, dict):
        digest = ca.get("hash")
        if isinstance(digest, dict):
            digest = f"{digest.get('algorithm')}-{digest.get('hash')}"
        if isinstance(digest, str) and digest.startswith(("sha256-", "sha256:")):
            return f"{ca.get('method')}:{_hexadecimal(digest[7:])}"
        return f"{ca.get('method')}:{digest}"
    return ""


def _hexadecimal(digest: str) -> str:
    """A SHA-256 in hexadecimal, from that, Nix's base 32 or base 64; else as it is."""
    if len(digest) == 52:  # noqa: PLR2004 - 256 bits, 5 each
        value = 0
        for letter in digest:
            value = value << 5 | _NIX32.index(letter)
        return (value & (1 << 256) - 1).to_bytes(32, "little").hex()
    if len(digest) == 44:  # noqa: PLR2004 - 256 bits, 6 each, and padding
        import base64

        return base64.b64decode(digest).hex()
    return digest
