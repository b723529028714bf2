"""Two trees on the disk: the files that differ, how, and why; nothing that a NAR does not hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixgen.check.explain.trees import LOOKED_INTO, explain
from nixgen.check.model import FileDifference
from nixgen.nix import nar


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """Two equal trees."""
    for name in ("expected", "found"):
        folder = tmp_path / name / "lib"
        folder.mkdir(parents=True)
        (folder / "data").write_text("the same\n")
        (folder / "stamp").write_text("2024-11-21\n")
        (folder / "tool").write_text("#!/bin/sh\n")
        (folder / "tool").chmod(0o755)
        (folder / "link").symlink_to("data")
    return tmp_path / "expected", tmp_path / "found"


def test_equal_trees_have_no_differences(both: tuple[Path, Path]) -> None:
    os.utime(both[1] / "lib/data", (1, 1))
    (both[1] / "lib/data").chmod(0o400)
    assert explain(*both) == ()


def test_content_with_a_cause(both: tuple[Path, Path]) -> None:
    (both[1] / "lib/stamp").write_text("2024-11-22\n")
    assert explain(*both) == (
        FileDifference(
            "lib/stamp",
            "content",
            "11 bytes; first difference at offset 9",
            ("a time: 2024-11-22, 2024-11-21 expected (line 1)",),
        ),
    )


def test_content_without_a_cause_shows_the_bytes(both: tuple[Path, Path]) -> None:
    (both[1] / "lib/data").write_text("the other\n")
    assert explain(*both) == (
        FileDifference(
            "lib/data",
            "content",
            "10 bytes, 9 expected; first difference at offset 4: "
            "6f 74 68 65 72 0a |other.|, 73 61 6d 65 0a |same.| expected",
        ),
    )


def test_added_and_removed(both: tuple[Path, Path]) -> None:
    (both[1] / "lib/data").unlink()
    (both[1] / "new").mkdir()
    (both[1] / "new/inner").touch()
    (both[1] / "lib/more").touch()
    assert explain(*both) == (
        FileDifference("lib/data", "removed", "a file"),
        FileDifference("lib/more", "added", "a file"),
        FileDifference("new", "added", "a folder"),
    )


def test_modes_links_and_kinds(both: tuple[Path, Path]) -> None:
    (both[1] / "lib/tool").chmod(0o644)
    (both[1] / "lib/data").chmod(0o755)
    (both[1] / "lib/link").unlink()
    (both[1] / "lib/link").symlink_to("stamp")
    (both[1] / "lib/stamp").unlink()
    (both[1] / "lib/stamp").mkdir()
    assert explain(*both) == (
        FileDifference("lib/data", "mode", "executable, not so expected"),
        FileDifference("lib/link", "link", "to stamp, to data expected"),
        FileDifference("lib/stamp", "kind", "a folder, a file expected"),
        FileDifference("lib/tool", "mode", "not executable, but expected to be"),
    )


def test_a_path_that_is_a_file_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("2\n")
    (tmp_path / "b").write_text("5\n")
    (found,) = explain(tmp_path / "a", tmp_path / "b", cores=5)
    assert (found.path, found.causes) == ("", ("the number of cores that the build was given: 5, 2 expected (line 1)",))


def test_names_that_are_no_text(both: tuple[Path, Path]) -> None:
    Path(os.fsdecode(os.fsencode(both[1]) + b"/\xff\n")).touch()
    assert explain(*both) == (FileDifference("\\udcff\n", "added", "a file"),)


def test_of_many_files_only_some_are_looked_into(tmp_path: Path) -> None:
    for side in ("one", "two"):
        (tmp_path / side).mkdir()
        for number in range(LOOKED_INTO + 2):
            (tmp_path / side / f"{number:03}").write_text(f"{side}\n")
    found = explain(tmp_path / "one", tmp_path / "two")
    assert len(found) == LOOKED_INTO + 2
    assert found[-1] == FileDifference(f"{LOOKED_INTO + 1}", "content", "4 bytes, 4 expected")


CONTENT = st.sampled_from([b"", b"a", b"2024-11-21", b"2024-11-22", b"\0\1"])
TREE = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.tuples(CONTENT, st.booleans()))


@settings(max_examples=60)
@given(before=TREE, now=TREE)
def test_there_are_differences_just_where_the_nar_hashes_differ(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, tuple[bytes, bool]], now: dict[str, tuple[bytes, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("trees")
    for side, tree in (("before", before), ("now", now)):
        (folder / side).mkdir()
        for name, (content, executable) in tree.items():
            (folder / side / name).write_bytes(content)
            (folder / side / name).chmod(0o755 if executable else 0o644)
    found = explain(folder / "before", folder / "now")
    assert bool(found) == (nar.hash_path(folder / "before") != nar.hash_path(folder / "now"))
    assert {one.path for one in found} == {
        name for name in before.keys() | now.keys() if before.get(name) != now.get(name)
    }
