"""What builds need, found with a double of Nix and a package index on loopback: what is pinned, kept and refused."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support import remembered
from support.gitserver import Repository, serving
from support.gitserver import Server as GitServer
from support.index import Index
from support.sdists import make_sdist
from support.wheels import make_wheel, sha256

from nixgen.artifacts.store import Folder, Store
from nixgen.bases.model import Deb, DebianBase
from nixgen.bases.python import targets
from nixgen.builds import asked, checkouts, downloads, finding, probe, use
from nixgen.builds.checkouts import Checkout
from nixgen.builds.crates import Named
from nixgen.builds.model import Builds, UnservedError
from nixgen.builds.pins import dump, sorted_builds
from nixgen.builds.probe import Static
from nixgen.errors import BuildFailed, MachineError, NixgenError, UserError
from nixgen.project.project import find_project
from nixgen.resolve import environments, logins, uv
from nixgen.resolve.model import Resolution

Serve = Callable[..., Index]
BASE = DebianBase("bookworm", "3.11", "2.36", (), (), (), ())
SETUPTOOLS = "setuptools-80.0-py3-none-any.whl"
BOTH = '["aarch64-linux", "x86_64-linux"]'


@dataclass
class Sources:
    """A double of what is asked in the sandbox.

    ``static`` and ``dynamic`` are requirements by name, ``places`` where they come from; ``broken`` are questions that
    cannot be answered, like "static old".
    """

    static_: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dynamic_: dict[str, tuple[str, ...]] = field(default_factory=dict)
    depends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    crates: dict[str, tuple[Named, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    errors: list[NixgenError] = field(default_factory=list)

    def answered(self, question: str, answer: Any) -> Any:
        if question not in self.broken:
            return answer
        self.errors.append(BuildFailed.of(question, "cannot be built"))
        return None

    def static(self, rows: Sequence[Mapping[str, Any]]) -> list[Static | None]:
        self.asked += [f"static {row['name']}" for row in rows]
        self.rows |= {row["name"]: row for row in rows}
        said = {
            name: Static(
                self.static_.get(name, ("setuptools",)),
                1_600_000_000,
                row["version"],
                self.places.get(name, ""),
                self.crates.get(name, ()),
            )
            for name, row in ((row["name"], row) for row in rows)
        }
        return [self.answered(f"static {name}", one) for name, one in said.items()]

    def dynamic(self, rows: Sequence[Mapping[str, Any]], builds: Sequence[Any], wheels: Sequence[Any]) -> list[Any]:
        known = {row["file"] for row in wheels} | {f"{row['name']}=={row['version']}" for row in builds}
        for row in rows:
            self.asked.append(f"dynamic {row['name']}")
            assert set(row["requires"]) <= known
        return [self.answered(f"dynamic {row['name']}", self.dynamic_.get(row["name"], ())) for row in rows]

    def dependencies(self, key: str, builds: Sequence[Any], _wheels: Sequence[Any]) -> tuple[str, ...]:
        assert key in {f"{row['name']}=={row['version']}" for row in builds}
        self.asked.append(f"built {key}")
        return self.depends.get(key, ())


@dataclass
class World:
    """A project of what the index has, and what is asked of its sources."""

    root: Path
    index: Index
    sources: Sources
    base: DebianBase = BASE
    systems: str = '["x86_64-linux"]'  # half of uv's work; BOTH where a test is about two, "" for the default ones

    def depend(self, *names: str, more: str = "") -> None:
        """Writes pyproject.toml, and locks."""
        listed = ", ".join(f'"{name}"' for name in names)
        systems = f"systems = {self.systems}\n" if self.systems else ""
        self.root.mkdir(exist_ok=True)
        (self.root / "pyproject.toml").write_text(
            f'[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = [{listed}]\n'
            f'[[tool.uv.index]]\nname = "loopback"\nurl = "{self.index.simple}"\ndefault = true\n'
            f'[tool.nixgen]\nbase = "debian"\npython = "3.11"\n{systems}{more}'
        )
        remembered.lock(self.root)

    def resolutions(self) -> tuple[Resolution, ...]:
        project = find_project(self.root)
        wanted = targets(project.settings, None, "3.11", "3.11.2")
        return environments.select(project, environments.export(project, {}), wanted, "2.36", {})[0]

    def find(self, old: Builds | None = None, **options: bool) -> Builds:
        project = find_project(self.root)
        found = finding.find(project, self.base, {}, self.resolutions(), old or Builds(), finding.Options(**options))
        assert not use.used(asked.read(project, self.base, self.resolutions()), self.resolutions(), found).problems
        return found

    def rows(self, builds: Builds) -> dict[str, dict[str, Any]]:
        """The rows of default.nix, by name."""
        project = find_project(self.root)
        wanted = asked.read(project, BASE, self.resolutions())
        found = use.used(wanted, self.resolutions(), builds)
        return {one.build.name: use.planned_row(wanted, one) for one in found.builds}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "git").mkdir()
    with serving(tmp_path / "git") as server:
        yield server


@pytest.fixture
def world(index: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    folder = tmp_path / "served"
    make_wheel(folder, "setuptools", "80.0")
    make_wheel(folder, "cython", "3.0")
    for name in ("old", "more", "plugin", "loop"):
        make_sdist(folder, name, "1.0")
    sources = Sources()

    @contextmanager
    def opened(*_: object) -> Iterator[Sources]:
        yield sources

    monkeypatch.setattr(probe, "opened", opened)
    return World(tmp_path / "demo", index(folder), sources)


def requires(builds: Builds, name: str) -> dict[str, tuple[str, ...]]:
    (build,) = (one for one in builds.sources if one.name == name)
    return dict(build.requires)


def test_what_a_source_and_its_backend_want_is_pinned(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.systems = BOTH
    world.depend("old", "more")
    world.sources.dynamic_ = {"more": ("cython>=3; sys_platform == 'linux'",)}
    found = world.find()
    assert [one.key for one in found.sources] == ["more==1.0", "old==1.0"]
    assert requires(found, "old") == dict.fromkeys(("aarch64-linux", "x86_64-linux"), (SETUPTOOLS,))
    assert requires(found, "more")["x86_64-linux"] == ("cython-3.0-py3-none-any.whl", SETUPTOOLS)
    assert [wheel.file for wheel in found.wheels] == ["cython-3.0-py3-none-any.whl", SETUPTOOLS]
    (old,) = (one for one in found.sources if one.name == "old")
    path = world.index.folder / "old-1.0.tar.gz"
    assert (old.source, old.file, old.sha256) == (world.index.url(path), path.name, sha256(path))
    assert (old.epoch, old.size, old.asked) == (1_600_000_000, None, "x86_64-linux")
    assert world.rows(found)["old"]["asked"] == "x86_64-linux"
    assert world.sources.asked == ["static more", "static old", "dynamic more", "dynamic old"]
    said = "What backends asked for on x86_64-linux is taken for aarch64-linux, too: more\n"
    assert said in capsys.readouterr().err


def test_a_source_without_code_to_compile_is_built_without_compilers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless its backend, or the project, adds what may make some."""
    static = Sources.static
    monkeypatch.setattr(Sources, "static", lambda *args: [replace(one, compiled=False) for one in static(*args)])
    world.depend("old", "more")
    world.sources.dynamic_ = {"more": ("cython",)}
    assert {one.name: one.pure for one in world.find().sources} == {"more": False, "old": True}
    world.depend("old", more='[tool.uv]\nextra-build-dependencies = {old = ["cython"]}\n')
    assert [one.pure for one in world.find().sources] == [False]


