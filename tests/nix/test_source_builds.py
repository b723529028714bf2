"""Sources, built by their own backends in the sandbox, and installed as any wheel; a build that fails says why."""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lab import SITE, Lab, tree
from support.nix import SYSTEM
from support.wheels import sha256

pytestmark = pytest.mark.skipif(not SYSTEM.endswith("-linux"), reason="the debian base is Linux")

TIME = 1_600_000_000
# A backend in the source itself (backend-path), in the fewest lines: no build requirement has to be fetched.
BACKEND = """
import os, zipfile
def get_requires_for_build_wheel(settings=None):
    return [os.environ.get("ASKED", "nothing>=1"), "cores==" + os.environ["MAKEFLAGS"][2:]]
def build_wheel(folder, settings=None):
    {more}
    name = "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("demo.py", open("demo.py").read())
        wheel.writestr("demo-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: demo\\nVersion: 1.0\\n")
        wheel.writestr("demo-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("demo-1.0.dist-info/entry_points.txt", "[console_scripts]\\ndemo = demo:main\\n")
        wheel.writestr("demo-1.0.dist-info/RECORD", "demo.py,,\\n")
    return name
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'


def source(more: str = "pass", **files: str) -> dict[str, str]:
    """The files of a source with a backend of its own, which does ``more`` first."""
    given = {"pyproject.toml": PYPROJECT, "own.py": BACKEND.format(more=more), "demo.py": "def main():\n    print(3)\n"}
    given["PKG-INFO"] = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n\nVersion: 9\n"
    return {f"demo-1.0/{name}": text for name, text in {**given, **files}.items()}


def sdist(folder: Path, files: Mapping[str, str], more: Iterable[tarfile.TarInfo] = (), name: str = "demo-1.0") -> Path:
    """An sdist with these files, and whatever members else."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for inside, text in files.items():
            member = tarfile.TarInfo(inside)
            member.size, member.mtime = len(text.encode()), TIME
            archive.addfile(member, io.BytesIO(text.encode()))
        for member in more:
            archive.addfile(member)
    path = folder / f"{name}.tar.gz"
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return path


def expression(lab: Lab, path: Path, mode: str = "build", requires: Iterable[str] = (), **row: Any) -> str:
    """The derivation that builds a source which the index serves, or asks what it needs."""
    given = {"name": "demo", "version": "1.0", "file": path.name, "sha256": sha256(path), "url": lab.index.url(path)}
    usual = {"epoch": TIME} if mode != "static" else {}
    file = lab.folder / f".source-{path.name}-{mode}.json"
    file.write_text(json.dumps({**given, **usual, **row}))
    kept = "" if mode == "static" else f"// {{ requires = [ {' '.join(requires)} ]; }}"
    function = "import (l + /build.nix) g" if mode == "build" else f"(import (l + /requires.nix) g).{mode}"
    return (
        f"let l = {lab.library}; pins = import (l + /base.nix); fetch = import (l + /fetch.nix); "
        f'base = import (l + /base/debian.nix) {{ inherit pins fetch; system = "{SYSTEM}"; }}; '
        f"g = {{ inherit base fetch; root = {lab.folder}; builder = import (l + /builder.nix) {{ inherit base; }}; }}; "
        f"in {function} (builtins.fromJSON (builtins.readFile {file}) {kept})"
    )


def built(lab: Lab, path: Path, *options: str, **row: Any) -> Path:
    """Where what is built lies on the disk."""
    return lab.nix.real(lab.nix.build_expression(expression(lab, path, **row), *options))


def answer(lab: Lab, path: Path, mode: str, **row: Any) -> Any:
    return json.loads(built(lab, path, mode=mode, **row).read_text())


def refused(lab: Lab, path: Path, mode: str = "build", **row: Any) -> str:
    """What the log of a build that fails says."""
    done = lab.nix.run("nix-build", "--no-out-link", "-E", expression(lab, path, mode, **row), check=False)
    assert not done.ok, done.tail()
    return done.stderr


