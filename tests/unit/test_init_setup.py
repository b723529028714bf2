"""nixgen init: what it writes and says, and which options and settings it heeds."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.initproject import (
    EVERY_FILE,
    PYPROJECT,
    Run,
    made,
    outside_library,
    problems,
    runner,
    tree,
    uv_lock,
)
from support.plans import DEBIAN

from nixgen.bases.debian import sources
from nixgen.bases.nixpkgs import PINS
from nixgen.bases.python import default_systems
from nixgen.errors import BuildFailed
from nixgen.generate import flakelock, planning, write
from nixgen.init import installsource
from nixgen.lock import pinning
from nixgen.lock.lockfile import dump_lock, parse_lock
from nixgen.lock.model import Lock
from nixgen.nix.nar import hash_path
from nixgen.project.edit import Value
from nixgen.project.project import Project
from nixgen.resolve import uv


def states(root: Path) -> dict[Path, tuple[int, int, int]]:
    """Which file it is, its permissions, and when it was written: what a reader does not change."""
    found = {path: path.stat() for path in root.rglob("*")}
    return {path: (state.st_ino, state.st_mode, state.st_mtime_ns) for path, state in found.items()}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nixgen came from an index: a CI job is written."""
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made(tmp_path / "work/demo")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The debian base without apt: its pins are the hand-made ones. Gives the tarballs."""
    data = {f"nix/nixgen/bootstrap/{one.file}": one.system.encode() for one in DEBIAN.bootstrap}
    pinned = tuple(replace(one, sha256=hashlib.sha256(one.system.encode()).hexdigest()) for one in DEBIAN.bootstrap)

    real = pinning.pins

    def pins(
        project: Project, options: pinning.Options, old: Lock | None
    ) -> tuple[Lock, dict[str, bytes], dict[str, Value]]:
        settings = project.settings
        if settings.base == "nixpkgs":
            return real(project, options, old)
        systems = default_systems(settings)
        bootstrap = tuple(one for one in pinned if one.system in systems)
        debs = tuple(one for one in DEBIAN.debs if one.system in systems)
        base = replace(DEBIAN, libraries=settings.libraries, tools=settings.tools, bootstrap=bootstrap, debs=debs)
        found = {path: data for path, data in data.items() if any(system in path for system in systems)}
        return Lock(base), found, {}

    monkeypatch.setattr(pinning, "pins", pins)
    return data


def test_what_is_written_and_said(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installsource, "requirement", lambda: "nixgen==0.1.0")
    said = run(project)
    library = len(tree(project / "nix"))
    assert said == [
        f"The project is demo in {project}.",
        "Pinned nixpkgs nixos-26.05 at 5880666fd9eb (glibc 2.42), Python 3.14.",
        "wrote pyproject.toml",
        "wrote nixgen.lock",
        "wrote flake.nix",
        "wrote flake.lock",
        "wrote shell.nix",
        "wrote .github/workflows/reproducibility.yml",
        "wrote .gitignore",
        "wrote .gitattributes",
        "wrote default.nix",
        f"nix/nixgen/: {library} written",
        "The base is nixpkgs, fetched from GitHub; without it: nixgen init --base debian",
        "No git repository: Nix copies all that lies in this folder, data included. "
        "To have one: git init && git add --all",
        "Enter the environment: nixgen shell (teammates: nix develop, or nix-shell without flakes)",
    ]
    assert outside_library(project) == EVERY_FILE
    assert (project / "pyproject.toml").read_text() == (
        PYPROJECT + '\n[tool.nixgen]\nbase = "nixpkgs"\npython = "3.14"\n'
    )
    assert (project / ".gitignore").read_text() == "result\nresult-*\n.venv\n"
    assert parse_lock((project / "nixgen.lock").read_text()).base.kind == "nixpkgs"
    assert 'file = "plain-1.0-py3-none-any.whl"' in (project / "default.nix").read_text()
    node = json.loads((project / "flake.lock").read_text())["nodes"]["nixpkgs"]
    assert node["locked"]["narHash"] == PINS["nixos-26.05"].nar_hash
    assert node["original"] == {"owner": "NixOS", "ref": "nixos-26.05", "repo": "nixpkgs", "type": "github"}


def test_what_init_wrote_is_what_generate_would_write(project: Path, run: Run) -> None:
    from nixgen.project.project import find_project

    run(project)
    write.check(project, planning.outputs(find_project(project)))


@pytest.mark.parametrize("options", [{}, {"base": "nixpkgs", "python": "3.13"}, {"force": True}])
def test_a_second_run_changes_nothing(project: Path, run: Run, options: dict[str, Any]) -> None:
    run(project, **options)
    before = states(project)
    assert run(project, **options) == [f"The project is demo in {project}.", "Everything is up to date."]
    assert states(project) == before


def test_the_project_is_found_upwards(project: Path, run: Run) -> None:
    (project / "src/deep").mkdir(parents=True)
    run(project / "src/deep")
    assert outside_library(project) == EVERY_FILE


def test_the_options_become_settings(project: Path, run: Run) -> None:
    run(project, python="3.12", systems=("x86_64-linux", "aarch64-linux"), nixpkgs="nixos-unstable")
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["nixgen"] == {
        "base": "nixpkgs",
        "python": "3.12",
        "systems": ["aarch64-linux", "x86_64-linux"],
        "nixpkgs": "nixos-unstable",
    }
    assert "github:NixOS/nixpkgs/nixos-unstable" in (project / "flake.nix").read_text()
    assert 'systems = [ "aarch64-linux" "x86_64-linux" ];' in (project / "nix/nixgen/base.nix").read_text()


def test_a_revision_of_nixpkgs(project: Path, run: Run) -> None:
    rev, nar_hash = "7" * 40, "sha256-" + "A" * 43 + "="
    run(project, nixpkgs=f"{rev}@{nar_hash}")
    assert f"github:NixOS/nixpkgs/{rev}" in (project / "flake.nix").read_text()
    assert json.loads((project / "flake.lock").read_text())["nodes"]["nixpkgs"]["locked"]["rev"] == rev
    assert run(project)[-1] == "Everything is up to date."


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"base": "ubuntu"}, '--base: "ubuntu" is not known\n  hint: use one of nixpkgs, debian'),
        ({"systems": ("x86-linux",)}, '--system: "x86-linux" is not a system\n  hint: did you mean x86_64-linux?'),
        ({"systems": ("aarch64-linux", "x86_64-windows")}, '--system: "x86_64-windows" is not a system\n'),
        ({"base": "debian", "systems": ("aarch64-darwin",)}, "--system: the debian base cannot serve aarch64-darwin\n"),
        ({"nixpkgs": "nixos-1.0"}, '--nixpkgs: "nixos-1.0" is not a pin that nixgen knows\n'),
        ({"nixpkgs": "abc@sha256-x"}, '--nixpkgs: "abc@sha256-x" is not a revision with its hash'),
        ({"python": "2.7"}, "--python: "),
        ({"python": "3.9"}, "--python: "),
        ({"base": "debian", "nixpkgs": "nixos-26.05"}, "--nixpkgs: is a setting of the nixpkgs base"),
    ],
)
def test_options_that_cannot_be_met(project: Path, options: dict[str, Any], expected: str) -> None:
    assert problems(project, **options)[0].startswith(expected)


def test_what_the_file_says_is_not_blamed_on_an_option(project: Path) -> None:
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(text + '\n[tool.nixgen]\nsystems = ["x86_64-linux"]\nsuite = "bookworm"\n')
    (said,) = problems(project, base="nixpkgs", systems=("aarch64-linux",))
    assert said.startswith("pyproject.toml: tool.nixgen.suite: is a setting of the debian base")


def test_what_is_said_of_a_suite_that_has_the_python_works(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Case 42: suite alone would be a setting of a base that no file names yet."""
    monkeypatch.setattr(pinning, "pins", lambda project, *_: pytest.fail(f"pins {project.settings.suite}"))
    (said,) = problems(project, base="debian", python="3.12")
    settings = re.findall(r'\w+ = "\w+"', said)
    assert settings == ['base = "debian"', 'suite = "noble"']
    (project / "pyproject.toml").write_text(PYPROJECT + "\n[tool.nixgen]\n" + "\n".join(settings) + "\n")
    with pytest.raises(pytest.fail.Exception, match="pins noble"):
        run(project, base="debian", python="3.12")