def test_pins_that_fit_are_kept(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.depend("old")
    first = world.find()
    make_wheel(world.index.folder, "setuptools", "81.0")
    world.sources.asked.clear()
    assert world.find(first) == first
    assert world.find(first, offline=True) == first
    world.depend("old", "more")
    both = world.find(first)
    assert world.sources.asked == ["static more", "dynamic more"]
    assert requires(both, "old") == requires(first, "old")
    assert requires(both, "more")["x86_64-linux"] == ("setuptools-81.0-py3-none-any.whl",)
    world.depend("old")
    assert world.find(both) == first
    assert requires(world.find(both, upgrade=True), "old")["x86_64-linux"] == ("setuptools-81.0-py3-none-any.whl",)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "more",
    [
        '[tool.nixgen.packages.old]\nenv = {A = "1"}\n',
        '[tool.uv]\nbuild-constraint-dependencies = ["setuptools<90"]\n',
        '[tool.uv.extra-build-dependencies]\nold = ["cython"]\n',
        '[tool.uv.extra-build-variables]\nold = {A = "1"}\n',
        '[tool.nixgen.packages.old]\npatches = ["old.patch"]\n',
        '[tool.uv]\nconfig-settings = {fast = "1"}\n',
    ],
)
@pytest.mark.heavy
def test_what_decides_the_requirements_makes_pins_old(world: World, more: str) -> None:
    world.depend("old")
    (world.root / "old.patch").write_text("--- a\n")
    first = world.find()
    world.depend("old", more=more)
    project = find_project(world.root)
    (problem,) = use.used(asked.read(project, BASE, world.resolutions()), world.resolutions(), first).problems
    assert str(problem) == "nixgen.lock: has old pins to build old\n  hint: nixgen sync"
    with pytest.raises(UserError) as caught:
        world.find(first, offline=True)
    assert str(caught.value) == ("nixgen.lock: has no pins to build old\n  hint: run it with the network: nixgen sync")
    world.find(first)


