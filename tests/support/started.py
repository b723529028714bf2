"""nixgen as a process of its own that need not import nixgen: forked from one that has, where tests start it often.

It has its own streams, environment, folder, exit code and end, as ``python -m nixgen``; only the start is not its own.
Tests of that, of signals and of time start Python themselves.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE = [sys.executable, "-m", "nixgen"]
# What Python and the libraries read while they start: for each of its values there is a process that started with it.
AT_START = ("PYTHON", "LANG", "LC_", "TZ", "NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS", "LD_", "COVERAGE")
THIRD_PARTY = (
    *("cryptography.hazmat.primitives.asymmetric.ed25519", "jinja2", "packaging.metadata", "packaging.requirements"),
    *("tomlkit", "urllib3"),
)
LONGEST = 1 << 17  # bytes of what is asked
_CLONE_NEWNS, _MS_BIND, _MS_PRIVATE = 0x20000, 0x1000, 0x44000  # sched.h; sys/mount.h, the last one with MS_REC


@dataclass(frozen=True)
class _Parent:
    """A process that has imported nixgen, and the socket that it is asked through."""

    process: subprocess.Popen[bytes]
    socket: socket.socket

    @classmethod
    def start(cls, env: Mapping[str, str]) -> _Parent:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [sys.executable, __file__, str(theirs.fileno())]
            process = subprocess.Popen(
                argv, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        return cls(process, ours)

    def run(self, asked: bytes, files: Sequence[int]) -> int:
        """The exit code of what was asked. Whatever comes between, both processes end."""
        child = 0
        try:
            socket.send_fds(self.socket, [asked], list(files))
            child = int(self.socket.recv(LONGEST))
            return int(self.socket.recv(LONGEST))
        except BaseException:
            self.process.kill()
            if child:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            self.socket.close()
            self.process.wait()
            _parents.clear()
            raise


_parents: dict[tuple[tuple[str, str], ...], _Parent] = {}


@atexit.register
def _end() -> None:
    for parent in _parents.values():
        parent.socket.close()
        parent.process.wait()


def nixgen(
    words: Sequence[str], cwd: Path, env: Mapping[str, str], start: Sequence[str] = (), store: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """``nixgen WORDS`` with this environment and no stdin: how it ended, and what it printed.

    With ``store``, in a mount namespace that has this store over /nix: what the command line ``start`` would make, and
    does make where that needs another program or another user.
    """
    asked = json.dumps({"words": words, "cwd": str(cwd), "env": dict(env), "store": store and str(store)}).encode()
    if sys.platform != "linux" or len(asked) > LONGEST or (start and (store is None or os.geteuid() != 0)):
        argv = [*start, *MODULE, *words]
        return subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    key = tuple(sorted((name, value) for name, value in env.items() if name.startswith(AT_START)))
    if key not in _parents:
        _parents[key] = _Parent.start(env)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        code = _parents[key].run(asked, [out.fileno(), err.fileno()])
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["nixgen", *words], code, out.read(), err.read())


def _serve(asked: socket.socket) -> dict[str, Any] | None:
    """Answers until nobody asks any more; in each process that is to be nixgen, what was asked."""
    while True:
        data, files, _, _ = socket.recv_fds(asked, LONGEST, 2)
        if not data:
            return None
        if not (child := os.fork()):
            asked.close()
            for place, file in enumerate(files, 1):
                os.dup2(file, place)
                os.close(file)
            return dict(json.loads(data))
        for file in files:
            os.close(file)
        asked.send(str(child).encode())
        asked.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())


def _over_nix(store: str) -> None:
    """As unshare(1) and mount(8) do."""
    libc = ctypes.CDLL(None, use_errno=True)
    for done in (
        libc.unshare(_CLONE_NEWNS),
        libc.mount(b"none", b"/", None, _MS_PRIVATE, None),
        libc.mount(os.fsencode(f"{store}/nix"), b"/nix", None, _MS_BIND, None),
    ):
        if done:
            raise OSError(ctypes.get_errno(), f"{store}/nix cannot be laid over /nix")


def _main() -> None:
    import nixgen as package

    for module in pkgutil.walk_packages(package.__path__, "nixgen."):
        if not module.name.startswith(("nixgen.guard.", "nixgen.__main__")):
            importlib.import_module(module.name)
    for name in THIRD_PARTY:
        importlib.import_module(name)
    gc.freeze()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "threads do not live on in a process that is forked"
    given = _serve(socket.socket(fileno=int(sys.argv[1])))
    if given is None:
        return
    os.environ.clear()
    os.environ.update(given["env"])
    if given["store"]:
        _over_nix(given["store"])
    os.chdir(given["cwd"])
    from nixgen.__main__ import __file__ as program
    from nixgen.__main__ import main

    sys.argv[:] = [program, *given["words"]]
    main()


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    _main()
