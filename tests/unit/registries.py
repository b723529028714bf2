"""A registry in a folder, made to order: each of its operations can fail, and be counted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nixgen.log.log import Log
from nixgen.log.note import Signer
from nixgen.log.stores.folder import Folder
from nixgen.registry.address import LOG
from nixgen.registry.entry import Condition
from nixgen.registry.files import FolderFiles
from nixgen.registry.names import Ref
from nixgen.registry.promote import Moved, promote
from nixgen.registry.publish import Artifact, Content, Published, publish
from nixgen.registry.registry import Registry
from nixgen.registry.stamp import Stamp

SIGNER = Signer("demo-1", bytes(32))
NAME = "fraud-detector"
MODEL = f"demo/{NAME}"


class CrashError(Exception):
    """The process ends here."""


@dataclass
class Hook:
    """What is called before each thing that is written."""

    before: Callable[[str, str], None] = lambda _what, _name: None


class _Hooked(Folder):
    def __init__(self, folder: Path, hook: Hook) -> None:
        super().__init__(folder)
        self.hook = hook

    def write(self, name: str, data: bytes) -> None:
        self.hook.before("write", name)
        super().write(name, data)

    def create(self, name: str, data: bytes) -> bool:
        self.hook.before("create", name)
        return super().create(name, data)

    def replace(self, name: str, data: bytes, old: bytes) -> bool:
        self.hook.before("replace", name)
        return super().replace(name, data, old)

    def remove(self, name: str) -> None:
        self.hook.before("remove", name)
        super().remove(name)


class HookedFiles(_Hooked, FolderFiles):
    def upload(self, name: str, source: Path) -> None:
        self.hook.before("upload", name)
        super().upload(name, source)

    def point(self, name: str, target: str) -> None:
        self.hook.before("point", name)
        super().point(name, target)


@dataclass
class Lab:
    """``registry`` is a folder; every method opens it anew, as a command does."""

    folder: Path
    hook: Hook

    @classmethod
    def make(cls, folder: Path) -> Lab:
        return cls(folder, Hook())

    @property
    def place(self) -> Path:
        return self.folder / "registry"

    def open(self) -> Registry:
        log = Log.open(_Hooked(self.place / LOG, self.hook), SIGNER.verifier)
        return Registry(str(self.place), "demo", HookedFiles(self.place, self.hook), log, SIGNER)

    def artifacts(self, files: Mapping[str, bytes]) -> dict[str, Artifact]:
        made = {}
        for path, data in files.items():
            source = self.folder / "made" / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_bytes(data)
            made[path] = Artifact(source)
        return made

    def publish(self, version: str, content: bytes = b"weights", name: str = NAME) -> Published:
        artifacts = self.artifacts({"model.bin": content, "more/vocabulary.txt": b"a b c"})
        documents = {"metrics.json": b'{"auc": 0.9}\n'}
        return publish(self.open(), Ref(name, version=version), Content(artifacts, documents), Stamp.now("ann"))

    def promote(self, version: str, alias: str = "prod", verdict: tuple[Condition, ...] = ()) -> Moved:
        return promote(self.open(), Ref(NAME, version=version), alias, Stamp.now("ann"), verdict)

    @contextlib.contextmanager
    def crashing(self, after: int) -> Iterator[list[str]]:
        """The process ends before the write with this number; what was written until then."""
        done: list[str] = []

        def before(what: str, name: str) -> None:
            if len(done) == after:
                raise CrashError
            done.append(f"{what} {name}")

        self.hook.before = before
        try:
            yield done
        finally:
            self.hook.before = lambda _what, _name: None
