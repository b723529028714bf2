"""Which files are chosen for each target, and every reason why none is."""

# ruff: noqa: E501 -- entries of lock files are as long as they are
from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from projects import FILES, HASH, NUMPY, PYPROJECT, SIX, make, package, uv_lock, wheel
from support import remembered
from support.resolving import LINUX, resolved
from support.wheels import make_wheel

from nixgen.bases import nixpkgs
from nixgen.bases.python import targets
from nixgen.errors import Problem, UserError
from nixgen.lock import lockfile
from nixgen.lock.model import Lock
from nixgen.project.project import find_project
from nixgen.project.settings import SYSTEMS, Settings
from nixgen.resolve import hashes, uv
from nixgen.resolve.model import FileHash, Git, Package, Resolution, Target
from nixgen.resolve.resolution import resolve, select, split_served


def test_what_uv_would_install_for_each_system(tmp_path: Path) -> None:
    project = find_project(make(tmp_path))
    found = resolve(project, targets(project.settings, None, "3.11"), "2.36", {})
    assert [one.target.system for one in found] == list(SYSTEMS)
    files = {one.target.system: one.packages[0].file for one in found}
    assert files == {
        "aarch64-darwin": "numpy-2.4.6-cp311-cp311-macosx_11_0_arm64.whl",
        "aarch64-linux": "numpy-2.4.6-cp311-cp311-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
        "x86_64-darwin": "numpy-2.4.6-cp311-cp311-macosx_10_9_x86_64.whl",
        "x86_64-linux": "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    }
    file = "six-1.17.0-py2.py3-none-any.whl"
    assert {one.packages[1] for one in found} == {
        Package("six", "1.17.0", "wheel", file, f"{FILES}/{file}", HASH, 11050)
    }
    assert all(one.problems == () for one in found)


def test_a_missing_hash_is_a_problem_until_nixgen_lock_has_it(tmp_path: Path) -> None:
    file = "six-1.17.0-py2.py3-none-any.whl"
    root = make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", wheel(file, digest=None))))
    found = resolved(root)
    assert found.problems == (Problem("six", f"uv.lock has no SHA-256 of {file}", "run: nixgen sync"),)
    assert found.packages[1].sha256 is None
    url = f"{FILES}/{file}"
    found = resolved(root, hashes={url: FileHash(url, "f" * 64, 7)})
    assert found.problems == ()
    assert (found.packages[1].sha256, found.packages[1].size) == ("f" * 64, 7)


def only(tmp_path: Path, *entries: str) -> Resolution:
    return resolved(make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", *entries))))


def test_a_wheel_for_a_newer_glibc_says_which(tmp_path: Path) -> None:
    newer = "six-1.17.0-cp311-cp311-manylinux_2_39_x86_64.whl"
    found = only(tmp_path, wheel("six-1.17.0-cp311-cp311-manylinux_2_40_x86_64.whl"), wheel(newer))
    assert found.problems == (
        Problem(
            "six",
            f"has no wheel that fits: {newer} needs glibc 2.39, and the base has 2.36",
            "choose an older version, or a base with a newer glibc",
        ),
    )
    assert found.packages[1] == Package("six", "1.17.0", "wheel")


def test_a_wheel_for_a_newer_macos_says_which(tmp_path: Path) -> None:
    newer = "six-1.17.0-cp311-cp311-macosx_15_0_arm64.whl"
    root = make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", wheel(newer))))
    found = resolved(root, Target("aarch64-darwin", "3.11"))
    assert found.problems == (
        Problem(
            "six",
            f"has no wheel that fits: {newer} needs macOS 15.0, and tool.nixgen.macos is 14.0",
            'choose another version, or set macos = "15.0" ([tool.nixgen])',
        ),
    )


def test_wheels_for_other_pythons_are_named_in_order(tmp_path: Path) -> None:
    files = [f"six-1.17.0-cp{version}-cp{version}-manylinux_2_17_x86_64.whl" for version in (310, 39, 312)]
    assert only(tmp_path, *map(wheel, files)).problems == (
        Problem(
            "six",
            "has no wheel that fits Python 3.11: its wheels are for cp39, cp310, cp312",
            "choose a version that has one, or set another python under [tool.nixgen]",
        ),
    )


def test_wheels_for_other_systems_are_named(tmp_path: Path) -> None:
    assert only(tmp_path, wheel("six-1.17.0-py3-none-win_amd64.whl")).problems == (
        Problem(
            "six",
            "has no wheel that fits this system: its wheels are for win_amd64",
            "choose a version that has one, or take this system out of systems under [tool.nixgen]",
        ),
    )


def test_a_source_distribution_is_built_where_no_wheel_fits(tmp_path: Path) -> None:
    uploaded = '{ url = "https://files.example.org/six-1.17.0.tar.gz", upload-time = "2024-12-04T17:35:28.174Z"'
    for number, wheels in enumerate(([], [wheel("six-1.17.0-cp311-cp311-win_amd64.whl")])):
        lock = uv_lock(NUMPY, package("six", "1.17.0", *wheels, sdist="six-1.17.0.tar.gz"))
        lock = lock.replace('{ url = "https://files.example.org/six-1.17.0.tar.gz"', uploaded)
        found = resolved(make(tmp_path / str(number), lock=lock))
        assert found.problems == ()
        assert found.packages[1].built
        assert found.packages[1] == Package(
            *("six", "1.17.0", "sdist", "six-1.17.0.tar.gz", f"{FILES}/six-1.17.0.tar.gz", HASH),
            uploaded="2024-12-04T17:35:28+00:00",
            why="has no wheel that fits this system: its wheels are for win_amd64" if wheels else "",
        )


@pytest.mark.parametrize("setting", ["no-build = true", 'no-build-package = ["Six"]'])
def test_no_build_refuses_as_uv_does(tmp_path: Path, setting: str) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", sdist="six-1.17.0.tar.gz"))
    (problem,) = resolved(make(tmp_path, f"{PYPROJECT}[tool.uv]\n{setting}\n", lock)).problems
    assert problem == Problem(
        "six",
        "can't be installed because it is marked as `--no-build` but has no binary distribution",
        'choose a version with wheels (uv add "six==…"), or a package that does the same; '
        "or allow it: no-build = false under [tool.uv]",
    )


def test_no_binary_means_what_it_means_to_uv(tmp_path: Path) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-any.whl"), sdist="six-1.17.0.tar.gz"))
    found = resolved(make(tmp_path, PYPROJECT + '[tool.uv]\nno-binary-package = ["Six"]\n', lock))
    assert (found.packages[1].kind, found.packages[1].file) == ("sdist", "six-1.17.0.tar.gz")
    assert found.problems == ()


def test_no_binary_without_a_source_is_refused_as_in_uv(tmp_path: Path) -> None:
    pyproject = PYPROJECT + '[tool.uv]\nno-binary-package = ["six"]\n'
    (problem,) = resolved(
        make(tmp_path, pyproject, uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-any.whl"))))
    ).problems
    assert problem.what == ("can't be installed because it is marked as `--no-binary` but has no source distribution")


def test_settings_of_uv_toml_count_as_in_uv(tmp_path: Path) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-any.whl"), sdist="six-1.17.0.tar.gz"))
    root = make(tmp_path, PYPROJECT, lock)
    (root / "uv.toml").write_text("no-binary = true\n")
    assert [problem.where for problem in resolved(root).problems] == ["numpy"]
    assert resolved(root).packages[1].kind == "sdist"


SOURCES = [
    (
        'source = { git = "https://example.org/six.git#' + "a" * 40 + '" }',
        'git = "https://example.org/six.git"',
        "vcs",
    ),
    (
        f'source = {{ url = "{FILES}/six-1.17.0.tar.gz" }}\nsdist = {{ hash = "sha256:{HASH}" }}',
        f'url = "{FILES}/six-1.17.0.tar.gz"',
        "archive",
    ),
    (
        f'source = {{ path = "six-1.17.0.tar.gz" }}\nsdist = {{ hash = "sha256:{HASH}" }}',
        'path = "six-1.17.0.tar.gz"',
        "archive",
    ),
]


@pytest.mark.parametrize(("source", "asked", "kind"), SOURCES, ids=[kind for _, _, kind in SOURCES])
def test_other_sources(tmp_path: Path, source: str, asked: str, kind: str) -> None:
    lock = uv_lock(
        NUMPY,
        f'[[package]]\nname = "six"\nversion = "1.17.0"\n{source}\n',
        requires=f'{{ name = "numpy", specifier = ">=2" }}, {{ name = "six", {asked} }}',
    )
    (tmp_path / "six-1.17.0.tar.gz").touch()
    found = resolved(make(tmp_path, PYPROJECT + f"[tool.uv.sources]\nsix = {{ {asked} }}\n", lock))
    assert found.packages[1].kind == kind
    assert found.problems == ()
    assert (
        found.packages[1].address
        == {
            "vcs": f"git+https://example.org/six.git@{'a' * 40}",
            "archive": "file:six-1.17.0.tar.gz" if "path" in asked else f"{FILES}/six-1.17.0.tar.gz",
        }[kind]
    )


COMMIT = "a" * 40


def from_git(root: Path, address: str, asked: str = 'git = "https://example.org/six.git"') -> Resolution:
    """A project whose six is from git, with this address in uv.lock."""
    made = f'[[package]]\nname = "six"\nversion = "1.17.0"\nsource = {{ git = "{address}" }}\n'
    lock = uv_lock(
        NUMPY,
        made,
        requires=f'{{ name = "numpy", specifier = ">=2" }}, {{ name = "six", git = "{address.partition("#")[0]}" }}',
    )
    return resolved(make(root, PYPROJECT + f"[tool.uv.sources]\nsix = {{ {asked} }}\n", lock))


def test_a_tag_and_a_subdirectory(tmp_path: Path) -> None:
    address = f"https://example.org/a%20six.git?subdirectory=more%2Fa+six&tag=v1#{COMMIT}"
    asked = 'git = "https://example.org/a%20six.git", subdirectory = "more/a six", tag = "v1"'
    found = from_git(tmp_path, address, asked)
    assert found.problems == ()
    assert found.packages[1].git == Git("https://example.org/a%20six.git", COMMIT, "more/a six", "v1")
    assert found.packages[1].git.ref == "v1"
    assert found.packages[1].address == f"git+https://example.org/a%20six.git@{COMMIT}#subdirectory=more/a%20six"
    assert Git.parse(found.packages[1].address) == found.packages[1].git


@pytest.mark.parametrize(
    ("vcs", "what"),
    [
        ({"type": "hg", "url": "https://example.org/six"}, "comes from hg, and nixgen knows git only"),
        ({"url": "https://demo:plum@example.org/six"}, "its repository has a login in its address (https://***@example.org/six)"),
        ({"url": "ssh://git:plum@example.org/six"}, "its repository has a login in its address (ssh://***@example.org/six)"),
        ({"url": "ext::sh -c touch"}, "its repository has an address that git knows, and nixgen does not (ext::sh -c touch)"),
        ({"path": "../six"}, "its repository has an address that git knows, and nixgen does not ()"),
        ({"commit-id": "abc123"}, 'is locked to "abc123", which is not a commit of 40 hexadecimal digits'),
        ({"commit-id": ""}, 'is locked to "", which is not a commit of 40 hexadecimal digits'),
        ({"subdirectory": "a/../.."}, "its subdirectory .. is outside of its repository"),
    ],
)  # fmt: skip
def test_what_is_no_commit_in_git_is_refused(tmp_path: Path, vcs: dict[str, str], what: str) -> None:
    root = make(tmp_path, PYPROJECT, uv_lock(NUMPY))
    usual = {} if "path" in vcs else {"url": "https://example.org/six"}
    entry = {"name": "six", "vcs": {"type": "git", "commit-id": COMMIT, **usual, **vcs}}
    lock = {"lock-version": "1.0", "packages": [entry]}
    (found,) = select(find_project(root), lock, [LINUX], "2.36", {})
    assert [(problem.where, problem.what) for problem in found.problems] == [("six", what)]
    assert all(problem.mend for problem in found.problems)
    assert found.packages[0].git is None


def test_a_folder_of_an_archive(tmp_path: Path) -> None:
    archive = {"url": f"{FILES}/six-1.17.0.zip", "subdirectory": "more/six", "hashes": {"sha256": HASH}}
    lock = {"lock-version": "1.0", "packages": [{"name": "six", "archive": archive}]}
    (found,) = select(find_project(make(tmp_path, PYPROJECT, uv_lock(NUMPY))), lock, [LINUX], "2.36", {})
    assert found.problems == ()
    assert (found.packages[0].kind, found.packages[0].subdirectory) == ("archive", "more/six")


def test_a_login_by_ssh_is_part_of_the_address(tmp_path: Path) -> None:
    asked = 'git = "ssh://git@example.org/six.git"'
    found = from_git(tmp_path, f"ssh://git@example.org/six.git#{COMMIT}", asked)
    assert found.problems == ()
    assert found.packages[1].address == f"git+ssh://git@example.org/six.git@{COMMIT}"


WHEEL = "six-1.17.0-py3-none-any.whl"


def of_its_own(root: Path, asked: str, entry: str) -> Resolution:
    """A project whose six is from an address or a path of its own."""
    made = f'[[package]]\nname = "six"\nversion = "1.17.0"\nsource = {{ {asked} }}\nwheels = [{{ {entry}, hash = "sha256:{HASH}" }}]\n'
    lock = uv_lock(NUMPY, made, requires=f'{{ name = "numpy", specifier = ">=2" }}, {{ name = "six", {asked} }}')
    return resolved(make(root, PYPROJECT + f"[tool.uv.sources]\nsix = {{ {asked} }}\n", lock))


def test_case_64_a_wheel_from_an_address_of_its_own(tmp_path: Path) -> None:
    url = f"{FILES}/{WHEEL}"
    found = of_its_own(tmp_path, f'url = "{url}"', f'url = "{url}"')
    assert found.problems == ()
    assert found.packages[1] == Package("six", "1.17.0", "wheel", WHEEL, url, HASH)
    url = f"{FILES}/six-1.17.0-cp39-cp39-win32.whl"
    (other,) = of_its_own(tmp_path, f'url = "{url}"', f'url = "{url}"').problems
    assert other.what == "has no wheel that fits this system: its wheels are for win32"


@pytest.mark.parametrize("folder", ["vendor", "my wheels/a"])
def test_case_64_a_wheel_in_the_project(tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    make_wheel(tmp_path / folder, "six", "1.17.0")
    path = f"{folder}/{WHEEL}"
    digest = hashlib.sha256((tmp_path / path).read_bytes()).hexdigest()
    found = of_its_own(tmp_path, f'path = "{path}"', f'filename = "{WHEEL}"')
    assert found.problems == ()
    assert found.packages[1] == Package("six", "1.17.0", "wheel", WHEEL, None, HASH, path=path)
    mend = "restore it, or pin this one: uv lock && nixgen sync"
    assert hashes.changed(tmp_path, [found]) == [Problem(path, "changed after it was pinned", mend)]
    right = replace(found, packages=(replace(found.packages[1], sha256=digest),))
    assert hashes.changed(tmp_path, [right]) == []
    (tmp_path / path).unlink()
    (gone,) = resolved(tmp_path).problems
    assert str(gone).startswith(f"six: its file {path} is not there\n  hint: bring it back")
    (tmp_path / ".gitmodules").write_text(f'[submodule "a"]\n\tpath = "{folder}"\n')
    (gone,) = resolved(tmp_path).problems
    assert gone.mend == f"git submodule update --init {shlex.quote(folder)}"
    assert "was not compared" not in capsys.readouterr().err


def test_case_64_a_wheel_outside_of_the_project(tmp_path: Path) -> None:
    make_wheel(tmp_path / "wh", "six", "1.17.0")
    (problem,) = of_its_own(tmp_path / "demo", f'path = "../wh/{WHEEL}"', f'filename = "{WHEEL}"').problems
    assert problem == Problem(
        "six",
        f"its wheel lies outside of the project (../wh/{WHEEL}), which neither a teammate nor Nix has",
        'put it into a folder of the project, name that (find-links = ["./vendor"]), then: uv lock',
    )


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("./vendor", f"vendor/{WHEEL}"),
        ("{root}/vendor", f"vendor/{WHEEL}"),
        ("../wh", f"../wh/{WHEEL}"),
        ("../../../../../../wh", f"../../../../../../wh/{WHEEL}"),
        ("{top}/wh", f"{{top}}/wh/{WHEEL}"),
    ],
)
def test_cases_18_and_63_a_local_flat_index(tmp_path: Path, written: str, shown: str) -> None:
    """Its wheels have no hash in uv.lock, so that uv exports a shadow; no path of that is ever told."""
    top = tmp_path / "top"
    root = top / ("a/b/c/d/e/proj" if written.startswith("../../") else "proj")
    for folder in (root / "vendor", top / "wh"):
        make_wheel(folder, "six", "1.17.0")
    index = written.format(root=root, top=top)
    text = '[project]\nname = "d"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["six"]\n'
    make(root, f'{text}[tool.uv]\npackage = false\nno-index = true\nfind-links = ["{index}"]\n', "")
    (root / "uv.lock").unlink()
    uv.lock(root)
    found = resolved(root)
    (six,) = found.packages
    assert (six.url, six.path, six.sha256) == (None, shown.format(top=top), None)
    assert resolved(root) == found
    assert "nixgen-" not in str(found)
    assert tempfile.gettempdir() not in str(found).replace(str(tmp_path), "")
    (problem,) = found.problems
    assert problem.what.startswith("uv.lock has no SHA-256" if six.address else "its wheel lies outside of the project")
    if six.address:
        (pinned,) = hashes.hash_urls(hashes.without_hash([found]), root=root)
        known = resolved(root, hashes={pinned.url: pinned})
        assert known.problems == ()
        assert hashes.changed(root, [known]) == []
        assert lockfile_accepts(pinned)


def lockfile_accepts(pinned: FileHash) -> bool:
    """Whether nixgen.lock can hold it."""
    lock = Lock(nixpkgs.resolve_base(Settings(), "3.13"), (pinned,))
    return lockfile.parse_lock(lockfile.dump_lock(lock)) == lock


def test_the_project_itself_and_its_folders_are_directories(tmp_path: Path) -> None:
    build = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    lock = uv_lock(
        NUMPY,
        '[[package]]\nname = "six"\nversion = "3"\nsource = { editable = "libs/six" }\n',
        requires='{ name = "numpy", specifier = ">=2" }, { name = "six", editable = "libs/six" }',
        source="editable",
    )
    sources = '[tool.uv.sources]\nsix = { path = "libs/six", editable = true }\n'
    root = make(tmp_path, PYPROJECT + build + sources, lock)
    make(root / "libs" / "six", '[project]\nname = "six"\nversion = "3"\n' + build)
    found = resolved(root)
    assert found.packages[0] == Package("demo-app", "0.1.0", "directory", path=".")
    assert found.packages[2] == Package("six", "3", "directory", path="libs/six")
    assert found.problems == ()


def test_a_folder_outside_the_project_is_a_problem(tmp_path: Path) -> None:
    project = find_project(make(tmp_path / "demo"))
    place = tmp_path / "lib/pyproject.toml"
    place.parent.mkdir()
    place.touch()
    for path in ("../lib", str(tmp_path / "lib")):
        pylock = {"lock-version": "1.0", "packages": [{"name": "lib", "directory": {"path": path}}]}
        (found,) = select(project, pylock, [LINUX], "2.36", {})
        assert found.problems[0] == Problem(
            "lib",
            f"is a folder outside the project ({path})",
            "move it into the project, or make a uv workspace of the folder that holds both",
        )


def test_a_folder_of_the_same_repository_is_code_as_any(tmp_path: Path) -> None:
    """Unless it has to be compiled: nothing outside of the project is built."""
    project = find_project(make(tmp_path / "services/demo"))
    place = tmp_path / "libs/shop"
    place.mkdir(parents=True)
    (place / "pyproject.toml").touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for compiled, problems in (("", 0), ("has to be compiled (maturin)", 1)):
        directory = {"path": "../../libs/shop", "compiled": compiled}
        pylock = {"lock-version": "1.0", "packages": [{"name": "shop", "directory": directory}]}
        (found,) = select(project, pylock, [LINUX], "2.36", {})
        assert found.packages[0].path == "../../libs/shop"
        assert len(found.problems) == problems


MODULES = '[submodule "a"]\n\tpath = libs/a\n\turl = ../a\n[submodule "six"]\n\tpath = libs/six\n\turl = ../six\n'


@pytest.mark.parametrize(
    ("folder", "modules", "what", "mend"),
    [
        ("libs/six", MODULES, "libs/six is empty", "git submodule update --init libs/six"),
        ("libs/six/inner", MODULES, "libs/six/inner is not there", "git submodule update --init libs/six"),
        (
            "libs/other",
            MODULES,
            "libs/other is not there",
            "bring it back (git status says what was removed), or",
        ),
        ("libs/six", "", "libs/six is empty", "bring it back (git status says what was removed), or"),
        ("../six", MODULES, "../six is not there", "a teammate does not have it either: take six from git or"),
        ("/home/me/six", "", "/home/me/six is not there", "a teammate does not have it either: take six from"),
    ],
)
def test_a_local_source_that_is_absent_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, modules: str, what: str, mend: str
) -> None:
    """And uv.lock is not said to be stale, nor a backend to be asked: it is the folder that is missing."""
    requires = f'{{ name = "numpy", specifier = ">=2" }}, {{ name = "six", directory = "{folder}" }}'
    entry = f'[[package]]\nname = "six"\nversion = "1"\nsource = {{ directory = "{folder}" }}\n'
    pyproject = PYPROJECT + f'[tool.uv.sources]\nsix = {{ path = "{folder}" }}\n'
    root = make(tmp_path / "demo", pyproject, uv_lock(NUMPY, entry, requires=requires))
    (root / ".git").mkdir()
    (root / ".gitmodules").write_text(modules)
    if what.endswith("is empty"):
        (root / folder).mkdir(parents=True)
    (problem,) = resolved(root).problems
    assert (problem.where, problem.what) == ("six", f"its folder {what}")
    assert problem.mend.startswith(mend)
    assert "was not compared" not in capsys.readouterr().err


def test_what_is_absent_is_so_on_every_system(tmp_path: Path) -> None:
    """No default system is left out for a file that only it would have."""
    files = ["six-1.17.0-cp311-cp311-linux_x86_64.whl", "six-1.17.0-cp311-cp311-linux_aarch64.whl"]
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / files[0]).touch()
    listed = ", ".join(f'{{ path = "{file}", hash = "sha256:{HASH}" }}' for file in files)
    six = f'[[package]]\nname = "six"\nversion = "1.17.0"\nsource = {{ registry = "vendor" }}\nwheels = [{listed}]\n'
    pyproject = PYPROJECT.replace('"six", "numpy>=2"', '"six"') + '[tool.uv]\nfind-links = ["vendor"]\n'
    lock = uv_lock(six, dependencies=("six",), requires='{ name = "six" }')
    project = find_project(make(tmp_path, pyproject, lock))
    both = [Target(f"{machine}-linux", "3.11", "3.11.2") for machine in ("aarch64", "x86_64")]
    served, dropped = split_served(resolve(project, both, "2.36", {}))
    assert (len(served), dropped) == (2, ())
    assert [problem.what for problem in served[0].problems] == [f"its file vendor/{files[1]} is not there"]


