"""The choice of a wheel is that of packaging, the standards' own library, but for build numbers."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import PackageWheel, Pylock, PylockSelectError
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from projects import FILES, HASH
from support.resolving import LINUX, resolved

from nixgen.project.project import find_project
from nixgen.project.settings import SYSTEMS
from nixgen.resolve import pylock, uv, wheels
from nixgen.resolve.model import Target
from nixgen.resolve.targets import environment, platforms, tags

if TYPE_CHECKING:
    from packaging.tags import Tag


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


def target_tags(target: Target, glibc: str) -> list[Tag]:
    return tags(target.python, list(platforms(target.system, glibc, "14.0")))


def best(*files: str, target: Target = LINUX) -> str | None:
    found = wheels.Choice(target, "2.36", "14.0").best([{"url": f"{FILES}/{file}"} for file in files])
    return None if found is None else wheels.file_name(found)


def test_the_higher_build_number_wins_among_equal_tags() -> None:
    assert (
        best("x-1-py3-none-any.whl", "x-1-2-py3-none-any.whl", "x-1-10-py3-none-any.whl") == "x-1-10-py3-none-any.whl"
    )
    assert best("x-1-9-py3-none-any.whl", "x-1-cp311-none-any.whl") == "x-1-cp311-none-any.whl"


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (["cp311-abi3-manylinux_2_17_x86_64", "py3-none-any"], "cp311-abi3-manylinux_2_17_x86_64"),
        (["cp38-abi3-manylinux_2_17_x86_64", "cp310-abi3-manylinux_2_17_x86_64"], "cp310-abi3-manylinux_2_17_x86_64"),
        (["cp311-abi3-manylinux_2_17_x86_64", "cp311-cp311-linux_x86_64"], "cp311-cp311-linux_x86_64"),
        (["cp312-abi3-manylinux_2_17_x86_64"], None),  # of a newer Python
        (["cp311-cp311t-manylinux_2_17_x86_64", "cp311-abi3t-manylinux_2_17_x86_64"], None),  # without the GIL
        (["cp311-cp311-musllinux_1_2_x86_64", "py3-none-musllinux_1_1_x86_64"], None),  # for another C library
        (["cp311-cp311d-manylinux_2_17_x86_64"], None),
        (["pp311-pypy311_pp73-manylinux_2_17_x86_64"], None),
    ],
)
def test_abi3_free_threaded_and_musllinux_wheels(files: list[str], taken: str | None) -> None:
    assert best(*(f"x-1-{tag}.whl" for tag in files)) == (taken and f"x-1-{taken}.whl")


def test_universal_wheels_of_macs_are_taken_where_there_is_none_of_their_own() -> None:
    universal, arm = "x-1-cp311-cp311-macosx_11_0_universal2.whl", "x-1-cp311-cp311-macosx_11_0_arm64.whl"
    macs = [Target(f"{machine}-darwin", "3.11") for machine in ("aarch64", "x86_64")]
    assert [best(universal, arm, target=mac) for mac in macs] == [arm, universal]
    assert best(universal) is None


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
    ((_, chosen),) = lock.select(environment=environment(target), tags=target_tags(target, "2.36"))
    expected = None if chosen.filename.endswith(".tar.gz") else chosen.filename  # type: ignore[union-attr]
    assert best(*files, target=target) == expected


parts = st.lists(
    st.sampled_from(["x", "1", "2b", "2B_C", "py3", "CP311", "none", "any", "a.b", "%2b", "q?", "\n", ""]), max_size=7
)


@given(
    st.lists(
        st.builds(lambda found, end: f"{'-'.join(found)}{end}", parts, st.sampled_from([".whl", ".zip"])), max_size=4
    )
)
def test_the_names_of_many_wheels_are_read_as_those_of_each(files: list[str]) -> None:
    entries = [{"url": f"{FILES}/{file}"} for file in files]
    each = [offer for entry in entries for offer in wheels.offers([entry, {"url": f"{FILES}/%"}])]
    assert list(wheels.offers(entries)) == each


@given(st.lists(st.sampled_from(["x", "1", "2b", "py3", "cp311", "none", "any", "a.b", ""]), max_size=7).map("-".join))
def test_a_name_is_parsed_as_packaging_parses_it(stem: str) -> None:
    try:
        _, _, build, expected = parse_wheel_filename(f"{stem}.whl")
    except InvalidWheelFilename:
        return
    parsed = wheels.parse(f"{stem}.whl")
    assert parsed is not None
    assert {f"{group}-{platform}" for group, platform in parsed[0]} == {str(tag) for tag in expected}
    assert parsed[1] == (build or (0, ""))


def exported(root: Path) -> dict[str, Any]:
    command = [uv.binary(), "export", "--frozen", "--format", "pylock.toml", "-q"]
    return tomllib.loads(subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The example projects, locked: but for spirals, of which a person names an index."""
    roots = []
    for source in sorted((Path(__file__).parents[2] / "examples").glob("*/pyproject.toml")):
        if source.parent.name == "spirals":
            continue
        root = tmp_path_factory.mktemp("examples") / source.parent.name
        root.mkdir()
        (root / source.name).write_bytes(source.read_bytes())
        uv.lock(root)
        roots.append(root)
    assert roots
    return roots


