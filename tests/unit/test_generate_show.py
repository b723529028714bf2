from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from projects import FILES, HASH, NUMPY, PYPROJECT, make, package, uv_lock, wheel
from support.plans import NIXPKGS
from support.program import nixgen
from support.wheels import make_wheel

from nixgen.console import size, table
from nixgen.errors import Problem, UserError
from nixgen.generate import show
from nixgen.generate.unpacked import sizes
from nixgen.lock.lockfile import dump_lock
from nixgen.lock.model import Lock
from nixgen.project.project import find_project
from nixgen.resolve.model import Git, Package, Resolution, Target

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "show"
LINUX = Target("x86_64-linux", "3.11")
FILE = "six-1.17.0-py2.py3-none-any.whl"
FOUND = Resolution(
    LINUX,
    (
        Package("demo", None, "directory", path="."),
        Package("gone", "1", "wheel"),
        Package("repo", "2", "vcs", git=Git("https://example.org/repo.git", "a" * 40)),
        Package("six", "1.17.0", "wheel", FILE, f"{FILES}/{FILE}", HASH, 11050),
    ),
    (Problem("gone", "has no wheel that fits", "choose a version that has one"),),
)


NO_PINS = Problem("nixgen.lock", "has no pins to build repo", "nixgen sync")


def report(*found: Resolution, left_out: tuple[Resolution, ...] = ()) -> show.Report:
    return show.Report("demo", "2.36", "14.0", found, left_out)


def test_json_is_what_the_documentation_says() -> None:
    mac = Resolution(Target("aarch64-darwin", "3.11"), (), (Problem("gone", "is not there"),))
    whole = replace(report(FOUND, left_out=(mac,)), pins=(NO_PINS,), unpacked={HASH: 40000})
    assert json.loads(show.as_json(whole)) == {
        "version": 1,
        "project": "demo",
        "targets": {
            "x86_64-linux": {
                "python": "3.11",
                "packages": [
                    dict.fromkeys(("version", "file", "url", "sha256", "size"))
                    | {"name": "demo", "kind": "directory", "path": "."},
                    dict.fromkeys(("file", "url", "path", "sha256", "size"))
                    | {"name": "gone", "version": "1", "kind": "wheel"},
                    {
                        "name": "repo",
                        "version": "2",
                        "kind": "vcs",
                        "file": None,
                        "url": f"git+https://example.org/repo.git@{'a' * 40}",
                        "path": None,
                        "sha256": None,
                        "size": None,
                        "why": "",
                        "wheel": "",
                    },
                    {
                        "name": "six",
                        "version": "1.17.0",
                        "kind": "wheel",
                        "file": FILE,
                        "url": f"{FILES}/{FILE}",
                        "path": None,
                        "sha256": HASH,
                        "size": 11050,
                    },
                ],
                "problems": [
                    {"package": "gone", "problem": "has no wheel that fits", "mend": "choose a version that has one"}
                ],
                "needs": "glibc 2.36",
                "download": 11050,
                "sizesUnknown": 0,
                "unpacked": 40000,
                "unpackedUnknown": 0,
            }
        },
        "problems": [{"package": "nixgen.lock", "problem": "has no pins to build repo", "mend": "nixgen sync"}],
        "leftOut": {"aarch64-darwin": [{"package": "gone", "problem": "is not there", "mend": ""}]},
    }


def whl(name: str, tags: str, size: int | None = None, version: str = "1") -> Package:
    file = f"{name}-{version}-{tags}.whl"
    return Package(name, version, "wheel", file, f"{FILES}/{file}", HASH, size)


def target(system: str, *packages: Package, problems: tuple[Problem, ...] = ()) -> Resolution:
    return Resolution(Target(system, "3.11"), (*packages, whl("six", "py2.py3-none-any", 11050)), problems)


