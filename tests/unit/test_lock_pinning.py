"""``nixgen lock`` on real uv projects, with a package index and a Debian archive on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import remembered
from support.debian import Archive, deb, serve_archive
from support.index import Index
from support.program import nixgen
from support.sdists import make_sdist
from support.wheels import make_wheel

from nixgen.artifacts import sources
from nixgen.bases import changes
from nixgen.bases.debian import busybox, suites
from nixgen.bases.debian import sources as aptsources
from nixgen.bases.model import Base, Deb, DebianBase, NixpkgsBase
from nixgen.builds import finding
from nixgen.builds.model import Build, Builds, UnservedError
from nixgen.errors import MachineError, UserError
from nixgen.init import setup as init_module
from nixgen.init.setup import init
from nixgen.lock import lockfile, pinning
from nixgen.lock.model import Lock
from nixgen.lock.pinning import Options
from nixgen.machine import files
from nixgen.nix import tools
from nixgen.project.project import Project, find_project
from nixgen.resolve import hashes, uv

needs_apt = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("apt-get", "gpg", "gpgv")), reason="needs apt and gpg"
)
Serve = Callable[..., Index]
BOTH = 'base = "debian"\npython = "3.11"\n'
ONE = f'{BOTH}systems = ["x86_64-linux"]\n'  # half of apt's work


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A Debian archive."""
    with serve_archive(tmp_path_factory.mktemp("archive")) as made:
        yield made


