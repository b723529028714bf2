"""Where the paths of a Nix store lie on this machine, from the store's address, and how to build in a folder."""

from __future__ import annotations

import grp
import os
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs, unquote

from nixgen.errors import MachineError, UserError
from nixgen.machine import process
from nixgen.nix.json import STORE

STATE = Path("/nix/var/nix")
"""Where the machine's own store has its database."""

BUILD_USERS = "nixbld"
"""The group of the users that Nix builds as, where its settings name no other and root runs it."""

_OWN_FOLDER = (2, 10)  # from here on, a user without /nix gets a store of their own
_SHIELD = '{ mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"; } 2>/dev/null; exec "$@"'


def place(store: str, path: str) -> Path | None:
    """Where a store path's bytes lie; None for a store that is elsewhere, or keeps its paths packed.

    ``store`` is an address as Nix's manual has it in "Store types": "" or "auto" for the machine's own, "daemon",
    "local", "unix://…", a folder, "local?root=/x"; everything else lies elsewhere. What stands in Nix's settings is not
    looked at here: see :func:`configured`.
    """
    address, _, query = store.partition("?")
    if address in {"", "auto"}:
        return _below(query, path)
    if address.startswith(("/", "./")):
        return _rooted(Path(os.path.abspath(unquote(address))), path)  # noqa: PTH100 -- ".." goes, as Nix has it
    if address in {"daemon", "local", "local://"} or address.startswith("unix://"):
        return _below(query, path)
    if address.startswith("local:///"):
        return _rooted(Path(unquote(address.removeprefix("local://"))), path)
    return None


def state() -> Path:
    """Where Nix's database is, and what else it keeps."""
    return Path(os.environ.get("NIX_STATE_DIR") or STATE)


def refuse_renamed(where: str = "", address: str = "") -> None:
    """Raises UserError for a store with another name than /nix/store, which is part of every path and record.

    ``address`` is a store's, and ``where`` names what it comes from; without them, what the environment says counts.
    """
    given = {where: _renamed(address)} if address else {}
    if not address:
        given = {name: os.environ.get(name, "") for name in ("NIX_STORE_DIR", "NIX_STORE")}
        given["NIX_REMOTE"] = _renamed(os.environ.get("NIX_REMOTE", ""))
    for name, store in given.items():
        if store and os.path.normpath(store) != STORE:
            mend = f"unset {name}" if name.startswith("NIX_") else "name a store without the parameter store="
            raise UserError.of(
                name, f"names the store {store}, and all that nixgen makes and records is of {STORE}", mend
            )


def _renamed(address: str) -> str:
    return next(iter(parse_qs(address.partition("?")[2]).get("store", ())), "")


def configured(setting: str, version: tuple[int, ...]) -> str:
    """The address of the store that Nix uses where none is named; "" for the machine's own.

    ``setting`` is what Nix's setting ``store`` says, in which it counts NIX_REMOTE, NIX_CONFIG and every nix.conf in.
    For "auto", Nix 2.10 and newer take a store in the user's folder where there is neither /nix/var/nix nor a daemon
    (the manual, "Store types", Auto).
    """
    if setting not in {"", "auto"}:
        refuse_renamed("Nix's setting store", setting)
        return setting
    moved = any(map(os.environ.get, ("NIX_STORE_DIR", "NIX_STATE_DIR")))
    socket = Path(os.environ.get("NIX_DAEMON_SOCKET_PATH") or STATE / "daemon-socket/socket")
    if (
        sys.platform != "linux"
        or version < _OWN_FOLDER
        or moved
        or os.geteuid() == 0
        or STATE.exists()
        or socket.exists()
    ):
        return ""
    data = os.environ.get("NIX_DATA_HOME") or Path(
        os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share", "nix"
    )
    return str(Path(data, "root"))


def shielded(store: str, command: Sequence[str]) -> list[str]:
    """The command of a build in ``store``, so that it cannot write into the machine's own store if that is another.

    When a build fails in a store that is a folder, Nix 2.8 moves what it left to the same path of the machine's own
    store, over what is there. So the own store is read-only for it, where root may say so; others cannot write there.
    """
    somewhere = f"{STORE}/a"
    if place(store, somewhere) in {None, Path(somewhere)} or not _can_shield():
        return list(command)
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SHIELD, STORE, *command]


@cache
def can_sandbox() -> bool | None:
    """Whether this user may make the namespaces that Nix's sandbox consists of; None where that cannot be tried.

    Root needs none of users' where Nix has users to build as. In a chroot there is neither.
    """
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return None
    spaces = ["--mount", "--pid", "--fork", "true"]
    try:
        if process.run(["unshare", "--user", "--map-root-user", *spaces], check=False, timeout=30).code == 0:
            return True
        users = os.geteuid() == 0 and any(group.gr_name == BUILD_USERS for group in grp.getgrall())
        return users and process.run(["unshare", *spaces], check=False, timeout=30).code == 0
    except MachineError:
        return None


@cache
def _can_shield() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0 or not os.access(STORE, os.W_OK):
        return False
    if not all(map(shutil.which, ("unshare", "mount", "sh"))):
        return False
    return process.run(["unshare", "--mount", "true"], check=False).code == 0


def _below(query: str, path: str) -> Path:
    """By the parameters ``real`` and ``root`` of an address."""
    given = {key: values[-1] for key, values in parse_qs(query).items()}
    if "real" in given:
        return Path(given["real"], path.rpartition("/")[2])
    return _rooted(Path(given["root"]), path) if given.get("root") else Path(path)


def _rooted(root: Path, path: str) -> Path:
    """In a folder that stands for the root of the file system: its store is FOLDER/nix/store."""
    return root / (path if path.startswith("/") else f"{STORE}/{path}").lstrip("/")