@pytest.mark.network
@pytest.mark.parametrize(
    ("system", "glibc"),
    [(system, glibc) for system in SYSTEMS for glibc in ("2.28", "2.36", "2.41")[: None if "linux" in system else 1]],
)
def test_the_examples_resolve_as_packaging_resolves_them(system: str, glibc: str, examples: list[Path]) -> None:
    for root in examples:
        project = find_project(root)
        target = Target(system, project.settings.python or "3.11")
        found = resolved(root, target, glibc=glibc)
        data = exported(root)
        missing = {problem.where for problem in found.problems}
        entries = [entry for entry in data["packages"] if "directory" not in entry]
        where = {"environment": environment(target), "tags": target_tags(target, glibc)}
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


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_ranks_are_in_the_order_of_the_tags(system: str) -> None:
    choice = wheels.Choice(Target(system, "3.11"), "2.36", "14.0")
    found = target_tags(Target(system, "3.11"), "2.36")
    names = [(f"{tag.interpreter}-{tag.abi}", tag.platform) for tag in found]
    ranks = [choice.rank(*name) for name in dict.fromkeys(names)]
    assert ranks == sorted(set(ranks))
    assert choice.rank("cp39-cp39", "any") == choice.rank("cp311-cp311", "win32") > ranks[-1]


HASHES = f'hashes = {{ sha256 = "{HASH}" }}'
ODD = (
    f'    {{ url = "{FILES}/a-1-py3-none-any.whl", {HASHES} }},',
    f'    {{ url = "{FILES}/a.whl", upload-time = 2025-07-29T05:50:25.123Z, size = 7, {HASHES} }},',
    f'    {{ url = "{FILES}/%2B.whl", size = 7, {HASHES} }},',
    f'    {{ name = "b.whl", url = "{FILES}/B.whl", {HASHES} }},',
    f'    {{ url = "{FILES}/\\u0041.whl", {HASHES} }},',
    f'    {{ url = "{FILES}/a.whl", hashes = {{}} }},',
    f'    {{ url = "{FILES}/a.whl", size = 7, hashes = {{ sha256 = "AB", md5 = "x" }} }},',
    f'    {{ path = "a.whl", {HASHES} }},',
)


@given(st.lists(st.lists(st.sampled_from(ODD), max_size=4), max_size=4))
def test_a_pylock_is_read_as_a_toml_reader_reads_it(packages: list[list[str]]) -> None:
    listed = ("".join(line + "\n" for line in lines) for lines in packages)
    blocks = (f'[[packages]]\nname = "a"\nwheels = [\n{lines}]\n' for lines in listed)
    text = 'lock-version = "1.0"\n' + "".join(blocks)
    expected = tomllib.loads(text)
    for entry in expected.get("packages", ()):
        for file in entry["wheels"]:
            file.pop("upload-time", None)
    found = pylock.loads(text)
    for entry in found.get("packages", ()):
        for file in entry["wheels"]:
            file.pop("upload-time", None)
    assert found == expected
