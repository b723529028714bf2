"""How Nix, and what it needs beside it, are installed, by the kind of system: the one place that says so.

Messages, ``nixgen doctor``, ``./enter`` and ENVIRONMENT.md have their commands from here. The installer of nixos.org
serves what has no package of its own, or no service manager (the Nix manual, "Installing a Binary Distribution").
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache

from nixgen.machine import host
from nixgen.machine.host import Host

_INSTALLER = "curl -L https://nixos.org/nix/install | sh"
LOG_IN = ", then log in again"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of system: what people call it, its names in os-release(5), and the commands of a user with sudo.

    ``nix`` installs Nix; ``start`` starts its daemon, where installing does not; ``member`` lets in a user whom the
    daemon does not know, "" where it knows all. ``certificates`` is "" where the system has them in any case.
    """

    names: str
    ids: tuple[str, ...]
    nix: str
    git: str
    certificates: str = ""
    start: str = ""
    member: str = ""


_ANY = "install {} with this system's package manager"
DEBIAN = Kind(
    names="Debian, Ubuntu",
    ids=("debian", "ubuntu"),
    nix="sudo apt install nix-setup-systemd",
    git="sudo apt install git",
    certificates="sudo apt install ca-certificates",
    member="sudo usermod -aG nix-users $USER",
)
FEDORA = Kind(
    names="Fedora",
    ids=("fedora",),
    nix="sudo dnf install nix nix-daemon",
    git="sudo dnf install git",
    certificates="sudo dnf install ca-certificates",
    start="sudo systemctl enable --now nix-daemon",
)
ARCH = Kind(
    names="Arch Linux",
    ids=("arch",),
    nix="sudo pacman -S nix",
    git="sudo pacman -S git",
    certificates="sudo pacman -S ca-certificates",
    start="sudo systemctl enable --now nix-daemon",
    member="sudo usermod -aG nix-users $USER",
)
NIXOS = Kind(
    names="NixOS", ids=("nixos",), nix="export PATH=$PATH:/run/current-system/sw/bin", git="nix-env -iA nixos.git"
)
MACOS = Kind(names="macOS", ids=(), nix=_INSTALLER, git="xcode-select --install")
LINUX = Kind(
    names="another Linux",
    ids=(),
    nix=f"{_INSTALLER} -s -- --daemon",
    git=_ANY.format("git"),
    certificates=_ANY.format("ca-certificates"),
)
BARE = replace(LINUX, names="Linux without systemd", nix=f"{_INSTALLER} -s -- --no-daemon")
KINDS = (DEBIAN, FEDORA, ARCH, NIXOS, MACOS, LINUX, BARE)
"""All of them, in the order in which a page lists them."""


def kind(machine: Host) -> Kind:
    """The kind that a machine is of."""
    if machine.system == "darwin":
        return MACOS
    named = (one for name in machine.ids for one in KINDS if name in one.ids)
    return next(named, LINUX if machine.systemd else BARE)


@cache
def hint() -> str:
    """What to do on this machine where a program of Nix is missing."""
    return f"install Nix: {nix()}; or add its programs to PATH"


def nix(machine: Host | None = None, *, root: bool | None = None) -> str:
    """The command that installs Nix on a machine, on this one where none is given, by ``root`` or a user with sudo."""
    where = machine or host.here()
    found = kind(where)
    if not where.systemd and found in {DEBIAN, FEDORA, ARCH} and not _is_root(asked=root):
        return BARE.nix  # what those packages have is a daemon, which systemd starts
    start = found.start if where.systemd else ""
    if os.geteuid() == 0 if root is None else root:
        return plain(" && ".join(filter(None, (found.nix, start))))
    return " && ".join(filter(None, (found.nix, start, found.member))) + (LOG_IN if found.member else "")


def git(machine: Host | None = None, *, root: bool | None = None) -> str:
    """The command that installs git."""
    command = kind(machine or host.here()).git
    return plain(command) if _is_root(asked=root) else command


def certificates(machine: Host | None = None, *, root: bool | None = None) -> str:
    """The command that installs the certificates of the web; "" where they come with the system."""
    command = kind(machine or host.here()).certificates
    return plain(command) if _is_root(asked=root) else command


def member(machine: Host | None = None) -> str:
    """The command that lets this user speak to Nix's daemon."""
    return (kind(machine or host.here()).member or DEBIAN.member) + LOG_IN


def start(machine: Host | None = None) -> str:
    """The command that starts Nix's daemon."""
    where = machine or host.here()
    if where.system == "darwin":
        return "sudo launchctl kickstart -k system/org.nixos.nix-daemon"
    return "sudo systemctl start nix-daemon" if where.systemd else "sudo sh -c 'nix-daemon &'"


OWN = "sudo mkdir -p /nix/var/nix && sudo chown -R $USER /nix"
"""What gives this user a store of their own, where there is no daemon."""

UNITS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
"""Where systemd has its services: nix-daemon.service, where the daemon is installed as one."""

STARTED = "start Nix's daemon: sudo systemctl start nix-daemon (without systemd: sudo sh -c 'nix-daemon &')"
"""The same in words, for any Linux."""


def plain(command: str) -> str:
    """A command as root types it."""
    return command.replace("sudo ", "")


def _is_root(*, asked: bool | None) -> bool:
    return os.geteuid() == 0 if asked is None else asked
