"""An SSH server on loopback behind which another store lies: what a machine of a fleet is to Nix."""

from __future__ import annotations

import contextlib
import getpass
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.nix import Nix, enter
from support.waiting import PATIENCE, until


@dataclass(frozen=True)
class Host:
    """A running server. ``url`` is its store for Nix; ``environment`` is what a Nix needs to reach it.

    ``log`` gets a line for every connection of a Nix.
    """

    url: str
    environment: dict[str, str]
    log: Path

    @property
    def sessions(self) -> int:
        """How often a Nix has spoken to it."""
        return len(self.log.read_text().splitlines())


def server() -> str | None:
    """The server's program, which is not on everybody's PATH."""
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def serve(folder: Path, behind: Nix) -> Iterator[Host]:
    """Runs sshd with keys of its own in ``folder``; who logs in gets the daemon of ``behind``, whatever it asks for."""
    program = server()
    assert program is not None
    folder.mkdir(parents=True)
    log = folder / "sessions"
    log.touch()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    daemon = folder / "daemon"
    settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in _settings(behind).items())
    words = shlex.join([*enter(behind.store), str(behind.bin / "nix-daemon"), "--stdio"])
    daemon.write_text(f"#!/bin/sh\n{settings}echo session >> {shlex.quote(str(log))}\nexec {words}\n")
    daemon.chmod(0o755)
    (folder / "authorized").write_text(f'command="{daemon}",restrict {(folder / "user.pub").read_text()}')
    port = _free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'authorized'}\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    if program.startswith("/usr/sbin"):
        Path("/run/sshd").mkdir(exist_ok=True)  # Debian's makes its cell there
    options = f"-p {port} -i {folder / 'user'} -o UserKnownHostsFile={folder / 'known'} -o IdentitiesOnly=yes -F none"
    with (folder / "log").open("w") as said:
        process = subprocess.Popen([program, "-D", "-e", "-f", folder / "config"], stderr=said)
    try:
        _wait(port, process, folder / "log")
        yield Host(f"ssh-ng://{getpass.getuser()}@127.0.0.1", {"NIX_SSHOPTS": options}, log)
    finally:
        process.terminate()
        process.wait()


def _settings(nix: Nix) -> dict[str, str]:
    """What the daemon over there sees of the environment."""
    given = nix.environ()
    return {name: given[name] for name in ("PATH", "NIX_CONFIG")} | dict(nix.env)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            return True
        return False

    try:
        until(answers, running=process)
    except AssertionError:
        raise AssertionError(f"sshd does not run: {log.read_text()}") from None
