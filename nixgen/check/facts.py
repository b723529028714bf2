"""Facts about this machine: its system as Nix names it, and what the record notes of the builder."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from nixgen.check.model import Builder

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def system() -> str:
    """The Nix system of this machine: "x86_64-linux"."""
    names = os.uname()
    machine = names.machine.lower()
    return f"{_MACHINES.get(machine, machine)}-{names.sysname.lower()}"


def builder(nix: Sequence[int]) -> Builder:
    """The machine, with this version of Nix."""
    names = os.uname()
    return Builder(
        nix=".".join(map(str, nix)),
        kernel=f"{names.sysname} {names.release}",
        cpu=_cpu() or platform.processor() or names.machine,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


def _cpu() -> str:
    """The processor's name as Linux tells it, "" where it does not."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Hardware"} and value.strip():
                return " ".join(value.split())
    return ""
