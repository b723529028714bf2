"""A flake in a git work tree sees only the files that git knows: git is told of those that nixgen wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nixgen.console import console
from nixgen.machine import git
from nixgen.nix import vendored

NEEDED = ("default.nix", "flake.lock", "flake.nix", "nixgen.lock")
"""What a flake reads at the top of a project, beside the folder nix/nixgen and the locks."""


def tell(root: Path, paths: Iterable[str] = ()) -> None:
    """Tells git of ``paths``, of what a flake reads and of nix/nixgen, where it does not know them, and says so.

    Warns of what .gitignore keeps out, and of code that git does not know. Raises MachineError with
    git's own words when git refuses.
    """
    seen = git.make_visible(root, needed(root, paths))
    if seen.added:
        count = f"{len(seen.added)} new file{'s' if len(seen.added) > 1 else ''}"
        console.info(f"Staged {count} (git add -N): flakes ignore untracked files.")
    for path in dict.fromkeys(map(folder_of, seen.ignored)):
        console.warn(f"{path} is ignored by git, so a flake does not see it. To change that: git add --force {path}")
    if unknown := git.unknown_files(root, "*.py"):
        names = unknown[0] + (f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else "")
        console.warn(f"{names} is not known to git, so a flake does not see it. To change that: git add --all")


def needed(root: Path, paths: Iterable[str] = ()) -> list[str]:
    """The paths that a flake has to see, those of nix/nixgen and ``paths`` among them, sorted."""
    return sorted({*NEEDED, *paths, *vendored.present(root)})


def folder_of(path: str) -> str:
    """The folder of nixgen's own files instead of each of them: one sentence for all."""
    return vendored.FOLDER if path.startswith(f"{vendored.FOLDER}/") else path
