"""Package URLs (https://github.com/package-url/purl-spec): the names that scanners know packages by."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote


def purl(kind: str, path: str, version: str = "", qualifiers: Mapping[str, str] | None = None) -> str:
    """The package URL of a package of this kind; ``path`` is its namespace, if it has one, and its name."""
    named = "/".join(map(_quoted, path.split("/")))
    asked = "&".join(f"{key}={_quoted(value)}" for key, value in sorted((qualifiers or {}).items()) if value)
    return f"pkg:{kind}/{named}" + (f"@{_quoted(version)}" if version else "") + (f"?{asked}" if asked else "")


def _quoted(text: str) -> str:
    return quote(text, safe=":")


def unversioned(text: str) -> str:
    """A package URL without its version, but with the architecture: the same for an older and a newer package."""
    path, _, asked = text.partition("?")
    arch = [one for one in asked.partition("#")[0].split("&") if one.startswith("arch=")]
    head, at, behind = path.rpartition("@")
    return "?".join([head if at and "/" not in behind else path, *arch])
