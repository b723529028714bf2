"""The guard: are the files of a model or dataset, byte for byte, the pinned ones? Standard library only.

One file on purpose: it is copied to machines that have no nixgen and run there as a script, ahead of a service::

    python -I guard.py --expected FILE [--root DIR] [--stamp DIR | --no-stamp] [--report text|json] [NAME…] -- COMMAND…

or imported by the service itself::

    from guard import require
    model = require("minilm", lock="nixgen.lock")["minilm"].files["model.onnx"]

``FILE`` is nixgen.lock, or JSON of the form that :func:`parse` tells. Exit codes: those of COMMAND; 1 the files are not
the pinned ones and there is no COMMAND; 2 a mistake in the input; 3 the machine lacks something; 79
(:data:`REFUSED`) the files are not the pinned ones and COMMAND was not started; 126 and 127 COMMAND cannot be run, as
shells have it.

What a check at the start cannot promise: that the files stay as they were. Whoever may write them can change them
after they were hashed, before or while they are loaded. docs/guard.md tells what helps.
"""

# pathlib would be a third of the start of a service with a fresh stamp:
# ruff: noqa: PTH100, PTH103, PTH105, PTH108, PTH109, PTH110, PTH111, PTH112, PTH116, PTH117, PTH118, PTH119, PTH120
# ruff: noqa: PTH115, PTH123

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat as modes
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

VERSION = 1
"""Of the expected files' JSON, the report's and the stamp's."""

REFUSED = 79
"""The exit code when COMMAND was not started because a file is not the pinned one; sysexits.h ends with 78."""

STAMP_AGE = 24 * 3600.0
"""Seconds after which a stamp counts no more."""

SETTLED = 2_000_000_000
"""Nanoseconds for which a file must have been left alone before it is stamped.

The kernel keeps times no finer than its clock tick (file systems: up to 2 s), so that two changes within one tick look
like one."""

_CHUNK = 1 << 20
_SHOWN = 50
_DIGITS = frozenset("0123456789abcdef")
_NIX32 = "0123456789abcdfghijklmnpqrsvwxyz"


class GuardError(Exception):
    """The base of what the guard raises."""

    exit_code = 2


class BadInput(GuardError):  # noqa: N818 - the words of the package: a finding, a mistake in the input
    """What is expected cannot be understood, or names something that is not pinned. Nothing was looked at."""


class Refused(GuardError):  # noqa: N818 - the same
    """A file is not the pinned one. ``report`` tells all that was found."""

    exit_code = REFUSED

    def __init__(self, report: Report) -> None:
        self.report = report
        super().__init__(report.text())


class File(NamedTuple):
    """A pinned file: its path in the tree (relative, forward slashes), bytes, and SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


class Tree(NamedTuple):
    """A directory and the exact set of files that it must hold.

    ``prefix`` is what of the files' paths is the layout's and not the artifact's ("models--o--n/snapshots/…/").
    ``blobs`` names a folder of the tree that may hold the targets of the links, as the hub's own cache does.
    """

    name: str
    folder: str
    files: tuple[File, ...]
    prefix: str = ""
    blobs: str = ""


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
        count, size = sum(len(tree.files) for tree in self.trees), sum(f.size for t in self.trees for f in t.files)
        if self.ok:
            how = f"stamp: {self.stamp}; Nix: {self.nix}"
            return f"verified: {count} files, {size} bytes, {self.seconds:.3f} s ({how})"
        lines = [str(found) for found in self.findings[:_SHOWN]]
        if len(self.findings) > _SHOWN:
            lines.append(f"and {len(self.findings) - _SHOWN} more")
        return "\n".join([f"not the pinned files: {len(self.findings)} found among {count}", *lines])

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
                    "path": _printable(f.path),
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


def require(
    *names: str,
    lock: str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    stamp: str | os.PathLike[str] | None = None,
    nix: bool = True,
) -> dict[str, Verified]:
    """The named models and data ("minilm", "models.minilm"; none: all), verified, by the names as given.

    ``lock`` is nixgen.lock or JSON as :func:`parse` reads it; without it $NIXGEN_LOCK, then the nearest nixgen.lock
    upwards. ``root`` is the folder that holds them, see :func:`parse`. ``stamp`` is a folder for a stamp; without it
    every file is hashed every time. Raises :class:`Refused` when a file is not the pinned one, :class:`BadInput` when
    what is expected cannot be told: in both cases before anything was loaded.
    """
    trees = select(read(os.fspath(lock) if lock is not None else find_lock(), root), names)
    report = check(trees, stamp=Stamp(os.fspath(stamp)) if stamp is not None else None, nix=nix)
    if not report.ok:
        raise Refused(report)
    plain = [tree.name.partition(".")[2] or tree.name for tree in trees]
    keys = names or [short if plain.count(short) == 1 else t.name for t, short in zip(trees, plain, strict=True)]
    return {key: _verified(next(tree for tree in trees if _named(tree, key)), report) for key in keys}


def _verified(tree: Tree, report: Report) -> Verified:
    files = {
        file.path.removeprefix(tree.prefix): report.targets[tree.folder, file.path]
        for file in tree.files
        if file.path.startswith(tree.prefix)
    }
    return Verified(tree.name, tree.folder, files)


# What is expected


def find_lock() -> str:
    """$NIXGEN_LOCK, or nixgen.lock in the current folder or the nearest one above it."""
    if given := os.environ.get("NIXGEN_LOCK"):
        return given
    folder = os.getcwd()
    while not os.path.exists(os.path.join(folder, "nixgen.lock")):
        if folder == os.path.dirname(folder):
            raise BadInput("there is no nixgen.lock here or above: name it, or set NIXGEN_LOCK")
        folder = os.path.dirname(folder)
    return os.path.join(folder, "nixgen.lock")


def read(
    path: str, root: str | os.PathLike[str] | None = None, env: Mapping[str, str] | None = None
) -> tuple[Tree, ...]:
    """:func:`parse` of a file. Raises BadInput."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    return parse(text, path, root, env)


