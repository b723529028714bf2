"""Sources of models and data that answer what a test wants, for the tests of locking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources.context import Context
from nixgen.errors import UserError

OLD, NEW = "a" * 40, "b" * 40
TOML = """\
version = 1
[models.minilm]
source = "hf:org/minilm"
revision = "main"
[models.vad]
source = "https://models.example.org/vad.onnx"
"""


def file(path: str, content: str = "x", **more: Any) -> PinnedFile:
    return PinnedFile(path, len(content), (content * 64)[:64].replace("x", "0"), **more)


class World:
    """Sources that answer from ``commits`` and ``files``; ``asked`` are the calls: name, revision, upgrade."""

    def __init__(self) -> None:
        self.commits = {"main": OLD, OLD: OLD, NEW: NEW}
        self.files: dict[str, tuple[PinnedFile, ...]] = {
            OLD: (file("config.json", "1"), file("gone.bin", "22"), file("model.safetensors", "333")),
            NEW: (file("config.json", "4"), file("model.safetensors", "333"), file("new.txt", "5555")),
        }
        self.asked: list[tuple[str, str | None]] = []
        self.extra: tuple[str, ...] = ()
        self.fetched: list[str] = []

    def resolve(self, spec: ArtifactSpec, _previous: PinnedArtifact | None, _context: Context) -> PinnedArtifact:
        self.asked.append((spec.name, spec.revision))
        pin = PinnedArtifact(
            kind=spec.kind,
            name=spec.name,
            source=spec.source,
            scheme=spec.scheme,
            files=(file(spec.source.rpartition("/")[2]),),
            revision=spec.revision,
            include=spec.include,
            exclude=spec.exclude,
            member=spec.member,
            format=spec.format,
            endpoint=spec.endpoint,
        )
        if spec.scheme != "hf":
            return pin
        commit = self.commits.get(spec.revision or "main")
        if commit is None:
            raise UserError.of(f"{spec.where}.revision", f"{spec.revision} is not there any more", "choose another")
        return replace(pin, commit=commit, repo=spec.source[3:], files=self.files[commit], extra_repos=self.extra)

    def fetch(self, pin: PinnedArtifact, context: Context) -> dict[str, Path]:
        self.fetched.append(pin.key)
        places = {}
        for one in pin.files:
            place = context.root / f"fetched-{one.path}"
            place.write_text("a,b\n1,2\n3,4\n")
            places[one.path] = place
        return places
