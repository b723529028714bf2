"""The files of a project that ``nixgen init`` writes once: they are the user's own from then on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nixgen import files, flakelock, git, render
from nixgen.model import Base, DebianBase

FLAKE = "flake.nix"
SHELL = "shell.nix"
MODELS = "models.toml"
IGNORE = ".gitignore"
_IGNORED = ("result", "result-*", ".venv")


@dataclass(slots=True)
class Scaffold:
    """``files`` to write; ``foreign`` are those of them that somebody else wrote; ``notes`` are for the user."""

    files: dict[str, bytes] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def scaffold(root: Path, name: str, base: Base, previous: Base | None, wanted: Mapping[str, bytes]) -> Scaffold:
    """What is missing of these files.

    ``previous`` is the base that nixgen.lock pinned before this run, None for a project that nixgen does not know
    yet: what is there in such a project, without nixgen's first line, is somebody else's. ``wanted`` holds the files
    of nix/nixgen.
    """
    made = Scaffold()
    rewritten = _flake(made, root, name, base, previous)
    _flake_lock(made, root, base, previous, wanted, rewritten=rewritten)
    _once(made, root, SHELL, render.shell_nix().encode(), known=previous is not None)
    _once(made, root, MODELS, render.models_toml().encode(), known=True)
    return made


def gitignore(root: Path, *, work_tree: bool) -> bytes | None:
    """.gitignore with the lines for what Nix and uv leave behind, None when they are there or git ignores it all."""
    old = files.read(root, IGNORE) or b""
    present = {line.strip().strip("/") for line in old.decode(errors="replace").splitlines()}
    missing = [line for line in _IGNORED if line not in present]
    if missing and work_tree:
        ignored = git.ignored_paths(root, ["result", "result-1", ".venv"])
        missing = [line for line in missing if line.replace("*", "1") not in ignored]
    if not missing:
        return None
    separator = b"\n" if old and not old.endswith(b"\n") else b""
    return old + separator + "".join(f"{line}\n" for line in missing).encode()


def _flake(made: Scaffold, root: Path, name: str, base: Base, previous: Base | None) -> bool:
    """Decides on flake.nix; returns whether it is written anew."""
    url = flakelock.input_url(base)
    text = render.flake_nix(name, base, url).encode()
    old = files.read(root, FLAKE)
    untouched = previous and old == render.flake_nix(name, previous, flakelock.input_url(previous)).encode()
    if old is None or untouched:
        made.files[FLAKE] = text
        return old != text
    _once(made, root, FLAKE, text, known=previous is not None)
    if FLAKE in made.foreign:
        return True
    if url.encode() not in old:
        made.notes.append(f"flake.nix is yours and stays as it is; its input nixpkgs does not say {url}.")
    return False


def _flake_lock(
    made: Scaffold, root: Path, base: Base, previous: Base | None, wanted: Mapping[str, bytes], *, rewritten: bool
) -> None:
    old = files.read(root, flakelock.NAME)
    if old is None or rewritten:
        made.files[flakelock.NAME] = flakelock.fresh(base, wanted)
        if old is not None and previous is None and old != made.files[flakelock.NAME]:
            made.foreign.append(flakelock.NAME)
    elif isinstance(base, DebianBase):
        made.files[flakelock.NAME] = flakelock.in_step(old, wanted)


def _once(made: Scaffold, root: Path, path: str, text: bytes, *, known: bool) -> None:
    """A file that is there stays when nixgen wrote it once, or ``known`` says that it may be the user's."""
    old = files.read(root, path)
    if old is not None and (known or files.written_by_nixgen(old)):
        return
    made.files[path] = text
    if old is not None and old != text:
        made.foreign.append(path)