def parse(
    text: str, where: str, root: str | os.PathLike[str] | None = None, env: Mapping[str, str] | None = None
) -> tuple[Tree, ...]:
    """The trees that a text tells, sorted by name. Raises BadInput, with the place in it.

    The text is nixgen.lock: models and data are then looked for as ``root``/NAME. Without a root models are looked for
    as $NIXGEN_MODELS/NAME, data as $NIXGEN_DATA/NAME, and those with the layout hf in $HF_HUB_CACHE, too, all of
    ``env`` (default: this process's environment).

    Or it is JSON of this form, in which relative folders are relative to ``root``, without one to the current folder::

        {"version": 1, "trees": [{"name": "models.minilm", "path": "/nix/store/…-minilm",
                                  "files": [{"path": "config.json", "size": 612, "sha256": "…"}]}]}

    A tree may have a ``prefix``: what of its files' paths is the layout's and not the artifact's.
    """
    try:
        document = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: is not JSON: {error}") from None
    table = _table(document, where)
    if table.get("version") != VERSION:
        raise BadInput(f"{where}: version: is {json.dumps(table.get('version'))}, and this guard knows {VERSION}")
    if "base" in table:
        trees = _of_lock(table, where, root, os.environ if env is None else env)
    else:
        _closed(table, {"version", "trees"}, where)
        trees = [_tree(item, f"{where}: trees[{i}]", root) for i, item in enumerate(_list(table, "trees", where))]
    return tuple(sorted(trees, key=lambda tree: (tree.name, tree.prefix, tree.folder)))


def select(trees: Iterable[Tree], names: Sequence[str]) -> tuple[Tree, ...]:
    """The trees of these names; of none: all. Raises BadInput for a name that is not pinned."""
    known = tuple(trees)
    for name in names:
        matching = sorted({tree.name for tree in known if _named(tree, name)})
        if not matching:
            there = ", ".join(sorted({tree.name for tree in known})) or "nothing"
            raise BadInput(f"{shown(name)}: is not pinned; pinned: {there}")
        if len(matching) > 1:
            raise BadInput(f"{shown(name)}: is more than one: {', '.join(matching)}")
    asked = tuple(tree for tree in known if not names or any(_named(tree, name) for name in names))
    for tree in asked:
        if not tree.folder:
            raise BadInput(f"{tree.name}: where it lies is not known: enter the project's shell, or name the folder")
    return asked


def _named(tree: Tree, name: str) -> bool:
    return name in {tree.name, tree.name.partition(".")[2]}


def _tree(value: object, where: str, root: str | os.PathLike[str] | None) -> Tree:
    table = _table(value, where)
    _closed(table, {"name", "path", "files", "prefix"}, where)
    folder = os.path.join(os.path.abspath(root or "."), _text(table, "path", where))
    prefix = _text(table, "prefix", where) if "prefix" in table else ""
    return Tree(_text(table, "name", where), folder, _files(table, where), prefix)


def _of_lock(
    document: Mapping[str, Any], where: str, root: str | os.PathLike[str] | None, env: Mapping[str, str]
) -> list[Tree]:
    trees: list[Tree] = []
    cached: dict[str, dict[str, File]] = {}
    cache = env.get("HF_HUB_CACHE") if root is None else None
    for kind, variable in (("models", "NIXGEN_MODELS"), ("data", "NIXGEN_DATA")):
        above = os.path.abspath(root) if root else env.get(variable) or ""
        for name, value in _table(document.get(kind, {}), f"{where}: {kind}").items():
            at = f"{where}: {kind}.{shown(name)}"
            if path_problem(name) or "/" in name:
                raise BadInput(f"{at}: has an impossible name")
            entry = _table(value, at)
            trees.append(locked(entry, kind, name, os.path.join(above, name) if above else "", at))
            if cache and "hf" in _list(entry, "layout", at):
                hub = _hub(entry, at)
                # Artifacts may share a repo's folder: it holds the files of all of them.
                together = cached.setdefault(hub.folder, {})
                for file in hub.laid_out(_files(entry, at)):
                    if together.setdefault(file.path, file) != file:
                        raise BadInput(f"{at}: {shown(file.path)} of {hub.folder} is pinned to two different files")
                trees.append(Tree(f"{kind}.{name}", os.path.join(cache, hub.folder), (), hub.prefix, "blobs"))
    full = {os.path.join(cache or "", folder): tuple(sorted(files.values())) for folder, files in cached.items()}
    return [tree._replace(files=full.get(tree.folder, tree.files)) for tree in trees]