def test_a_member_that_is_absent_is_named_and_the_lock_not_called_stale(tmp_path: Path) -> None:
    members = "[tool.uv.sources]\nsix = { workspace = true }\n[tool.uv.workspace]\nmembers = ['libs/*']\n"
    root = make(tmp_path, PYPROJECT + members)
    six = root / "libs/six"
    six.mkdir(parents=True)
    (six / "pyproject.toml").write_text('[project]\nname = "six"\nversion = "1"\n')
    (root / "pyproject.toml").write_text((root / "pyproject.toml").read_text().replace('"numpy', '"six"]\n#'))
    remembered.lock(root)
    (six / "pyproject.toml").unlink()
    (root / ".gitmodules").write_text(MODULES)
    with pytest.raises(UserError) as caught:
        resolved(root)
    assert str(caught.value) == "six: its folder libs/six is empty\n  hint: git submodule update --init libs/six"


@pytest.mark.parametrize("revision", ["", *(f"revision = {number}\n" for number in (0, 1, 2, 3, 4, 5, 99))])
def test_every_revision_of_the_lock_s_version_is_read(tmp_path: Path, revision: str) -> None:
    """A later revision of version 1 adds keys, which whoever does not know them may leave aside (uv's words)."""
    lock = uv_lock(NUMPY, SIX).replace("revision = 3\n", revision)
    assert [package.name for package in resolved(make(tmp_path, lock=lock)).packages] == ["numpy", "six"]


