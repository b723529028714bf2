# ruff: noqa: E501 -- tables of cases are wide
from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.artifacts.paths import clashes, path_problem


@pytest.mark.parametrize(
    "path", ["config.json", "onnx/model.onnx", "a b/ü.txt", ".gitattributes", "a/..b/c", "x" * 255]
)
def test_paths_that_may_be_used(path: str) -> None:
    assert path_problem(path) is None


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is not a relative path"),
        ("~/.ssh/id", "is not a relative path"),
        ("C:/x", "is not a relative path"),
        ("C:\\x", "is not a relative path"),
        ("a\\..\\b", "has a backslash in it"),
        ("a\nb", "has a control character in it"),
        ("a\0b", "has a control character in it"),
        ("a\udce4b", "is not UTF-8 text"),
        ("..", 'leads out of its folder with ".."'),
        ("a/../../b", 'leads out of its folder with ".."'),
        ("a//b", 'has an empty part or a "." in it'),
        ("a/", 'has an empty part or a "." in it'),
        ("./a", 'has an empty part or a "." in it'),
        ("x" * 256, "is longer than file systems allow"),
        ("ü" * 128, "is longer than file systems allow"),
        ("a/" * 512 + "a", "is longer than file systems allow"),
    ],
)
def test_paths_that_may_not(path: str, what: str) -> None:
    assert path_problem(path) == what


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["a", "b/a", "b/c", "ba"], []),
        (["a", "b", "a"], [("a", "is there twice")]),
        (["README.md", "readme.md"], [("readme.md", 'differs from "README.md" only in the case or form of its letters')]),
        (["\u00e9", "e\u0301"], [("e\u0301", 'differs from "\u00e9" only in the case or form of its letters')]),
        (["stra\u00dfe", "STRASSE"], [("STRASSE", 'differs from "stra\u00dfe" only in the case or form of its letters')]),
        (
            ["Onnx/a", "onnx/b"],
            [("onnx/b", 'lies in a folder that differs from "Onnx" only in the case or form of its letters')],
        ),
        (["a", "a/b"], [("a", 'is a file, and "a" is a folder')]),
        (["A/b/c", "a/B"], [("a/B", 'lies in a folder that differs from "A" only in the case or form of its letters'), ("a/B", 'is a file, and "A/b" is a folder')]),
    ],
)  # fmt: skip
def test_paths_that_cannot_be_beside_each_other(paths: list[str], found: list[tuple[str, str]]) -> None:
    assert list(clashes(paths)) == found


def test_ten_thousand_paths_are_looked_at_quickly() -> None:
    paths = [f"data/part-{number:05}/file-{number}.parquet" for number in range(10_000)]
    assert list(clashes([*paths, paths[0]])) == [(paths[0], "is there twice")]


@given(st.text(st.sampled_from("ab./\\~:\n\u00fc"), max_size=12))
def test_a_path_that_may_be_used_stays_in_its_folder(path: str) -> None:
    if path_problem(path) is None:
        assert posixpath.normpath(path) == path
        assert not posixpath.isabs(path)
        assert posixpath.normpath(posixpath.join("/folder", path)).startswith("/folder/")