def locked(entry: Mapping[str, Any], kind: str, name: str, folder: str, where: str = "nixgen.lock") -> Tree:
    """The tree of one entry of nixgen.lock that lies in ``folder``: plain files, or the hub's cache layout.

    Which of both it is shows on the disk: the hub's has a folder for the repo. The files are the same ones.
    """
    files = _files(entry, where)
    if isinstance(entry.get("repo"), str) and isinstance(entry.get("commit"), str):
        hub = _hub(entry, where)
        if os.path.isdir(os.path.join(folder, hub.folder)):
            laid = tuple(file._replace(path=f"{hub.folder}/{file.path}") for file in hub.laid_out(files))
            blobs = f"{hub.folder}/blobs"
            return Tree(f"{kind}.{name}", folder, tuple(sorted(laid)), f"{hub.folder}/{hub.prefix}", blobs)
    return Tree(f"{kind}.{name}", folder, files)


class _Hub(NamedTuple):
    """Where a repo lies in the cache of huggingface_hub: its folder there, and what of its refs points at."""

    folder: str
    commit: str
    revision: str

    @property
    def prefix(self) -> str:
        return f"snapshots/{self.commit}/"

    def laid_out(self, files: Iterable[File]) -> list[File]:
        """The files at their places in the folder, and the ref; no newline is behind the commit in it."""
        laid = [file._replace(path=self.prefix + file.path) for file in files]
        if self.revision != self.commit:
            sha256 = hashlib.sha256(self.commit.encode()).hexdigest()
            laid.append(File(f"refs/{self.revision}", len(self.commit), sha256))
        return laid


def _hub(entry: Mapping[str, Any], where: str) -> _Hub:
    repo, commit = _text(entry, "repo", where), _text(entry, "commit", where)
    revision, kind = str(entry.get("revision") or "main"), str(entry.get("repoType", "model"))
    folder = f"{kind}s--{repo.replace('/', '--')}"
    impossible = kind not in {"model", "dataset", "space"} or len(commit) != 40 or not _DIGITS.issuperset(commit)  # noqa: PLR2004
    if impossible or path_problem(folder) or "/" in folder or path_problem(revision):
        raise BadInput(f"{where}: has an impossible repo, commit or revision")
    return _Hub(folder, commit, revision)


