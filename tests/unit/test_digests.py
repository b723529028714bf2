"""What default.nix is made from, and so may not change unnoticed."""

# ruff: noqa: E501 -- pyproject.toml in one line each
from __future__ import annotations

import hashlib
import json
import re
import tomllib
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
from nixgen.generate.planning import Pins, digests
from nixgen.lock.model import Lock

if TYPE_CHECKING:
    from support.nix import Nix

SERVICE = 'version = 1\n[services.api]\ncommand = "python -m app"\n'
# What a lock may hold: no fractions, and no control characters (nixgen/artifacts/pins.py refuses them).
TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
LOCK = st.dictionaries(TEXT.filter(lambda key: key != "cache"), VALUE, max_size=5)
WITHOUT_CACHE = 'removeAttrs (builtins.fromJSON (builtins.readFile path)) [ "cache" ]'
IN_NIX = f'builtins.hashString "sha256" (builtins.toJSON ({WITHOUT_CACHE}))'


def made_from(folder: Path, manifest: str, lock: bytes = b"{}") -> dict[str, str]:
    (folder / "uv.lock").write_bytes(b"version = 1\n")
    (folder / "models.toml").write_text(manifest)
    return digests(folder, Pins(Lock(NIXPKGS), lock, {}), read_manifest(folder))


def test_models_toml_counts_when_it_asks_for_something(tmp_path: Path) -> None:
    found = made_from(tmp_path, SERVICE)
    contents = {"uv.lock": b"version = 1\n", "nixgen.lock": b"{}", "models.toml": SERVICE.encode()}
    assert found == {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}


def test_an_empty_models_toml_does_not_count(tmp_path: Path) -> None:
    assert sorted(made_from(tmp_path, "version = 1\n# [models.m]\n")) == ["nixgen.lock", "uv.lock"]


def test_of_nixgen_lock_the_content_counts_without_the_cache(tmp_path: Path) -> None:
    plain, pushed = b'{"base":{"b":1,"a":"\xc3\xa9"}}', b'{"cache": {"x": "\\b"},\n "base": {"a": "\\u00e9", "b": 1}}\n'
    assert made_from(tmp_path, "version = 1\n", plain) == made_from(tmp_path, "version = 1\n", pushed)
    other = b'{"base":{"b":2,"a":"\xc3\xa9"}}'
    assert made_from(tmp_path, "version = 1\n", plain) != made_from(tmp_path, "version = 1\n", other)
    assert digest.canonical(pushed) == '{"base":{"a":"é","b":1}}'.encode()


def test_half_a_character_is_told() -> None:
    with pytest.raises(UserError, match=r"nixgen\.lock: holds half a character"):
        digest.of_lock(b'{"a": "\\ud800"}')


@given(lock=LOCK, cache=st.none() | VALUE, indent=st.none() | st.integers(0, 3), escaped=st.booleans())
def test_form_and_cache_do_not_count(lock: dict[str, Any], cache: object, indent: int | None, *, escaped: bool) -> None:
    text = json.dumps({"cache": cache, **lock}, indent=indent, ensure_ascii=escaped).encode()
    assert digest.of_lock(text) == digest.of_lock(json.dumps(dict(reversed(lock.items()))).encode())


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(locks=st.lists(st.tuples(LOCK, VALUE), min_size=25, max_size=50))
def test_nix_gives_the_same_digest(nix: Nix, tmp_path: Path, locks: list[tuple[dict[str, Any], Any]]) -> None:
    paths, wanted = [], []
    for number, (lock, cache) in enumerate(locks):
        path = tmp_path / f"{number}.json"
        text = json.dumps({**lock, "cache": cache}, indent=number % 3, ensure_ascii=bool(number % 2))
        path.write_text(text, encoding="utf-8")
        paths.append(str(path))
        wanted.append(digest.of_lock(text.encode()))
    assert nix.evaluate(f"map (path: {IN_NIX}) [ {' '.join(paths)} ]") == wanted


