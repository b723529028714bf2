"""The cache of huggingface_hub: where it keeps the files of a repo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .fields import DIGITS, path_problem, text_of
from .model import BadInput, File


class Hub(NamedTuple):
    """Where a repo lies in the cache of huggingface_hub: its folder there, and what of its refs points at."""

    folder: str
    commit: str
    revision: str

    @property
    def prefix(self) -> str:
        """Where in the folder the files of the commit lie."""
        return f"snapshots/{self.commit}/"

    def laid_out(self, files: Iterable[File]) -> list[File]:
        """The files at their places in the folder, and the ref; no newline is behind the commit in it."""
        laid = [file._replace(path=self.prefix + file.path) for file in files]
        if self.revision != self.commit:
            sha256 = hashlib.sha256(self.commit.encode()).hexdigest()
            laid.append(File(f"refs/{self.revision}", len(self.commit), sha256))
        return laid


def hub_of(entry: Mapping[str, Any], where: str) -> Hub:
    """The place of the repo that an entry of nixgen.lock names."""
    repo, commit = text_of(entry, "repo", where), text_of(entry, "commit", where)
    revision, kind = str(entry.get("revision") or "main"), str(entry.get("repoType", "model"))
    folder = f"{kind}s--{repo.replace('/', '--')}"
    impossible = kind not in {"model", "dataset", "space"} or len(commit) != 40 or not DIGITS.issuperset(commit)  # noqa: PLR2004
    if impossible or path_problem(folder) or "/" in folder or path_problem(revision):
        raise BadInput(f"{where}: has an impossible repo, commit or revision")
    return Hub(folder, commit, revision)
