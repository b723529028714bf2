"""[tool.nixgen] is written, and everything else of pyproject.toml is kept byte for byte."""

from __future__ import annotations

import tomllib

import pytest

from nixgen.errors import UserError
from nixgen.project.edit import Value, with_settings

VALUES: dict[str, Value] = {"base": "debian", "python": "3.11", "systems": ["x86_64-linux"]}
SECTION = '[tool.nixgen]\nbase = "debian"\npython = "3.11"\nsystems = ["x86_64-linux"]\n'


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "a" # why\n',
        '[project]\nname = "a"\n[tool.ruff]\nx = 1\n\n[build-system]\ny = 1\n# between\n[tool.uv]\nz = 1\n# end\n',
        'tool.ruff.x = 1\n[project]\nname = "a"\n',
        "[tool]\nuv = {a = 1}\n",
        "[[tool.x]]\na = 1\n[tool.y.z]\nb = 1\n",
        '[project]\ndescription = """\n[tool.nixgen]\n"""\n',
    ],
)
def test_a_new_section_comes_last_and_nothing_else_changes(text: str) -> None:
    assert with_settings(text, VALUES) == text + "\n" + SECTION


def test_a_file_that_ends_without_a_newline_or_is_empty() -> None:
    assert with_settings("a = 1", VALUES) == "a = 1\n\n" + SECTION
    assert with_settings("", VALUES) == SECTION


def test_windows_line_ends_stay() -> None:
    assert with_settings("a = 1\r\n", VALUES) == ("a = 1\n\n" + SECTION).replace("\n", "\r\n")


def test_a_byte_order_mark_stays() -> None:
    text = "\ufeff" + with_settings("a = 1\n", VALUES)
    assert with_settings("\ufeffa = 1\n", VALUES) == text
    assert with_settings(text, VALUES) == text
    assert with_settings(text, {"base": "nixpkgs"}) == text.replace("debian", "nixpkgs")


def test_a_section_that_is_there_keeps_its_comments_and_its_place() -> None:
    text = '[tool.nixgen]\n# why\nbase = "nixpkgs" # hm\npython = "3.11"\n\n[tool.x]\na = 1\n'
    assert with_settings(text, VALUES) == (
        '[tool.nixgen]\n# why\nbase = "debian" # hm\npython = "3.11"\nsystems = ["x86_64-linux"]\n\n[tool.x]\na = 1\n'
    )


@pytest.mark.parametrize("text", ["[tool]\nnixgen = {base = 'nixpkgs'}\n", "tool.nixgen.base = 'nixpkgs'\n"])
def test_other_forms_of_the_section(text: str) -> None:
    assert tomllib.loads(with_settings(text, VALUES)) == {"tool": {"nixgen": VALUES}}


def test_what_is_there_already_is_not_touched() -> None:
    text = "[tool.nixgen]\nbase='debian'\nsystems=[ 'x86_64-linux', ]\npython = '3.11'"
    assert with_settings(text, VALUES) == text


def test_a_revision_of_nixpkgs_is_one_line() -> None:
    text = with_settings("", {"nixpkgs": {"rev": "5880", "narHash": "sha256-x"}})
    assert text == '[tool.nixgen]\nnixpkgs = {rev = "5880", narHash = "sha256-x"}\n'


def test_a_form_that_cannot_be_extended() -> None:
    with pytest.raises(UserError) as caught:
        with_settings("tool = {a = 1}\n", VALUES)
    assert str(caught.value) == (
        "pyproject.toml: has its [tool] table in a form that nixgen cannot extend\n"
        "  hint: add these lines by hand:\n"
        "    [tool.nixgen]\n"
        '    base = "debian"\n'
        '    python = "3.11"\n'
        '    systems = ["x86_64-linux"]'
    )


def test_tables_in_tables() -> None:
    values: dict[str, Value] = {"packages": {"psycopg2": {"build-libraries": ["libpq-dev"]}}, "base": "debian"}
    expected = '[tool.nixgen]\npackages = {psycopg2 = {build-libraries = ["libpq-dev"]}}\nbase = "debian"\n'
    assert with_settings("", values) == expected
    before = "[tool.nixgen.packages.fiona]\ntimeout = 7200\n"
    assert tomllib.loads(with_settings(before, {"base": "debian"}))["tool"]["nixgen"] == {
        "base": "debian",
        "packages": {"fiona": {"timeout": 7200}},
    }