PYPROJECTS = {
    "plain": '[project]\nname = "a"\n\n[tool.nixgen]\nbase = "debian" # why\nsystems = [\n    "x86_64-linux",\n]\n\n[tool.x]\na = 1\n',
    "first": '[tool.nixgen]\nbase = "debian"',
    "none": '[project]\nname = "a"\n',
    "empty": "",
    "windows": '[project]\r\nname = "a"\r\n[tool.nixgen]\r\nbase = "debian"\r\n[tool.uv]\r\n',
    "lines of windows": "[tool.nixgen]\r\nsmoke = ['''\r\na\r\nb''']\r\n",
    "parts": '[tool.nixgen]\nbase = "nixpkgs"\n[tool.x]\n[tool.nixgen.nixpkgs] # pin\nrev = "1"\n narHash = "2"\n',
    "inline": '[tool.nixgen]\nnixpkgs = {rev = "1", narHash = "2"}\nextras = ["a", "é"]\nall-extras = true\n',
    "indented": '  [tool.nixgen]\n  tools = [ "jq" ]\n\t[tool.x]\n',
    "dates": '[tool.uv]\nexclude-newer = 2024-01-01T00:00:00Z\nx = 07:32:00\n[tool.nixgen]\nbase = "debian"\n[z]\nd = 2024-01-01\n',
    "mixed": '[tool.nixgen]\nsmoke = ["python -c \'x\'", "a\\tb \\"c\\" \\\\d"]\n[dependency-groups]\ndev = ["a", {include-group = "b"}]\n',
    "like it": "[tool.nixgenx]\na = 1\n[[tool.nixgen-more]]\n[tool.nixgen]\ntools = []\n",
    "mark": '\ufeff[project]\n[tool.nixgen]\nbase = "debian"\n',
}
ELSEWHERE = {
    "dotted": 'tool.nixgen.base = "debian"\n',
    "in tool": '[tool]\nnixgen = {base = "debian"}\n',
    "blanks": '[ tool . nixgen ]\nbase = "debian"\n',
    "quoted": '[tool."nixgen"]\nbase = "debian"\n',
    "in a string": '[tool.nixgen]\nbase = "debian"\n[x]\na = """\n[tool.nixgen]\n"""\n',
    "a date": "[tool.nixgen]\nbase = 2024-01-01\n",
    "a fraction": "[tool.nixgen]\nbase = 1.5\n",
    "a backspace": '[tool.nixgen]\nbase = "\\b"\n',
    "marked": '\ufeff[tool.nixgen]\nbase = "debian"\n',
}


def settings_in_nix(nix: Nix, *paths: Path) -> list[str]:
    """What the library says of these files."""
    library = " ".join((ROOT / "nix/project.nix").read_text().split())
    (function,) = re.findall(r" settings = (text: .*? or \{ \});", library)
    listed = " ".join(f"(builtins.readFile {path})" for path in paths)
    expression = f'map (text: builtins.hashString "sha256" (builtins.toJSON ((SETTINGS) text))) [ {listed} ]'
    # What a line break and a tab within the function's strings mean was lost to nobody: there they are escapes.
    found = nix.evaluate(expression.replace("SETTINGS", function))
    assert isinstance(found, list)
    return found


def test_nix_finds_the_same_settings(nix: Nix, tmp_path: Path) -> None:
    for number, text in enumerate(PYPROJECTS.values()):
        (tmp_path / f"{number}.toml").write_bytes(text.encode())
    found = settings_in_nix(nix, *(tmp_path / f"{number}.toml" for number in range(len(PYPROJECTS))))
    assert dict(zip(PYPROJECTS, found, strict=True)) == {
        name: digest.of_settings(text.encode()) for name, text in PYPROJECTS.items()
    }


@pytest.mark.parametrize("name", PYPROJECTS)
def test_of_pyproject_the_settings_count_and_nothing_else(name: str) -> None:
    text = PYPROJECTS[name]
    table = tomllib.loads(text.removeprefix("\ufeff")).get("tool", {}).get("nixgen", {})
    content = json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert digest.of_settings(text.encode()) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ELSEWHERE)
def test_settings_that_nix_would_not_find_are_not_compared(name: str) -> None:
    assert digest.of_settings(ELSEWHERE[name].encode()) is None


@pytest.mark.parametrize("data", [b"\xff", b"[project\n", b'[tool.nixgen]\nbase = "a'])
def test_what_is_not_toml_is_not_compared(data: bytes) -> None:
    assert digest.of_settings(data) is None


def test_the_settings_are_among_the_digests(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PYPROJECTS["plain"])
    found = made_from(tmp_path, "version = 1\n")
    assert found["pyproject.toml"] == digest.of_settings(PYPROJECTS["plain"].encode())
    (tmp_path / "pyproject.toml").write_text(ELSEWHERE["dotted"])
    assert sorted(made_from(tmp_path, "version = 1\n")) == ["nixgen.lock", "uv.lock"]


def test_the_expression_is_that_of_the_library() -> None:
    library = (Path(__file__).resolve().parents[2] / "nix/project.nix").read_text()
    assert IN_NIX in " ".join(library.split())