@pytest.mark.one_nix
def test_what_a_source_says_of_itself(each_lab: Lab) -> None:
    path = sdist(each_lab.wheels, source())
    assert answer(each_lab, path, "static") == {
        "backend": "own",
        "backendPath": ["."],
        "compiled": True,
        "crates": [],
        "epoch": TIME,
        "lacking": {"git": [], "unlocked": []},
        "legacy": False,
        "name": "demo",
        "requires": [],
        "sources": "",
        "version": "1.0",
    }


CARGO_LOCK = """
version = 4
[[package]]
name = "{name}"
version = "1.2.3+x"
source = "{source}"
checksum = "{sha256}"
[[package]]
name = "demo"
version = "1.0.0"
"""
REGISTRY = "sparse+https://crates.example.org/"


def cargo_lock(name: str, source: str = REGISTRY, checksum: str = "a" * 64) -> str:
    return CARGO_LOCK.format(name=name, source=source, sha256=checksum)


@pytest.mark.parametrize(
    ("requires", "files", "crates"),
    [
        ('["maturin"]', {"Cargo.lock": "top", "rust/Cargo.lock": "below", "test/Cargo.lock": "x"}, ["below", "top"]),
        ('["Setuptools_Rust"]', {"rust/Cargo.lock": "below"}, ["below"]),
        ('["meson-python"]', {"meson/test cases/Cargo.lock": "aside", "sub/Cargo.lock": "x"}, []),
        ('["hatchling"]', {"Cargo.lock": "top"}, ["top"]),
    ],
)  # fmt: skip
def test_the_crates_that_a_source_names(lab: Lab, requires: str, files: dict[str, str], crates: list[str]) -> None:
    """numpy's source has the Cargo.lock of a test of meson's, whose crates no build needs."""
    texts = {name: cargo_lock(crate) for name, crate in files.items()}
    texts["pyproject.toml"] = PYPROJECT.replace("[]", requires)
    found = answer(lab, sdist(lab.wheels, source(**texts), name=f"crates-{len(requires)}-1.0"), "static")["crates"]
    assert [crate["name"] for crate in found] == crates
    assert all(crate["registry"] == REGISTRY and crate["version"] == "1.2.3+x" for crate in found)


@pytest.mark.parametrize(
    ("name", "compiled"),
    [("data.txt", False), ("sub/module.PYX", True), ("src/a.c", True), ("CMakeLists.txt", True), ("a.h", False)],
)
def test_what_a_source_has_to_compile(lab: Lab, name: str, compiled: bool) -> None:  # noqa: FBT001
    """A backend of its own may do anything, and counts as what compiles."""
    text = '[build-system]\nrequires = []\nbuild-backend = "other"\n'
    path = sdist(lab.wheels, source(**{name: "", "pyproject.toml": text}), name=f"has-{len(name)}-1.0")
    assert answer(lab, path, "static")["compiled"] is compiled


def test_crates_that_a_source_brings_are_its_own(lab: Lab) -> None:
    config = '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "vendor"\n'
    files = {"Cargo.lock": cargo_lock("top"), ".cargo/config.toml": config}
    assert answer(lab, sdist(lab.wheels, source(**files), name="vendored-1.0"), "static")["crates"] == []


@pytest.mark.parametrize("text", ["a = ", cargo_lock("../a"), cargo_lock("a", checksum="b")])
def test_a_cargo_lock_that_is_none(lab: Lab, text: str) -> None:
    path = sdist(lab.wheels, source(**{"Cargo.lock": text}), name=f"cargo-{len(text)}-1.0")
    said = refused(lab, path, "static")
    assert "Cargo.lock" in said
    assert "Traceback" not in said


@pytest.mark.one_nix
def test_what_its_backend_asks_for(each_lab: Lab) -> None:
    path = sdist(each_lab.wheels, source())
    found = answer(each_lab, path, "dynamic", env={"ASKED": "numpy>=2; sys_platform == 'linux'"})
    assert found["requires"][0] == "numpy>=2; sys_platform == 'linux'"


def test_it_is_installed_as_any_wheel_and_the_same_again(each_lab: Lab) -> None:
    path = sdist(each_lab.wheels, source())
    found = built(each_lab, path, "--cores", "1")
    assert {f"{SITE}/demo.py", f"{SITE}/demo-1.0.dist-info/INSTALLER", "nixgen-facts"} <= set(tree(found))
    assert "script\tdemo\tdemo:main" in (found / "nixgen-facts").read_text()
    built(each_lab, path, "--check", "--cores", "2")