UBUNTU = """\
Types: deb
URIs: http://archive.example.org/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Types: deb
URIs: http://security.example.org/ubuntu/
Suites: noble-security
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
"""


@pytest.fixture
def ubuntu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with the sources of a fresh Ubuntu 24.04, where pinning says what it would pin."""
    place = tmp_path / "apt/sources.list.d/ubuntu.sources"
    place.parent.mkdir(parents=True)
    place.write_text(UBUNTU)
    monkeypatch.setattr(sources, "APT", tmp_path / "apt")

    def pins(project: Project, *_: object) -> None:
        pytest.fail(f"pins {project.settings.suite} {project.settings.python}")

    monkeypatch.setattr(pinning, "pins", pins)
    return place


@pytest.mark.parametrize("suite", ["noble", "jammy", "resolute"])  # its mirror has all suites
def test_on_ubuntu_the_debian_base_is_its_noble(
    project: Path, run: Run, ubuntu: Path, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ubuntu.write_text(UBUNTU.replace("noble", suite))
    with pytest.raises(pytest.fail.Exception, match=r"pins noble 3\.12"):
        run(project, base="debian")
    told = "This machine's apt has Ubuntu's packages: the base is Ubuntu noble (Debian's: --mirror ADDRESS)\n"
    assert told in capsys.readouterr().err
    (project / ".python-version").write_text("3.12\n")  # uv init's, on 24.04
    with pytest.raises(pytest.fail.Exception, match=r"pins noble 3\.12"):
        run(project, base="debian")


def test_on_ubuntu_another_python_is_told_with_all_ways_on(project: Path, ubuntu: Path) -> None:
    assert ubuntu.exists()
    what = "this machine's apt has Ubuntu's packages and not Debian's, and Ubuntu noble has Python 3.12 only"
    both = "nixgen init --base nixpkgs\n    or with Debian's: nixgen init --base debian --mirror ADDRESS"
    asked = f"--python: {what}\n  hint: nixgen init --base debian --python 3.12\n    or: {both}"
    assert problems(project, base="debian", python="3.13") == [asked]
    (project / ".python-version").write_text("3.13\n")
    pinned = f".python-version: {what}\n  hint: uv python pin 3.12 && nixgen init --base debian\n    or: {both}"
    assert problems(project, base="debian") == [pinned]
    text = PYPROJECT.replace('requires-python = ">=3.11"', 'requires-python = ">=3.13"')
    assert text != PYPROJECT
    (project / "pyproject.toml").write_text(text)
    assert problems(project, base="debian") == [f".python-version: {what}\n  hint: {both}"]


@pytest.mark.parametrize(
    ("more", "settings", "options"),
    [
        ("deb http://mirror.example.org/debian trixie main\n", "", {}),
        ("", '\n[tool.nixgen]\nbase = "debian"\nsuite = "trixie"\n', {}),
        ("", "", {"mirrors": ("http://mirror.example.org/debian",)}),
        ("", '\n[tool.nixgen]\nbase = "debian"\n', {"lock": True}),
    ],
    ids=["a mirror of Debian's", "a suite", "--mirror", "pinned elsewhere"],
)
def test_on_ubuntu_what_says_debian_counts(
    project: Path, run: Run, ubuntu: Path, more: str, settings: str, options: dict[str, Any]
) -> None:
    (ubuntu.parent / "debian.list").write_text(more)
    (project / "pyproject.toml").write_text(PYPROJECT + settings)
    if options.pop("lock", False):
        (project / "nixgen.lock").write_text(dump_lock(Lock(DEBIAN, ())))
    with pytest.raises(pytest.fail.Exception, match=r"pins (trixie|None) 3\.1[13]"):
        run(project, base="debian", **options)


def test_the_version_file_is_heeded(project: Path, run: Run) -> None:
    (project / ".python-version").write_text("3.12\n")
    run(project)
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["nixgen"]["python"] == "3.12"


def test_systems_without_wheels_are_left_out_and_told(project: Path, run: Run) -> None:
    (project / "uv.lock").write_text(uv_lock("cp314-cp314-manylinux_2_28_x86_64", "cp314-cp314-macosx_11_0_arm64"))
    said = [line for line in run(project) if line.startswith("Left out")]
    assert [line.partition(", because plain ")[0] for line in said] == [
        "Left out: aarch64-linux",
        "Left out: x86_64-darwin",
    ]
    assert tomllib.loads((project / "pyproject.toml").read_text())["tool"]["nixgen"]["systems"] == [
        "aarch64-darwin",
        "x86_64-linux",
    ]
    assert run(project)[-1] == "Everything is up to date."


def test_a_system_that_was_asked_for_is_not_left_out(project: Path) -> None:
    (project / "uv.lock").write_text(uv_lock("cp314-cp314-manylinux_2_28_x86_64"))
    found = problems(project, systems=("x86_64-linux", "aarch64-linux"))
    assert len(found) == 1
    assert found[0].startswith("plain (aarch64-linux): ")


def test_a_package_that_has_a_wheel_nowhere(project: Path) -> None:
    (project / "uv.lock").write_text(uv_lock("cp39-cp39-manylinux_2_28_x86_64"))
    found = problems(project)
    for system in ("aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"):
        assert any(problem.startswith("plain (") and system in problem for problem in found)


def test_uv_lock_is_made_where_there_is_none(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "uv.lock").unlink()
    monkeypatch.setattr(uv, "lock", lambda root, **_: (root / "uv.lock").write_text(uv_lock("py3-none-any")))
    assert run(project)[1] == "There is no uv.lock: running uv lock."
    assert outside_library(project) == EVERY_FILE


def test_no_project(tmp_path: Path) -> None:
    assert "pyproject.toml" in problems(tmp_path)[0]


def test_unreadable_toml(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n")
    assert problems(project)[0].startswith("pyproject.toml: ")


def test_the_debian_base(project: Path, run: Run, debian: dict[str, bytes]) -> None:
    said = run(project, base="debian", python="3.11")
    assert "Pinned Debian bookworm for aarch64-linux: 1 packages, 2.0 KiB, Python 3.11, glibc 2.36." in said
    found = tree(project)
    assert {path: found[path] for path in debian} == debian
    node = json.loads(found["flake.lock"])["nodes"]["nixpkgs"]
    assert node["locked"]["narHash"] == hash_path(project / "nix/nixgen")
    assert flakelock.DEBIAN_URL in found["flake.nix"].decode()
    assert run(project)[-1] == "Everything is up to date."
    assert tree(project) == found


def test_the_other_base_is_named_where_none_was_chosen(project: Path, run: Run) -> None:
    """Only then, and once."""
    told = "The base is nixpkgs, fetched from GitHub; without it: nixgen init --base debian"
    assert told not in run(made(project.parent / "flag"), base="nixpkgs")
    written = made(project.parent / "written")
    (written / "pyproject.toml").write_text(PYPROJECT + '\n[tool.nixgen]\nbase = "nixpkgs"\n')
    assert told not in run(written)
    assert told in run(project)
    assert told not in run(project, python="3.13")


def test_another_base_rewrites_a_flake_that_nobody_touched(project: Path, run: Run, debian: dict[str, bytes]) -> None:
    run(project, base="debian", python="3.11")
    run(project, base="nixpkgs")
    found = tree(project)
    assert "github:NixOS/nixpkgs/nixos-26.05" in found["flake.nix"].decode()
    assert json.loads(found["flake.lock"])["nodes"]["nixpkgs"]["locked"]["type"] == "github"
    assert not debian.keys() & found.keys()


@pytest.mark.usefixtures("debian")
def test_another_base_has_a_python_of_its_own(project: Path, run: Run) -> None:
    """Not the newest of nixpkgs, which only Debian's testing has; but one that lasts, and one that is asked for."""
    run(project)
    assert 'python = "3.14"' in (project / "pyproject.toml").read_text()
    said = run(project, base="debian")
    assert said[1] == "Choosing Python anew: 3.14 was for the nixpkgs base."
    assert 'python = "3.13"' in (project / "pyproject.toml").read_text()
    assert "Choosing" not in "".join(run(project, base="nixpkgs"))
    assert 'python = "3.13"' in (project / "pyproject.toml").read_text()
    run(project, base="debian", python="3.14")
    assert 'python = "3.14"' in (project / "pyproject.toml").read_text()
    run(project, base="debian")
    assert 'python = "3.14"' in (project / "pyproject.toml").read_text()


