"""The only wrapper round git: a flake sees a file only when git knows it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nixgen.errors import MachineError
from nixgen.machine.process import failure, run, start, write_output


@dataclass(frozen=True, slots=True)
class Visibility:
    """What became of files that a flake is to see: ``added`` are new to git, ``ignored`` are kept out by .gitignore."""

    added: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """What a work tree is like. ``top`` is its uppermost folder, ``below`` the path in it of the folder asked about.

    ``commit`` is empty before the first one, ``branch`` on a detached head. Paths are relative to ``top``: ``changed``
    are of files that git knows, ``untracked`` of those that it neither knows nor ignores (of a repository in the tree:
    with a slash behind), ``submodules`` of those with changes inside. ``remotes`` are addresses by name, as the
    configuration has them; ``index`` is git's own, and ``empty`` the id of a tree with nothing in it.
    """

    top: Path
    below: str = ""
    commit: str = ""
    branch: str = ""
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()
    remotes: Mapping[str, str] = field(default_factory=dict)
    index: Path = Path()
    empty: str = ""


def state(root: Path, without: Iterable[str] = ()) -> State:
    """The work tree that ``root`` is in; what lies at the paths ``without`` (relative to ``root``) does not count.

    Raises MachineError with git's own words when git refuses.
    """
    where = ["git", "rev-parse", "--show-toplevel", "--show-prefix", "--git-path", "index", "--show-object-format"]
    status = ["git", "--no-optional-locks", "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"]
    urls = ["git", "config", "-z", "--get-regexp", r"^remote\..*\.url$"]
    commands = (where, [*status, "--no-renames", "--", *_but(without)], urls)
    running = [start(command, cwd=root) for command in commands]
    place, changes, known = [one.wait() for one in running]
    for result in (place, changes):
        if result.code:
            raise failure(result)
    top, below, index, form = place.out.removesuffix("\n").rsplit("\n", 3)
    entries = changes.out.split("\0")
    heads = dict(entry[2:].split(" ", 1) for entry in entries if entry.startswith("# "))
    tracked = [entry.split(" ", _FIELDS[entry[0]]) for entry in entries if entry[:1] in _FIELDS]
    pairs = [entry.partition("\n") for entry in known.out.split("\0") if entry]
    return State(
        top=Path(top),
        below=below.rstrip("/"),
        commit=heads.get("branch.oid", "").replace("(initial)", ""),
        branch=heads.get("branch.head", "").replace("(detached)", ""),
        changed=tuple(fields[-1] for fields in tracked),
        untracked=tuple(entry[2:] for entry in entries if entry.startswith("? ")),
        submodules=tuple(fields[-1] for fields in tracked if fields[2][0] == "S" and {*fields[2][2:]} & {"M", "U"}),
        remotes={key.removeprefix("remote.").removesuffix(".url"): value for key, _, value in reversed(pairs)},
        index=root / index,
        empty=hashlib.new("sha256" if form == "sha256" else "sha1", b"tree 0\0", usedforsecurity=False).hexdigest(),
    )


_FIELDS = {"1": 8, "u": 10}  # blanks before the path in an entry of the status, by its kind (git-status(1))


def write_diff(
    root: Path,
    found: State,
    target: Path,
    untracked: Iterable[str],
    without: Iterable[str] = (),
    left_out: Iterable[str] = (),
) -> None:
    """Writes what makes of the commit of a ``state`` the files that are there: for ``git apply``, in the top folder.

    ``untracked`` are those new files that it is to have, ``left_out`` changed ones that it is not (``without`` is as in
    :func:`state`). git's index stays as it is. Raises MachineError when git refuses, OSError when the file cannot be
    written.
    """
    new = [path for path in untracked if not path.endswith("/")]
    env = dict(os.environ)
    with tempfile.TemporaryDirectory() as scratch:
        if new:
            index = Path(scratch, "index")
            if found.index.exists():
                shutil.copyfile(found.index, index)
            env["GIT_INDEX_FILE"] = str(index)
            listed = ["--pathspec-from-file=-", "--pathspec-file-nul"]
            adding = ["git", "--literal-pathspecs", "add", "--intent-to-add", *listed]
            result = start(adding, cwd=found.top, env=env, input_pipe=True).wait(data=os.fsencode("\0".join(new)))
            if result.code:
                raise failure(result)
        plain = ("--binary", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=dirty")
        words = ["git", "diff", *plain, *prefixes, found.commit or found.empty, "--", *_but(without)]
        words += [f":(top,exclude,literal){path}" for path in left_out]
        with target.open("wb") as file:
            write_output(words, file, cwd=root, env=env)


def has_commit(root: Path, commit: str) -> bool:
    """Whether the repository has this commit, or may fetch it from where it was cloned from in part."""
    return run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=root, check=False).code == 0


def last_commit(root: Path) -> float | None:
    """When the commit was made that is checked out, in seconds since 1970; None where there is none."""
    found = run(["git", "log", "-1", "--format=%ct"], cwd=root, check=False)
    return float(found.out) if found.code == 0 and found.out.strip().isdigit() else None


def committed(root: Path, path: str) -> datetime | None:
    """When a file was last committed, in UTC; None where it was not, is another one now, or no calendar has it."""
    found = run(["git", "rev-list", "-1", "--timestamp", "HEAD", "--", _literal(path)], cwd=root, check=False)
    if found.code or not found.out.strip():
        return None
    same = run(["git", "diff", "--quiet", "HEAD", "--", _literal(path)], cwd=root, check=False)
    with suppress(ValueError, OverflowError, OSError):
        return None if same.code else datetime.fromtimestamp(int(found.out.split()[0]), UTC)
    return None


def fetch_commit(root: Path, commit: str, places: Iterable[str]) -> list[str]:
    """Fetches a commit by its id from the first remote, or address, that gives it; no branch and no tag changes.

    What each place said that did not give it; nothing where one did.
    """
    shallow = run(["git", "rev-parse", "--is-shallow-repository"], cwd=root, check=False).out.strip() == "true"
    depth = ["--depth=1"] if shallow else []  # a shallow clone stays one, a whole one stays whole
    said = []
    for place in places:
        words = ["git", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", *depth]
        quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
        done = run([*words, "--", place, commit], cwd=root, env=quiet, check=False)
        if done.code == 0 and has_commit(root, commit):
            return []
        last = next(iter(reversed(done.err.strip().splitlines())), "it does not have it")
        said.append(f"{place}: {last}")
    return said


@contextmanager
def worktree(root: Path, commit: str, target: Path) -> Iterator[None]:
    """The commit of a repository in a new folder, with its submodules, without hooks; the folder is gone afterwards."""
    plain = ["git", "-c", f"core.hooksPath={os.devnull}"]
    run([*plain, "worktree", "add", "--quiet", "--detach", "--force", target, commit], cwd=root)
    try:
        if (target / ".gitmodules").exists():
            quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
            run([*plain, "submodule", "update", "--quiet", "--init", "--recursive"], cwd=target, env=quiet)
        yield
    finally:
        run(["git", "worktree", "remove", "--force", target], cwd=root, check=False)
        shutil.rmtree(target, ignore_errors=True)


def apply(top: Path, patch: Path) -> None:
    """Changes a work tree as a diff says, which ``write_diff`` wrote. Raises MachineError where it does not fit."""
    if patch.stat().st_size:
        run(["git", "apply", "--binary", "--whitespace=nowarn", "--", patch], cwd=top)


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


def tags(root: Path, pattern: str = "*") -> list[str]:
    """The repository's tags that match (git-tag(1), "--list"), in git's order; none where there is no repository."""
    return run(["git", "tag", "--list", pattern], cwd=root).out.split() if in_work_tree(root) else []


def shallow(root: Path) -> bool:
    """Whether the repository lacks a part of its history, and with it tags (git-clone(1), "--depth")."""
    return run(["git", "rev-parse", "--is-shallow-repository"], cwd=root, check=False).out.strip() == "true"


def top(root: Path) -> Path | None:
    """The uppermost folder of the work tree that ``root`` is in, None outside of one (or without git)."""
    if shutil.which("git") is None:
        return None
    found = run(["git", "rev-parse", "--show-toplevel"], cwd=root, check=False)
    return Path(found.out.rstrip("\n")) if found.code == 0 and found.out.strip() else None


def origin(root: Path) -> str:
    """The address of the remote ``origin``, "" where there is none."""
    found = run(["git", "remote", "get-url", "origin"], cwd=root, check=False)
    return found.out.strip() if found.code == 0 else ""


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
    seen = invisible(root, paths)
    if seen.added:
        run(["git", "add", "--intent-to-add", "--", *map(_literal, seen.added)], cwd=root)
    return seen


def invisible(root: Path, paths: Iterable[str]) -> Visibility:
    """The same, without telling git: what ``added`` would have."""
    wanted = [path for path in dict.fromkeys(paths) if (root / path).exists()]
    known = set(_listed(root, ["ls-files", "-z", "--", *map(_literal, wanted)]))
    unknown = [path for path in wanted if path not in known]
    ignored = ignored_paths(root, unknown)
    new = tuple(path for path in unknown if path not in ignored)
    return Visibility(new, tuple(path for path in unknown if path in ignored))


def ignored_paths(root: Path, paths: Iterable[str]) -> set[str]:
    """Those of the paths that git ignores; they need not exist."""
    wanted = list(paths)
    if not wanted:
        return set()
    return set(_listed(root, ["-c", "core.quotePath=false", "check-ignore", "--", *wanted], separator="\n"))


def rules(folder: Path, paths: Iterable[str]) -> dict[str, str]:
    """Those of the paths below ``folder`` that git ignores, each with the rule ("FILE:LINE: PATTERN") that says so.

    Empty where git refuses. A path that git knows already is not ignored.
    """
    words = ["git", "check-ignore", "--stdin", "--verbose", "-z"]
    found = start(words, cwd=folder, input_pipe=True).wait(data=os.fsencode("\0".join(paths))).out.split("\0")
    said = zip(found[::4], found[1::4], found[2::4], found[3::4], strict=False)
    return {path: f"{file}:{line}: {rule}" for file, line, rule, path in said if not rule.startswith("!")}


def with_unix_line_ends(root: Path, paths: Iterable[str]) -> set[str]:
    """Those of the paths that git checks out as they are, or with Unix' line ends, by gitattributes(5)."""
    wanted = list(paths)
    words = _listed(root, ["check-attr", "-z", "text", "eol", "--", *wanted])
    said = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {path for path, attribute, value in said if (attribute, value) in {("text", "unset"), ("eol", "lf")}}


def unknown_files(root: Path, pattern: str) -> list[str]:
    """The files below ``root`` with names like ``pattern`` that git neither knows nor ignores, sorted."""
    return sorted(_listed(root, ["ls-files", "-z", "--others", "--exclude-standard", "--", pattern]))


def known_files(root: Path) -> list[str]:
    """The files below ``root`` that git knows, relative to it, sorted; those that were removed since, too."""
    return sorted({*_listed(root, ["ls-files", "-z", "--cached"])})


def _but(without: Iterable[str]) -> list[str]:
    """Pathspecs (gitglossary(7)) for the whole work tree but these paths, relative to the current folder."""
    return [":(top)", *(f":(exclude,literal){path}" for path in without)]


def _literal(path: str) -> str:
    return f":(literal){path}"


def _listed(root: Path, arguments: list[str], separator: str = "\0") -> list[str]:
    """The names that a git command lists; exit code 1 is check-ignore's "none"."""
    result = run(["git", *arguments], cwd=root, check=False)
    if result.code not in {0, 1}:
        raise failure(result)
    return [name for name in result.out.split(separator) if name]
