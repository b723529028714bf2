"""Wheels made to order: correct ones, and ones that are broken in one known way."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

# One fixed time for every member, so that the same wheel has the same bytes each time.
_TIME = (2020, 1, 1, 0, 0, 0)


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    files: Mapping[str, str | bytes] | None = None,
    *,
    tag: str = "py3-none-any",
    requires: Iterable[str] = (),
    entry_points: str = "",
    executable: Iterable[str] = (),
    metadata: str = "",
    bad_hash: str | None = None,
    unrecorded: Mapping[str, str | bytes] | None = None,
    missing: Iterable[str] = (),
    record: str | None = None,
) -> Path:
    """Writes a wheel into ``folder`` and gives its path.

    ``files`` are the members (``"pkg/__init__.py"``, ``"name-1.data/scripts/tool"``); without any it holds one module
    named as the distribution. What can be broken: ``bad_hash`` names a member whose RECORD hash is of other bytes;
    ``unrecorded`` are members that RECORD does not name; ``missing`` are names in RECORD without a member; ``record``
    replaces RECORD's text. A member outside the wheel is asked for through ``files`` (``"../outside.py"``).
    """
    escaped = name.replace("-", "_").replace(".", "_")
    info = f"{escaped}-{version}.dist-info"
    members: dict[str, bytes] = {}
    for path, text in (files if files is not None else {f"{escaped}.py": f"NAME = {name!r}\n"}).items():
        members[path] = text.encode() if isinstance(text, str) else text
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    members[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}{metadata}\nA wheel made for a test.\n"
    ).encode()
    pure = "true" if tag.endswith("-any") else "false"
    members[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: nixgen-tests\nRoot-Is-Purelib: {pure}\nTag: {tag}\n"
    ).encode()
    if entry_points:
        members[f"{info}/entry_points.txt"] = entry_points.encode()

    lines = []
    for path, content in members.items():
        recorded = content + b"other bytes" if path == bad_hash else content
        digest = base64.urlsafe_b64encode(hashlib.sha256(recorded).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    lines += [f"{path},sha256={'A' * 43},1\n" for path in missing]
    lines.append(f"{info}/RECORD,,\n")
    for path, text in (unrecorded or {}).items():
        members[path] = text.encode() if isinstance(text, str) else text
    members[f"{info}/RECORD"] = ("".join(lines) if record is None else record).encode("utf-8", "surrogateescape")

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{escaped}-{version}-{tag}.whl"
    runnable = set(executable)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members.items():
            entry = zipfile.ZipInfo(path, _TIME)
            entry.external_attr = (0o100755 if path in runnable else 0o100644) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return target


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