def path_problem(path: str) -> str:
    """Why a path from a lock or manifest cannot be that of a file in a tree; empty where it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    if "\0" in path:
        return "has a zero byte in it"
    if path.startswith("/"):
        return "is absolute"
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return "has an empty part, . or .. in it"
    return ""


def _files(table: Mapping[str, Any], where: str) -> tuple[File, ...]:
    files: dict[str, File] = {}
    folders: set[str] = set()
    for index, item in enumerate(_list(table, "files", where)):
        at = f"{where}: files[{index}]"
        entry = _table(item, at)
        path, size, sha256 = entry.get("path"), entry.get("size"), entry.get("sha256")
        if not isinstance(path, str) or (problem := path_problem(path)):
            raise BadInput(f"{at}: the path {shown(str(path))} {problem if isinstance(path, str) else 'is not a text'}")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise BadInput(f"{at}: size is not a number of bytes")
        if not isinstance(sha256, str) or len(sha256) != 64 or not _DIGITS.issuperset(sha256):  # noqa: PLR2004
            raise BadInput(f"{at}: sha256 is not 64 hexadecimal digits in lower case")
        if path in files:
            raise BadInput(f"{at}: the path {shown(path)} is there twice")
        files[path] = File(path, size, sha256)
        folders.update(_above(path))
    if clash := sorted(folders & files.keys()):
        raise BadInput(f"{where}: files: {shown(clash[0])} is a file and a folder")
    return tuple(sorted(files.values()))


def _above(path: str) -> list[str]:
    return [path[:index] for index, letter in enumerate(path) if letter == "/"]


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice in one object")
    return table


def _table(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{where}: is not an object")
    return value


def _closed(table: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(table.keys() - known):
        raise BadInput(f"{where}: {shown(unknown[0])} is not a known key; known: {', '.join(sorted(known))}")


def _list(table: Mapping[str, Any], key: str, where: str) -> list[Any]:
    value = table.get(key)
    if not isinstance(value, list):
        raise BadInput(f"{where}: {key} is not a list")
    return value


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadInput(f"{where}: {key} is not a text")
    return value


def shown(path: str) -> str:
    """A path for a terminal: nothing in it can move the cursor or change a colour."""
    printable = _printable(path)
    return printable if printable.isprintable() else printable.encode("unicode_escape").decode()


def _printable(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace") if _has_bytes(path) else path


def _has_bytes(path: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in path)


# What is there


class _Entry(NamedTuple):
    """An expected file that is there: where its path leads, and what identifies it."""

    tree: Tree
    file: File
    path: str
    target: str
    identity: tuple[int, ...]


def check(trees: Sequence[Tree], *, stamp: Stamp | None = None, nix: bool = True, workers: int | None = None) -> Report:
    """Looks at every file of the trees: the exact set, sizes, SHA-256, and for store paths what Nix knows.

    With a ``stamp`` nothing is hashed when all is as it was at the check that wrote it. ``workers`` files are hashed
    side by side (default: as many as there are processors for this process). Uses 1 MiB for each, whatever the size.
    """
    started, clock = time.perf_counter(), time.time_ns()
    store = _stores()
    findings: list[Found] = []
    entries: list[_Entry] = []
    for tree in trees:
        scan = _Scan(tree, store)
        scan.run()
        findings += scan.findings
        entries += scan.entries
    targets = {(entry.tree.folder, entry.file.path): entry.target for entry in entries}
    said = "not used"
    if stamp is not None and not findings:
        said = stamp.why_stale(trees, entries, nix=nix)
        if not said:
            return Report(tuple(trees), (), targets, 0, time.perf_counter() - started, "fresh", "not asked")
    asked = _Background(lambda: _ask_nix(trees, entries, store)) if nix else None
    pool = _Pool(entries)
    pool.run(workers or _processors())
    findings += pool.findings
    knows = "not asked"
    if asked is not None:
        knows, problems = asked.result()
        findings += problems
    if stamp is not None:
        said = stamp.write(trees, pool.identities, clock, nix=nix) if not findings else "not written"
    took = time.perf_counter() - started
    return Report(tuple(trees), tuple(sorted(set(findings))), targets, pool.hashed, took, said, knows)


def _stores() -> tuple[str, ...]:
    store = (os.environ.get("NIX_STORE_DIR") or "/nix/store").rstrip("/")
    return tuple(dict.fromkeys((store, os.path.realpath(store))))


class _Scan:
    """Compares the names in a tree with the expected ones; what is expected and there goes to ``entries``."""

    def __init__(self, tree: Tree, store: tuple[str, ...]) -> None:
        self.entries: list[_Entry] = []
        self.findings: list[Found] = []
        self._tree = tree
        self._root = os.path.realpath(tree.folder)
        self._allowed = (self._root, *store)
        self._expected = {file.path: file for file in tree.files}
        self._folders = {folder for path in self._expected for folder in _above(path)}
        self._folders |= {tree.blobs} if tree.blobs else set()
        self._seen: set[str] = set()
        self._closed: set[str] = set()  # folders that cannot be looked into: told once, not for each file in them
        self._blobs: dict[str, str] = {}

    def run(self) -> None:
        """Walks the tree; only folders that hold expected files are entered, so that links cannot make it endless."""
        pending = [("", self._root)]
        while pending:
            below, folder = pending.pop()
            try:
                with os.scandir(folder) as listing:
                    items = list(listing)
            except OSError as error:
                self._note(
                    below or ".", "missing" if isinstance(error, FileNotFoundError) else "unreadable", _why(error)
                )
                self._closed.add(below)
                continue
            inner = (self._item(item, f"{below}/{item.name}" if below else item.name, below, folder) for item in items)
            pending.extend(filter(None, inner))
        unseen = self._expected.keys() - self._seen if "" not in self._closed else set()
        for path in unseen:
            if self._closed.isdisjoint(_above(path)):
                self._note(path, "missing", "is missing")
        used = {entry.target for entry in self.entries}
        for target, path in self._blobs.items():
            if target not in used:
                self._note(path, "extra", "is extra")

    def _item(self, item: os.DirEntry[str], path: str, below: str, folder: str) -> tuple[str, str] | None:
        """Sorts one name; the folder to enter, where it is one, as its path in the tree and where it leads."""
        is_file, is_folder = path in self._expected, path in self._folders
        self._seen.add(path)
        if not (is_file or is_folder) and not (self._tree.blobs and below == self._tree.blobs):
            self._note(path, "extra", "is extra: a folder" if item.is_dir(follow_symlinks=False) else "is extra")
            return None
        link = item.is_symlink()
        try:
            target = _followed(item.path, self._allowed[1:]) if link else f"{folder}/{item.name}"
            there = item.stat()
        except OSError as error:
            self._note(
                path, "link" if link else "unreadable", "is a link that leads to nothing" if link else _why(error)
            )
            self._closed.add(path)
            return None
        said = f"is {_kind(there.st_mode)}, not a {'folder' if is_folder else 'file'}"
        if link and not any(target == place or target.startswith(f"{place}/") for place in self._allowed):
            self._note(path, "link", f"is a link that leads out of the folder and not into the store: {shown(target)}")
        elif is_folder and modes.S_ISDIR(there.st_mode):
            return path, target
        elif is_file and modes.S_ISREG(there.st_mode):
            self.entries.append(_Entry(self._tree, self._expected[path], item.path, target, _identity(there)))
        elif is_file or is_folder:
            self._note(path, "kind", said)
        else:
            self._blobs[target] = path
        if is_folder:
            self._closed.add(path)
        return None

    def _note(self, path: str, problem: str, said: str) -> None:
        self.findings.append(Found(self._tree.name, path, problem, said))


def _followed(link: str, stores: tuple[str, ...]) -> str:
    """Where a link leads in the end. Most lead straight to a file of the store, which takes a quarter of the time."""
    target = os.readlink(link)
    place, _, name = target.rpartition("/")
    if place in stores and name not in {"", ".", ".."} and not modes.S_ISLNK(os.lstat(target).st_mode):
        return f"{stores[-1]}/{name}"
    return os.path.realpath(link, strict=True)


def _identity(there: os.stat_result) -> tuple[int, ...]:
    return (there.st_dev, there.st_ino, there.st_size, there.st_mtime_ns, there.st_ctime_ns)


def _kind(mode: int) -> str:
    kinds = ((modes.S_ISDIR, "a folder"), (modes.S_ISFIFO, "a FIFO"), (modes.S_ISSOCK, "a socket"))
    return next((word for test, word in kinds if test(mode)), "a device" if not modes.S_ISREG(mode) else "a file")


def _why(error: OSError) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror or error}"


# Hashing


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


class _Pool:
    """Hashes files side by side: hashlib and reads leave Python's lock, so threads use all processors.

    Each file is hashed once, however many paths lead to it, and the largest first. ``hashed`` counts bytes;
    ``identities`` holds what identifies each file that is the pinned one.
    """

    def __init__(self, entries: Sequence[_Entry]) -> None:
        by_target: dict[str, list[_Entry]] = {}
        for entry in entries:
            by_target.setdefault(entry.target, []).append(entry)
        self.hashed = 0
        self.findings: list[Found] = []
        self.identities: dict[tuple[str, str], tuple[int, ...]] = {}
        self._queue = sorted(by_target.values(), key=lambda group: group[0].file.size)
        self._failures: list[BaseException] = []
        self._lock = threading.Lock()

    def run(self, workers: int) -> None:
        """Hashes all of them; raises what a thread raised."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(workers, len(self._queue)) - 1)]
        for thread in threads:
            thread.start()
        self._work()
        for thread in threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _work(self) -> None:
        buffer = memoryview(bytearray(_CHUNK))
        try:
            while not self._failures:
                with self._lock:
                    if not self._queue:
                        return
                    group = self._queue.pop()
                count, outcomes = _hash_one(group, buffer)
                with self._lock:
                    self._keep(count, zip(group, outcomes, strict=True))
        except BaseException as error:  # noqa: BLE001 - raised again by run()
            self._failures.append(error)

    def _keep(self, count: int, outcomes: Iterable[tuple[_Entry, Found | tuple[int, ...]]]) -> None:
        self.hashed += count
        for entry, outcome in outcomes:
            if isinstance(outcome, Found):
                self.findings.append(outcome)
            else:
                self.identities[entry.tree.folder, entry.file.path] = outcome