def test_a_system_that_is_added_later_is_pinned(project: Path, run: Run, debian: dict[str, bytes]) -> None:
    run(project, base="debian", python="3.11", systems=("x86_64-linux",))
    assert len(debian.keys() & tree(project).keys()) == 1
    run(project, systems=("x86_64-linux", "aarch64-linux"))
    assert debian.keys() <= tree(project).keys()


def test_an_environment_of_nothing_is_told(project: Path, run: Run) -> None:
    text = (project / "pyproject.toml").read_text()
    (project / "pyproject.toml").write_text(re.sub(r"(?s)dependencies = \[.*?\]", "dependencies = []", text))
    (project / "uv.lock").unlink(missing_ok=True)
    assert (
        "warning: demo installs nothing, so the environment is empty; add what it needs: uv add NAME "
        "(in a workspace, the root must depend on its members: uv add MEMBER)"
    ) in run(project)


@pytest.mark.usefixtures("debian")
def test_another_base_takes_the_systems_that_it_serves(project: Path, run: Run) -> None:
    """Case 54: the systems that init itself wrote do not stand in the way of another base."""
    run(project, systems=("x86_64-linux", "aarch64-darwin"))
    said = run(project, base="debian")
    assert "Left out: aarch64-darwin, which the debian base does not serve" in said
    assert 'systems = ["x86_64-linux"]' in (project / "pyproject.toml").read_text()


