"""Models and data made to order: files on the index of a laboratory, and the rows of default.nix that pin them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab import Lab

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_numbers = itertools.count()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Rows:
    """What default.nix says of models, data and services."""

    index: Any
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    services: list[dict[str, Any]] = field(default_factory=list)

    def add(self, key: str, files: Mapping[str, bytes], *, served: bool = True, **more: Any) -> Rows:
        """An artifact ("models.minilm") and its files; with a ``repo`` it is one of the hub."""
        kind, _, name = key.partition(".")
        usual = {"source": "https://models.example.org/", "layout": ["hf"] if "repo" in more else ["plain"]}
        if "repo" in more:
            usual["commit"] = COMMIT
        self.artifacts.append({"kind": kind, "name": name, **usual, **more})
        for path, content in files.items():
            address = {"url": self.serve(content)} if served else {}
            self.file(key, path, content, **address)
        return self

    def file(self, key: str, path: str, content: bytes, **more: Any) -> Rows:
        """One more file of an artifact."""
        row = {"artifact": key, "path": path, "size": len(content), "sha256": digest(content)}
        self.files.append({**row, **more})
        return self

    def service(self, name: str, *command: str, **more: Any) -> Rows:
        self.services.append({"name": name, "command": list(command), **more})
        return self

    def serve(self, content: bytes) -> str:
        """Puts bytes on the index; their address. The name says nothing, as on a content delivery network."""
        place = Path(self.index.folder) / f"blob-{next(_numbers)}-{digest(content)[:8]}"
        place.write_bytes(content)
        return str(self.index.url(place))

    def given(self) -> dict[str, Any]:
        return {"artifacts": self.artifacts, "files": self.files, "services": self.services}

    def on(self, lab: Lab) -> Lab:
        """The laboratory with these rows."""
        return lab.with_arguments(**self.given())