def _hash_one(group: Sequence[_Entry], buffer: memoryview) -> tuple[int, list[Found | tuple[int, ...]]]:
    """Opens one file once, hashes what that descriptor gives, and judges every path that leads to it.

    Gives the number of bytes that were hashed, and for each path a finding or what identifies the file.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    digest, count = "", 0
    try:
        descriptor = os.open(group[0].target, flags)
        try:
            there = os.fstat(descriptor)
            if modes.S_ISREG(there.st_mode) and any(entry.file.size == there.st_size for entry in group):
                digest, count = _digest(descriptor, there.st_size, buffer)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        return count, [_judge(entry, there, after, digest, count) for entry in group]
    except OSError as error:
        return count, [Found(entry.tree.name, entry.file.path, "unreadable", _why(error)) for entry in group]


def _digest(descriptor: int, size: int, buffer: memoryview) -> tuple[str, int]:
    """The SHA-256 and the number of bytes up to the file's end, but not much more than ``size``."""
    digest, count = hashlib.sha256(), 0
    while count <= size and (got := os.readv(descriptor, [buffer])):
        digest.update(buffer[:got])
        count += got
    return digest.hexdigest(), count


def _judge(
    entry: _Entry, there: os.stat_result, after: os.stat_result, digest: str, count: int
) -> Found | tuple[int, ...]:
    """Whether an entry is the pinned file, and its path still leads to the one that was hashed."""
    name, path, file = entry.tree.name, entry.file.path, entry.file
    if not modes.S_ISREG(there.st_mode):
        return Found(name, path, "kind", f"is {_kind(there.st_mode)}, not a file")
    if there.st_size != file.size:
        said = f"is changed: {there.st_size} bytes, not {file.size}"
        return Found(name, path, "changed", said, f"{file.size} bytes", f"{there.st_size} bytes")
    if count != file.size or not _identity(there) == _identity(after) == _identity(os.stat(entry.path)):
        return Found(name, path, "unstable", "changes while it is read")
    if digest != file.sha256:
        said = f"is changed: SHA-256 {digest}, not {file.sha256}"
        return Found(name, path, "changed", said, file.sha256, digest)
    return _identity(after)


# What Nix knows


class _Background:
    """A function that runs beside the rest; ``result`` waits for what it gives or raises."""

    def __init__(self, function: Callable[[], tuple[str, list[Found]]]) -> None:
        self._outcome: list[tuple[str, list[Found]] | BaseException] = []
        self._thread = threading.Thread(target=self._run, args=[function], daemon=True)
        self._thread.start()

    def _run(self, function: Callable[[], tuple[str, list[Found]]]) -> None:
        try:
            self._outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._outcome.append(error)

    def result(self) -> tuple[str, list[Found]]:
        self._thread.join()
        outcome = self._outcome[0]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome


class _Wanted(NamedTuple):
    """What a store path must be to Nix: valid, and, where it is a file by itself, fixed by this SHA-256."""

    artifact: str
    path: str
    sha256: str


def _ask_nix(trees: Sequence[Tree], entries: Sequence[_Entry], store: tuple[str, ...]) -> tuple[str, list[Found]]:
    """Asks Nix's database about the store paths among the files: whether each is valid, and fixed by the pinned hash.

    The file's existence in the store proves neither. Without Nix on the machine, or a file in the store: nothing.
    """
    wanted: dict[str, set[_Wanted]] = {}
    for tree, path, sha256, target in [
        *((tree, ".", "", os.path.realpath(tree.folder)) for tree in trees if os.path.exists(tree.folder)),
        *((entry.tree, entry.file.path, entry.file.sha256, entry.target) for entry in entries),
    ]:
        for place in store:
            if target.startswith(f"{place}/"):
                top, slash, _ = target.removeprefix(f"{place}/").partition("/")
                wanted.setdefault(f"{store[0]}/{top}", set()).add(_Wanted(tree.name, path, "" if slash else sha256))
                break
    if not wanted:
        return "not needed", []
    programs = _nix_programs()
    if programs is None:
        return "not on this machine", []
    findings: list[Found] = []
    paths = sorted(wanted)
    for start in range(0, len(paths), _AT_ONCE):
        findings += _ask_about(programs, paths[start : start + _AT_ONCE], wanted)
    return "asked", findings


def _ask_about(programs: tuple[str, str], paths: list[str], wanted: Mapping[str, set[_Wanted]]) -> list[Found]:
    nix, nix_store = programs
    try:
        invalid = {*_output([nix_store, "--check-validity", "--print-invalid", *paths]).split()}
        valid = [path for path in paths if path not in invalid]
        known = addresses(_path_info(nix, [path for path in valid if any(w.sha256 for w in wanted[path])]))
    except (OSError, ValueError) as error:
        whose = min(min(wanted[path]) for path in paths)
        return [Found(whose.artifact, whose.path, "nix", f"Nix cannot be asked about it: {error}")]
    findings = []
    for path in paths:
        for artifact, below, sha256 in wanted[path]:
            found = "" if path in invalid else known.get(os.path.basename(path), "")
            if path in invalid:
                findings.append(Found(artifact, below, "nix", f"is not valid to Nix: {path}"))
            elif sha256 and found != f"flat:{sha256}":
                said = f"is not fixed by its hash, says Nix ({found or 'no content address'}): {path}"
                findings.append(Found(artifact, below, "nix", said, f"flat:{sha256}", found))
    return findings


_AT_ONCE = 1000  # store paths in one call of Nix: some 100 KiB of arguments


def _path_info(nix: str, paths: list[str]) -> str:
    if not paths:
        return "[]"
    command = [nix, "--extra-experimental-features", "nix-command", "path-info", "--json"]
    try:
        return _output([*command, *paths])
    except ValueError as error:
        if "--json-format" not in str(error):
            raise
    return _output([*command, "--json-format", "1", *paths])


def _nix_programs() -> tuple[str, str] | None:
    """nix and nix-store, from PATH or where installers put them."""
    places = os.environ.get("PATH", os.defpath).split(":")
    for place in (*places, "/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin"):
        both = os.path.join(place, "nix"), os.path.join(place, "nix-store")
        if place and all(os.access(program, os.X_OK) for program in both):
            return both
    return None


def _output(command: list[str]) -> str:
    """What a program prints. Raises ValueError with the end of its stderr when it fails."""
    import subprocess

    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{os.path.basename(command[0])} did not answer within 10 minutes") from None
    if done.returncode != 0:
        printed = done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:]
        raise ValueError(f"{os.path.basename(command[0])} failed: {' '.join(printed)}")
    return done.stdout.decode("utf-8", "replace")


def addresses(answer: str) -> dict[str, str]:
    """The content addresses ("flat:" and SHA-256 in hexadecimal, "" for none) that ``nix path-info --json`` tells.

    By the store paths' base names; paths that are not valid are left out. Knows the shapes of all versions: a list
    (until 2.18), an object (2.19 and later), and a versioned one whose addresses are objects (2.33 and later).
    Paths of any other shape are left out, too, so that they count as having no address.
    """
    document = json.loads(answer)
    records: dict[str, Any] = {}
    if isinstance(document, list):
        records = {str(record.get("path")): record for record in document}
    elif isinstance(document, dict):
        records = document["info"] if isinstance(document.get("info"), dict) else document
    found = {}
    for path, record in records.items():
        if isinstance(record, dict) and record.get("valid") is not False:
            found[os.path.basename(str(path))] = _address(record.get("ca"))
    return found


