# ruff: noqa: E501 -- entries of lock files are as long as they are
from __future__ import annotations

import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import PackageWheel, Pylock, PylockSelectError
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from projects import FILES, HASH, INDEX, NUMPY, PYPROJECT, SIX, make, package, uv_lock, wheel

from nixgen import uv, wheels
from nixgen.errors import Problem, UserError
from nixgen.model import FileHash, Package, Resolution, Target
from nixgen.project import find_project
from nixgen.resolve import resolve, select, split_served
from nixgen.settings import SYSTEMS
from nixgen.targets import environment, tags, targets

LINUX = Target("x86_64-linux", "3.11")


def resolved(root: Path, *wanted: Target, glibc: str = "2.36", hashes: dict[str, FileHash] | None = None) -> Resolution:
    (found,) = resolve(find_project(root), wanted or (LINUX,), glibc, hashes or {})
    return found


def refused(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        resolved(root)
    return str(caught.value)


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
    assert found.problems == (Problem("six", f"uv.lock has no SHA-256 of {file}", "run: nixgen lock"),)
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


def test_a_source_distribution_alone_is_a_problem(tmp_path: Path) -> None:
    root = make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", sdist="six-1.17.0.tar.gz")))
    found = resolved(root)
    assert found.packages[1].kind == "sdist"
    assert found.problems == (
        Problem(
            "six",
            "has no wheel at all; its source distribution, six-1.17.0.tar.gz, is something that nixgen cannot build yet",
            'choose a version with wheels (uv add "six==…"), or a package that does the same',
        ),
    )


def test_no_binary_means_what_it_means_to_uv(tmp_path: Path) -> None:
    lock = uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-any.whl"), sdist="six-1.17.0.tar.gz"))
    found = resolved(make(tmp_path, PYPROJECT + '[tool.uv]\nno-binary-package = ["Six"]\n', lock))
    assert (found.packages[1].kind, found.packages[1].file) == ("sdist", "six-1.17.0.tar.gz")
    assert found.problems[0].what.startswith("is to be built from its source (no-binary); ")


SOURCES = [
    (
        'source = { git = "https://example.org/six.git#' + "a" * 40 + '" }',
        'git = "https://example.org/six.git"',
        "vcs",
        "comes from git (https://example.org/six.git), which nixgen cannot build yet",
    ),
    (
        f'source = {{ url = "{FILES}/six-1.17.0-py3-none-any.whl" }}\n'
        f'wheels = [{{ url = "{FILES}/six-1.17.0-py3-none-any.whl", hash = "sha256:{HASH}" }}]',
        f'url = "{FILES}/six-1.17.0-py3-none-any.whl"',
        "archive",
        f"comes from an address of its own ({FILES}/six-1.17.0-py3-none-any.whl), which nixgen cannot build yet",
    ),
    (
        f'source = {{ path = "six.whl" }}\nwheels = [{{ filename = "six-1.17.0-py3-none-any.whl", hash = "sha256:{HASH}" }}]',
        'path = "six.whl"',
        "archive",
        "comes from an address of its own (six.whl), which nixgen cannot build yet",
    ),
]


@pytest.mark.parametrize(("source", "asked", "kind", "what"), SOURCES, ids=[kind for _, _, kind, _ in SOURCES])
def test_other_sources_are_problems(tmp_path: Path, source: str, asked: str, kind: str, what: str) -> None:
    lock = uv_lock(
        NUMPY,
        f'[[package]]\nname = "six"\nversion = "1.17.0"\n{source}\n',
        requires=f'{{ name = "numpy", specifier = ">=2" }}, {{ name = "six", {asked} }}',
    )
    found = resolved(make(tmp_path, PYPROJECT + f"[tool.uv.sources]\nsix = {{ {asked} }}\n", lock))
    assert found.packages[1].kind == kind
    assert [problem.what for problem in found.problems] == [what]
    assert found.problems[0].mend == (
        "use a published version that has wheels: remove six from [tool.uv.sources], or depend on it by version"
    )


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
    project = find_project(make(tmp_path))
    for path in ("../lib", "/srv/lib"):
        pylock = {"lock-version": "1.0", "packages": [{"name": "lib", "directory": {"path": path}}]}
        (found,) = select(project, pylock, [LINUX], "2.36", {})
        assert found.problems[0] == Problem(
            "lib",
            f"is a folder outside the project ({path})",
            "move it into the project, or make a uv workspace of the folder that holds both",
        )


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


def test_a_stale_lock_is_refused_with_what_differs(tmp_path: Path) -> None:
    root = make(tmp_path, PYPROJECT.replace('"six"', '"six", "tqdm"'))
    assert refused(root) == (
        "uv.lock: is out of date with pyproject.toml: it lacks the dependency tqdm of Demo.App\n"
        "    bring it up to date: uv lock"
    )


def test_neither_an_interpreter_nor_a_network_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, stale = make(tmp_path / "fresh"), make(tmp_path / "stale", PYPROJECT.replace(', "numpy>=2"', ""))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    assert len(resolved(fresh).packages) == 2
    assert "it still has the dependency numpy>=2 of Demo.App" in refused(stale)


def test_the_callers_uv_settings_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    before = resolved(root)
    for name, value in {"UV_INDEX_URL": INDEX, "UV_NO_DEV": "1", "UV_PROJECT": "/", "UV_PYTHON": "3.99"}.items():
        monkeypatch.setenv(name, value)
    assert resolved(root) == before
    assert {"UV_OFFLINE": "1", "UV_PYTHON_DOWNLOADS": "never"}.items() <= uv.offline_environment().items()


def test_an_unknown_group_or_extra_is_uvs_sentence(tmp_path: Path) -> None:
    root = make(tmp_path, PYPROJECT + '[tool.nixgen]\ngroups = ["nope"]\n')
    assert refused(root).startswith("uv: Group `nope` is not defined")
    root = make(tmp_path, PYPROJECT + '[tool.nixgen]\nextras = ["nope"]\n')
    assert refused(root).startswith("uv: Extra `nope` is not defined")


GROUPS = """
[dependency-groups]
dev = ["pytest"]
docs = ["sphinx"]
[project.optional-dependencies]
plot = ["pillow"]
"""


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("", ["pytest"]),
        ("groups = []", []),
        ('groups = ["docs"]', ["sphinx"]),
        ('groups = ["dev", "docs"]', ["pytest", "sphinx"]),
        ('groups = []\nextras = ["plot"]', ["pillow"]),
        ("groups = []\nall-extras = true", ["pillow"]),
    ],
)
def test_groups_and_extras_are_those_of_the_settings(tmp_path: Path, setting: str, names: list[str]) -> None:
    others = [package(name, "1", wheel(f"{name}-1-py3-none-any.whl")) for name in ("pillow", "pytest", "sphinx")]
    more = (
        'provides-extras = ["plot"]\n[package.metadata.requires-dev]\ndev = [{ name = "pytest" }]\n'
        'docs = [{ name = "sphinx" }]\n[package.optional-dependencies]\nplot = [{ name = "pillow" }]\n'
        '[package.dev-dependencies]\ndev = [{ name = "pytest" }]\ndocs = [{ name = "sphinx" }]\n'
    )
    lock = uv_lock(
        more,
        NUMPY,
        *others,
        SIX,
        requires='{ name = "numpy", specifier = ">=2" }, { name = "pillow", marker = "extra == \'plot\'" }, { name = "six" }',
    )
    found = resolved(make(tmp_path, PYPROJECT + GROUPS + f"[tool.nixgen]\n{setting}\n", lock))
    assert [package.name for package in found.packages if package.name not in {"numpy", "six"}] == names


