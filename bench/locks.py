"""A large uv project for measuring: as many packages and wheels as asked for, none of which exists."""

from __future__ import annotations

import hashlib
from pathlib import Path

INDEX = "https://example.org/simple"
PYTHONS = ("cp311", "cp312", "cp313", "cp314")
PLATFORMS = (
    "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "musllinux_1_2_x86_64",
    "macosx_10_13_x86_64",
    "macosx_11_0_arm64",
    "win_amd64",
)


def write_large_project(folder: Path, packages: int = 390, wheels: int = 5000) -> int:
    """Writes pyproject.toml and uv.lock (version 1, as uv writes it) into ``folder``; the number of wheels in the lock.

    Some packages have one wheel for everything, the others one for each Python and platform; each package needs the
    next few, with and without markers, so that uv's export has a graph to walk.
    """
    each = len(PYTHONS) * len(PLATFORMS)
    binary = -((packages - wheels) // (each - 1))  # rounded up
    names = [f"package-{number:03}" for number in range(packages)]
    folder.mkdir(parents=True, exist_ok=True)
    roots = names[:: max(1, packages // 40)]
    (folder / "pyproject.toml").write_text(
        "[project]\n"
        'name = "large"\nversion = "1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [{', '.join(f'{n!r}'.replace(chr(39), chr(34)) for n in roots)}]\n\n"
        f'[[tool.uv.index]]\nname = "example"\nurl = "{INDEX}"\ndefault = true\n'
    )
    blocks = ['version = 1\nrevision = 3\nrequires-python = ">=3.11"\n', _root(roots)]
    count = 0
    for number, name in enumerate(names):
        files = _files(name, binary=number < binary)
        count += len(files)
        needs = [names[number + step] for step in (1, 2, 5) if number + step < packages]
        blocks.append(_package(name, needs, files))
    (folder / "uv.lock").write_text("\n".join(blocks))
    return count


def _root(roots: list[str]) -> str:
    needs = "".join(f'    {{ name = "{name}" }},\n' for name in roots)
    return (
        '[[package]]\nname = "large"\nversion = "1.0"\nsource = { virtual = "." }\n'
        f"dependencies = [\n{needs}]\n\n"
        f"[package.metadata]\nrequires-dist = [\n{needs}]\n"
    )


def _files(name: str, *, binary: bool) -> list[str]:
    escaped = name.replace("-", "_")
    if not binary:
        return [f"{escaped}-1.0-py3-none-any.whl"]
    return [f"{escaped}-1.0-{python}-{python}-{platform}.whl" for python in PYTHONS for platform in PLATFORMS]


def _package(name: str, needs: list[str], files: list[str]) -> str:
    markers = ("", ", marker = \"sys_platform != 'win32'\"", ", marker = \"python_full_version < '4'\"")
    depends = "".join(f'    {{ name = "{need}"{markers[i % 3]} }},\n' for i, need in enumerate(needs))
    wheels = "".join(
        f'    {{ url = "https://files.example.org/{_digest(file)[:8]}/{file}", hash = "sha256:{_digest(file)}", '
        f"size = {len(file) * 1000} }},\n"
        for file in files
    )
    return (
        f'[[package]]\nname = "{name}"\nversion = "1.0"\nsource = {{ registry = "{INDEX}" }}\n'
        + (f"dependencies = [\n{depends}]\n" if needs else "")
        + f"wheels = [\n{wheels}]\n"
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