def _address(ca: object) -> str:
    if isinstance(ca, str):
        parts = ca.split(":")
        if parts[0] == "fixed" and parts[-2:-1] == ["sha256"]:
            method = {"r": "nar", "sha256": "flat"}.get(parts[1], parts[1])
            return f"{method}:{_hexadecimal(parts[-1])}"
        return ca
    if isinstance(ca, dict):
        digest = ca.get("hash")
        if isinstance(digest, dict):
            digest = f"{digest.get('algorithm')}-{digest.get('hash')}"
        if isinstance(digest, str) and digest.startswith(("sha256-", "sha256:")):
            return f"{ca.get('method')}:{_hexadecimal(digest[7:])}"
        return f"{ca.get('method')}:{digest}"
    return ""


def _hexadecimal(digest: str) -> str:
    """A SHA-256 in hexadecimal, from that, Nix's base 32 or base 64; else as it is."""
    if len(digest) == 52:  # noqa: PLR2004 - 256 bits, 5 each
        value = 0
        for letter in digest:
            value = value << 5 | _NIX32.index(letter)
        return (value & (1 << 256) - 1).to_bytes(32, "little").hex()
    if len(digest) == 44:  # noqa: PLR2004 - 256 bits, 6 each, and padding
        import base64

        return base64.b64decode(digest).hex()
    return digest


# The stamp