def test_a_requires_python_that_no_target_meets(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        resolve(find_project(make(tmp_path)), targets(find_project(tmp_path).settings, None, "3.9"), "2.36", {})
    assert str(caught.value) == (
        'pyproject.toml: project.requires-python: ">=3.11" does not allow the Python of the base, 3.9.25\n'
        '    change requires-python, or set another python under [tool.nixgen]: python = "3.X"'
    )


def test_a_system_without_a_wheel_is_not_one_of_the_default_ones(tmp_path: Path) -> None:
    root = make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", wheel("six-1.17.0-py3-none-win32.whl"))))
    project = find_project(root)
    everywhere = resolve(project, targets(project.settings, None, "3.11"), "2.36", {})
    assert split_served(everywhere) == (everywhere, ())
    arm = "six-1.17.0-py3-none-manylinux_2_17_aarch64.whl"
    root = make(tmp_path, lock=uv_lock(NUMPY, package("six", "1.17.0", wheel(arm))))
    served, dropped = split_served(resolve(project, targets(project.settings, None, "3.11"), "2.36", {}))
    assert [one.target.system for one in served] == ["aarch64-linux"]
    assert [one.target.system for one in dropped] == ["aarch64-darwin", "x86_64-darwin", "x86_64-linux"]


# Wheel names, ranked: against packaging's own selection.


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"url": f"{FILES}/a%2Bb/torch-2.0%2Bcpu-py3-none-any.whl"}, "torch-2.0+cpu-py3-none-any.whl"),
        ({"url": f"{FILES}/x-1-py3-none-any.whl#sha256=ab"}, "x-1-py3-none-any.whl"),
        ({"url": f"{FILES}/x-1-py3-none-any.whl?a=/b"}, "x-1-py3-none-any.whl"),
        (
            {"name": "pyyaml-6-py3-none-any.whl", "url": f"{FILES}/PyYAML-6-py3-none-any.whl"},
            "PyYAML-6-py3-none-any.whl",
        ),
        ({"name": "x-1-py3-none-any.whl", "url": f"{FILES}/download/42"}, "x-1-py3-none-any.whl"),
        ({"path": "wheels/x-1-py3-none-any.whl"}, "x-1-py3-none-any.whl"),
    ],
)
def test_the_file_is_named_as_its_publisher_did(entry: dict[str, str], name: str) -> None:
    assert wheels.file_name(entry) == name