def test_settings_of_a_package(world: World) -> None:
    more = '[tool.nixgen.packages.old]\nenv = {B = "2"}\nbuild-libraries = ["libpq-dev"]\npatches = ["a b.patch"]\n'
    more += 'timeout = 60\n[tool.uv.extra-build-variables]\nold = {A = "1", B = "1"}\n'
    more += '[tool.uv]\nconfig-settings = {all = "1", both = "1"}\n'
    more += 'config-settings-package = {Old = {own = ["a", "b"], both = "2"}}\n'
    world.depend("old", more=more)
    with pytest.raises(UserError) as caught:
        world.find()
    assert str(caught.value).startswith("pyproject.toml: tool.nixgen.packages.old.patches: a b.patch is missing")
    (world.root / "a b.patch").write_text("--- a\n")
    row = world.rows(world.find())["old"]
    assert row["env"] == {"A": "1", "B": "2"}
    assert row["settings"] == {"all": "1", "own": ["a", "b"], "both": ["2", "1"]}
    assert (row["needs"], row["patches"], row["timeout"]) == (True, ["a b.patch"], 60)
    assert world.sources.rows["old"]["patches"] == ["a b.patch"]


def test_extra_build_dependencies_with_the_version_of_the_environment(world: World) -> None:
    make_wheel(world.index.folder, "numpy", "1.0")
    make_wheel(world.index.folder, "numpy", "2.0")
    extra = 'old = ["cython", {requirement = "numpy", match-runtime = true}]\n'
    world.depend("old", "numpy<2", more=f"[tool.uv.extra-build-dependencies]\n{extra}")
    assert requires(world.find(), "old")["x86_64-linux"] == (
        "cython-3.0-py3-none-any.whl",
        "numpy-1.0-py3-none-any.whl",
        SETUPTOOLS,
    )


def test_match_runtime_of_a_package_of_the_project_builds_that(world: World) -> None:
    code = world.root / "plug/plug/__init__.py"
    code.parent.mkdir(parents=True)
    code.write_text("")
    (world.root / "plug/pyproject.toml").write_text(
        '[project]\nname = "plug"\nversion = "2"\n[build-system]\nrequires = []\n'
    )
    world.sources.static_["plug"] = ()
    more = 'extra-build-dependencies = {old = [{requirement = "plug", match-runtime = true}]}\n'
    world.depend("old", "plug", more=f'[tool.uv]\n{more}sources = {{plug = {{path = "plug"}}}}\n')
    found = world.find()
    assert requires(found, "old")["x86_64-linux"] == ("plug==2", SETUPTOOLS)
    assert world.rows(found)["plug"]["installed"] is False


def test_match_runtime_is_refused_as_in_uv(world: World) -> None:
    """What is not installed, on one system or on all; and what names a version besides."""
    world.systems = BOTH
    extra = 'extra-build-dependencies = {old = [{requirement = "cython", match-runtime = true}]}\n'
    for other in ((), ("cython; sys_platform == 'win32'",)):
        world.depend("old", *other, more=f"[tool.uv]\n{extra}")
        with pytest.raises(UserError) as caught:
            world.find()
        (problem,) = caught.value.problems
        assert problem.where == "old"
        assert problem.what.startswith(
            "`cython` was declared as an extra build dependency with `match-runtime = true`, "
            "but was not found in the resolution for "
        )
    world.depend("old", "cython", more=f"[tool.uv]\n{extra.replace('cython', 'cython<4')}")
    with pytest.raises(
        UserError, match="`match-runtime = true` cannot include version specifiers, but found: `cython<4`"
    ):
        world.find()
    world.depend("more", more=f"[tool.uv]\n{extra}")
    assert requires(world.find(), "more")["x86_64-linux"] == (SETUPTOOLS,)


def test_pins_of_many_sources_that_are_old_are_one_problem(world: World) -> None:
    world.depend("old", "more", "plugin")
    first = world.find()
    world.depend("old", "more", "plugin", "loop", more='[tool.uv]\nbuild-constraint-dependencies = ["setuptools<90"]\n')
    found = use.used(asked.read(find_project(world.root), BASE, world.resolutions()), world.resolutions(), first)
    assert list(map(str, found.problems)) == [
        "nixgen.lock: has no pins to build loop\n  hint: nixgen sync",
        "nixgen.lock: has old pins to build more, old and plugin\n  hint: nixgen sync",
    ]


