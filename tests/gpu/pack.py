"""Packs a small environment with CUDA's bindings for a machine with a GPU that has neither Nix nor a network.

    python tests/gpu/pack.py gpu.tar.gz     # here: needs Nix, apt and a package index
    tar xzf gpu.tar.gz && gpu/start         # there: asks for the devices, and has the first compile and run a kernel

`gpu/start --stand-in FOLDER` takes the driver of a folder, and asks only what the tests' stand-in answers.
"""

from __future__ import annotations

import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support.nix import SYSTEM, Nix, machine_nix
from support.project import Project

PYTHON = "3.13"
PACKAGES = ("cuda-bindings==13.0.3", "nvidia-cuda-runtime==13.0.96")
HERE = Path(__file__).parent


def pack(nix: Nix, made: Path, target: Path) -> None:
    """Builds the environment in ``made``, and writes its closure and what starts it there as an archive."""
    project = Project.make(made / "demo", *PACKAGES)
    project.must("init", "--base", "debian", "--python", PYTHON, "--system", SYSTEM)
    setup = nix.build(project.folder, "shell.stdenv")
    (made / "setup").write_text(f"{setup}\n")
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        for name in ("start", "inside", "devices.py"):
            archive.add(HERE / name, f"gpu/{name}")
        archive.add(made / "setup", "gpu/setup")
        for path in nix.requisites(setup):
            archive.add(nix.real(path), f"gpu{path}")


def main(target: str) -> None:
    program = machine_nix()
    if program is None or shutil.which("apt-get") is None:
        raise SystemExit("needs Nix and apt")
    with tempfile.TemporaryDirectory() as made:
        pack(Nix(program, Path(made) / "store"), Path(made), Path(target))


if __name__ == "__main__":
    main(*sys.argv[1:])
