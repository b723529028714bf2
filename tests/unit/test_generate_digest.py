"""What default.nix is made from, and so may not change unnoticed."""

# ruff: noqa: E501 -- pyproject.toml in one line each
from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.nix import ROOT
from support.plans import NIXPKGS

from nixgen.artifacts.manifest import read_manifest
from nixgen.errors import UserError
from nixgen.generate import digest
from nixgen.generate.model import SourceTree
from nixgen.generate.planning import Pins, digests
from nixgen.lock.model import Lock

if TYPE_CHECKING:
    from support.nix import Nix

SERVICE = 'version = 1\n[services.api]\ncommand = "python -m app"\n'
# What a lock may hold: no fractions, and no control characters (nixgen/artifacts/pins.py refuses them).
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
# A model may have any of the names that mean something to Nix.
KEY = TEXT | st.sampled_from(["outPath", "__toString", "__functor", "type", "recurseForDerivations"])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)
LOGS = ("cache", "registry")
LOCK = st.dictionaries(KEY.filter(lambda key: key not in LOGS), VALUE, max_size=5)
WITHOUT_LOGS = 'removeAttrs (builtins.fromJSON lock) [ "cache" "registry" ]'
READ = "lock = builtins.readFile path;"
IN_NIX = f'let {READ} in builtins.hashString "sha256" (import {ROOT}/nix/json.nix lock ({WITHOUT_LOGS}))'


def made_from(folder: Path, manifest: str, lock: bytes = b"{}") -> dict[str, str]:
    (folder / "uv.lock").write_bytes(b"version = 1\n")
    (folder / "models.toml").write_text(manifest)
    return digests(folder, Pins(Lock(NIXPKGS), lock, {}), read_manifest(folder))


def test_models_toml_counts_when_it_asks_for_something(tmp_path: Path) -> None:
    found = made_from(tmp_path, SERVICE)
    contents = {"uv.lock": b"version = 1\n", "nixgen.lock": b"{}", "models.toml": SERVICE.encode()}
    beside = {".python-version": "", "uv.toml": ""}
    assert found == beside | {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}


def test_an_empty_models_toml_does_not_count(tmp_path: Path) -> None:
    assert sorted(made_from(tmp_path, "version = 1\n# [models.m]\n")) == [
        ".python-version",
        "nixgen.lock",
        "uv.lock",
        "uv.toml",
    ]


def test_of_nixgen_lock_the_content_counts_without_the_logs(tmp_path: Path) -> None:
    plain, pushed = b'{"base":{"b":1,"a":"\xc3\xa9"}}', b'{"cache": {"x": "\\b"},\n "base": {"a": "\\u00e9", "b": 1}}\n'
    assert made_from(tmp_path, "version = 1\n", plain) == made_from(tmp_path, "version = 1\n", pushed)
    published = b'{"registry": {"registry": {"size": 3}}, "base": {"a": "\xc3\xa9", "b": 1}}'
    assert made_from(tmp_path, "version = 1\n", plain) == made_from(tmp_path, "version = 1\n", published)
    other = b'{"base":{"b":2,"a":"\xc3\xa9"}}'
    assert made_from(tmp_path, "version = 1\n", plain) != made_from(tmp_path, "version = 1\n", other)
    assert digest.canonical(pushed) == '{"base":{"a":"é","b":1}}'.encode()


def test_half_a_character_is_told() -> None:
    with pytest.raises(UserError, match=r"nixgen\.lock: holds half a character"):
        digest.of_lock(b'{"a": "\\ud800"}')


@given(lock=LOCK, log=st.none() | VALUE, indent=st.none() | st.integers(0, 3), escaped=st.booleans())
def test_form_and_logs_do_not_count(lock: dict[str, Any], log: object, indent: int | None, *, escaped: bool) -> None:
    text = json.dumps({"cache": log, **lock, "registry": log}, indent=indent, ensure_ascii=escaped).encode()
    assert digest.of_lock(text) == digest.of_lock(json.dumps(dict(reversed(lock.items()))).encode())


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(locks=st.lists(st.tuples(LOCK, VALUE), min_size=25, max_size=50))
def test_nix_gives_the_same_digest(nix: Nix, tmp_path: Path, locks: list[tuple[dict[str, Any], Any]]) -> None:
    paths, wanted = [], []
    for number, (lock, log) in enumerate(locks):
        path = tmp_path / f"{number}.json"
        text = json.dumps({**lock, LOGS[number % 2]: log}, indent=number % 3, ensure_ascii=bool(number % 2))
        path.write_text(text, encoding="utf-8")
        paths.append(str(path))
        wanted.append(digest.of_lock(text.encode()))
    assert nix.evaluate(f"map (path: {IN_NIX}) [ {' '.join(paths)} ]") == wanted