def test_the_uv_of_our_pins_writes_no_lock_that_is_not_read(tmp_path: Path) -> None:
    """Its previews included: version 2 (build-dependency-locking) is refused until there is a uv to write it."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1"\nrequires-python = ">=3.11"\n')
    words = [uv.binary(), "lock", "--quiet", "--offline", "--preview", "--python", sys.executable]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert find_project(tmp_path).uv_lock().head["version"] == 1


@pytest.mark.parametrize("fragment", ["", "#e15199a"])
def test_a_git_lock_without_a_whole_commit_is_named(tmp_path: Path, fragment: str) -> None:
    """uv says only that it failed to parse a Git URL."""
    with pytest.raises(UserError) as caught:
        from_git(tmp_path, f"https://example.org/six{fragment}", 'git = "https://example.org/six"')
    assert str(caught.value) == (
        f"uv.lock: six is locked to no commit of 40 hexadecimal digits (six{fragment})\n"
        "  hint: restore it: git checkout HEAD -- uv.lock && uv lock (newer versions of all: rm uv.lock && uv lock)"
    )


@pytest.mark.parametrize("written", ["a+six", "a%20six", "%61%20six"])
def test_a_subdirectory_in_whichever_way_it_is_encoded(tmp_path: Path, written: str) -> None:
    address = f"https://example.org/six?subdirectory={written}&branch=feature%2Fx%231#{COMMIT.upper()}"
    asked = 'git = "https://example.org/six", subdirectory = "a six", branch = "feature/x#1"'
    found = from_git(tmp_path, address, asked)
    assert found.packages[1].git == Git("https://example.org/six", COMMIT, "a six", "feature/x#1")
    assert found.packages[1].git.ref == "feature/x#1"


def test_two_versions_of_a_package_for_one_target_are_a_problem(tmp_path: Path) -> None:
    entry = {"name": "six", "wheels": [{"url": f"{FILES}/six-1-py3-none-any.whl", "hashes": {"sha256": HASH}}]}
    pylock = {"lock-version": "1.0", "packages": [{**entry, "version": "1"}, {**entry, "version": "2"}]}
    (found,) = select(find_project(make(tmp_path)), pylock, [LINUX], "2.36", {})
    assert found.problems == (
        Problem("six", "is locked twice for this target: 1 and 2", "bring it up to date: uv lock"),
    )


def test_same_version_from_two_sources_is_told_apart_by_markers(tmp_path: Path) -> None:
    packages = [
        {
            "name": "torch",
            "version": "2.0",
            "marker": f"sys_platform == '{platform}'",
            "wheels": [
                {"url": f"https://{platform}.example.org/torch-2.0-py3-none-any.whl", "hashes": {"sha256": HASH}}
            ],
        }
        for platform in ("linux", "darwin")
    ]
    pylock = {"lock-version": "1.0", "packages": packages}
    found = select(find_project(make(tmp_path)), pylock, [LINUX, Target("x86_64-darwin", "3.11")], "2.36", {})
    assert [one.packages[0].url for one in found] == [
        "https://linux.example.org/torch-2.0-py3-none-any.whl",
        "https://darwin.example.org/torch-2.0-py3-none-any.whl",
    ]
