"""What builds need, found with a double of Nix and a package index on loopback: what is pinned, kept and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support import remembered
from support.index import Index
from support.sdists import make_sdist
from support.wheels import make_wheel, sha256

from nixgen.bases.model import DebianBase
from nixgen.bases.python import targets
from nixgen.builds import asked, finding, probe, use
from nixgen.builds.model import Builds
from nixgen.builds.pins import sorted_builds
from nixgen.builds.probe import Static
from nixgen.errors import UserError
from nixgen.project.project import find_project
from nixgen.resolve import environments
from nixgen.resolve.model import Resolution

Serve = Callable[..., Index]
BASE = DebianBase("bookworm", "3.11", "2.36", (), (), (), ())
SETUPTOOLS = "setuptools-80.0-py3-none-any.whl"


@dataclass
class Sources:
    """A double of what is asked in the sandbox. ``static`` and ``dynamic`` are requirements by name."""

    static_: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dynamic_: dict[str, tuple[str, ...]] = field(default_factory=dict)
    depends: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    rows: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def static(self, rows: Sequence[Mapping[str, Any]]) -> list[Static]:
        self.asked += [f"static {row['name']}" for row in rows]
        self.rows |= {row["name"]: row for row in rows}
        return [Static(self.static_.get(row["name"], ("setuptools",)), 1_600_000_000, row["version"]) for row in rows]

    def dynamic(self, rows: Sequence[Mapping[str, Any]], builds: Sequence[Any], wheels: Sequence[Any]) -> list[Any]:
        known = {row["file"] for row in wheels} | {f"{row['name']}=={row['version']}" for row in builds}
        for row in rows:
            self.asked.append(f"dynamic {row['name']}")
            assert set(row["requires"]) <= known
        return [self.dynamic_.get(row["name"], ()) for row in rows]

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

    def depend(self, *names: str, more: str = "") -> None:
        """Writes pyproject.toml, and locks."""
        listed = ", ".join(f'"{name}"' for name in names)
        self.root.mkdir(exist_ok=True)
        (self.root / "pyproject.toml").write_text(
            f'[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = [{listed}]\n'
            f'[[tool.uv.index]]\nname = "loopback"\nurl = "{self.index.simple}"\ndefault = true\n'
            f'[tool.nixgen]\nbase = "debian"\npython = "3.11"\n{more}'
        )
        remembered.lock(self.root)

    def resolutions(self) -> tuple[Resolution, ...]:
        project = find_project(self.root)
        wanted = targets(project.settings, None, "3.11", "3.11.2")
        return environments.select(project, environments.export(project, {}), wanted, "2.36", {})[0]

    def find(self, old: Builds | None = None, **options: bool) -> Builds:
        project = find_project(self.root)
        found = finding.find(project, BASE, {}, self.resolutions(), old or Builds(), finding.Options(**options))
        assert not use.used(asked.read(project, BASE, self.resolutions()), self.resolutions(), found).problems
        return found

    def rows(self, builds: Builds) -> dict[str, dict[str, Any]]:
        """The rows of default.nix, by name."""
        project = find_project(self.root)
        wanted = asked.read(project, BASE, self.resolutions())
        found = use.used(wanted, self.resolutions(), builds)
        return {one.build.name: use.planned_row(wanted, one) for one in found.builds}


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


def test_what_a_source_and_its_backend_want_is_pinned(world: World) -> None:
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
    assert (old.epoch, old.size) == (1_600_000_000, None)
    assert world.sources.asked == ["static more", "static old", "dynamic more", "dynamic old"]


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
def test_what_decides_the_requirements_makes_pins_old(world: World, more: str) -> None:
    world.depend("old")
    (world.root / "old.patch").write_text("--- a\n")
    first = world.find()
    world.depend("old", more=more)
    project = find_project(world.root)
    (problem,) = use.used(asked.read(project, BASE, world.resolutions()), world.resolutions(), first).problems
    assert str(problem) == "nixgen.lock: has old pins to build old\n    nixgen lock"
    with pytest.raises(UserError) as caught:
        world.find(first, offline=True)
    assert str(caught.value) == ("nixgen.lock: has no pins to build old\n    run it with the network: nixgen lock")
    world.find(first)


def test_settings_of_a_package(world: World) -> None:
    more = '[tool.nixgen.packages.old]\nenv = {B = "2"}\nbuild-libraries = ["libpq-dev"]\npatches = ["a b.patch"]\n'
    more += 'timeout = 60\n[tool.uv.extra-build-variables]\nold = {A = "1", B = "1"}\n'
    more += '[tool.uv]\nconfig-settings = {all = "1"}\nconfig-settings-package = {Old = {own = ["a", "b"]}}\n'
    world.depend("old", more=more)
    with pytest.raises(UserError) as caught:
        world.find()
    assert str(caught.value).startswith("pyproject.toml: tool.nixgen.packages.old.patches: a b.patch is missing")
    (world.root / "a b.patch").write_text("--- a\n")
    row = world.rows(world.find())["old"]
    assert row["env"] == {"A": "1", "B": "2"}
    assert row["settings"] == {"all": "1", "own": ["a", "b"]}
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


def test_a_requirement_without_a_wheel_is_built(world: World) -> None:
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