PYPROJECTS = {
    "plain": '[project]\nname = "a"\n\n[tool.nixgen]\nbase = "debian" # why\nsystems = [\n    "x86_64-linux",\n]\n\n[tool.ruff]\na = 1\n',
    "first": '[tool.nixgen]\nbase = "debian"',
    "none": '[project]\nname = "a"\n',
    "empty": "",
    "windows": '[project]\r\nname = "a"\r\n[tool.nixgen]\r\nbase = "debian"\r\n[tool.uv]\r\n',
    "lines of windows": "[tool.nixgen]\r\nsmoke = ['''\r\na\r\nb''']\r\n",
    "parts": '[tool.nixgen]\nbase = "nixpkgs"\n[tool.mypy]\n[[tool.mypy.overrides]]\n[tool.nixgen.nixpkgs] # pin\nrev = "1"\n narHash = "2"\n',
    "indented": '  [tool.nixgen]\n  tools = [ "jq" ]\n\t[tool.black]\n',
    "dates": '[tool.uv]\nexclude-newer = 2024-01-01T00:00:00Z\nx = 07:32:00\n[tool.nixgen]\nbase = "debian"\n[z]\nd = 2024-01-01\n',
    "mixed": '[tool.nixgen]\nsmoke = ["python -c \'x\'", "a\\tb \\"c\\" \\\\d é"]\n[dependency-groups]\ndev = ["a", {include-group = "b"}]\n',
    "dotted": 'tool.nixgen.base = "debian"\ntool.ruff.line-length = 1\n',
    "in tool": '[tool]\nnixgen = {base = "debian"}\n',
    "blanks": '[ tool . nixgen ]\nbase = "debian"\n[ tool . ruff ]\n',
    "quoted": '[tool."nixgen"]\nbase = "debian"\n',
    "rows": '[tool.ruff]\nx = [\n  ["a"],\n  ["b"]\n]\n[tool.nixgen]\nx = [\n  [1],\n]\n',
    "mark": '\ufeff[project]\n[tool.nixgen]\nbase = "debian"\n',
    "text": '[tool.nixgen]\nsmoke = ["""\n  a\n  # b\n"""]\n',
    "a header in a text": '[tool.nixgen]\nsmoke = ["""\n[tool.ruff]\n"""]\nbase = "debian"\n',
}


def stale(nix: Nix, *roots: Path) -> list[list[str]]:
    """What the library says is stale in these folders, by their locks.json."""
    listed = " ".join(
        f'(stale {{ root = /. + "{root}"; locks = builtins.fromJSON (builtins.readFile (/. + "{root}/locks.json")); }})'
        for root in roots
    )
    found = nix.evaluate(f"let stale = import {ROOT}/nix/stale.nix; in [ {listed} ]")
    assert isinstance(found, list)
    return found


def project(folder: Path, text: str) -> Path:
    """A folder with a pyproject.toml, and the digests of now in locks.json."""
    folder.mkdir()
    (folder / "nixgen.lock").write_text("{}")
    (folder / "pyproject.toml").write_bytes(text.encode())
    (folder / "locks.json").write_text(json.dumps(made_from(folder, "version = 1\n")))
    return folder


def test_nix_finds_the_same_digests(nix: Nix, tmp_path: Path) -> None:
    """Cases 15 and 55: whatever TOML it is, and each change of what counts is seen."""
    folders = [project(tmp_path / str(number), text) for number, text in enumerate(PYPROJECTS.values())]
    assert dict(zip(PYPROJECTS, stale(nix, *folders), strict=True)) == {name: [] for name in PYPROJECTS}
    for folder in folders:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        (folder / "pyproject.toml").write_text(text + "\n[project.scripts]\nx = 'a:b'\n", encoding="utf-8")
    assert {name: ["pyproject.toml"] for name in PYPROJECTS} == dict(zip(PYPROJECTS, stale(nix, *folders), strict=True))