def test_no_build_isolation_builds_with_what_is_installed(world: World) -> None:
    """uv asks nobody what such a package requires: it is built last, in the environment itself."""
    world.systems = BOTH
    world.sources.static_ = {"old": ("gone",), "plugin": ()}
    setting = '[tool.uv]\nno-build-isolation-package = ["Old"]\n'
    world.depend("old", "plugin", "cython", more=setting)
    found = world.find()
    assert requires(found, "old") == dict.fromkeys(
        ("aarch64-linux", "x86_64-linux"), ("cython-3.0-py3-none-any.whl", "plugin==1.0")
    )
    assert [wheel.file for wheel in found.wheels] == ["cython-3.0-py3-none-any.whl"]
    assert world.find(found, offline=True) == found
    assert "dynamic old" not in world.sources.asked
    # What is installed is what it was built with.
    world.depend("old", "plugin", more=setting)
    assert requires(world.find(found), "old")["x86_64-linux"] == ("plugin==1.0",)
    world.depend("old", "plugin", "cython", more="[tool.uv]\nno-build-isolation = true\n")
    assert requires(world.find(), "old")["x86_64-linux"] == ("cython-3.0-py3-none-any.whl",)


def test_no_binary_and_no_build_hold_for_what_builds_require(world: World) -> None:
    make_sdist(world.index.folder, "cython", "3.0")
    world.sources.static_ = {"old": ("cython",), "cython": ()}
    world.depend("old", more='[tool.uv]\nno-binary-package = ["cython"]\n')
    assert requires(world.find(), "old")["x86_64-linux"] == ("cython==3.0",)
    world.sources.static_ = {"old": ("plugin",)}
    world.depend("old", more='[tool.uv]\nno-build-package = ["plugin"]\n')
    with pytest.raises(UserError, match="plugin: can't be built because it is marked as `--no-build`"):
        world.find()


@pytest.mark.parametrize("place", ["itself", "its sources", "the project's sources", "an address"])
@pytest.mark.heavy
def test_a_requirement_from_git_or_an_address(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: GitServer, place: str
) -> None:
    """As uv has it: the source's own [tool.uv.sources] count, and the project's for what that adds."""
    pyproject = '[project]\nname = "plugin"\nversion = "7"\n[build-system]\nrequires = []\n'
    made = Repository.make(tmp_path / "git/plugin", {"pyproject.toml": pyproject})
    url, commit = served.url("plugin"), made.git("rev-parse", "HEAD")
    version, address = "7", f"git+{url}@{commit}"
    more = f"# This is ours: {url}\n"
    world.sources.static_ = {"old": ("setuptools", "plugin"), "plugin": ()}
    if place == "itself":
        world.sources.static_["old"] = (f"plugin @ git+{url}",)
    elif place == "its sources":
        world.sources.places["old"] = json.dumps({"sources": {"Plugin": {"git": url, "branch": "main"}}, "index": []})
    elif place == "the project's sources":
        world.sources.static_["old"] = ()
        more = f'[tool.uv]\nextra-build-dependencies = {{old = ["plugin"]}}\nsources = {{plugin = {{git = "{url}"}}}}\n'
    else:
        version, address = "1.0", world.index.url(world.index.folder / "plugin-1.0.tar.gz")
        world.sources.static_["old"] = (f"plugin @ {address}",)
    checkout = Checkout(f"sha256-{'A' * 43}=", 7)
    monkeypatch.setattr(checkouts, "restore", lambda _: None)
    monkeypatch.setattr(checkouts, "fetched", lambda packages: {one.git: checkout for one in packages if one.git})
    world.depend("old", more=more)
    if version == "7":
        with pytest.raises(finding.NoGitError):
            world.find()
        git = Deb("git", "1", "x86_64-linux", "git", "http://localhost/git.deb", "0" * 64, 1)
        world.base = replace(BASE, debs=(git,))
    found = world.find()
    assert f"plugin=={version}" in requires(found, "old")["x86_64-linux"]
    (plugin,) = (one for one in found.sources if one.name == "plugin")
    assert plugin.source == address
    assert world.find(found, offline=True) == found


MEMBER = """[project]
name = "{name}"
version = "{version}"
[build-system]
requires = ["setuptools", "{requires}"]
[tool.setuptools]
ext-modules = [{{ name = "{name}._made", sources = ["{name}/made.c"] }}]
{more}
"""