def test_what_nixgen_lock_asks(lab: Lab) -> None:
    """One source needs another to build, which is built before its backend is asked."""

    def row(name: str, more: str, requires: list[str]) -> dict[str, Any]:
        files = {file: text.replace("demo-1", f"{name}-1") for file, text in source(more).items()}
        files["demo-1.0/own.py"] = files["demo-1.0/own.py"].replace("Name: demo", f"Name: {name}")
        path = sdist(lab.wheels, files, name=f"{name}-1.0")
        place = {"file": path.name, "sha256": sha256(path), "url": lab.index.url(path)}
        needs = {"systems": [SYSTEM], "requires": {SYSTEM: requires}}
        return {"name": name, "version": "1.0", "epoch": TIME, **place, **needs}

    rows = [row("demo", "pass", []), row("user", "import demo; demo.main()", ["demo==1.0"])]
    static = {key: rows[1][key] for key in ("name", "version", "file", "sha256", "url")}
    dynamic = {**static, "epoch": TIME, "requires": ["demo==1.0"]}
    asked = {"wheels": [], "builds": rows, "static": [static], "dynamic": [dynamic], "built": ["user==1.0"]}
    file = lab.folder / ".asked.json"
    file.write_text(json.dumps(asked))
    recipes = lab.nix.evaluate(
        f"import {lab.library}/asking.nix {{ system = {json.dumps(SYSTEM)}; root = {lab.folder}; "
        f"base = import {lab.library}/base.nix; }} (builtins.fromJSON (builtins.readFile {file}))",
        "--read-write-mode",
    )
    drvs = [recipe["drv"] for kind in ("static", "dynamic", "built") for (recipe,) in [recipes[kind]]]
    outs = lab.nix.run("nix-store", "--realise", *drvs).stdout.split()
    said, wanted, found = map(lab.nix.real, map(Path, outs))
    assert json.loads(said.read_text())["backend"] == "own"
    assert json.loads(wanted.read_text())["requires"][0] == "nothing>=1"
    assert (found / f"{SITE}/demo.py").exists()


def test_a_zip_and_setup_py_without_pyproject(lab: Lab) -> None:
    path = lab.wheels / "old-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("old-1.0/setup.py", (2019, 1, 2, 3, 4, 6)), "")
    found = answer(lab, path, "static")
    assert (found["legacy"], found["backend"], found["requires"], found["epoch"]) == (
        True,
        "setuptools.build_meta:__legacy__",
        ["setuptools >= 40.8.0"],
        1546398246,
    )


def test_what_makes_bytes_differ_is_fixed(lab: Lab) -> None:
    seen = 'sorted(os.environ.items()), tempfile.mkdtemp(), hash("a"), oct(os.umask(0o22))'
    path = sdist(lab.wheels, source(f'import tempfile; open("demo.py", "w").write(repr([{seen}]))'), name="env-1.0")
    found = (built(lab, path, env={"OWN": "x"}) / f"{SITE}/demo.py").read_text()
    environment, folder, _, umask = ast.literal_eval(found)
    given = dict(environment)
    assert (given["SOURCE_DATE_EPOCH"], given["PYTHONHASHSEED"], given["OWN"]) == (str(TIME), "0", "x")
    assert folder.endswith("/tmp/tmp00000000")
    assert umask == "0o22"
    assert not {"src", "out", "wheels", "requires"} & given.keys()


def test_paths_of_the_tools_are_blanked(lab: Lab) -> None:
    """What a wheel says of how it was built would keep the whole build environment in the store."""
    more = "import sys; open('demo.py', 'w').write(sys.prefix)"
    path = lab.nix.build_expression(expression(lab, sdist(lab.wheels, source(more), name="tools-1.0")))
    found = (lab.nix.real(path) / f"{SITE}/demo.py").read_text()
    assert found == f"/nix/store/{'e' * 32}-demo-1.0-build-environment"
    assert lab.nix.run("nix-store", "-q", "--references", str(path)).stdout == ""