SOURCE = Package(
    "annoy",
    "1.17",
    "sdist",
    "annoy-1.17.tar.gz",
    f"{FILES}/annoy-1.17.tar.gz",
    HASH,
    60000,
    why="has no wheel that fits",
)
OLD = Problem("big", "has no wheel that fits: big-1.whl needs glibc 2.38, and the base has 2.36", "choose an older one")
NO_HASH = Problem("six", "uv.lock has no SHA-256 of six-1-py2.py3-none-any.whl", "run: nixgen sync")
MANY = [whl(f"package-{number:02}", "py3-none-any", number * 1024**2) for number in range(12)]
_SHOWN = report(
    target("aarch64-darwin", SOURCE, whl("big", "cp311-cp311-macosx_11_0_arm64", 9 * 1024**2)),
    target(
        "aarch64-linux",
        whl("annoy", "cp311-cp311-manylinux_2_17_aarch64.manylinux2014_aarch64", 70000, "1.16"),
        Package("big", "1", "wheel"),
        problems=(OLD,),
    ),
    target(
        "x86_64-linux",
        whl("annoy", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", 70000, "1.16"),
        Package("big", "1", "wheel"),
        Package("own", None, "directory", path="libs/own"),
        problems=(OLD, NO_HASH),
    ),
    left_out=(
        Resolution(Target("x86_64-darwin", "3.11"), (Package("x", "1", "wheel"),), (Problem("x", "has no wheel"),)),
    ),
)
WHOLE = replace(
    _SHOWN,
    pins=(Problem("nixgen.lock", "has no pins to build annoy", "nixgen sync"),),
    wheels={("aarch64-darwin", "annoy"): "uv.lock has 1.16 with a wheel that fits"},
)
SHOWN = {
    "one-target": (report(FOUND), None),
    "targets": (WHOLE, None),
    "narrow": (WHOLE, 60),
    "largest": (report(Resolution(LINUX, tuple(MANY))), None),
    "nothing": (report(Resolution(LINUX, ())), None),
    "unpacked": (replace(report(FOUND), unpacked={HASH: 34000}), None),
    "unknown-size": (report(Resolution(LINUX, (whl("numpy", "py3-none-any"), *FOUND.packages[3:]))), None),
}


def text(lines: show.Lines) -> str:
    return "".join(f"{line}\n" for _, line in lines)


def compared(name: str, text: str, *, update: bool) -> None:
    if update:
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / f"{name}.txt").write_text(text)
    assert (GOLDEN / f"{name}.txt").read_text() == text


@pytest.mark.parametrize("name", SHOWN)
def test_the_report_is_for_people(name: str, *, update_goldens: bool) -> None:
    found, width = SHOWN[name]
    compared(name, text(show.as_text(found, width=width)), update=update_goldens)


def test_only_the_problems(*, update_goldens: bool) -> None:
    compared("problems", text(show.problems_as_text(WHOLE)), update=update_goldens)
    assert text(show.problems_as_text(report(target("x86_64-linux")))) == "demo: no problems on x86_64-linux\n"


def test_what_is_wrong_and_what_is_built_has_a_colour() -> None:
    styles = {line.split()[0]: style for style, line in show.as_text(WHOLE) if line}
    assert [styles[word] for word in ("big", "annoy", "own", "six", "package")] == ["bad", "note", "", "bad", "head"]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10189, "10 KiB"),
        (1048575, "1.0 MiB"),
        (41 * 1024**2, "41 MiB"),
        (5 * 1024**5, "5120 TiB"),
    ],
)
def test_sizes_for_people(count: int | None, text: str) -> None:
    assert size(count) == text


def test_a_table_without_rows_has_no_lines() -> None:
    assert table([]) == []


def test_without_a_lock_the_base_gives_python_and_glibc(tmp_path: Path) -> None:
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\nbase = "debian"\n'))
    found = show.report(project, ["x86_64-linux"], "3.11").resolutions
    assert [one.target for one in found] == [LINUX]
    assert [package.file for package in found[0].packages] == [
        "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        FILE,
    ]