@pytest.mark.heavy
def test_a_package_of_the_project_that_another_one_requires_to_build(world: World) -> None:
    """By ``workspace`` or ``path``, of its own pyproject.toml or the project's, and also where it is not installed."""
    world.systems = BOTH
    world.sources.static_ = {"nut": ("setuptools", "plug"), "plug": ("setuptools", "fig>1")}
    members = {
        "nut": MEMBER.format(name="nut", version="1", requires="plug", more=""),
        "plug": MEMBER.format(
            name="plug", version="2", requires="fig>1", more='[tool.uv.sources]\nfig = {path = "../../more/fig"}\n'
        ),
        "../more/fig": '[project]\nname = "fig"\ndynamic = ["version"]\n[build-system]\nrequires = []\n'
        '[tool.setuptools]\ndynamic = {version = {attr = "fig.__version__"}}\n',
    }
    for path, text in members.items():
        name = path.rpartition("/")[2]
        code = world.root / "libs" / path / name / "__init__.py"
        code.parent.mkdir(parents=True)
        code.write_text("__version__ = '3'\n")
        (world.root / "libs" / path / "pyproject.toml").write_text(text)
    more = (
        "[tool.uv]\npackage = false\nsources = {nut = {workspace = true}, plug = {workspace = true}}\n"
        'workspace = {members = ["libs/*"]}\n'
    )
    world.depend("nut", more=more)
    found = world.find()
    assert {one.key: one.source for one in found.sources} == {
        "fig==3": "folder:more/fig",
        "nut==1": "folder:libs/nut",
        "plug==2": "folder:libs/plug",
    }
    assert requires(found, "nut")["x86_64-linux"] == ("plug==2", SETUPTOOLS)
    assert requires(found, "plug")["aarch64-linux"] == ("fig==3", SETUPTOOLS)
    assert requires(found, "fig")["x86_64-linux"] == (SETUPTOOLS,)
    rows = world.rows(found)
    assert {name: (row["folder"], row.get("installed", True)) for name, row in rows.items()} == {
        "fig": ("more/fig", False),
        "nut": ("libs/nut", True),
        "plug": ("libs/plug", False),
    }
    assert world.find(found, offline=True) == found
    # What a required one depends on is part of the pins of all above it.
    fig = world.root / "more/fig/pyproject.toml"
    fig.write_text(fig.read_text().replace('["version"]', '["version"]\ndependencies = ["cython"]'))
    with pytest.raises(UserError, match="has no pins to build nut"):
        world.find(found, offline=True)
    world.sources.static_["fig"] = ("plug",)
    fig.write_text(fig.read_text().replace("requires = []", 'requires = ["plug"]'))
    with pytest.raises(UserError, match=r"cannot be built: plug==2 needs fig==3 needs plug==2"):
        world.find()


