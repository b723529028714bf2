"""Which files of a source the manifest asks for, and that their paths can be beside each other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from glob import escape

from nixgen.artifacts.paths import clashes, path_problem
from nixgen.errors import Problem, UserError

_SHOWN = 3


def check(paths: Sequence[str], where: str, whose: str) -> None:
    """Raise UserError with every path that may not be a file's. ``whose`` says who named them."""
    faults = [(path, fault) for path in paths if (fault := path_problem(path))] or list(clashes(paths))
    if faults:
        raise UserError(
            Problem(where, f"{whose} has the file {path!a}, which {fault}", _leave(path)) for path, fault in faults
        )


def _leave(path: str) -> str:
    """How a file is left out: a glob, in TOML, for it alone; "?" stands for what a glob there cannot have."""
    plain = "".join(one if one.isprintable() and one != "\\" else "?" for one in escape(path))
    return f"leave it out: exclude = [{json.dumps(plain, ensure_ascii=False)}]" if plain else "tell its publisher"


def wanted(paths: Iterable[str], include: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """The paths that the globs choose, as huggingface_hub's ``filter_repo_objects`` does; in the order given.

    A glob is fnmatch's, over the whole path and by case: ``*`` goes over slashes. One that ends in a slash means all
    that is below. No ``include`` takes everything; ``exclude`` wins.
    """
    allowed = [_folder(glob) for glob in include]
    refused = [_folder(glob) for glob in exclude]
    return [
        path
        for path in paths
        if (not allowed or any(fnmatchcase(path, glob) for glob in allowed))
        and not any(fnmatchcase(path, glob) for glob in refused)
    ]


def chosen(paths: Sequence[str], include: Sequence[str], exclude: Sequence[str], where: str, whose: str) -> list[str]:
    """:func:`wanted`, checked with :func:`check` and sorted. Raises UserError when nothing is left."""
    picked = sorted(wanted(paths, include, exclude))
    if not picked:
        if not paths:
            raise UserError.of(where, f"{whose} has no files", "check the source, and the revision")
        some = ", ".join(ascii(path)[1:-1] for path in sorted(paths)[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")
        raise UserError.of(
            where, f"no file of {whose} is left by include and exclude", f"change them; it has, for example: {some}"
        )
    check(picked, where, whose)
    return picked


def _folder(glob: str) -> str:
    glob = glob.replace("\\", "/")
    return glob + "*" if glob.endswith("/") else glob
