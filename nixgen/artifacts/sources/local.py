"""Paths in the project, ``file:`` or without a scheme, and ``file:///…`` for files of this machine that are meant."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from nixgen.artifacts.model import ArtifactSpec, PinnedArtifact, PinnedFile
from nixgen.artifacts.sources.context import Context, together
from nixgen.artifacts.sources.paths import chosen, wanted
from nixgen.artifacts.sources.pinning import pinned
from nixgen.artifacts.store import Found, store_name
from nixgen.errors import MachineError, NixgenError, Problem, UserError
from nixgen.machine import download

_MEND = "bring the pinned one back, or pin what is there: nixgen sync"
_LONGEST_POINTER = 1024  # bytes
_POINTERS = {
    b"version https://git-lfs.github.com/spec/": "git lfs pull",
    b"/annex/objects/": "git annex get .",
}


def resolve(spec: ArtifactSpec, previous: PinnedArtifact | None, context: Context) -> PinnedArtifact:
    """Hashes the file, or the files of the folder. Links must stay inside the project, or inside an outside folder."""
    del previous
    base, limit = _place(spec.source, context.root)
    if not base.exists():
        raise UserError.of(
            spec.where, f"there is no {spec.source}", "check the path; it starts at models.toml's folder"
        )
    listed = _listed(base, limit, spec.where)
    picked = chosen(list(listed), spec.include, spec.exclude, spec.where, spec.source)

    def one(path: str) -> PinnedFile:
        real = _stays(listed[path], _inside(base, limit), spec.where)
        found = _hashed(real)
        if mend := pointer(real):
            raise UserError.of(spec.where, f"{real} only points at the file", f"{mend}, then: {context.command}")
        local = real.relative_to(limit).as_posix() if limit is not None else None
        return PinnedFile(path, found.size, found.sha256, local=local)

    return pinned(spec, together(one, picked))


def changed(root: Path, artifacts: Iterable[PinnedArtifact]) -> list[Problem]:
    """What lies in the project and is not what was pinned: other files, more or fewer, or what only points at one.

    An artifact of which nothing is there is passed over: it may be in the store.
    """
    rows: list[tuple[str, str, Path, str | None]] = []
    problems: list[Problem] = []
    for artifact in artifacts:
        where, files = artifact.key, {file.path: file.sha256 for file in artifact.files}
        archives = {file.archive.local: file.archive.sha256 for file in artifact.files if file.archive}
        places = [(name, root / name, sha256) for name, sha256 in archives.items() if name]
        if artifact.registered:
            places = [(file.local, root / file.local, file.sha256) for file in artifact.files if file.local]
        try:
            if artifact.scheme == "file" and not archives:
                base, limit = _place(artifact.source, root)
                listed = _listed(base, limit, where) if base.exists() and limit is not None else {}
                picked = set(wanted(listed, artifact.include, artifact.exclude))
                shown = artifact.source.removeprefix("file:").removeprefix("./").rstrip("/")
                prefix = f"{shown}/" if base.is_dir() else shown.removesuffix(base.name)
                lost = sorted(files.keys() - picked) if listed else []
                problems += [Problem(f"{where}: {prefix}{path}", "is missing, and was pinned", _MEND) for path in lost]
                inside = _inside(base, limit)
                places = [
                    (prefix + path, _stays(listed[path], inside, where), files.get(path, "")) for path in sorted(picked)
                ]
        except NixgenError as error:
            problems += error.problems
        rows += [(where, name, place, sha256) for name, place, sha256 in places if place.exists()]

    def one(row: tuple[str, str, Path, str | None]) -> Problem | None:
        where, name, place, sha256 = row
        if not sha256:
            return Problem(f"{where}: {name}", "is there, and was not pinned", _MEND)
        if _hashed(place).sha256 == sha256:
            return None
        if mend := pointer(place):
            return Problem(f"{where}: {name}", "only points at the file that was pinned", mend)
        return Problem(f"{where}: {name}", "changed after it was pinned", _MEND)

    return problems + [problem for problem in together(one, rows) if problem]


def pointer(path: Path) -> str | None:
    """How to get the file that git LFS or git-annex has put a pointer in the place of; None where it is no pointer."""
    with path.open("rb") as file:
        start = file.read(_LONGEST_POINTER)
    if len(start) < _LONGEST_POINTER:
        return next((mend for magic, mend in _POINTERS.items() if start.startswith(magic)), None)
    return None


def fetch(artifact: PinnedArtifact, context: Context, missing: Iterable[PinnedFile]) -> dict[str, Path]:
    """Copies pinned files into the holder."""
    files = list(missing)
    base, _ = _place(artifact.source, context.root)
    if context.holder is None:
        raise ValueError("there is nothing that could hold the files")
    scratch = context.holder.scratch()

    def one(file: PinnedFile) -> Found:
        place = context.root / file.local if file.local else base if base.is_file() else base / file.path
        return copied(place, scratch, file, artifact.key)

    held = context.hold(together(one, files), [store_name(file.path) for file in files])
    return {file.path: item.path for file, item in zip(files, held, strict=True) if item.path is not None}


def copied(place: Path, scratch: Path, file: PinnedFile, where: str) -> Found:
    """A checked copy of a file, on its way into the holder."""
    scratch.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="whole-", dir=scratch)
    os.close(handle)
    try:
        shutil.copyfile(place, name)
    except FileNotFoundError:
        Path(name).unlink()
        raise UserError.of(where, f"there is no {file.local or place}", "bring it back, or lock anew") from None
    except OSError as error:
        Path(name).unlink()
        raise MachineError.of(str(place), f"cannot be copied: {error.strerror}") from None
    found = _hashed(Path(name))
    if (found.sha256, found.size) != (file.sha256, file.size):
        Path(name).unlink()
        what = (
            f"{file.path} is not the file that was pinned: its SHA-256 should be {file.sha256}, and is {found.sha256}"
        )
        raise UserError.of(where, what, "bring the old one back, or pin the new one: nixgen sync")
    return Found(Path(name), found.sha256, found.size)


def _place(source: str, root: Path) -> tuple[Path, Path | None]:
    """Where a source lies, and the folder that it must not leave: None for a place outside the project."""
    rest = source.removeprefix("file:")
    if rest.startswith("///"):
        return Path(unquote(rest[2:])), None
    return root / rest, root.resolve()


def _inside(base: Path, limit: Path | None) -> Path:
    """The folder that the links of a source must not leave."""
    return limit if limit is not None else (base if base.is_dir() else base.parent).resolve()


def _listed(base: Path, limit: Path | None, where: str) -> dict[str, Path]:
    """The files of a source, or links, by their paths in it."""
    inside = _inside(base, limit)
    _stays(base, inside, where)
    if not base.is_dir():
        if not base.is_file():
            raise UserError.of(where, f"{base} is not a regular file", "put the file back: git checkout -- PATH")
        return {base.name: base}
    return {path.relative_to(base).as_posix(): path for path in _walk(base, inside, where)}


def _stays(path: Path, inside: Path, where: str) -> Path:
    """Where a path really is. Raises UserError when links lead it out of its folder, or nowhere."""
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise UserError.of(where, f"{path} is a link that leads nowhere", "mend or remove it") from None
    if not real.is_relative_to(inside):
        what = f"{path} is a link that leads out of {inside}, which no teammate has"
        raise UserError.of(where, what, "put the file itself there")
    return real


def _walk(folder: Path, inside: Path, where: str) -> Iterator[Path]:
    """All files below a folder. Neither git's own files are among them, nor what folders behind links hold."""
    for place, folders, files in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in folders:
            if Path(place, name).is_symlink():
                _stays(Path(place, name), inside, where)
                what = f"{Path(place, name)} is a link to a folder, which nixgen does not follow"
                raise UserError.of(where, what, "put the folder itself there")
        for name in sorted(files):
            path = Path(place, name)
            if not path.is_file() and not path.is_symlink():
                raise UserError.of(where, f"{path} is neither a file nor a folder", "remove it")
            yield path


def _unreadable(error: OSError) -> None:
    raise MachineError.of(str(error.filename), f"cannot be read: {error.strerror}") from None


def _hashed(path: Path) -> Found:
    try:
        with path.open("rb") as file:
            sha256, size = download.digest(file)
    except OSError as error:
        raise MachineError.of(str(path), f"cannot be read: {error.strerror}") from None
    return Found(path, sha256, size)
