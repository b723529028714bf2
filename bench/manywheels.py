"""A project of many small wheels that lie in it: written, locked by uv without a network, and set up once."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from pathlib import Path

from bench.project import CACHE, UV, nixgen

COUNT = 300
_MODULES, _FUNCTIONS = 10, 40
_CODE = '''def compute_{number}(first, second=None, *, third=()):
    """Adds what there is to add."""
    total = [first] if second is None else [first, second]
    for value in third:
        total.append(value * {number})
    return {{"number": {number}, "total": total, "text": f"{{len(total)}} of {{first!r}}"}}


'''


def many_wheels() -> Path:
    """The project, with the base of the notebook and an environment of :data:`COUNT` packages."""
    folder = CACHE / "many-wheels"
    if not (folder / "default.nix").exists():
        (folder / "wheels").mkdir(parents=True, exist_ok=True)
        names = [f"package-{number:03}" for number in range(COUNT)]
        for name in names:
            _wheel(folder / "wheels", name.replace("-", "_"))
        needs = "".join(f'    "{name}",\n' for name in names)
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "many-wheels"\nversion = "1"\nrequires-python = ">=3.11"\n'
            f"dependencies = [\n{needs}]\n\n"
            '[tool.uv]\npackage = false\nno-index = true\nfind-links = ["./wheels"]\n\n'
            '[tool.nixgen]\nsystems = ["x86_64-linux", "aarch64-linux"]\n'
        )
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        subprocess.run([UV, "lock", "--quiet"], cwd=folder, check=True)
        nixgen(folder, "init", "--base", "debian", "--python", "3.11", "--quiet")
    nixgen(folder, "generate", "--quiet")
    return folder


def _wheel(folder: Path, name: str) -> None:
    """A wheel of some modules: twenty kilobytes of code, as a small library has."""
    info = f"{name}-1.0.dist-info"
    code = "".join(_CODE.format(number=number) for number in range(_FUNCTIONS))
    files = {f"{name}/__init__.py": f'"""{name}"""\n'}
    files |= {f"{name}/part_{number}.py": code.replace("compute", f"{name}_{number}") for number in range(_MODULES)}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: nixgen\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    rows = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
