"""What is expected: the trees of nixgen.lock, or of JSON that lists files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .fields import closed, files_of, list_of, no_duplicates, path_problem, table_of, text_of
from .hub import hub_of
from .model import VERSION, BadInput, File, Tree
from .words import shown

LIMIT = 32 << 20
"""Bytes of what is expected; with more it is not read. A row of nixgen.lock has some 250."""

_MEMORY = 200 << 20  # bytes that a document may take when it is parsed
_COSTS = {"{": 184, "[": 88, '"': 28, ",": 8}  # bytes, at most: of an object, a list, half a text, an item


def find_lock() -> str:
    """$NIXGEN_LOCK, or nixgen.lock in the current folder or the nearest one above it."""
    if given := os.environ.get("NIXGEN_LOCK"):
        return given
    folder = os.getcwd()
    while not os.path.exists(os.path.join(folder, "nixgen.lock")):
        if folder == os.path.dirname(folder):
            raise BadInput("there is no nixgen.lock here or above", "name it, or set NIXGEN_LOCK")
        folder = os.path.dirname(folder)
    return os.path.join(folder, "nixgen.lock")


def read(
    path: str, root: str | os.PathLike[str] | None = None, env: Mapping[str, str] | None = None
) -> tuple[Tree, ...]:
    """:func:`parse` of a file. Raises BadInput."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            os.set_blocking(file.fileno(), True)
            data = file.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise BadInput(f"{path}: has more than {LIMIT >> 20} MiB")
        text = data.decode()
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    del data
    return parse(text, path, root, env)


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting for who writes into a named pipe. What a shell's <(…) gives is read."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


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
    size = len(text) * (1 if text.isascii() else 4)
    if size + sum(cost * text.count(mark) for mark, cost in _COSTS.items()) > _MEMORY:
        raise BadInput(f"{where}: lists too much", "split it")
    try:
        document = json.loads(text, object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: is not JSON: {error}") from None
    table = table_of(document, where)
    version = table.get("version")
    if version != VERSION:
        said = json.dumps(version) if version is None or isinstance(version, int) else "no number"
        raise BadInput(f"{where}: version: is {said}, and this guard knows {VERSION}")
    if "base" in table:
        trees = _of_lock(table, where, root, os.environ if env is None else env)
    else:
        closed(table, {"version", "trees"}, where)
        trees = [_tree(item, f"{where}: trees[{i}]", root) for i, item in enumerate(list_of(table, "trees", where))]
    if not trees:
        raise BadInput(f"{where}: pins no model and no data: there is nothing to verify")
    return tuple(sorted(trees, key=lambda tree: (tree.name, tree.prefix, tree.folder)))


def select(trees: Iterable[Tree], names: Sequence[str]) -> tuple[Tree, ...]:
    """The trees of these names; of none: all. Raises BadInput for a name that is not pinned."""
    known = tuple(trees)
    for name in names:
        matching = sorted({tree.name for tree in known if named(tree, name)})
        if not matching:
            there = ", ".join(sorted({tree.name for tree in known})) or "nothing"
            raise BadInput(f"{shown(name)}: is not pinned; pinned: {there}")
        if len(matching) > 1:
            raise BadInput(f"{shown(name)}: is more than one: {', '.join(matching)}")
    asked = tuple(tree for tree in known if not names or any(named(tree, name) for name in names))
    for tree in asked:
        if not tree.files:
            raise BadInput(f"{tree.name}: no file of it is pinned: there is nothing to verify")
        if not tree.folder:
            raise BadInput(f"{tree.name}: where it lies is not known", "enter the project's shell, or name the folder")
    return asked


def named(tree: Tree, name: str) -> bool:
    """Whether a name is the tree's: with its kind in front ("models.minilm"), or without."""
    return name in {tree.name, tree.name.partition(".")[2]}


def _tree(value: object, where: str, root: str | os.PathLike[str] | None) -> Tree:
    table = table_of(value, where)
    closed(table, {"name", "path", "files", "prefix"}, where)
    above, path = os.path.abspath(root or "."), text_of(table, "path", where)
    prefix = text_of(table, "prefix", where) if "prefix" in table else ""
    name, files = text_of(table, "name", where), files_of(table, where)
    return Tree(name, os.path.join(above, path), files, prefix, above="" if os.path.isabs(path) else above)


def _of_lock(
    document: Mapping[str, Any], where: str, root: str | os.PathLike[str] | None, env: Mapping[str, str]
) -> list[Tree]:
    trees: list[Tree] = []
    cached: dict[str, dict[str, File]] = {}
    cache = env.get("HF_HUB_CACHE") if root is None else None
    for kind, variable in (("models", "NIXGEN_MODELS"), ("data", "NIXGEN_DATA")):
        above = os.path.abspath(root) if root else env.get(variable) or ""
        for name, value in table_of(document.get(kind, {}), f"{where}: {kind}").items():
            at = f"{where}: {kind}.{shown(name)}"
            if path_problem(name) or "/" in name:
                raise BadInput(f"{at}: has an impossible name")
            entry = table_of(value, at)
            folder = os.path.join(above, name) if above else ""
            trees.append(locked(entry, kind, name, folder, at)._replace(above=above))
            if cache and "hf" in list_of(entry, "layout", at):
                hub = hub_of(entry, at)
                # Artifacts may share a repo's folder: it holds the files of all of them.
                together = cached.setdefault(hub.folder, {})
                for file in hub.laid_out(files_of(entry, at)):
                    if together.setdefault(file.path, file) != file:
                        raise BadInput(f"{at}: {shown(file.path)} of {hub.folder} is pinned to two different files")
                trees.append(Tree(f"{kind}.{name}", os.path.join(cache, hub.folder), (), hub.prefix, "blobs", cache))
    full = {os.path.join(cache or "", folder): tuple(sorted(files.values())) for folder, files in cached.items()}
    return [tree._replace(files=full.get(tree.folder, tree.files)) for tree in trees]


def locked(entry: Mapping[str, Any], kind: str, name: str, folder: str, where: str = "nixgen.lock") -> Tree:
    """The tree of one entry of nixgen.lock that lies in ``folder``: plain files, or the hub's cache layout.

    Which of both it is shows on the disk: the hub's has a folder for the repo. The files are the same ones.
    """
    files = files_of(entry, where)
    if isinstance(entry.get("repo"), str) and isinstance(entry.get("commit"), str):
        hub = hub_of(entry, where)
        if os.path.isdir(os.path.join(folder, hub.folder)):
            laid = tuple(file._replace(path=f"{hub.folder}/{file.path}") for file in hub.laid_out(files))
            blobs = f"{hub.folder}/blobs"
            return Tree(f"{kind}.{name}", folder, tuple(sorted(laid)), f"{hub.folder}/{hub.prefix}", blobs)
    return Tree(f"{kind}.{name}", folder, files)