def log_in(how: str, index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives this user a login for the index, in one of the ways that uv knows."""
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    monkeypatch.setenv("UV_CREDENTIALS_DIR", str(folder / "credentials"))
    if how == "netrc":
        (folder / "netrc").write_text("machine 127.0.0.1 login demo password plum\n")
    elif how == "variables":
        monkeypatch.setenv("UV_INDEX_LOOPBACK_USERNAME", "demo")
        monkeypatch.setenv("UV_INDEX_LOOPBACK_PASSWORD", "plum")
    elif how == "uv auth login":
        words = ["auth", "login", "--quiet", index.simple, "--username", "demo", "--password", "plum"]
        subprocess.run([uv.binary(), *words], check=True)
    elif how.startswith("keyring"):
        # For the index, or for the host alone.
        known = index.simple if how == "keyring" else index.simple.split("/")[2]
        program = folder / "bin/keyring"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "get {known} demo" ] && echo plum\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("UV_KEYRING_PROVIDER", "subprocess")
        monkeypatch.setenv("UV_INDEX_LOOPBACK_USERNAME", "demo")
    else:
        monkeypatch.setenv("UV_INDEX", f"loopback={index.simple.replace('//', '//demo:plum@')}")


@pytest.mark.parametrize("how", ["netrc", "variables", "uv auth login", "an address", "keyring", "keyring of the host"])
@pytest.mark.heavy
def test_a_private_index(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Sources, wheels and what builds require are put where Nix finds them, and the login nowhere."""
    world.index.credentials = "demo:plum"
    log_in(how, world.index, tmp_path, monkeypatch)
    held = Folder(tmp_path / "held")
    monkeypatch.setattr(Store, "here", lambda: held)
    make_wheel(world.index.folder, "plain", "1.0")
    world.sources.dynamic_ = {"more": ("cython",)}
    world.depend("old", "more", "plain")
    found = world.find()
    files = {sha256(path): path.name for path in world.index.folder.iterdir()}
    there = {files[path.name] for path in held.folder.iterdir()}
    assert there == {"old-1.0.tar.gz", "more-1.0.tar.gz", SETUPTOOLS}  # what was asked and run for that
    secrets = ("plum", base64.b64encode(b"demo:plum").decode())
    written = [
        (world.root / "uv.lock").read_text(),
        json.dumps(dump(found)),
        repr(logins.read(find_project(world.root))),
    ]
    assert not [secret for secret in secrets for text in written if secret in text]
    # Another machine of the same user, or after its garbage was collected.
    shutil.rmtree(held.folder)
    asked_before = len(world.index.requests)
    user = logins.read(find_project(world.root))
    downloads.restore(world.resolutions(), found, "x86_64-linux", user)
    assert {files[path.name] for path in held.folder.iterdir()} == {
        *there,
        "cython-3.0-py3-none-any.whl",
        "plain-1.0-py3-none-any.whl",
    }
    assert len(world.index.requests) > asked_before
    downloads.restore(world.resolutions(), found, "x86_64-linux", user)
    assert len(world.index.requests) == asked_before + 5


def test_keyring_is_asked_for_the_user_of_an_address_in_the_project(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the project says ``keyring-provider``: else a name in an address may be a token."""
    log_in("keyring", world.index, tmp_path, monkeypatch)
    monkeypatch.delenv("UV_KEYRING_PROVIDER")
    monkeypatch.delenv("UV_INDEX_LOOPBACK_USERNAME")
    monkeypatch.setattr(Store, "here", lambda: Folder(tmp_path / "held"))
    world.depend("old", more='[tool.uv]\nkeyring-provider = "subprocess"\n')
    world.index.credentials = "demo:plum"
    path = world.root / "pyproject.toml"
    path.write_text(path.read_text().replace("//127", "//demo@127"))
    (world.root / "uv.lock").unlink()
    remembered.lock(world.root)
    assert "demo@" not in (world.root / "uv.lock").read_text()
    found = world.find()
    assert "demo@" not in json.dumps(dump(found))
    assert requires(found, "old")["x86_64-linux"] == (SETUPTOOLS,)
    path.write_text(path.read_text().replace('"subprocess"', '"disabled"'))
    with pytest.raises(UserError, match="carries credentials in"):
        find_project(world.root)


def test_a_private_index_without_a_login_or_with_other_bytes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.index.credentials = "demo:plum"
    log_in("netrc", world.index, tmp_path, monkeypatch)
    monkeypatch.setattr(Store, "here", lambda: Folder(tmp_path / "held"))
    world.depend("old", "more")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login demo password pear\n")
    with pytest.raises(MachineError) as caught:
        world.find()
    assert [problem.what for problem in caught.value.problems] == ["the server answered 401 Unauthorized"] * 2
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login demo password plum\n")
    make_sdist(world.index.folder, "old", "1.0", {"other": ""})
    with pytest.raises(UserError, match=r"old: old-1\.0\.tar\.gz is not what it should be: its SHA-256"):
        world.find()


def test_of_two_logins_for_a_host_each_index_gets_its_own() -> None:
    user = logins.Logins((("https://localhost/a", "A"), ("https://localhost/b", "B"), ("https://localhost/a/c", "C")))
    assert [user(f"https://localhost/{path}/x.whl") for path in ("a", "b", "a/c")] == ["A", "B", "C"]
    assert user("https://localhost/elsewhere/x.whl") in {"A", "B", "C"}
    assert user("http://localhost/a/x.whl") is None
    assert user("https://example.org/a/x.whl") is None
    assert user("https://localhost:8443/a/x.whl") is None


def test_a_requirement_without_a_wheel_is_built(world: World) -> None:
    world.systems = BOTH
    world.sources.static_ = {"old": ("setuptools", "plugin")}
    world.sources.depends = {"plugin==1.0": ("cython",)}
    world.depend("old")
    found = world.find()
    assert requires(found, "old")["aarch64-linux"] == (
        "cython-3.0-py3-none-any.whl",
        "plugin==1.0",
        SETUPTOOLS,
    )
    assert world.sources.asked == ["static old", "static plugin", "dynamic plugin", "built plugin==1.0", "dynamic old"]
    rows = world.rows(found)
    assert rows["plugin"]["installed"] is False
    assert "installed" not in rows["old"]
    world.sources.asked.clear()
    assert world.find(found) == found
    assert world.sources.asked == []
    # What is installed, too, is one build.
    world.depend("old", "plugin")
    both = world.find(found)
    assert [one.key for one in both.sources] == ["old==1.0", "plugin==1.0"]
    assert "installed" not in world.rows(both)["plugin"]


@pytest.mark.heavy
def test_a_system_where_a_build_lacks_what_it_requires_is_left_out_unless_it_is_named(world: World) -> None:
    make_wheel(world.index.folder, "fast", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(world.index.folder, "slow", "1.0", tag="cp311-cp311-macosx_11_0_arm64")
    world.systems = ""
    world.sources.static_["old"] = ("fast",)
    world.depend("old")
    with pytest.raises(UnservedError) as caught:
        world.find()
    assert caught.value.systems == {"aarch64-linux"}
    (problem,) = caught.value.error.problems
    assert problem.where == "old"
    assert problem.what.startswith("cannot be built: ")
    for more in ('systems = ["aarch64-linux", "x86_64-linux"]', 'environments.other.systems = ["aarch64-linux"]'):
        world.depend("old", more=f"{more}\n")
        with pytest.raises(UserError, match="old: cannot be built"):
            world.find()
    world.depend("old", more='systems = ["x86_64-linux"]\n')
    assert requires(world.find(), "old") == {"x86_64-linux": ("fast-1.0-cp311-cp311-manylinux_2_28_x86_64.whl",)}
    world.sources.static_["old"] = ("slow",)
    world.depend("old")
    with pytest.raises(UserError, match="old: cannot be built"):
        world.find()


def test_crates_that_cannot_be_pinned_are_told_with_what_mends_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a source of the index, and of a folder, whose Cargo.lock may be that of a workspace above it."""
    said = {"old": Static((), 7, "1", unlocked=("pyo3",)), "nut": Static((), 7, "1", git_crates=("a from b",))}
    monkeypatch.setattr(world.sources, "static", lambda rows: [said[row["name"]] for row in rows])
    code = world.root / "rust/nut/python/nut/__init__.py"
    code.parent.mkdir(parents=True)
    code.write_text("")
    (world.root / "rust/Cargo.toml").write_text('[workspace]\nmembers = ["nut"]\n')
    (world.root / "rust/nut/Cargo.toml").write_text('[package]\nname = "nut"\n')
    (world.root / "rust/nut/pyproject.toml").write_text(
        '[project]\nname = "nut"\nversion = "1"\n[build-system]\nrequires = ["maturin"]\nbuild-backend = "maturin"\n'
        '[tool.maturin]\npython-source = "python"\n'
    )
    world.depend("old", "nut", more='[tool.uv]\npackage = false\nsources = {nut = {path = "rust/nut"}}\n')
    with pytest.raises(UserError) as caught:
        world.find()
    nut, old = caught.value.problems
    assert nut.what == "is built with crates from git, which nixgen cannot pin: a from b"
    assert "cargo vendor, and what it prints into rust/nut/.cargo/config.toml" in nut.mend
    assert old.what == "has no Cargo.lock, and without a network cargo can choose no crates (pyo3)"
    assert "[tool.nixgen.packages.old] patches" in old.mend
    said |= {"old": Static((), 7, "1"), "nut": Static((), 7, "1")}
    before = world.find()
    assert (world.rows(before)["nut"]["folder"], world.rows(before)["nut"]["subdirectory"]) == ("rust", "nut")
    (world.root / "rust/Cargo.lock").write_text("version = 3\n")
    with pytest.raises(UserError, match="has no pins to build nut"):
        world.find(before, offline=True)


def test_a_circle_is_named(world: World) -> None:
    world.sources.static_ = {"old": ("plugin",), "plugin": ("loop",), "loop": ("plugin",)}
    world.depend("old")
    with pytest.raises(UserError) as caught:
        world.find()
    (problem,) = caught.value.problems
    assert (problem.where, problem.what) == (
        "plugin",
        "cannot be built: plugin==1.0 needs loop==1.0 needs plugin==1.0",
    )


def test_sources_that_cannot_be_read_or_asked_are_told_at_once(world: World) -> None:
    """One that cannot be read keeps no other from being asked; what is wrong with requirements is told as well."""
    world.sources.static_ |= {"old": ("nowhere",)}
    world.sources.broken = {"static more", "dynamic loop"}
    world.depend("old", "more", "loop", "plugin")
    with pytest.raises(BuildFailed) as caught:
        world.find()
    assert [problem.where for problem in caught.value.problems] == ["static more", "old"]
    world.sources.static_, world.sources.errors = {}, []
    with pytest.raises(BuildFailed) as caught:
        world.find()
    assert [problem.where for problem in caught.value.problems] == ["static more", "dynamic loop"]
    world.sources.static_, world.sources.errors = {"old": ("plugin",)}, []
    world.sources.broken = {"static plugin"}
    world.depend("old")
    with pytest.raises(BuildFailed) as caught:
        world.find()
    assert [problem.where for problem in caught.value.problems] == ["static plugin"]


def test_all_that_cannot_be_had_is_told_with_its_package(world: World) -> None:
    world.sources.static_ = {"old": ("gone>=1",), "more": ("cython>=9",)}
    world.depend("old", "more")
    with pytest.raises(UserError) as caught:
        world.find()
    assert [problem.where for problem in caught.value.problems] == ["more", "old"]
    assert all(problem.what.startswith("cannot be built: ") for problem in caught.value.problems)
    assert "gone" in caught.value.problems[1].what


def test_a_file_of_another_content_is_not_what_was_pinned(world: World) -> None:
    world.depend("old")
    found = world.find()
    other = sorted_builds([replace(one, sha256="0" * 64) for one in found.sources], found.wheels)
    project = find_project(world.root)
    assert use.used(asked.read(project, BASE, world.resolutions()), world.resolutions(), other).problems


def test_nothing_is_asked_where_nothing_is_built(world: World) -> None:
    world.depend("cython")
    assert world.find() == Builds()
    assert world.sources.asked == []


def test_a_source_of_one_environment_is_built_beside_what_that_has(world: World) -> None:
    """match-runtime is the version of the environment that has the package, and builds are pinned for all."""
    world.systems = BOTH
    for version in ("1.0", "2.0"):
        make_wheel(world.index.folder, "numpy", version)
    extras = 'b = ["numpy==2.0", "old"]\na = ["numpy==1.0"]\n'
    conflicts = 'conflicts = [[{extra = "a"}, {extra = "b"}]]\n'
    build = 'extra-build-dependencies = {old = [{requirement = "numpy", match-runtime = true}]}\n'
    settings = f"[project.optional-dependencies]\n{extras}[tool.uv]\n{conflicts}{build}[tool.nixgen.environments]\n"
    chosen = 'a = {extras = ["a"]}\nb = {extras = ["b"], systems = ["x86_64-linux"]}\n'
    world.depend(more=f"{settings}{chosen}")
    assert requires(world.find(), "old")["x86_64-linux"] == ("numpy-2.0-py3-none-any.whl", SETUPTOOLS)
    both = settings.replace('a = ["numpy==1.0"]', 'a = ["numpy==1.0", "old"]')
    world.depend(more=f"{both}{chosen}")
    with pytest.raises(UserError, match=r"old: is built for numpy 1\.0 and 2\.0, which environments have"):
        world.find()


def test_a_yanked_file_is_taken_where_it_was_asked_for(world: World) -> None:
    """uv passes over it unless the version is named; what uv.lock has is installed, as by uv sync."""
    for version in ("1.0", "2.0"):
        make_wheel(world.index.folder, "plain", version)
    world.index.yanked.add("plain-2.0-py3-none-any.whl")
    for asked_for, version in (("plain", "1.0"), ("plain==2.0", "2.0")):
        world.depend(asked_for)
        (found,) = {
            package.version for one in world.resolutions() for package in one.packages if package.name == "plain"
        }
        assert found == version
    # What a build requires is uv's choice, too.
    world.sources.static_ = {"old": ("plain",)}
    world.depend("old")
    assert requires(world.find(), "old")["x86_64-linux"] == ("plain-1.0-py3-none-any.whl",)


def test_what_a_source_may_not_have_fetched_is_told_of_all_at_once(world: World) -> None:
    """Nothing is asked: neither uv nor a registry. The project's own index is on this machine, too."""
    world.sources.static_ = {"old": ("setuptools", "plugin @ http://127.0.0.1:9/plugin.zip"), "more": ()}
    world.sources.places["more"] = json.dumps({"sources": {"x": {"git": "http://169.254.169.254/x"}}, "index": []})
    world.sources.static_["more"] = ("x",)
    world.depend("old", "more")
    before = len(world.index.requests)
    with pytest.raises(UserError) as caught:
        world.find()
    assert [problem.what.rpartition(" ")[2] for problem in caught.value.problems] == [
        "http://169.254.169.254/x",
        "http://127.0.0.1:9/plugin.zip",
    ]
    world.sources.static_ = {}
    world.sources.crates = {
        name: (Named("a", "1", f"sparse+{world.index.address}/{name}", "0" * 64),) for name in ("old", "more")
    }
    with pytest.raises(UserError, match=r"old: Cargo\.lock names a registry that this project does not trust"):
        world.find()
    assert len(world.index.requests) == before