def best(*files: str, target: Target = LINUX) -> str | None:
    found = wheels.Choice(target, "2.36", "14.0").best([{"url": f"{FILES}/{file}"} for file in files])
    return None if found is None else wheels.file_name(found)


def test_the_higher_build_number_wins_among_equal_tags() -> None:
    assert (
        best("x-1-py3-none-any.whl", "x-1-2-py3-none-any.whl", "x-1-10-py3-none-any.whl") == "x-1-10-py3-none-any.whl"
    )
    assert best("x-1-9-py3-none-any.whl", "x-1-cp311-none-any.whl") == "x-1-cp311-none-any.whl"


def test_what_is_not_a_wheels_name_is_passed_over() -> None:
    assert best("x-1.whl", "x-1-b1-py3-none-any.whl", "x.tar.gz", "x-1-py3-none-any.whl") == "x-1-py3-none-any.whl"


pythons = st.sampled_from(["py2.py3", "py3", "cp311", "cp310", "cp39.cp310", "cp312", "pp310", "py311", "CP311"])
abis = st.sampled_from(["none", "abi3", "cp311", "cp312", "cp311d"])
platforms_ = st.lists(
    st.sampled_from(
        [
            "any",
            "linux_x86_64",
            "manylinux1_x86_64",
            "manylinux2014_x86_64",
            "manylinux_2_17_x86_64",
            "manylinux_2_28_x86_64",
            "manylinux_2_39_x86_64",
            "manylinux_2_17_aarch64",
            "musllinux_1_2_x86_64",
            "macosx_11_0_arm64",
            "macosx_10_9_universal2",
            "macosx_12_0_x86_64",
            "win_amd64",
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
names = st.builds(lambda p, a, s: f"x-1-{p}-{a}-{'.'.join(s)}.whl", pythons, abis, platforms_)


@given(st.lists(names, min_size=1, max_size=8, unique=True), st.sampled_from(SYSTEMS))
def test_packaging_would_choose_the_same(files: list[str], system: str) -> None:
    target = Target(system, "3.11")
    entries = [{"url": f"{FILES}/{file}", "hashes": {"sha256": HASH}} for file in files]
    lock = Pylock.from_dict(
        {
            "lock-version": "1.0",
            "created-by": "test",
            "packages": [
                {
                    "name": "x",
                    "version": "1",
                    "wheels": entries,
                    "sdist": {"url": f"{FILES}/x-1.tar.gz", "hashes": {"sha256": HASH}},
                }
            ],
        }
    )
    ((_, chosen),) = lock.select(environment=environment(target), tags=tags(target, "2.36", "14.0"))
    expected = None if chosen.filename.endswith(".tar.gz") else chosen.filename  # type: ignore[union-attr]
    assert best(*files, target=target) == expected


@given(st.lists(st.sampled_from(["x", "1", "2b", "py3", "cp311", "none", "any", "a.b", ""]), max_size=7).map("-".join))
def test_a_name_is_parsed_as_packaging_parses_it(stem: str) -> None:
    try:
        _, _, build, expected = parse_wheel_filename(f"{stem}.whl")
    except InvalidWheelFilename:
        return
    parsed = wheels.parse(f"{stem}.whl")
    assert parsed is not None
    assert set(parsed[0]) == {str(tag) for tag in expected}
    assert parsed[1] == (build or (0, ""))


def exported(root: Path) -> dict[str, Any]:
    command = [uv.binary(), "export", "--frozen", "--format", "pylock.toml", "-q"]
    return tomllib.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The example projects, locked."""
    roots = []
    for source in sorted((Path(__file__).parents[2] / "examples").glob("*/pyproject.toml")):
        root = tmp_path_factory.mktemp("examples") / source.parent.name
        root.mkdir()
        (root / source.name).write_bytes(source.read_bytes())
        uv.lock(root)
        roots.append(root)
    assert roots
    return roots


@pytest.mark.network
@pytest.mark.parametrize("glibc", ["2.28", "2.36", "2.41"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_examples_resolve_as_packaging_resolves_them(system: str, glibc: str, examples: list[Path]) -> None:
    for root in examples:
        project = find_project(root)
        target = Target(system, project.settings.python or "3.11")
        found = resolved(root, target, glibc=glibc)
        data = exported(root)
        missing = {problem.where for problem in found.problems}
        entries = [entry for entry in data["packages"] if "directory" not in entry]
        where = {"environment": environment(target), "tags": tags(target, glibc, project.settings.macos)}
        data["packages"] = [entry for entry in entries if entry["name"] not in missing]
        expected = {entry.name: file.url for entry, file in Pylock.from_dict(data).select(**where)}
        wheels_found = {p.name: p.url for p in found.packages if p.kind != "directory" and p.name not in missing}
        assert wheels_found == expected
        for name in missing:
            alone = data | {"packages": [entry for entry in entries if entry["name"] == name]}
            try:
                files = [file for _, file in Pylock.from_dict(alone).select(**where)]
            except PylockSelectError:
                continue
            assert not any(isinstance(file, PackageWheel) for file in files)


def test_no_child_is_left_when_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    script = tmp_path / "uv"
    script.write_text("#!/bin/sh\necho 'error: no' >&2\nexit 2\n")
    script.chmod(0o755)
    monkeypatch.setattr(uv, "binary", lambda: os.fspath(script))
    assert refused(root) == "uv: no"


def test_a_file_that_uv_cannot_parse_is_told_in_its_words(tmp_path: Path) -> None:
    said = refused(make(tmp_path, PYPROJECT.replace('["six", "numpy>=2"]', '"six"')))
    assert said.startswith("uv: Failed to parse: pyproject.toml; TOML parse error at line 5, column 16; invalid type")
    assert "|" not in said
    lock = 'version = 1\nrequires-python = ">=3.11"\n[[package]]\nnaem = "x"\n'
    assert refused(make(tmp_path, lock=lock)) == (
        "uv: Failed to parse `uv.lock`; TOML parse error at line 3, column 1; missing field `name`"
    )