def test_a_pin_of_nixpkgs_that_has_dropped_a_system(project: Path, run: Run) -> None:
    """26.11 has no Macs with Intel's processors: init offers none, drops its own, and refuses one that is named."""
    run(project, systems=("x86_64-linux", "x86_64-darwin"))
    said = run(project, nixpkgs="nixos-unstable")
    assert "Left out: x86_64-darwin, which nixos-unstable does not serve" in said
    assert 'systems = ["x86_64-linux"]' in (project / "pyproject.toml").read_text()
    assert problems(project, systems=("x86_64-darwin",)) == [
        "--system: nixpkgs has dropped x86_64-darwin, and nixos-unstable does not have it any more\n"
        '  hint: take it out, or set nixpkgs = "nixos-26.05", the last one that serves it'
    ]
    fresh = made(project.parent / "fresh")
    run(fresh, nixpkgs="nixos-unstable")
    assert "x86_64-darwin" not in (fresh / "nix/nixgen/base.nix").read_text()


def test_what_is_in_the_way_is_told_before_anything_is_fetched(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Case 67: apt takes its time."""
    monkeypatch.setattr(pinning, "pins", lambda *_: pytest.fail("pinned first"))
    (project / "flake.nix").write_text("{ }\n")
    (project / "shell.nix").write_text("{ }\n")
    assert [problem.partition(":")[0] for problem in problems(project)] == ["flake.nix", "shell.nix"]


@pytest.mark.parametrize(
    ("name", "make", "what"),
    [
        ("nixgen.lock", lambda path: path.symlink_to(path.name), "cannot be followed"),
        ("nixgen.lock", lambda path: path.write_text("{x"), "is not JSON"),
        ("nixgen.lock", lambda path: path.write_text('{"version": 9}'), "this nixgen knows 1 to 2"),
        ("nixgen.lock", lambda path: path.symlink_to("/etc/nixgen.lock"), "leads out of the project"),
        ("default.nix", lambda path: path.symlink_to(path.name), "cannot be followed"),
        (".gitignore", lambda path: path.symlink_to("../ignored"), "leads out of the project"),
    ],
)
def test_what_cannot_be_read_or_written_is_told_before_anything_is_locked(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[Path], object], what: str
) -> None:
    """uv needs the network, and apt takes its time."""
    monkeypatch.setattr(pinning, "pins", lambda *_: pytest.fail("pinned first"))
    monkeypatch.setattr(uv, "lock", lambda *_, **__: pytest.fail("locked first"))
    (project / "uv.lock").unlink()
    make(project / name)
    (told,) = problems(project)
    assert told.startswith(f"{name}: ")
    assert what in told


def test_a_mistake_in_models_toml_is_told_before_anything_is_fetched(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinning, "_base", lambda *_: pytest.fail("asked apt first"))
    (project / "models.toml").write_text("version = 1\n[models.a]\n")
    (told,) = problems(project, base="debian", systems=("x86_64-linux",))
    assert told.startswith("models.toml: models.a.source: is missing")


def test_what_stands_in_the_way_of_the_first_run_is_mended_by_another_first_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``nixgen lock`` alone would lock for the default base: no setting is written yet."""

    def fail(*_: object) -> None:
        mend = "have this in pyproject.toml, then: nixgen sync\n  [tool.nixgen.packages.shop]"
        raise BuildFailed.of("shop-1.0-dynamic", "cannot be built", mend)

    monkeypatch.setattr(pinning, "pins", fail)
    assert problems(project, base="debian", python="3.13", systems=("x86_64-linux",)) == [
        "shop-1.0-dynamic: cannot be built\n"
        "  hint: have this in pyproject.toml, then: nixgen init --base debian --python 3.13 --system x86_64-linux\n"
        "      [tool.nixgen.packages.shop]"
    ]


def test_init_from_that_was_killed_goes_on_with_the_options_that_it_had(project: Path) -> None:
    """Behind the conversion pyproject.toml and uv.lock are there, and the same command is refused."""
    (told,) = problems(project, source="requirements.txt", base="debian", systems=("x86_64-linux",))
    assert told == (
        "uv.lock: is there: this is a uv project already\n  hint: nixgen init --base debian --system x86_64-linux"
    )