@pytest.fixture
def archive(served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """The same, as it was, as the machine's own."""
    publish(served)
    mirror = aptsources.Mirror(served.address, updates=False, keyrings=(str(served.keyring),))
    monkeypatch.setattr(aptsources, "machine_mirror", lambda **_: mirror)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    served.remembered(monkeypatch)
    return served


def publish(archive: Archive, bash: str = "5.2-1") -> None:
    """bookworm, with this version of bash."""
    archive.packages.clear()
    archive.add("bookworm", "libc6", "2.36-9")
    for name in suites.core_roots(suites.SUITES["bookworm"], "3.11"):
        archive.add("bookworm", name, bash if name == "bash" else "3.11.2-1", Depends="libc6")
    archive.add("bookworm", "git", "2.39-1")
    archive.add("bookworm", "busybox-static", content=deb({"bin/busybox": b"program"}))
    archive.publish("bookworm")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A uv project without dependencies, on the debian base."""
    return make(tmp_path / "project", ONE)


def make(root: Path, settings: str, rest: str = "") -> Path:
    root.mkdir(exist_ok=True)
    text = f'[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n{rest}\n[tool.nixgen]\n{settings}'
    (root / "pyproject.toml").write_text(text)
    remembered.lock(root)
    return root


def run(root: Path, *, upgrade: bool = False, offline: bool = False) -> Lock:
    return pinning.lock(find_project(root), Options(upgrade=upgrade, offline=offline))


def tree(root: Path) -> dict[str, tuple[str, int]]:
    """Every file's hash and time."""
    return {
        path.relative_to(root).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


@needs_apt
def test_the_base_is_pinned_once(archive: Archive, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(project, BOTH)
    made = run(project)
    assert isinstance(made.base, DebianBase)
    assert lockfile.read_lock(project / "nixgen.lock") == made
    for entry in made.base.bootstrap:
        data = (project / "nix/nixgen/bootstrap" / entry.file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry.sha256
    assert "Pinned Debian bookworm for x86_64-linux: 19 packages, " in capsys.readouterr().err
    before = tree(project)
    publish(archive, bash="5.2-2")
    assert run(project) == made
    assert run(project, offline=True) == made
    assert tree(project) == before
    assert capsys.readouterr().err == "nixgen.lock: nothing to do, every pin still fits.\n" * 2


@needs_apt
@pytest.mark.heavy
def test_upgrade_prints_what_changed(archive: Archive, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(project, BOTH)
    run(project)
    publish(archive, bash="5.2-2")
    capsys.readouterr()
    run(project, upgrade=True)
    assert "  bash: 5.2-1 → 5.2-2 (aarch64-linux, x86_64-linux)\n" in capsys.readouterr().err


@needs_apt
@pytest.mark.usefixtures("archive")
def test_a_setting_that_changed_pins_anew(project: Path) -> None:
    make(project, BOTH)
    run(project)
    make(project, ONE + 'tools = ["git"]\n')
    with pytest.raises(UserError) as caught:
        run(project, offline=True)
    assert str(caught.value) == (
        "nixgen.lock: the debian base is not pinned for these settings\n  hint: run it with the network: nixgen sync"
    )
    made = run(project)
    assert isinstance(made.base, DebianBase)
    assert [found.name for found in made.base.debs if found.part == "extra"] == ["git"]
    assert [path.name for path in (project / "nix/nixgen/bootstrap").iterdir()] == ["busybox-x86_64-linux.tar.xz"]


def test_nix_is_looked_at_before_apt(tmp_path: Path, index: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not 18 s later; and only where something is to be built that has no pins."""

    def ready() -> None:
        raise MachineError.of("Nix", "does not answer")

    monkeypatch.setattr(tools, "ready", ready)
    monkeypatch.setattr(pinning, "_base", lambda *_: pytest.fail("asked apt"))
    make_sdist(tmp_path / "files", "old", "1.0")
    make_wheel(tmp_path / "files", "new", "1.0")
    source = f'[[tool.uv.index]]\nname = "loopback"\nurl = "{index(tmp_path / "files").simple}"\ndefault = true\n'
    with pytest.raises(MachineError, match="does not answer"):
        run(make(tmp_path / "project", ONE + source, 'dependencies = ["old"]'))
    with pytest.raises(pytest.fail.Exception, match="asked apt"):
        run(make(tmp_path / "project", ONE + source, 'dependencies = ["new"]'))


@needs_apt
@pytest.mark.heavy
def test_compilers_are_pinned_while_something_is_built(
    archive: Archive, tmp_path: Path, index: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*suites.TOOLCHAIN, "libpython3.11-dev", "libpq-dev"):
        archive.add("bookworm", name, "1", Depends="libc6")
    archive.publish("bookworm")
    make_sdist(tmp_path / "files", "old", "1.0")
    make_wheel(tmp_path / "files", "new", "1.0")
    source = f'[[tool.uv.index]]\nname = "loopback"\nurl = "{index(tmp_path / "files").simple}"\ndefault = true\n'
    settings = ONE + source
    root = make(tmp_path / "project", settings, 'dependencies = ["new"]')
    assert {deb.part for deb in debs(run(root))} == {"core"}

    sha = "0" * 64
    found = Builds((Build("old", "1.0", "https://example.org/a", 1, sha, {"x86_64-linux": ()}, "a", sha),))
    given: list[tuple[Builds, finding.Options, list[str]]] = []

    def find(_project: Project, base: Base, _tarballs: object, resolutions: Any, old: Builds, options: Any) -> Builds:
        given.append((old, options, [one.name for one in resolutions[0].packages if one.built]))
        assert isinstance(base, DebianBase)
        assert base.toolchain
        return found

    monkeypatch.setattr(finding, "find", find)
    monkeypatch.setattr(tools, "ready", lambda: None)
    capsys.readouterr()
    make(root, settings, 'dependencies = ["new", "old"]')
    made = run(root)
    assert made.builds == found
    assert {deb.name for deb in debs(made) if deb.part == "build"} == {*suites.TOOLCHAIN, "libpython3.11-dev"}
    assert "Pinned what old==1.0 needs to be built.\n" in capsys.readouterr().err
    assert run(root, offline=True) == made
    assert given == [(Builds(), finding.Options(), ["old"]), (found, finding.Options(offline=True), ["old"])]

    needs = '[tool.nixgen.packages.old]\nbuild-libraries = ["libpq-dev"]\n'
    make(root, settings + needs, 'dependencies = ["new", "old"]')
    assert [deb.name for deb in debs(run(root)) if deb.part == "needs"] == ["libpq-dev"]

    make(root, settings + needs, 'dependencies = ["new"]')
    left = run(root)
    assert left.builds == Builds()
    assert {deb.part for deb in debs(left)} == {"core"}


@needs_apt
@pytest.mark.heavy
def test_a_system_that_lacks_what_a_build_requires_is_left_out(
    archive: Archive, tmp_path: Path, index: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (*suites.TOOLCHAIN, "libpython3.11-dev"):
        archive.add("bookworm", name, "1", Depends="libc6")
    archive.publish("bookworm")
    make_sdist(tmp_path / "files", "old", "1.0")
    source = f'[[tool.uv.index]]\nname = "loopback"\nurl = "{index(tmp_path / "files").simple}"\ndefault = true\n'
    root = make(tmp_path / "project", BOTH + source, 'dependencies = ["old"]')
    sha = "0" * 64
    found = Builds((Build("old", "1.0", "https://example.org/a", 1, sha, {"x86_64-linux": ()}, "a", sha),))

    def find(_project: Project, _base: Base, _tarballs: object, resolutions: Any, *_: object) -> Builds:
        if len(resolutions) == 1:
            return found
        raise UnservedError(frozenset({"aarch64-linux"}), UserError.of("old", "cannot be built: no fast"))

    monkeypatch.setattr(finding, "find", find)
    monkeypatch.setattr(tools, "ready", lambda: None)
    made = run(root)
    assert made.builds == found
    assert {deb.system for deb in debs(made)} == {"x86_64-linux"}
    assert 'systems = ["x86_64-linux"]' in (root / "pyproject.toml").read_text()
    assert "Left out: aarch64-linux, because old cannot be built: no fast\n" in capsys.readouterr().err


def debs(made: Lock) -> tuple[Deb, ...]:
    assert isinstance(made.base, DebianBase)
    return made.base.debs


def versions(made: Lock, system: str = "x86_64-linux") -> dict[str, str]:
    assert isinstance(made.base, DebianBase)
    return {deb.name: f"{deb.version} {deb.part}" for deb in made.base.debs if deb.system == system}


@needs_apt
@pytest.mark.heavy
def test_a_library_more_leaves_all_other_pins_as_they_are(
    archive: Archive, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Case 40: the mirror has moved on, and lacks by now what is pinned."""
    before = versions(run(project))
    publish(archive, bash="5.2-2")
    archive.add("bookworm", "jq", "1.6-1", Depends="libonig5, bash (>= 5.2-1)")
    archive.add("bookworm", "libonig5", "6.9-1", Depends="libc6")
    archive.add("bookworm", "needy", "1", Depends="bash (>= 5.2-2)")
    archive.publish("bookworm")
    make(project, ONE + 'tools = ["jq"]\n')
    with_jq = before | {"jq": "1.6-1 extra", "libonig5": "6.9-1 extra"}
    capsys.readouterr()
    assert versions(run(project)) == with_jq
    said = "Of 1 pinned package Debian bookworm has newer versions by now, and mirrors drop the old ones. "
    assert f"{said}To take the newer: nixgen lock --upgrade (bash)\n" in capsys.readouterr().err
    publish(archive, bash="5.2-3")
    make(project, ONE + 'tools = ["git"]\n')
    assert versions(run(project)) == before | {"git": "2.39-1 extra"}
    archive.add("bookworm", "needy", "1", Depends="bash (>= 5.2-3)")
    archive.publish("bookworm")
    make(project, ONE + 'tools = ["git", "needy"]\n')
    wanted = before | {"git": "2.39-1 extra", "needy": "1 extra", "bash": "5.2-3 core"}
    assert versions(run(project)) == wanted
    assert versions(run(project, upgrade=True)) == wanted


@needs_apt
def test_the_index_is_fetched_once_for_all_projects(archive: Archive, project: Path, tmp_path: Path) -> None:
    """Case 57: what the signed InRelease names is in the user's cache, and only asked for where it changed."""
    made = run(project)
    for index in archive.folder.rglob("Packages"):
        index.unlink()
    assert run(make(tmp_path / "other", ONE)) == made


@needs_apt
@pytest.mark.heavy
def test_ubuntus_noble_from_a_mirror_of_its_own(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 42: signed by Ubuntu's key, from two components, and packed with zstd, which the bootstrap then brings."""
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(aptsources, "KEYRINGS", ())
    monkeypatch.setattr(aptsources, "UBUNTU_KEYRINGS", (archive.keyring,))
    for name in ("noble", "noble-updates"):
        archive.add(
            name, "libc6", "2.39-0ubuntu8", content=deb({"usr/lib/x86_64-linux-gnu/libc.so.6": b"libc"}, packed="zst")
        )
    for name in suites.core_roots(suites.SUITES["noble"], "3.12"):
        archive.add("noble", name, "3.12.3-1", Depends="libc6")
    archive.add("noble", "busybox-static", content=deb({"usr/bin/busybox": b"program"}, packed="zst"))
    archive.add("noble", "zstd", content=deb({"usr/bin/zstd": b"zstd"}, packed="zst"), Depends="libc6")
    for name in ("noble", "noble-updates"):
        archive.publish(name, components=("main", "universe"))
    project = make(tmp_path / "project", 'base = "debian"\nsuite = "noble"\nsystems = ["x86_64-linux"]\n')
    made = pinning.lock(find_project(project), Options(mirrors=(archive.address,)))
    assert isinstance(made.base, DebianBase)
    assert (made.base.suite, made.base.python, made.base.glibc) == ("noble", "3.12", "2.39")
    with tarfile.open(project / "nix/nixgen/bootstrap/busybox-x86_64-linux.tar.xz") as packed:
        assert packed.getnames() == ["bin", "bin/busybox", "bin/libc.so.6", "bin/zstd"]
    with pytest.raises(MachineError, match="this machine's apt knows no Ubuntu mirror"):
        aptsources.machine_mirror(tmp_path, vendor="Ubuntu")


@needs_apt
@pytest.mark.heavy
def test_a_system_more_leaves_the_pins_of_the_others(archive: Archive, tmp_path: Path) -> None:
    project = make(tmp_path / "project", ONE)
    before = versions(run(project))
    publish(archive, bash="5.2-2")
    make(project, BOTH)
    made = run(project)
    assert versions(made) == before
    assert versions(made, "aarch64-linux")["bash"] == "5.2-2 core"


@needs_apt
def test_a_lock_that_lacks_what_the_core_has_by_now_is_pinned_anew(archive: Archive, project: Path) -> None:
    made = run(project)
    assert isinstance(made.base, DebianBase)
    debs = tuple(found for found in made.base.debs if found.name != "libdeflate0")
    (project / "nixgen.lock").write_text(lockfile.dump_lock(Lock(replace(made.base, debs=debs))))
    assert run(project) == made
    assert archive.address


@needs_apt
@pytest.mark.parametrize("damage", ["gone", "other"])
def test_a_tarball_that_is_not_what_is_pinned_is_made_again(archive: Archive, project: Path, damage: str) -> None:
    made = run(project)
    before = tree(project)
    path = project / "nix/nixgen/bootstrap/busybox-x86_64-linux.tar.xz"
    path.unlink() if damage == "gone" else path.write_bytes(b"other")
    assert run(project) == made
    assert {name: found[0] for name, found in tree(project).items()} == {n: f[0] for n, f in before.items()}
    assert archive.address


@needs_apt
def test_a_failure_leaves_the_project_as_it_was(archive: Archive, project: Path) -> None:
    run(project)
    before = tree(project)
    make(project, ONE + 'tools = ["gitt"]\n')
    with pytest.raises(UserError, match="did you mean git"):
        run(project)
    after = tree(project)
    after.pop("pyproject.toml")
    before.pop("pyproject.toml")
    assert after == before
    assert archive.address


def test_nixpkgs_needs_no_network(tmp_path: Path) -> None:
    root = make(tmp_path / "p", 'python = "3.13"\ntools = ["git"]\n')
    made = run(root, offline=True)
    assert isinstance(made.base, NixpkgsBase)
    assert (made.base.name, made.base.python, made.base.tools) == ("nixos-26.05", "3.13", ("git",))
    make(root, 'python = "3.13"\ntools = ["git", "jq"]\n')
    assert run(root).base == replace(made.base, tools=("git", "jq"))


def test_an_older_pin_of_the_same_name_is_kept_until_upgrade(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "p", 'python = "3.13"\n')
    made = run(root)
    assert isinstance(made.base, NixpkgsBase)
    older = Lock(replace(made.base, rev="0" * 40))
    (root / "nixgen.lock").write_text(lockfile.dump_lock(older))
    assert run(root) == older
    capsys.readouterr()
    assert run(root, upgrade=True) == made
    said = capsys.readouterr().err
    assert "  nixpkgs: 000000000000 → 5880666fd9eb\n" in said
    assert "warning: there may be a newer nixos-26.05 than 5880666fd9eb: no network\n" in said


def test_the_python_of_the_lock_stays_when_the_settings_name_none(tmp_path: Path) -> None:
    root = make(tmp_path / "p", 'python = "3.12"\n')
    run(root)
    make(root, "")
    assert run(root).base.python == "3.12"
    make(root, "", "classifiers = []\n[dependency-groups]\ndev = []\n[tool.uv]\npackage = false\n")
    (root / ".python-version").write_text("3.11\n")
    assert run(root).base.python == "3.11"


def test_a_lock_of_another_version_stops_and_upgrade_mends_it(tmp_path: Path) -> None:
    root = make(tmp_path / "p", 'python = "3.13"\n')
    (root / "nixgen.lock").write_text(json.dumps({"version": 7}))
    with pytest.raises(UserError, match="nixgen lock --upgrade"):
        run(root)
    assert run(root, upgrade=True).base.python == "3.13"


def test_hashes_that_the_index_does_not_give(tmp_path: Path, index: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    made = make_wheel(folder, "six", "1.0")
    served = index(folder, hashes=False)
    rest = f'dependencies = ["six"]\n[[tool.uv.index]]\nurl = "{served.simple}"\ndefault = true\n'
    root = make(tmp_path / "p", 'python = "3.13"\n', rest)
    with pytest.raises(UserError) as caught:
        run(root, offline=True)
    assert str(caught.value) == (
        f"{served.url(made)}: has no hash in uv.lock\n  hint: run it with the network: nixgen sync"
    )
    assert not (root / "nixgen.lock").exists()
    (entry,) = run(root).hashes
    data = made.read_bytes()
    assert (entry.url, entry.sha256, entry.size) == (served.url(made), hashlib.sha256(data).hexdigest(), len(data))
    assert "Pinned 1 file that uv.lock gives no hash for.\n" in capsys.readouterr().err
    served.requests.clear()
    before = tree(root)
    run(root, offline=True)
    run(root)
    assert tree(root) == before
    assert served.requests == []
    make(root, 'python = "3.13"\n')
    assert run(root).hashes == ()


def test_differences_are_one_line_a_package() -> None:
    def pin(name: str, version: str, system: str = "x86_64-linux") -> Deb:
        return Deb(name, version, system, "core", "https://mirror.example.org/x.deb", "0" * 64, 1)

    old = [pin("a", "1"), pin("a", "1", "aarch64-linux"), pin("b", "1"), pin("same", "1")]
    new = [pin("a", "2"), pin("a", "2", "aarch64-linux"), pin("c", "1"), pin("same", "1")]
    assert list(changes.differences(old, new)) == [
        "  a: 1 → 2 (aarch64-linux, x86_64-linux)",
        "  b: gone, was 1 (x86_64-linux)",
        "  c: new, 1 (x86_64-linux)",
    ]


def test_another_suite_is_two_lines_and_not_one_a_package() -> None:
    def base(suite: str, python: str, versions: dict[str, str]) -> DebianBase:
        debs = tuple(
            Deb(name, version, system, "core", "https://mirror.example.org/x.deb", "0" * 64, 1)
            for name, version in versions.items()
            for system in ("aarch64-linux", "x86_64-linux")
        )
        return DebianBase(suite, python, "2.36", (), (), (), debs)

    old = base("bookworm", "3.11", {"bash": "5.2-1", "libc6": "2.36", "python3.11": "3.11.2", "same": "1"})
    new = base("trixie", "3.13", {"bash": "5.2-2", "libc6": "2.41", "python3.13": "3.13.5", "same": "1"})
    assert list(changes.summary(old, new))[2:] == [
        "  Debian bookworm → trixie, Python 3.11 → 3.13: 2 packages have another version, 1 is new, 1 is gone."
    ]
    assert list(changes.summary(replace(old, python="3.12"), replace(old, debs=old.debs[2:])))[2:] == [
        "  Python 3.12 → 3.11: 1 package is gone."
    ]
    assert list(changes.summary(replace(old, suite="sid"), old))[2:] == ["  Debian sid → bookworm: the same packages."]


def refuse_all(*_: object, **__: object) -> None:
    raise AssertionError("the network was used")


@pytest.mark.parametrize("what", ["base", "hashes", "models", "uv.lock"])
def test_a_folder_that_may_not_be_written_is_refused_before_anything_is_fetched(
    mounted: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    root = make(mounted / "p", 'python = "3.11"\n' + ('base = "debian"\n' if what == "base" else ""))
    if what == "hashes":
        monkeypatch.setattr(hashes, "without_hash", lambda _: ["https://files.example.org/a.whl"])
    if what == "models":
        (root / "models.toml").write_text('version = 1\n[models.a]\nsource = "https://models.example.org/a.onnx"\n')
    if what == "uv.lock":
        (root / "uv.lock").unlink()
    for module, name in ((aptsources, "machine_mirror"), (hashes, "hash_urls"), (sources, "resolve"), (uv, "lock")):
        monkeypatch.setattr(module, name, refuse_all)
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    with pytest.raises(MachineError) as caught:
        init(root, init_module.Options())
    refused = str(caught.value)
    if what != "uv.lock":
        with pytest.raises(MachineError) as caught:
            pinning.lock(find_project(root), Options())
        assert str(caught.value) == refused
    assert refused == (
        f"{root}: cannot be written (Read-only file system); nothing was changed\n"
        "  hint: make the folder writable, or work on a copy"
    )


def test_what_is_up_to_date_may_be_read_only(mounted: Path) -> None:
    root = make(mounted / "p", 'python = "3.13"\n')
    pinning.lock(find_project(root), Options())
    subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    pinning.lock(find_project(root), Options())


def test_the_folder_of_the_tarballs() -> None:
    assert busybox.FOLDER == "nix/nixgen/bootstrap"


def test_the_command(tmp_path: Path) -> None:
    root = make(tmp_path / "p", 'python = "3.13"\n')
    done = nixgen("lock", "--project", str(root), "--offline")
    assert (done.stdout, done.stderr.splitlines()) == (
        "",
        [
            "Pinned nixpkgs nixos-26.05 at 5880666fd9eb (glibc 2.42), Python 3.13.",
            "wrote nixgen.lock",
            "then, to set the project up: nixgen init",
        ],
    )
    (root / "default.nix").write_text("{ }\n")
    assert (
        nixgen("lock", "--project", str(root), "--offline").stderr
        == "nixgen.lock: nothing to do, every pin still fits.\n"
    )
    make(root, 'python = "3.13"\ntools = ["git"]\nlibraries = ["zlib"]\n')
    again = nixgen("lock", "--project", str(root), "--offline").stderr.splitlines()
    assert again[-2:] == ["wrote nixgen.lock", "then: nixgen sync"]
    make(root, 'base = "debian"\npython = "3.13"\n')
    failed = nixgen("lock", "--project", str(root), "--mirror", "ftp://mirror.example.org")
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: --mirror: Nix cannot fetch packages from ftp://mirror.example.org\n")
    help_text = nixgen("lock", "--help").stdout
    assert "Example: nixgen lock --upgrade" in help_text
    assert "Exit codes: 0 done" in help_text


def test_what_another_run_wrote_while_this_one_waited_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ``nixgen lock`` at once: the first writes what a source is known to need into pyproject.toml."""
    root = make(tmp_path / "p", 'python = "3.13"\n')

    @contextlib.contextmanager
    def waited(_root: Path, _announce: object) -> Iterator[bool]:
        make(root, 'python = "3.13"\ntools = ["jq"]\n')
        yield True

    monkeypatch.setattr(files, "exclusive", waited)
    assert run(root, offline=True).base.tools == ("jq",)