def test_a_build_has_a_shell_where_the_sandbox_has_none(each_lab: Lab) -> None:
    """make, ninja and os.system start /bin/sh, which Debian's Nix leaves out of its sandbox."""
    more = "status = os.system('exit 3') >> 8; open('demo.py', 'w').write(repr([status, os.getcwd(), os.listdir('/')]))"
    path = sdist(each_lab.wheels, source(more), name="shell-1.0")
    status, here, root = ast.literal_eval((built(each_lab, path) / f"{SITE}/demo.py").read_text())
    assert (status, here) == (3, "/build/source/demo-1.0")
    assert {"bin", "build", "dev", "nix", "proc"} <= set(root)


def test_without_the_sandbox_nothing_is_built(lab: Lab) -> None:
    """Debian's nix.conf turns the sandbox off, and then a build takes what it finds on the machine."""
    path = sdist(lab.wheels, source(), name="open-1.0")
    off = replace(lab, nix=lab.nix.with_settings(sandbox="false"))
    for mode in ("build", "static", "dynamic"):
        assert "put the line sandbox = true into /etc/nix/nix.conf" in refused(off, path, mode)


def test_a_patch_is_applied(lab: Lab) -> None:
    text = "--- a/demo.py\n+++ b/demo.py\n@@ -1,2 +1,2 @@\n def main():\n-    print(3)\n+    print(4)\n"
    (lab.folder / "four.patch").write_text(text)
    (lab.folder / "five.patch").write_text(text.replace("3", "5"))
    path = sdist(lab.wheels, source(), name="patched-1.0")
    assert "print(4)" in (built(lab, path, patches=["four.patch"]) / f"{SITE}/demo.py").read_text()
    assert "the patch five.patch does not apply" in refused(lab, path, patches=["five.patch"])


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


