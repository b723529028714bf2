"""Small uv projects on disk, for the tests of what reads them: no network, no address but example.org."""

from __future__ import annotations

from pathlib import Path

FILES = "https://files.example.org"
INDEX = "https://index.example.org/simple"
HASH = "0123456789abcdef" * 4

PYPROJECT = """\
[project]
name = "Demo.App"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["six", "numpy>=2"]
"""

WHEELS = (
    "numpy-2.4.6-cp311-cp311-macosx_11_0_arm64.whl",
    "numpy-2.4.6-cp311-cp311-macosx_10_9_x86_64.whl",
    "numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
    "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    "numpy-2.4.6-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
)


def wheel(file: str, *, digest: str | None = HASH, size: int | None = None) -> str:
    """A wheel's entry in uv.lock."""
    hashed = f', hash = "sha256:{digest}"' if digest else ""
    sized = f", size = {size}" if size is not None else ""
    return f'{{ url = "{FILES}/{file.replace("+", "%2B")}"{hashed}{sized} }}'


def package(name: str, version: str, *wheels: str, sdist: str | None = None, extra: str = "") -> str:
    """A package of an index in uv.lock."""
    lines = ["[[package]]", f'name = "{name}"', f'version = "{version}"', f'source = {{ registry = "{INDEX}" }}']
    if extra:
        lines.append(extra)
    if sdist:
        lines.append(f"sdist = {wheel(sdist)}")
    if wheels:
        lines += ["wheels = [", *(f"    {entry}," for entry in wheels), "]"]
    return "\n".join(lines) + "\n"


def uv_lock(
    *packages: str, dependencies: tuple[str, ...] = ("numpy", "six"), requires: str = "", source: str = "virtual"
) -> str:
    """A uv.lock of the project above with these packages."""
    named = "".join(f'    {{ name = "{name}" }},\n' for name in dependencies)
    recorded = requires or '{ name = "numpy", specifier = ">=2" }, { name = "six" }'
    own = (
        f'[[package]]\nname = "demo-app"\nversion = "0.1.0"\nsource = {{ {source} = "." }}\n'
        f"dependencies = [\n{named}]\n\n[package.metadata]\nrequires-dist = [{recorded}]\n"
    )
    return "\n".join(['version = 1\nrevision = 3\nrequires-python = ">=3.11"\n', own, *packages])


SIX = package("six", "1.17.0", wheel("six-1.17.0-py2.py3-none-any.whl", size=11050))
NUMPY = package("numpy", "2.4.6", *(wheel(file) for file in WHEELS))


def make(root: Path, pyproject: str = PYPROJECT, lock: str | None = None) -> Path:
    """Writes a project; without ``lock``, that of numpy and six."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(pyproject)
    (root / "uv.lock").write_text(uv_lock(NUMPY, SIX) if lock is None else lock)
    return root
