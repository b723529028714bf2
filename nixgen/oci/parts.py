"""Which store paths of an image are a layer together, and what the image is of its layers.

An image has parts: the base, the environment, models, the project. In each part the largest paths are a layer by
themselves, which images of other projects share where they have the same wheel; what is small is a layer together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from .model import encoded

LARGE = 1 << 20
"""Bytes of a NAR from which on a path is a layer by itself."""


def layers(part: str, graph: Iterable[Mapping[str, Any]], without: Collection[str], most: int) -> list[dict[str, Any]]:
    """The layers of a part, at most ``most``: of the paths of ``graph`` that are not in others (``without``)."""
    paths = sorted((path for path in graph if path["path"] not in without), key=lambda path: str(path["path"]))
    large = sorted((path for path in paths if path["narSize"] >= LARGE), key=lambda path: -int(path["narSize"]))
    alone = {path["path"] for path in (large if len(paths) <= most else large[: most - 1])}
    rest = [path for path in paths if path["path"] not in alone]
    found = [_layer(path["path"].partition("-")[2], [path]) for path in paths if path["path"] in alone]
    return [*found, *([_layer(part, rest)] if rest else [])]


def _layer(title: str, paths: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"title": title, "paths": [{"path": path["path"], "narHash": path["narHash"]} for path in paths]}


def closure_digest(graph: Iterable[Mapping[str, Any]]) -> str:
    """The digest of a closure, as ``nixgen check`` has it for that of a project."""

    def line(path: Mapping[str, Any]) -> str:
        references = sorted(_name(reference) for reference in path["references"])
        return f"{_name(path['path'])} {path['narHash']} {path['narSize']} {' '.join(references)}\n"

    return "sha256:" + hashlib.sha256("".join(sorted(map(line, graph))).encode()).hexdigest()


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def system(links: Mapping[str, str]) -> dict[str, Any]:
    """The layer of what is no store path: the few files and folders that programs expect. ``links``: name → target."""
    folders = {"etc": "0755", "home": "0755", "root": "0700", "run": "0755", "tmp": "1777", "var": "0755"}
    folders["var/tmp"] = "1777"
    texts = {
        "etc/group": "root:x:0:\napp:x:1000:\nnogroup:x:65534:\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        "etc/passwd": (
            "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/tmp:/bin/sh\n"
            "nobody:x:65534:65534:nobody:/tmp:/bin/sh\n"
        ),
    }
    for name in (*texts, *links):
        parts = name.split("/")[:-1]
        for end in range(1, len(parts) + 1):
            folders.setdefault("/".join(parts[:end]), "0755")
    entries: list[dict[str, str]] = [{"name": name, "mode": mode} for name, mode in folders.items()]
    entries += [{"name": name, "mode": "0644", "text": text} for name, text in texts.items()]
    entries += [{"name": name, "mode": "0777", "link": target} for name, target in links.items()]
    return {"title": "system", "entries": sorted(entries, key=lambda entry: entry["name"])}


def config(platform: str, settings: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> bytes:
    """The image's configuration (image specification, "config"), of layers that are described."""
    operating_system, _, architecture = platform.partition("/")
    value = {
        "architecture": architecture,
        "os": operating_system,
        "created": "1970-01-01T00:00:01Z",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        "history": [{"created": "1970-01-01T00:00:01Z", "created_by": f"nixgen: {layer['title']}"} for layer in layers],
    }
    return encoded(value)
