"""Sources that are broken or hostile, each in its way, in one project: nixgen lock names all, and writes nothing."""

from __future__ import annotations

import gzip
import io
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from checking import Checked
from support.index import Index, serve
from support.nix import SYSTEM, Nix
from support.project import PYPROJECT, Project
from support.sdists import make_sdist
from support.wheels import make_wheel, sha256

pytestmark = [pytest.mark.network, pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")]

OWN = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
HOOK = "import os, time, urllib.request\ndef get_requires_for_build_wheel(settings=None):\n    {}\n    return []\n"
ASKED = {
    "raises": ("raise OSError('no compiler here')", "OSError: no compiler here"),
    "network": ("urllib.request.urlopen('http://192.0.2.1/', timeout=5)", "unreachable"),
    "forever": ("time.sleep(9999)", "took longer than 3 seconds"),
    "silent": ("os._exit(0)", "ended without the answer that PEP 517 asks for"),
    "reads-home": ("open('/root/.netrc').read()", "No such file or directory: '/root/.netrc'"),
}
READ = {
    "gone": "HTTP error 404",
    "changed": "is not the file that uv.lock pins",
    "bare": "it has neither pyproject.toml nor setup.py",
    "outside": "would be written outside of the archive's own folder",
    "link": "outside of the archive's own folder",
    "device": "but a device or the like",
    "bomb": "that is too much for an archive of its size",
    "page": "it cannot be read",
}
SETTINGS = f"""
[tool.nixgen]
base = "debian"
python = "3.13"
systems = ["{SYSTEM}"]

[tool.nixgen.packages.forever]
timeout = 3
"""


def spoil(path: Path, name: str) -> None:
    """What lies at the address now is another file than the one that was locked."""
    member = tarfile.TarInfo(f"{name}-1.0/{name}")
    content = io.BytesIO()
    if name == "outside":
        member.name = "../outside"
    elif name == "link":
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
    elif name == "device":
        member.type = tarfile.CHRTYPE
    elif name == "bomb":
        member.size, content = 200 << 20, io.BytesIO(bytes(200 << 20))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(member, content)
    path.write_bytes(b"<html>sorry</html>" if name == "page" else gzip.compress(buffer.getvalue(), 1, mtime=0))


def project(folder: Path, pins: Path, nix: Nix, index: Index, *names: str) -> Checked:
    shutil.copytree(pins, folder, ignore=shutil.ignore_patterns("done", "uv.lock", ".git"))
    source = f'\n[[tool.uv.index]]\nname = "loopback"\nurl = "{index.simple}"\ndefault = true\n'
    text = PYPROJECT.format(dependencies=", ".join(f'"{name}"' for name in names))
    (folder / "pyproject.toml").write_text(text + source + SETTINGS)
    checked = Checked(Project(folder), nix, index)
    checked.project.lock()
    return checked


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_that_is_wrong_with_sources_is_told_at_once_and_nothing_is_written(
    nix28: Nix, pins: Path, tmp_path: Path
) -> None:
    served = tmp_path / "served"
    for name in READ:
        make_sdist(served, name, "1.0", {"pyproject.toml": OWN})
    for name, (code, _) in ASKED.items():
        make_sdist(served, name, "1.0", {"pyproject.toml": OWN, "own.py": HOOK.format(code)})
    with serve(served) as index:
        checked = project(tmp_path / "demo", pins, nix28, index, *READ, *ASKED)
        lock = checked.folder / "uv.lock"
        for name in READ:
            path = served / f"{name}-1.0.tar.gz"
            before = sha256(path)
            spoil(path, name)
            if name == "gone":
                path.unlink()
            elif name != "changed":
                lock.write_text(lock.read_text().replace(before, sha256(path)))
        before = files(checked.folder)
        done = checked.run("lock")
    assert done.returncode == 5
    assert files(checked.folder) == before
    told = {re.split("[- ]1", part)[0]: part for part in re.split(r"^error: ", done.stderr, flags=re.MULTILINE)[1:]}
    wanted = {**READ, **{name: said for name, (_, said) in ASKED.items()}}
    assert told.keys() == wanted.keys()
    for name, said in wanted.items():
        assert said in told[name]
        assert "Traceback" not in told[name] or "own.py" in told[name]  # the backend's own
    assert "nixgen upgrade gone" in told["gone"]


def test_files_that_cannot_be_had_are_told_at_once(nix28: Nix, pins: Path, tmp_path: Path) -> None:
    """Of an environment's wheels: one that is gone, and one that is another."""
    served = tmp_path / "served"
    for name in ("gone", "changed", "fine"):
        make_wheel(served, name, "1.0")
    with serve(served) as index:
        checked = project(tmp_path / "demo", pins, nix28, index, "gone", "changed", "fine")
        for words in ("lock", "generate"):
            assert checked.run(words).ok
        (served / "gone-1.0-py3-none-any.whl").unlink()
        (served / "changed-1.0-py3-none-any.whl").write_bytes(b"another")
        done = checked.run("check")
    assert done.returncode == 5
    assert "gone-1.0-py3-none-any.whl at http" in done.stdout
    assert "is not there any more (HTTP error 404" in done.stdout
    assert "changed-1.0-py3-none-any.whl at http" in done.stdout
    assert "is not the file that uv.lock pins" in done.stdout