def test_the_python_can_be_overridden(tmp_path: Path) -> None:
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\npython = "3.11"\n'))
    (found,) = show.report(project, ["x86_64-linux"], "3.12").resolutions
    assert found.target.python == "3.12"
    assert found.packages[0].file == "numpy-2.4.6-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"


def test_pins_that_builds_lack_are_problems(tmp_path: Path) -> None:
    """Where nixgen.lock is there; before it is, everything is still to be pinned."""
    text = PYPROJECT + '[tool.nixgen]\npython = "3.11"\nsystems = ["x86_64-linux"]\n'
    lock = uv_lock(NUMPY, package("six", "1.17.0", sdist="six-1.17.0.tar.gz"))
    project = find_project(make(tmp_path, text, lock))
    assert show.report(project, [], None).pins == ()
    path = tmp_path / "nixgen.lock"
    path.write_bytes(dump_lock(Lock(replace(NIXPKGS, python="3.11", libraries=(), tools=()))).encode())
    problem = Problem("nixgen.lock", "has no pins to build six", "nixgen sync")
    assert show.report(project, [], None).pins == (problem,)
    done = nixgen("show", "--problems", "--project", str(tmp_path))
    assert (done.returncode, "nixgen.lock: has no pins to build six" in done.stdout) == (1, True)
    path.write_bytes(dump_lock(Lock(replace(NIXPKGS, python="3.12"))).encode())
    assert "was made for python 3.12" in nixgen("show", "--problems", "--project", str(tmp_path)).stdout


def test_pins_that_another_environment_lacks_are_its_own(tmp_path: Path) -> None:
    """The sources without pins are one sentence: each environment has that of its own."""
    text = PYPROJECT + (
        '[project.optional-dependencies]\nmore = ["zoo"]\n[tool.nixgen]\npython = "3.11"\nsystems = ["x86_64-linux"]\n'
        '[tool.nixgen.environments.more]\nextras = ["more"]\n'
    )
    zoo = """{ name = "zoo", marker = "extra == 'more'" }"""
    requires = '{ name = "numpy", specifier = ">=2" }, { name = "six" }, ' + zoo
    lock = uv_lock(
        *(NUMPY, package("six", "1.17.0", sdist="six-1.17.0.tar.gz"), package("zoo", "1", sdist="zoo-1.tar.gz")),
        requires=requires,
    )
    own = '\n[package.optional-dependencies]\nmore = [\n    { name = "zoo" },\n]\n\n[package.metadata]\n'
    lock = lock.replace("\n[package.metadata]\n", own, 1).replace(
        f"requires-dist = [{requires}]\n", f'requires-dist = [{requires}]\nprovides-extras = ["more"]\n', 1
    )
    project = find_project(make(tmp_path, text, lock))
    base = replace(NIXPKGS, python="3.11", libraries=(), tools=())
    (tmp_path / "nixgen.lock").write_bytes(dump_lock(Lock(base)).encode())
    for name, what in (("", "has no pins to build six"), ("more", "has no pins to build six and zoo")):
        assert [one.what for one in show.report(project, [], None, name).pins] == [what]


def test_unpacked_sizes_of_wheels_that_are_here(tmp_path: Path) -> None:
    """In the project, or in the Nix store, at the path that fetching them would give."""
    made = make_wheel(tmp_path, "own", "1.0", {"own.py": "x" * 5000})
    broken = tmp_path / "broken-1-py3-none-any.whl"
    broken.write_bytes(b"PK")
    named = (
        Package("own", "1.0", "wheel", made.name, path=made.name, sha256="1" * 64),
        Package("broken", "1", "wheel", broken.name, path=broken.name, sha256="2" * 64),
        Package("away", "1", "wheel", "away-1-py3-none-any.whl", "https://example.org/a.whl", "3" * 64),
    )
    found = sizes(tmp_path, [Resolution(LINUX, named)])
    assert found.keys() == {"1" * 64}
    assert found["1" * 64] > 5000


