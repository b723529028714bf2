"""A folder that nobody but this user and root can change: opened one component at a time, each looked at."""

from __future__ import annotations

import contextlib
import os
import stat as modes

_ENTER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LINKS = 40  # so many are followed, as Linux does


class Untrusted(Exception):  # noqa: N818 - not an error to a caller: what lies there does not count
    """Somebody else may have put something there; says how."""


def open_folder(folder: str, *, make: bool = False) -> int:
    """A descriptor of an absolute folder; with ``make``, what is missing of it is made, for this user alone.

    Nothing is entered or followed before it was looked at: each folder, and each link on the way, must belong to this
    user or root, and others may neither write the folder nor move what is above it. Raises Untrusted, and OSError.
    """
    place, links = "/", 0
    todo = folder.split("/")[::-1]
    here = os.open(place, _ENTER)
    try:
        check_owner(place, os.fstat(here), sticky=True)
        while todo:
            name = todo.pop()
            if name in {"", "."}:
                continue
            inner = os.path.normpath(os.path.join(place, name))
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=here)
            there = os.stat(name, dir_fd=here, follow_symlinks=False)
            if modes.S_ISLNK(there.st_mode):
                check_owner(inner, there, link=True)
                links += 1
                if links > _LINKS:
                    raise Untrusted(f"{inner} is one link of too many")
                target = os.readlink(name, dir_fd=here)
                todo += target.split("/")[::-1]
                start = "/" if target.startswith("/") else "."
            else:
                start, place = name, inner
            inside = os.open(start, _ENTER, dir_fd=here)
            os.close(here)
            here = inside
            if start == "/":
                place = "/"
            check_owner(place, os.fstat(here), sticky=True)
        check_owner(place, os.fstat(here))
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)


def check_owner(path: str, there: os.stat_result, *, sticky: bool = False, link: bool = False) -> None:
    """Raises Untrusted when others than this user and root own it or may write it.

    ``sticky``: a folder like /tmp is good enough, where only its owner can move what is in it. A link has no mode.
    """
    if there.st_uid not in {0, os.geteuid()}:
        raise Untrusted(f"{path} belongs to another user")
    shared = there.st_mode & (modes.S_IWGRP | modes.S_IWOTH) and not (sticky and there.st_mode & modes.S_ISVTX)
    if shared and not link:
        raise Untrusted(f"others may write {path}")