BASIC = """
# of the project
[project]
name = "a"
version = "1"
dependencies = ["six"]

[tool.ruff]
line-length = 100
[[tool.mypy.overrides]]
module = "x"
[tool.uv]
default-groups = ["dev"]
[tool.setuptools]
packages = ["a"]
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"six"', '"six", "idna"'),
        ('version = "1"', 'version = "2"'),
        ("\n[tool.ruff]", "[project.scripts]\na = 'a:main'\n[tool.ruff]"),
        ('["dev"]', '["dev", "docs"]'),
        ('packages = ["a"]', 'packages = ["a", "b"]'),
        ("[tool.ruff]", "[tool.nixgen]\ntools = ['jq']\n[tool.ruff]"),
        ("\n# of", "tool.nixgen.tools = ['jq']\n# of"),
        ("[tool.uv]", "[build-system]\nrequires = ['hatchling']\n[tool.uv]"),
    ],
)
def test_what_counts_in_pyproject(old: str, new: str) -> None:
    assert old in BASIC
    assert digest.of_pyproject(BASIC.replace(old, new).encode()) != digest.of_pyproject(BASIC.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("100", "120"),
        ("# of", "\n# more of"),
        ('"x"', '"y"'),
        ("[tool.ruff]", "[tool.ruff]\n[tool.pytest.ini_options]\na = 1"),
        ("\n", "\r\n"),
    ],
)
def test_what_does_not_count_in_pyproject(old: str, new: str) -> None:
    assert old in BASIC
    assert digest.of_pyproject(BASIC.replace(old, new).encode()) == digest.of_pyproject(BASIC.encode())


@pytest.mark.parametrize(
    "data", [b"\xff", b"[project\n", b'[tool.nixgen]\nbase = "a', PYPROJECTS["a header in a text"].encode()]
)
def test_where_the_text_does_not_tell_the_whole_file_counts(data: bytes) -> None:
    assert digest.of_pyproject(data) == f"whole:{hashlib.sha256(data).hexdigest()}"


def test_files_beside_it_that_come_and_change_are_named(nix: Nix, tmp_path: Path) -> None:
    """Case 55: `uv python pin`; and a file that a flake does not see is not missed."""
    folder = project(tmp_path / "a", BASIC)
    (folder / ".python-version").write_text("3.14\n")
    (folder / "uv.toml").write_text("")
    assert stale(nix, folder) == [[".python-version", "uv.toml"]]
    (folder / "locks.json").write_text(json.dumps(made_from(folder, "version = 1\n")))
    assert stale(nix, folder) == [[]]
    for name in (".python-version", "uv.toml", "pyproject.toml"):
        (folder / name).unlink()
    assert stale(nix, folder) == [[]]


def test_the_expression_is_that_of_the_library() -> None:
    library = (ROOT / "nix/stale.nix").read_text()
    read, said = (text.replace("builtins.", "") for text in (READ, WITHOUT_LOGS))
    assert f"let {read} in sha256 (import ./json.nix lock ({said}))" in " ".join(library.split())


def test_setup_files_that_were_read_count(nix: Nix, tmp_path: Path) -> None:
    """Cases 10 and 15: default.nix is made from setup.py and setup.cfg, too; line ends do not count."""
    folder = project(tmp_path / "project", PYPROJECTS["none"])
    (folder / "setup.py").write_text("setup()\n")
    (folder / "setup.cfg").write_text("[metadata]\nname = a\n")
    tree = SourceTree("a", "1", ".", ("src",), ("a",), "", "", files=("setup.cfg", "setup.py"))
    found = digests(folder, Pins(Lock(NIXPKGS), b"{}", {}), read_manifest(folder), trees=(tree,))
    (folder / "locks.json").write_text(json.dumps(found))
    assert stale(nix, folder) == [[]]
    (folder / "setup.cfg").write_bytes(b"[metadata]\r\nname = a\r\n")
    (folder / "setup.py").write_text("setup(packages=['a'])\n")
    assert stale(nix, folder) == [["setup.py"]]


CODE = """import os
__version__ = (
    1,
    2,
)
NAME = "a"
"""


def test_what_was_read_of_files_of_code_counts(nix: Nix, tmp_path: Path) -> None:
    """Case 15: the lines that tell a version, and nothing else of a file that is code; files of text as a whole."""
    folder = project(tmp_path / "project", PYPROJECTS["none"])
    (folder / "about.py").write_text(CODE)
    (folder / "VERSION").write_text("1.2\n")
    lines = {"about.py": "__version__ = (\n    1,\n    2,\n)", "unknown_to_git.py": "a = 1"}
    tree = SourceTree("a", "1", ".", ("src",), ("a",), "", "", files=("VERSION",), lines=lines)
    found = digests(folder, Pins(Lock(NIXPKGS), b"{}", {}), read_manifest(folder), trees=(tree,))
    (folder / "locks.json").write_text(json.dumps(found))
    (folder / "VERSION").write_bytes(b"1.2\r\n")
    for other in (
        CODE,
        f"{CODE}more = 2\n",
        f"\ufeff{CODE}".replace("\n", "\r\n"),
        CODE.removeprefix("import os\n").rstrip(),
    ):
        (folder / "about.py").write_bytes(other.encode())
        assert stale(nix, folder) == [[]]
    for other in (CODE.replace("2", "3"), CODE.replace(")", ") + (3,)"), ""):
        (folder / "about.py").write_text(other)
        assert stale(nix, folder) == [["about.py"]]
    (folder / "VERSION").write_text("1.3\n")
    assert stale(nix, folder) == [["VERSION", "about.py"]]