def test_a_default_system_without_wheels_is_left_out_and_said(tmp_path: Path) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-manylinux_2_17_x86_64.whl")))
    project = find_project(make(tmp_path, PYPROJECT + '[tool.nixgen]\npython = "3.11"\n', lock))
    found = show.report(project, [], None)
    assert [one.target.system for one in found.resolutions] == ["x86_64-linux"]
    assert "  aarch64-linux: no wheel there for six\n" in text(show.as_text(found))
    assert not found.problems
    found = show.report(project, ["aarch64-linux"], None)
    assert found.resolutions[0].problems[0].where == "six"
    assert found.problems


@pytest.mark.parametrize(("systems", "code"), [([], 0), (["--system", "aarch64-linux"], 1)])
def test_problems_are_an_exit_code(tmp_path: Path, systems: list[str], code: int) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-manylinux_2_17_x86_64.whl")))
    root = make(tmp_path, PYPROJECT + '[tool.nixgen]\npython = "3.11"\n', lock)
    done = nixgen("show", "--problems", *systems, "--project", str(root))
    assert (done.returncode, "package  version" in done.stdout) == (code, False)
    assert nixgen("show", *systems, "--project", str(root)).returncode == 0
    done = nixgen("show", "--problems", "--json", *systems, "--project", str(root))
    assert (done.returncode, json.loads(done.stdout)["version"]) == (code, 1)


def test_a_problem_of_one_default_system_does_not_refuse_the_others(tmp_path: Path) -> None:
    """Of any sort: here a marker that machines of the system differ in. What a command mends leaves no system out."""
    marker = "sys_platform == 'darwin' and platform_release > '23'"
    six = package("six", "1.17.0", wheel("six-1.17.0-py3-none-any.whl", digest=None))
    lock = uv_lock(NUMPY, six).replace('{ name = "six" },\n]', f'{{ name = "six", marker = "{marker}" }},\n]')
    lock = lock.replace('{ name = "six" }]', f'{{ name = "six", marker = "{marker}" }}]')
    root = make(tmp_path, PYPROJECT.replace('"six"', f'"six; {marker}"') + '[tool.nixgen]\npython = "3.11"\n', lock)
    found = show.report(find_project(root), [], None)
    assert [one.target.system for one in found.resolutions] == ["aarch64-linux", "x86_64-linux"]
    assert "is wanted on some machines of this system only" in text(show.as_text(found))
    root = make(tmp_path / "hash", PYPROJECT + '[tool.nixgen]\npython = "3.11"\n', uv_lock(NUMPY, six))
    found = show.report(find_project(root), [], None)
    assert (len(found.resolutions), found.left_out, found.problems) == (4, (), True)


def test_an_unknown_system_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        show.report(find_project(make(tmp_path)), ["amiga"], None)
    assert str(caught.value) == (
        '--system: "amiga" is not a system\n'
        "  hint: use one of aarch64-darwin, aarch64-linux, x86_64-darwin, x86_64-linux"
    )


def test_code_that_is_not_found_is_a_problem(tmp_path: Path) -> None:
    """As init and generate say it, before Nix runs."""
    text = '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.11"\n'
    text += '[build-system]\nrequires = []\nbuild-backend = "hatchling.build"\n'
    lock = 'version = 1\nrequires-python = ">=3.11"\n'
    lock += '[[package]]\nname = "shop"\nversion = "1"\nsource = {editable = "."}\n'
    make(tmp_path, text, lock)
    (problem,) = show.report(find_project(tmp_path), [], None).code
    assert problem.what.startswith("no module of shop is found")
    (tmp_path / "shop.py").touch()
    assert show.report(find_project(tmp_path), [], None).code == ()
