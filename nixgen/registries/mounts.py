"""Where blobs lie in a registry: in which of its repositories this machine put them last. A hint, and never more.

With it a push to another repository of the same registry asks for the blob from there ("Mounting a blob from another
repository", OCI distribution specification 1.1), and sends it where it is not, or may not be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from nixgen.errors import NixgenError
from nixgen.machine import files, folders
from nixgen.registries.place import Place

_MOST = 5000  # digests of one registry: the last ones


def known(place: Place, digests: Iterable[str]) -> Mapping[str, str]:
    """The other repository that has a blob, by its digest."""
    found = _read(place)
    return {one: found[one] for one in digests if found.get(one, place.name) != place.name}


def note(place: Place, digests: Iterable[str]) -> None:
    """Remembers that a repository has blobs; not where there is no room for it."""
    found = _read(place)
    for one in digests:
        found.pop(one, None)
        found[one] = place.name
    try:
        text = json.dumps(dict(list(found.items())[-_MOST:]), indent=0)
        folder = folders.cache("registries")
        folder.mkdir(parents=True, exist_ok=True)
        files.write_all(folder, {_name(place): text.encode()})
    except (OSError, NixgenError):
        pass


def _read(place: Place) -> dict[str, str]:
    try:
        found = json.loads(files.contents(folders.cache("registries") / _name(place)))
        return {str(one): str(name) for one, name in found.items()}
    except (OSError, NixgenError, ValueError, AttributeError, RecursionError):
        return {}


def _name(place: Place) -> str:
    return f"{place.host}.json"
