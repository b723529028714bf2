"""Gives a build a /bin/sh where Nix's sandbox has none (Debian's Nix): make, ninja and Python's os.system start one.

The build gets a mount namespace in which the root is a new one with all that the old one has, and a link besides
(user_namespaces(7), pivot_root(2)). Where the kernel allows no such namespace, the build goes on without.
"""

import ctypes
import os
import sys

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_BIND, _REC, _PRIVATE, _DETACH = 0x1000, 0x4000, 0x40000, 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


def provide(shell, folder):
    """For ``preexec_fn``: makes ``shell`` /bin/sh in this process and its children; ``folder`` is a new, empty one."""
    number = _PIVOT_ROOT.get(os.uname().machine)
    if sys.platform != "linux" or number is None or os.path.exists("/bin/sh"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid, here = os.getuid(), os.getgid(), os.getcwd()

    def call(name, *arguments):
        if getattr(libc, name)(*arguments):
            raise OSError(ctypes.get_errno(), name)

    def mount(source, target, kind, flags):
        call("mount", os.fsencode(source), os.fsencode(target), kind, flags, None)

    try:
        call("unshare", _NEWUSER | _NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
        mount("none", "/", None, _REC | _PRIVATE)
        mount("tmpfs", folder, b"tmpfs", 0)
        for entry in sorted(os.scandir("/"), key=lambda entry: entry.name):
            place = f"{folder}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), place)
                continue
            if entry.is_dir():
                os.mkdir(place)
            else:
                open(place, "x").close()
            mount(entry.path, place, None, _BIND | _REC)
        os.makedirs(f"{folder}/bin", exist_ok=True)
        os.symlink(shell, f"{folder}/bin/sh")
        os.chdir(folder)
        call("syscall", number, b".", b".")
        call("umount2", b".", _DETACH)
    except OSError:
        pass  # some kernels give the namespace, and no rights in it: nothing has changed that a build would see
    os.chdir(here)


def possible(shell, folder):
    """Whether a build has a /bin/sh, the sandbox's own or :func:`provide`'s."""
    pid = os.fork()
    if not pid:
        provide(shell, folder)
        os._exit(0 if os.path.exists("/bin/sh") else 1)
    return os.waitpid(pid, 0)[1] == 0
