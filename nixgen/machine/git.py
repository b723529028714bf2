"""The only wrapper round git: a flake sees a file only when git knows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nixgen.errors import MachineError
from nixgen.machine.process import failure, run


@dataclass(frozen=True, slots=True)
class Visibility:
    """What became of files that a flake is to see: ``added`` are new to git, ``ignored`` are kept out by .gitignore."""

    added: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def in_work_tree(root: Path) -> bool:
    """Whether ``root`` is in a git work tree.

    Raises MachineError when it is in one and there is no git, or git refuses to read it because it is another user's
    (git-config(1), safe.directory).
    """
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return False
    if shutil.which("git") is None:
        mend = "install git, or make the flake's files known to git elsewhere"
        raise MachineError.of("", "there is no program git, and the project is in a git work tree", mend)
    found = run(["git", "rev-parse", "--is-inside-work-tree"], cwd=root, check=False)
    if "safe.directory" in found.err:
        what = f"git does not read the repository of {root}, because it belongs to another user; nor will Nix"
        mend = next((line.strip() for line in found.err.splitlines() if "--add safe.directory" in line), "")
        raise MachineError.of("", what, mend or f"git config --global --add safe.directory {root}")
    return found.out.strip() == "true"


def top(root: Path) -> Path | None:
    """The uppermost folder of the work tree that ``root`` is in, None outside of one (or without git)."""
    if shutil.which("git") is None:
        return None
    found = run(["git", "rev-parse", "--show-toplevel"], cwd=root, check=False)
    return Path(found.out.rstrip("\n")) if found.code == 0 and found.out.strip() else None


def pushed(folder: Path) -> tuple[str, str]:
    """The address of the remote ``origin`` of a clone and its commit, if some remote has the commit; else both empty.

    The clone is the folder itself: one that merely contains it does not count.
    """
    if not folder.is_dir() or top(folder) != folder.resolve():
        return "", ""
    remote = run(["git", "remote", "get-url", "origin"], cwd=folder, check=False)
    commit = run(["git", "rev-parse", "--verify", "HEAD"], cwd=folder, check=False)
    if remote.code or commit.code:
        return "", ""
    known = run(["git", "for-each-ref", "--count=1", "--contains", "HEAD", "refs/remotes/origin"], cwd=folder)
    return (remote.out.strip(), commit.out.strip()) if known.out.strip() else ("", "")


def make_visible(root: Path, paths: Iterable[str]) -> Visibility:
    """Tells git of the files (relative to ``root``) that it does not know: ``git add --intent-to-add``.

    What is ignored stays so, and is returned. Raises MachineError with git's own words when git refuses.
    """
    wanted = [path for path in dict.fromkeys(paths) if (root / path).exists()]
    known = set(_listed(root, ["ls-files", "-z", "--", *map(_literal, wanted)]))
    unknown = [path for path in wanted if path not in known]
    ignored = ignored_paths(root, unknown)
    new = [path for path in unknown if path not in ignored]
    if new:
        run(["git", "add", "--intent-to-add", "--", *map(_literal, new)], cwd=root)
    return Visibility(tuple(new), tuple(path for path in unknown if path in ignored))


def ignored_paths(root: Path, paths: Iterable[str]) -> set[str]:
    """Those of the paths that git ignores; they need not exist."""
    wanted = list(paths)
    if not wanted:
        return set()
    return set(_listed(root, ["-c", "core.quotePath=false", "check-ignore", "--", *wanted], separator="\n"))


def with_unix_line_ends(root: Path, paths: Iterable[str]) -> set[str]:
    """Those of the paths that git checks out as they are, or with Unix' line ends, by gitattributes(5)."""
    wanted = list(paths)
    words = _listed(root, ["check-attr", "-z", "text", "eol", "--", *wanted])
    said = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {path for path, attribute, value in said if (attribute, value) in {("text", "unset"), ("eol", "lf")}}


def unknown_files(root: Path, pattern: str) -> list[str]:
    """The files below ``root`` with names like ``pattern`` that git neither knows nor ignores, sorted."""
    return sorted(_listed(root, ["ls-files", "-z", "--others", "--exclude-standard", "--", pattern]))


def _literal(path: str) -> str:
    return f":(literal){path}"


def _listed(root: Path, arguments: list[str], separator: str = "\0") -> list[str]:
    """The names that a git command lists; exit code 1 is check-ignore's "none"."""
    result = run(["git", *arguments], cwd=root, check=False)
    if result.code not in {0, 1}:
        raise failure(result)
    return [name for name in result.out.split(separator) if name]
