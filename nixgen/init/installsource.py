"""Where another machine gets this very nixgen from: what is written into the CI job for pip to install.

PEP 610 has pip and uv note beside an installed distribution where it was installed from, unless that was an index, by
its name. An index is taken for one that other machines reach, too; a folder is not, but it may be a clone whose commit
was pushed.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from importlib import metadata
from pathlib import Path
from typing import Any

from nixgen import __version__
from nixgen.machine import git

_NAME = "nixgen"
_SCP = re.compile(r"git@([A-Za-z0-9.-]+):([^:]+)")


def requirement() -> str:
    """A requirement (PEP 508) that gives this nixgen elsewhere; empty where none is known."""
    try:
        noted = metadata.distribution(_NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # run from a clone that nobody installed
        return from_folder(Path(__file__).resolve().parents[2])
    if noted is None:
        return f"{_NAME}=={__version__}"
    return from_direct_url(json.loads(noted))


def from_direct_url(noted: dict[str, Any]) -> str:
    """The same for the content of a direct_url.json; empty for what only this machine has, or who has a password."""
    url = str(noted.get("url", ""))
    if "vcs_info" in noted:
        address, commit = public(url), noted["vcs_info"].get("commit_id", "")
        below = f"#subdirectory={noted['subdirectory']}" if noted.get("subdirectory") else ""
        return f"{_NAME} @ git+{address}@{commit}{below}" if address and commit else ""
    if "dir_info" in noted:
        return from_folder(Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)))
    address, sha256 = public(url), noted.get("archive_info", {}).get("hashes", {}).get("sha256", "")
    return f"{_NAME} @ {address}#sha256={sha256}" if address and sha256 else ""


def from_folder(folder: Path) -> str:
    """The same for a clone: its origin at its commit, where the commit was pushed."""
    origin, commit = git.pushed(folder)
    address = public(origin)
    return f"{_NAME} @ git+{address}@{commit}" if address else ""


def public(url: str) -> str:
    """The address if anybody may use it as it stands: https, without user, query and fragment; else empty.

    ``git@HOST:PATH`` is the same repository as ``https://HOST/PATH``.
    """
    scp = _SCP.fullmatch(url)
    parts = urllib.parse.urlsplit(f"https://{scp[1]}/{scp[2]}" if scp else url)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        return ""
    return parts.geturl()
