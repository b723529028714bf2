"""What Nix prints as JSON, in one shape: ``path-info`` and ``derivation show`` have had several over the versions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from nixgen.errors import MachineError
from nixgen.nix import base32

STORE = "/nix/store"


@dataclass(frozen=True, slots=True)
class PathInfo:
    """What Nix's database says of a store path; nothing of it is read from the path itself.

    ``path`` and ``references`` (sorted, the path itself among them where it refers to itself) are full store paths;
    ``nar_hash`` is SRI text; ``nar_size`` bytes; ``ultimate`` says that it was built here.
    """

    path: str
    nar_hash: str
    nar_size: int
    references: tuple[str, ...]
    deriver: str | None
    ultimate: bool
    signatures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a derivation: its full path, and its hash (SRI) where that is fixed beforehand."""

    path: str
    hash: str | None


@dataclass(frozen=True, slots=True)
class Derivation:
    """A derivation. ``drvs`` are the full paths of those that it is built from, ``sources`` those of plain files."""

    name: str
    system: str
    builder: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    outputs: Mapping[str, Output]
    drvs: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def fixed(self) -> str | None:
        """The hash (SRI) of what is fetched, None for what is built."""
        return next((output.hash for output in self.outputs.values() if output.hash is not None), None)


def path_infos(text: str) -> dict[str, PathInfo]:
    """``nix path-info --json``: full path → what is known, sorted. Paths that are not valid are left out.

    Nix up to 2.18 prints a list of objects with ``path``; 2.19 and newer an object by path; 2.33 and newer, asked for
    ``--json-format 2``, an object with ``info`` by name, in which paths are names and hashes may be objects.
    Raises MachineError for any other shape.
    """
    found: dict[str, PathInfo] = {}
    for path, entry in _entries(text, "path-info", "info", "path"):
        if entry is None or entry.get("valid") is False or "narHash" not in entry:
            continue
        try:
            found[_full(path)] = PathInfo(
                path=_full(path),
                nar_hash=sri(entry["narHash"]),
                nar_size=int(entry["narSize"]),
                references=tuple(sorted(map(_full, entry["references"]))),
                deriver=_full(entry["deriver"]) if entry.get("deriver") else None,
                ultimate=bool(entry.get("ultimate")),
                signatures=tuple(map(_signature, entry.get("signatures") or ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unknown("path-info", f"{path}: {error!r}") from None
    return dict(sorted(found.items()))


def derivations(text: str) -> dict[str, Derivation]:
    """``nix derivation show``: full path → derivation.

    Nix up to 2.32 prints an object by path with ``inputDrvs`` and ``inputSrcs``; 2.33 and newer one with
    ``derivations`` by name, ``inputs``, and hashes as SRI text. Raises MachineError for any other shape.
    """
    found = {}
    for path, entry in _entries(text, "derivation show", "derivations", ""):
        try:
            found[_full(path)] = _derivation(path, cast("Mapping[str, Any]", entry))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _unknown("derivation show", f"{path}: {error!r}") from None
    return found


def sri(value: object) -> str:
    """A SHA-256 in any of the spellings of Nix ("sha256:<base 32 or 16>", SRI, an object) as SRI text.

    Raises ValueError for what is none.
    """
    if isinstance(value, Mapping):
        if value.get("algorithm") != "sha256":
            raise ValueError(f"not a SHA-256: {value!r}")
        value = f"sha256-{value['hash']}" if value.get("format") == "base64" else f"sha256:{value['hash']}"
    if not isinstance(value, str) or not value.startswith(("sha256-", "sha256:")):
        raise ValueError(f"not a SHA-256: {value!r}")
    digest = value[len("sha256-") :]
    if value.startswith("sha256-"):
        return value
    return "sha256-" + base64.b64encode(_digest(digest)).decode("ascii")


def hexadecimal(value: str) -> str:
    """SRI text as hexadecimal digits, as uv.lock and nixgen.lock have them."""
    return base64.b64decode(value.removeprefix("sha256-")).hex()


def _digest(text: str) -> bytes:
    if len(text) == 64:  # noqa: PLR2004 -- hexadecimal digits of 32 bytes
        return bytes.fromhex(text)
    if len(text) == 52:  # noqa: PLR2004 -- base 32 digits of 32 bytes
        return base32.decode(text)
    return base64.b64decode(text, validate=True)


def _derivation(path: str, entry: Mapping[str, Any]) -> Derivation:
    env = {str(key): str(value) for key, value in entry["env"].items()}
    inputs = entry.get("inputs") or {"drvs": entry.get("inputDrvs", {}), "srcs": entry.get("inputSrcs", [])}
    outputs = {}
    for name, output in entry["outputs"].items():
        where = output.get("path") or env.get(name)
        outputs[str(name)] = Output(_full(where) if where else "", _output_hash(output))
    return Derivation(
        name=str(entry.get("name") or env.get("name") or path.rpartition("/")[2].removesuffix(".drv")[33:]),
        system=str(entry["system"]),
        builder=str(entry["builder"]),
        args=tuple(map(str, entry["args"])),
        env=env,
        outputs=outputs,
        drvs=tuple(sorted(map(_full, inputs["drvs"]))),
        sources=tuple(sorted(map(_full, inputs["srcs"]))),
    )


def _output_hash(output: Mapping[str, Any]) -> str | None:
    value = output.get("hash")
    if value is None:
        return None
    try:
        return sri(value if isinstance(value, Mapping) or "-" in value else f"sha256:{value}")
    except ValueError:
        return str(value)  # of another algorithm: a nixpkgs derivation may have one


def _entries(text: str, command: str, inside: str, key: str) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unknown(command, str(error)) from None
    if isinstance(document, Mapping) and isinstance(document.get(inside), Mapping) and "version" in document:
        document = document[inside]
    if isinstance(document, Mapping):
        pairs = list(document.items())
    elif isinstance(document, list) and key:
        pairs = [(entry.get(key) if isinstance(entry, Mapping) else None, entry) for entry in document]
    else:
        raise _unknown(command, f"it is a {type(document).__name__}")
    for path, entry in pairs:
        if not isinstance(path, str) or not (entry is None or isinstance(entry, Mapping)):
            raise _unknown(command, repr(path))
        yield path, entry


def _signature(value: object) -> str:
    """A signature as it stands in a narinfo; versions after 2.33 may print an object."""
    if isinstance(value, Mapping):
        return f"{value['keyName']}:{value['sig']}"
    return str(value)


def _full(path: str) -> str:
    return path if path.startswith("/") else f"{STORE}/{path}"


def _unknown(command: str, what: str) -> MachineError:
    return MachineError.of(
        f"nix {command}", f"printed JSON of a shape that this nixgen does not know ({what})", "use a newer nixgen"
    )
