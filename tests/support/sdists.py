"""Source distributions made to order: always the same bytes for the same files."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

TIME = 1_600_000_000
SETUP = 'from setuptools import setup\nsetup(name="{name}", version="{version}", py_modules=["{module}"])\n'


def make_sdist(folder: Path, name: str, version: str, files: Mapping[str, str] | None = None) -> Path:
    """Writes a source distribution into ``folder`` and gives its path; without files, a setup.py and one module."""
    module = name.replace("-", "_")
    if files is None:
        files = {"setup.py": SETUP.format(name=name, version=version, module=module), f"{module}.py": "NAME = 1\n"}
    members = {"PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n", **files}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, text in members.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size, member.mtime = len(text.encode()), TIME
            archive.addfile(member, io.BytesIO(text.encode()))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}.tar.gz"
    target.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return target
