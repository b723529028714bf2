"""A stand-in for a GPU's driver: shared libraries with the names of NVIDIA's, compiled by the machine's C compiler."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

VERSION = "550.54.14"
ANSWER = 12040
"""What cuDriverGetVersion answers."""
_SYSTEM = ("-l:libm.so.6", "-l:libdl.so.2", "-l:libpthread.so.0", "-l:librt.so.1")
_CUDA = """
int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { *version = %d; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
"""


def compiler() -> str | None:
    """The machine's C compiler, None where it has none."""
    return shutil.which("gcc") or shutil.which("cc")


def compile_library(
    path: Path,
    text: str = "int answer(void) { return 1; }",
    *,
    soname: str = "",
    needs: Sequence[Path | str] = (),
    search: str = "",
    wants: tuple[str, str] | None = None,
) -> Path:
    """Compiles a shared library. ``wants`` is a library and a version that it asks for: ("libc.so.6", "GLIBC_9.9").

    ``needs`` are libraries that it is linked with (a system's: "-l:libm.so.6"), ``search`` its RUNPATH.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_compiled(text, soname or path.name, tuple(map(str, needs)), search, wants))
    path.chmod(0o755)
    return path


@cache
def _compiled(text: str, soname: str, needs: tuple[str, ...], search: str, wants: tuple[str, str] | None) -> bytes:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if wants is not None:
            file, version = wants
            (folder / "version").write_text(f"{version} {{ global: too_new; local: *; }};\n")
            stub = [f"-Wl,--version-script={folder}/version", "-nostdlib"]
            _link(folder / "stub.so", "int too_new(void) { return 1; }", file, *stub)
            text += "extern int too_new(void); int call(void) { return too_new(); }"
            needs = (f"{folder}/stub.so", *needs)  # before the system's library of that name
        own = [f"-Wl,-rpath,{search}", "-Wl,--enable-new-dtags"] if search else []
        _link(folder / "made.so", text, soname, *own, "-Wl,--no-as-needed,--allow-shlib-undefined", *needs)
        return (folder / "made.so").read_bytes()


def _link(path: Path, text: str, soname: str, *options: str) -> None:
    program = compiler()
    assert program is not None
    command = [
        program,
        "-shared",
        "-fPIC",
        f"-Wl,-soname,{soname}",
        "-x",
        "c",
        "-",
        "-x",
        "none",
        *options,
        "-o",
        str(path),
    ]
    subprocess.run(command, input=text.encode(), check=True, capture_output=True)


def stand_in(
    folder: Path,
    version: str = VERSION,
    *,
    answer: int = ANSWER,
    wants: tuple[str, str] | None = None,
    search: str = "",
    functions: Sequence[str] = (),
) -> Path:
    """A driver, laid out as distributions do, and a library that is none of it, in a folder; the folder."""
    cuda = f"libcuda.so.{version}"
    code = _CUDA % answer + "".join(f"int {name}(void) {{ return 999; }}\n" for name in functions)
    compile_library(folder / cuda, code, soname="libcuda.so.1", needs=_SYSTEM, wants=wants, search=search)
    for name in ("libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4"):
        real = folder / f"{name.rpartition('.')[0]}.{version}"
        compile_library(real, soname=name)
        (folder / name).symlink_to(real.name)
    compile_library(folder / f"libnvidia-gpucomp.so.{version}")
    (folder / "libcuda.so.1").symlink_to(cuda)
    compile_library(folder / "libhost.so.1")
    return folder
