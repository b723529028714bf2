"""Whether git takes what a registry has: a clone without one of its files has another registry than the log says."""

from __future__ import annotations

from nixgen.console import console
from nixgen.machine import git
from nixgen.registry.address import LOG
from nixgen.registry.files import Files, FolderFiles
from nixgen.registry.verify import below

IGNORE = ".gitignore"
_BEFORE = b"# Every file of the registry belongs to its log, so no rule of the project's .gitignore counts here.\n!*\n"
_LOCKS = (".lock", ".swap")
TEXT = _BEFORE + b"# Only locks of this machine:\n.lock\n.swap\n"


def keep(files: Files) -> None:
    """Writes the registry's .gitignore where it is a folder in a git work tree and has none, or an older nixgen's."""
    if isinstance(files, FolderFiles) and files.read(IGNORE) in {None, _BEFORE} and git.top(files.folder) is not None:
        files.write(IGNORE, TEXT)


def warn(files: Files, folder: str) -> None:
    """Warns of the files of a version's folder and of the log that git ignores all the same, once for each rule."""
    if not isinstance(files, FolderFiles) or git.top(files.folder) is None:
        return
    by_rule: dict[str, list[str]] = {}
    paths = [f"{one}/{path}" for one in (folder, LOG) for path in below(files, one) if path not in _LOCKS]
    for path, rule in git.rules(files.folder, paths).items():
        by_rule.setdefault(rule, []).append(path)
    for rule, ignored in by_rule.items():
        more = f" (and {len(ignored) - 1} more)" if len(ignored) > 1 else ""
        what = f"git ignores it by {rule}; a clone would not have it"
        console.warn(f"{files.folder / ignored[0]}{more}: {what}. Remove the rule, or: git add --force {files.folder}")