class Stamp:
    """Where a check that found nothing leaves what identified every file, so that the next need not hash them.

    It counts in the same boot, for the same expected files and ``age`` seconds of the boot's own clock, when device,
    inode, size, mtime and ctime of every file are as they were. A ctime cannot be set; only who can set the machine's
    clock, or write to its disks directly, gets around it. It is trusted only where nobody but this user and root may
    write, up to the root of the file system. ``settled`` is for tests; see :data:`SETTLED`.
    """

    def __init__(self, folder: str, age: float = STAMP_AGE, settled: int = SETTLED) -> None:
        self.folder = os.path.abspath(folder)
        self._age = age
        self._settled = settled

    def path(self, trees: Sequence[Tree], *, nix: bool) -> str:
        """The stamp's file: its name is the SHA-256 of all that is expected, and of what is asked about it."""
        expected = json.dumps([VERSION, nix, *trees]).encode()
        return os.path.join(self.folder, f"{hashlib.sha256(expected).hexdigest()}.json")

    def why_stale(self, trees: Sequence[Tree], entries: Sequence[_Entry], *, nix: bool) -> str:
        """Why the stamp does not count, in words; empty when it does, and every file is as it was."""
        path = self.path(trees, nix=nix)
        try:
            stamp = json.loads(self._read(path))
            then, now = float(stamp["clock"]), _clock()
            known = {key: tuple(value) for key, value in stamp["files"].items()}
            version, boot = stamp["version"], stamp["boot"]
        except FileNotFoundError:
            return "none yet"
        except _Untrusted as error:
            return f"not trusted: {error}"
        except OSError as error:
            return f"not trusted: {path}: {error.strerror}"
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return f"not trusted: {path} is not a stamp"
        current = {_key(trees, entry.tree, entry.file.path): entry.identity for entry in entries}
        reasons = (
            (not boot or version != VERSION or boot != boot_id(), "of another boot"),
            (not 0 <= now - then <= self._age, "too old"),
            (current != known, "of other files"),
        )
        return next((reason for holds, reason in reasons if holds), "")

    def _read(self, path: str) -> bytes:
        """The stamp's bytes; raises _Untrusted when somebody else may have written them."""
        _check_folder(self.folder)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            there = os.fstat(descriptor)
            if not modes.S_ISREG(there.st_mode) or there.st_nlink != 1:
                raise _Untrusted(f"{path} is not a file with one name")
            _check_owner(path, there)
            return file.read()

    def write(
        self,
        trees: Sequence[Tree],
        identities: Mapping[tuple[str, str], tuple[int, ...]],
        clock: int,
        *,
        nix: bool,
    ) -> str:
        """Leaves a stamp; what came of it, in words. ``clock`` is the time in nanoseconds when the check began."""
        boot = boot_id()
        if not boot:
            return "not written: this boot cannot be told from others"
        if any(max(identity[-2:]) > clock - self._settled for identity in identities.values()):
            return "not written: a file is newer than 2 s"
        files = {
            _key(trees, tree, file.path): identities[tree.folder, file.path] for tree in trees for file in tree.files
        }
        stamp = {"version": VERSION, "boot": boot, "clock": _clock(), "files": files}
        path = self.path(trees, nix=nix)
        beside = f"{path}.{os.getpid()}"
        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            _check_folder(self.folder)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            with open(os.open(beside, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump(stamp, file)
            os.replace(beside, path)
            self._tidy(path)
        except _Untrusted as error:
            return f"not written: {error}"
        except OSError as error:
            return f"not written: {self.folder}: {error.strerror}"
        return "written"

    def _tidy(self, own: str) -> None:
        """Removes stamps that are too old to count: those of earlier locks."""
        with os.scandir(self.folder) as listing:
            for item in listing:
                if item.path != own and time.time() - item.stat(follow_symlinks=False).st_mtime > self._age:
                    with contextlib.suppress(OSError):
                        os.unlink(item.path)


def default_stamps() -> str | None:
    """The folder for stamps of this user: $XDG_STATE_HOME/nixgen/stamps; None where there is no home."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "nixgen", "stamps") if os.path.isabs(state) else None


def boot_id() -> str:
    """What tells this boot from all others: Linux's random(4) boot_id, macOS's kern.bootsessionuuid; or empty."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        pass
    import ctypes

    by_name = getattr(ctypes.CDLL(None), "sysctlbyname", None)
    buffer = ctypes.create_string_buffer(64)
    size = ctypes.c_size_t(len(buffer))
    if by_name is None or by_name(b"kern.bootsessionuuid", buffer, ctypes.byref(size), None, 0):
        return ""
    return buffer.value.decode("ascii", "replace")


def _clock() -> float:
    """Seconds since the boot, suspended ones included: no program can set it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _key(trees: Sequence[Tree], tree: Tree, path: str) -> str:
    return f"{trees.index(tree)}:{path}"


class _Untrusted(Exception):  # noqa: N818 - not an error to a caller: the stamp does not count
    """Somebody else may have written the stamp; says how."""


def _check_folder(folder: str) -> None:
    """Raises _Untrusted when others than this user and root may put a file there, or move what is above it."""
    inner = place = os.path.realpath(folder)
    while True:
        there = os.lstat(place)
        # In a folder like /tmp only the owner can move what is in it.
        sticky = bool(there.st_mode & modes.S_ISVTX) and place != inner
        _check_owner(place, there, writable=not sticky)
        if place == os.path.dirname(place):
            return
        place = os.path.dirname(place)


def _check_owner(path: str, there: os.stat_result, *, writable: bool = True) -> None:
    if there.st_uid not in {0, os.geteuid()}:
        raise _Untrusted(f"{path} belongs to another user")
    if writable and there.st_mode & (modes.S_IWGRP | modes.S_IWOTH):
        raise _Untrusted(f"others may write {path}")


# The program


def guard(
    trees: Sequence[Tree],
    command: Sequence[str],
    *,
    stamp: Stamp | None,
    nix: bool = True,
    report: str = "text",
    env: Mapping[str, str] | None = None,
) -> int:
    """Checks, then becomes ``command``; without one, returns 0 or 1. Returns :data:`REFUSED` when it must not start.

    The report goes to stderr, without a command to stdout.
    """
    result = check(trees, stamp=stamp, nix=nix)
    text = result.json() if report == "json" else result.text()
    stream = sys.stderr if command else sys.stdout
    stream.write(text.encode("utf-8", "backslashreplace").decode() + "\n")
    if not result.ok and command and report != "json":
        stream.write("The command was not started.\n")
    stream.flush()
    if not command:
        return 0 if result.ok else 1
    return become(command, env) if result.ok else REFUSED


def become(command: Sequence[str], env: Mapping[str, str] | None = None) -> int:
    """Replaces this process by the command; returns 126 or 127 when that cannot be done."""
    import signal

    # Python ignores these two, and what is ignored stays so over exec.
    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), dict(os.environ if env is None else env))  # noqa: S606 - no shell
    except OSError as error:
        sys.stderr.write(f"error: {shown(command[0])}: cannot be run: {error.strerror}\n")
        return 127 if isinstance(error, FileNotFoundError) else 126


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; its exit code."""
    import argparse

    given = list(sys.argv[1:] if arguments is None else arguments)
    command: list[str] = []
    if "--" in given:
        place = given.index("--")
        given, command = given[:place], given[place + 1 :]
    parser = argparse.ArgumentParser(
        prog="guard.py",
        usage="python -I guard.py --expected FILE [options] [NAME ...] [-- COMMAND ...]",
        description="Checks that the files of models and data are the pinned ones, then becomes COMMAND.",
        epilog="Exit codes: COMMAND's; 1 not the pinned files, and no COMMAND; 2 a mistake in the input; 3 the machine "
        f"lacks something; {REFUSED} not the pinned files, COMMAND not started; 126, 127 COMMAND cannot be run.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a model or dataset of FILE (default: all)")
    parser.add_argument("--expected", metavar="FILE", required=True, help="nixgen.lock, or JSON of expected files")
    parser.add_argument("--root", metavar="DIR", help="where the files lie")
    parser.add_argument("--stamp", metavar="DIR", help="where the stamp is kept (default: this user's state)")
    parser.add_argument("--no-stamp", action="store_true", help="hash every file, and leave no stamp")
    parser.add_argument("--stamp-age", metavar="SECONDS", type=float, default=STAMP_AGE, help="(default: %(default)s)")
    parser.add_argument("--no-nix", action="store_true", help="do not ask Nix about store paths")
    parser.add_argument("--report", choices=("text", "json"), default="text", help="(default: %(default)s)")
    options = parser.parse_args(given)
    folder = None if options.no_stamp else options.stamp or default_stamps()
    try:
        trees = select(read(options.expected, options.root), options.names)
        stamp = Stamp(folder, options.stamp_age) if folder else None
        return guard(trees, command, stamp=stamp, nix=not options.no_nix, report=options.report)
    except GuardError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"error: {error.filename or ''}: {error.strerror}\n")
        return 3
    except KeyboardInterrupt:
        return 130


def _exit() -> NoReturn:
    sys.exit(main())


if __name__ == "__main__":
    _exit()
