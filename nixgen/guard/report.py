"""What a check gives: the differences that it found, or the files that are the pinned ones."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

from .model import REFUSED, VERSION, GuardError, Tree
from .words import amount, counted, printable, shown

_SHOWN = 50


class Refused(GuardError):  # noqa: N818 - the words of the package, as for BadInput
    """A file is not the pinned one. ``report`` tells all that was found."""

    exit_code = REFUSED

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(report.text())


class Found(NamedTuple):
    """One difference. ``problem`` is missing, extra, changed, kind, link, unreadable, unstable or nix."""

    artifact: str
    path: str
    problem: str
    said: str
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        return f"{self.artifact}: {shown(self.path)}: {self.said}"


class Verified(NamedTuple):
    """An artifact whose files are the pinned ones.

    ``folder`` is its directory; ``files`` maps the artifact's paths to the absolute paths, links resolved, of the very
    files that were hashed.
    """

    name: str
    folder: str
    files: Mapping[str, str]

    def __fspath__(self) -> str:
        return self.folder


class Report(NamedTuple):
    """What a check gave. ``stamp`` and ``nix`` say in words what they did; ``hashed`` counts bytes."""

    trees: tuple[Tree, ...]
    findings: tuple[Found, ...]
    targets: Mapping[tuple[str, str], str]
    hashed: int
    seconds: float
    stamp: str
    nix: str

    @property
    def ok(self) -> bool:
        """Whether every file is the pinned one, and there is no other."""
        return not self.findings

    def text(self) -> str:
        """The report as lines."""
        files = self._pinned()
        if self.ok:
            how = f"stamp: {self.stamp}; Nix: {self.nix}"
            return f"verified: {amount(sum(files))} in {counted(len(files))}, {self.seconds:.3f} s ({how})"
        lines = [str(found) for found in self.findings[:_SHOWN]]
        if len(self.findings) > _SHOWN:
            lines.append(f"and {len(self.findings) - _SHOWN} more")
        return "\n".join([f"not the pinned files: {len(self.findings)} found among {len(files)}", *lines])

    def mend(self) -> str:
        """What brings the pinned files back."""
        if any(os.path.realpath(tree.folder).startswith("/nix/store/") for tree in self.trees):
            return "nix-store --verify --check-contents --repair"
        return "put the pinned files back"

    def _pinned(self) -> list[int]:
        """The sizes of the files that are pinned: each once, whatever it is laid out as, and none of the layout's."""
        return list(
            {
                (tree.name, file.path.removeprefix(tree.prefix)): file.size
                for tree in [tree for tree in self.trees if not tree.shared] or self.trees
                for file in tree.files
                if file.path.startswith(tree.prefix)
            }.values()
        )

    def json(self) -> str:
        """The report as one line of JSON."""
        document = {
            "version": VERSION,
            "verified": self.ok,
            "artifacts": [
                {"name": t.name, "path": t.folder, "files": len(t.files), "bytes": sum(f.size for f in t.files)}
                for t in self.trees
            ],
            "findings": [
                {
                    "artifact": f.artifact,
                    "path": printable(f.path),
                    "problem": f.problem,
                    "said": f.said,
                    "expected": f.expected or None,
                    "found": f.found or None,
                }
                for f in self.findings
            ],
            "hashed": self.hashed,
            "seconds": round(self.seconds, 6),
            "stamp": self.stamp,
            "nix": self.nix,
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True)