HOSTILE = {
    "up": ({"../out.py": ""}, [], "would be written outside"),
    "absolute": ({"/out.py": ""}, [], "would be written outside"),
    "link-out": ({}, [link("demo-1.0/a", "../../etc")], "outside of the archive's own folder"),
    "link-absolute": ({}, [link("demo-1.0/a", "/etc/passwd")], "outside of the archive's own folder"),
    "links-out": ({}, [link("demo-1.0/a", "b/.."), link("demo-1.0/b", "..")], "outside of the archive's own folder"),
    "through": ({"demo-1.0/a/b": ""}, [link("demo-1.0/a", "demo.py")], "is there twice, once as a link"),
    "below": ({}, [link("demo-1.0/a", "."), link("demo-1.0/a/b", "..")], "below a link"),
    "hard": ({}, [link("demo-1.0/a", "../../etc/passwd", tarfile.LNKTYPE)], "would be written outside"),
    "device": ({}, [link("demo-1.0/a", "", tarfile.CHRTYPE)], "a device or the like"),
    "pipe": ({}, [link("demo-1.0/a", "", tarfile.FIFOTYPE)], "a device or the like"),
    "long-name": ({f"demo-1.0/{'a/' * 600}b": ""}, [], "is no name for a file"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_not_unpacked(lab: Lab, what: str) -> None:
    files, members, said = HOSTILE[what]
    text = refused(lab, sdist(lab.wheels, {**source(), **files}, members, f"{what}-1.0"), "static")
    assert said in text
    assert "Traceback" not in text


class Zeros(io.RawIOBase):
    """So many bytes of zero, which compress well."""

    def __init__(self, size: int) -> None:
        self.left = size

    def read(self, size: int = -1) -> bytes:
        size = min(self.left, size)
        self.left -= size
        return bytes(size)


def bomb(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "bomb-1.0.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for member in members:
            archive.addfile(member, Zeros(member.size))
    return path


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(lab: Lab) -> None:
    """Nothing is written of a member that is too much; the rest is bounded by the archive's own size."""
    member = tarfile.TarInfo("bomb-1.0/zeros")
    member.size = 300 << 20
    assert "that is too much for an archive of its size" in refused(lab, bomb(lab.wheels, member), "static")


def test_a_header_of_gigabytes_is_not_read(lab: Lab) -> None:
    """tarfile reads the header of a long name whole."""
    member = tarfile.TarInfo("bomb-1.0/long")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1600 << 20
    path = lab.wheels / "header-1.0.tar.gz"
    path.write_bytes(gzip.compress(member.tobuf()) + gzip.compress(bytes(100 << 20), 1) * 16)
    text = refused(lab, path, "static")
    assert "it cannot be read" in text
    assert "Traceback" not in text


def test_modes_and_odd_names_do_no_harm(lab: Lab) -> None:
    """No set-user-ID, and a name with a newline in it is a name like others."""
    odd = tarfile.TarInfo("demo-1.0/two\nlines.py")
    odd.mode = 0o6777
    more = "open('demo.py', 'w').write(repr([oct(os.stat(name).st_mode) for name in os.listdir() if 'lines' in name]))"
    found = built(lab, sdist(lab.wheels, source(more), [odd], "odd-1.0"))
    assert (found / f"{SITE}/demo.py").read_text() == "['0o100755']"


def test_links_that_stay_inside_are_kept(lab: Lab) -> None:
    members = [link("demo-1.0/a/b", "../demo.py"), link("demo-1.0/hard.py", "demo-1.0/demo.py", tarfile.LNKTYPE)]
    more = 'open("demo.py", "a").write(repr([os.readlink("a/b"), open("hard.py").read()]))'
    found = built(lab, sdist(lab.wheels, source(more), members, "links-1.0"))
    assert "../demo.py" in (found / f"{SITE}/demo.py").read_text()


BROKEN = {
    "empty": (b"", "it cannot be read"),
    "cut": (gzip.compress(b"x" * 10_000)[:30], "it cannot be read"),
    "page": (b"<html>404</html>", "it cannot be read"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_archive_is_told(lab: Lab, what: str) -> None:
    content, said = BROKEN[what]
    path = lab.wheels / f"{what}-1.0.tar.gz"
    path.write_bytes(content)
    text = refused(lab, path, "static")
    assert said in text
    assert "Traceback" not in text


def test_a_backend_is_asked_again_on_a_system_where_it_was_not(lab: Lab) -> None:
    """What it asks for must be there; where it was asked, the build is the one that it always was."""
    own = re.sub(r"return \[.*", "return ['nothing; python_version < \"4\"']", BACKEND, count=1).format(more="pass")
    path = sdist(lab.wheels, source(**{"own.py": own}), name="again-1.0")
    drv = [lab.nix.run("nix-instantiate", "-E", expression(lab, path, **row)).stdout for row in ({}, {"asked": SYSTEM})]
    assert drv[0] == drv[1]
    built(lab, path, asked="x86_64-darwin")
    said = refused(lab, sdist(lab.wheels, source(), name="more-1.0"), asked="x86_64-darwin")
    assert f"not built: on {SYSTEM} its backend asks for nothing>=1, cores==" in said
    assert "which nixgen.lock does not pin, since it was asked on x86_64-darwin." in said
    assert 'demo = ["nothing>=1"' in said


FAILING = {
    "raises": ("raise OSError('fatal error: libpq-fe.h')", ["not built: own ended with status 1", "libpq-fe.h"]),
    "network": ("import urllib.request as r; r.urlopen('http://192.0.2.1/', timeout=5)", ["not built", "unreachable"]),
    "killed": ("os.kill(os.getpid(), 9)", ["was ended by signal 9"]),
    "other": ("return 'another-1.0-py3-none-any.whl'", ["which is no wheel"]),
    "no-answer": ("os._exit(0)", ["ended without the answer that PEP 517 asks for"]),
    "no-zip": (
        "open(folder + '/demo-1.0-py3-none-any.whl', 'w').write('x'); return 'demo-1.0-py3-none-any.whl'",
        ["its backend made a wheel that cannot be read: File is not a zip file"],
    ),
    "spoilt": (
        "name = folder + '/demo-1.0-py3-none-any.whl'; wheel = zipfile.ZipFile(name, 'w'); wheel.writestr('a', 'xxxx');"
        " wheel.close(); data = open(name, 'rb').read().replace(b'xxxx', b'yyyy'); open(name, 'wb').write(data); "
        "return 'demo-1.0-py3-none-any.whl'",
        ["its backend made a wheel that cannot be read: Bad CRC-32 for file 'a'"],
    ),
    "outside": (
        "zipfile.ZipFile(folder + '/demo-1.0-py3-none-any.whl', 'w').writestr('../../x.py', ''); "
        "return 'demo-1.0-py3-none-any.whl'",
        ["the member '../../x.py' would be written outside the wheel's own folder"],
    ),
    "store": ("open(os.environ['VIRTUAL_ENV'] + '/x', 'w')", ["not built"]),
    "full": ("raise OSError(28, 'No space left on device')", ["No space left on device"]),
}


@pytest.mark.parametrize("what", FAILING)
def test_a_build_that_fails_says_why(lab: Lab, what: str) -> None:
    more, said = FAILING[what]
    text = refused(lab, sdist(lab.wheels, source(more), name=f"{what}-1.0"))
    assert [words for words in said if words not in text] == []
    assert what in {"raises", "network", "store", "full"} or "Traceback" not in text  # the backend's own


def on_a_small_disk(lab: Lab, folder: Path) -> Lab:
    """Builds have 4 MB of room."""
    mounted = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
    within = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-euc", mounted, str(folder))
    within = within[:1] + within[3:] if os.geteuid() == 0 else within
    return replace(lab, nix=replace(lab.nix, within=within).with_env(TMPDIR=str(folder)))


def test_a_build_that_fills_the_disk_says_so(lab: Lab, tmp_path: Path) -> None:
    small = on_a_small_disk(lab, tmp_path)
    member = tarfile.TarInfo("demo-1.0/large")
    member.size = 8 << 20
    text = refused(small, bomb(lab.wheels, member), "static")
    assert "bomb-1.0.tar.gz is not unpacked: there is no room for it: No space left on device" in text
    assert "Traceback" not in text
    more = "open('large', 'wb').write(bytes(8 << 20))"
    text = refused(small, sdist(lab.wheels, source(more), name="fills-1.0"))
    assert "not built: own ended with status 1" in text
    assert "No space left on device" in text


DAEMON = """
import sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            time.sleep(1)
    os._exit(0)
"""


def test_what_a_backend_leaves_behind_is_ended(each_lab: Lab) -> None:
    """A daemon that holds the output open would keep the build waiting until its time is over."""
    daemon = f"exec({DAEMON!r})"
    path = sdist(each_lab.wheels, source(daemon), name="daemon-1.0")
    drv = expression(each_lab, path, timeout=600)
    found = each_lab.nix.run("nix-build", "--no-out-link", "-E", drv)
    assert "a process that own left behind was ended" in found.stderr
    assert (each_lab.nix.real(Path(found.stdout.strip())) / f"{SITE}/demo.py").exists()


def test_a_build_that_never_ends_is_ended(lab: Lab) -> None:
    path = sdist(lab.wheels, source("import time; time.sleep(9999)"), name="forever-1.0")
    asks = source(**{"own.py": BACKEND.format(more="pass").replace("return [", "import time; time.sleep(9999); [")})
    for mode, asked in (("build", path), ("dynamic", sdist(lab.wheels, asks, name="asks-forever-1.0"))):
        text = refused(lab, asked, mode, timeout=2)
        assert "took longer than 2 seconds" in text
        assert "timeout under [tool.nixgen.packages.demo]" in text


UNCLEAR = {
    "nothing": ({"readme": ""}, "has neither pyproject.toml nor setup.py"),
    "toml": ({"pyproject.toml": "a = "}, "pyproject.toml cannot be read"),
    "table": ({"pyproject.toml": "build-system = 3"}, "build-system is not a table"),
    "list": ({"pyproject.toml": "[build-system]\nrequires = 'x'"}, "build-system.requires is not a list of texts"),
    "path": ({"pyproject.toml": PYPROJECT.replace('"."', '"../.."')}, "backend-path leads out of the source"),
    "large": ({"pyproject.toml": "#" * (5 << 20)}, "pyproject.toml is larger than 4 MiB"),
    "nested": ({"pyproject.toml": "a = " + "[" * 9000}, "pyproject.toml cannot be read"),
}


@pytest.mark.parametrize("what", UNCLEAR)
def test_a_source_that_does_not_say_how_it_is_built(lab: Lab, what: str) -> None:
    files, said = UNCLEAR[what]
    path = sdist(lab.wheels, {f"demo-1.0/{name}": text for name, text in files.items()}, name=f"unclear-{what}-1.0")
    text = refused(lab, path, "static")
    assert said in text
    assert "Traceback" not in text
