"""Files of a project that nobody means (cases 35, 36): each is refused with a sentence, soon, without a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from projects import PYPROJECT, SIX, make, uv_lock
from support.resolving import resolved

from nixgen.artifacts.manifest import read_manifest
from nixgen.bases.nixpkgs import resolve_base
from nixgen.check.record import read_record
from nixgen.errors import MachineError, NixgenError, UserError
from nixgen.formats import toml
from nixgen.generate import flakelock
from nixgen.lock import lockfile
from nixgen.lock.model import Lock
from nixgen.nix import inputs
from nixgen.project import uvlock
from nixgen.project.project import find_project
from nixgen.project.settings import Settings
from nixgen.resolve import graph

DEEP = "a = " + "[" * 3000 + "]" * 3000 + "\n"
TOO_DEEP = "it nests more than 100 tables and lists in each other"
TOO_LARGE = "it has a number of more than 64 bits"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (DEEP, TOO_DEEP),
        ("a = " + "[" * 200 + "]" * 200, TOO_DEEP),
        ("a = " + "{b=" * 3000 + "1" + "}" * 3000, TOO_DEEP),
        (".".join("a" * 900) + " = 1\n", TOO_DEEP),
        ("[" + ".".join("a" * 5000) + "]\n", TOO_DEEP),
        ("[a" + ".a" * 60 + "]\n" + "b" + ".b" * 60 + " = 1\n", TOO_DEEP),
        ("a = " + "1" * 5000, TOO_LARGE),
        ("a = [{ b = 0x" + "f" * 100_000 + " }]", TOO_LARGE),
        ("a = 9223372036854775808", TOO_LARGE),
        ("a = [", "Invalid value (at end of document)"),
    ],
)
def test_case_35_toml_that_nests_or_counts_too_far(text: str, why: str) -> None:
    with pytest.raises(toml.TomlError) as caught:
        toml.loads(text)
    assert str(caught.value) == why


def test_toml_that_is_as_it_should_be() -> None:
    assert toml.loads("a = -9223372036854775808\nb = " + "[" * 90 + "]" * 90)["a"] == -(2**63)


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock"])
@pytest.mark.parametrize("text", [DEEP, "a = " + "1" * 5000])
def test_case_35_in_a_projects_files(tmp_path: Path, name: str, text: str) -> None:
    root = make(tmp_path)
    (root / name).write_text(text + (root / name).read_text())
    with pytest.raises(UserError, match=f"{name}: is not TOML that can be read: it (nests|has a number)"):
        find_project(root)


@pytest.mark.parametrize("members", ["[]", '["libs/*"]', '["/"]', '[""]', '["**a", "a**/b"]', "1"])
def test_case_35_a_workspace_without_members(tmp_path: Path, members: str) -> None:
    lock = 'version = 1\nrevision = 3\nrequires-python = ">=3.11"\n'
    root = make(tmp_path, f"[tool.uv.workspace]\nmembers = {members}\n", lock)
    assert find_project(root).uv_lock().local == ()
    assert uvlock.read("version = 1\n").local == ()
    if members == "[]":
        assert resolved(root).packages == ()


PATH = {"type": "path"}
NODES = {"nixpkgs": {"locked": PATH, "original": {"path": "./x"}}, "root": {"inputs": {"nixpkgs": "nixpkgs"}}}
NESTED = "[" * 900 + "]" * 900


@pytest.mark.parametrize(
    "lock",
    [
        "[" * 100_000 + "]" * 100_000,
        "1" * 5000,
        "[]",
        "null",
        json.dumps({"nodes": {**NODES, "nixpkgs": {"locked": PATH, "original": "x"}}, "root": "root"}),
        json.dumps({"nodes": {**NODES, "nixpkgs": {"locked": PATH, "original": None}}, "root": "root"}),
        json.dumps({"nodes": {**NODES, "nixpkgs": {"locked": "x"}}, "root": "root"}),
        json.dumps({"nodes": {**NODES, "nixpkgs": {"locked": []}}, "root": "root"}),
        json.dumps({"nodes": {**NODES, "nixpkgs": "x"}, "root": "root"}),
        json.dumps({"nodes": {**NODES, "root": []}, "root": "root"}),
        json.dumps({"nodes": {**NODES, "root": {"inputs": "x"}}, "root": "root"}),
        json.dumps({"nodes": {**NODES, "x": 0}, "root": "root"}).replace(": 0", f": {NESTED}"),
        json.dumps({"nodes": [], "root": ["root"]}),
    ],
)
def test_case_35_a_flake_lock_of_another_shape(lock: str) -> None:
    """It is brought in step, or it is no lock file: never a traceback."""
    base = resolve_base(Settings(), "3.13")
    try:
        told = json.loads(flakelock.in_step(flakelock.Flake(lock.encode(), b""), base, {}))
    except UserError as error:
        assert str(error).startswith("flake.lock: is not a lock file of Nix flakes")  # noqa: PT017 -- one of the two
    else:
        assert told["nodes"]["nixpkgs"]["locked"]["rev"] == base.rev


@pytest.mark.parametrize("size", [2**63, 2**64, 10**400])
def test_case_35_a_size_that_no_file_has(size: int) -> None:
    text = lockfile.dump_lock(Lock(resolve_base(Settings(), "3.13")))
    document = json.loads(text)
    document["hashes"] = {"https://files.example.org/a.whl": {"sha256": "0" * 64, "size": size}}
    document["base"]["lastModified"] = size
    with pytest.raises(UserError) as caught:
        lockfile.parse_lock(json.dumps(document))
    assert [problem.what for problem in caught.value.problems] == ["is more than any size or time"] * 2


@pytest.mark.parametrize("name", ["pyproject.toml", "uv.lock", "uv.toml", ".python-version", "libs/a/pyproject.toml"])
@pytest.mark.parametrize("strange", ["device", "pipe"])
def test_case_36_what_never_ends_is_not_read(tmp_path: Path, name: str, strange: str) -> None:
    root = make(tmp_path, PYPROJECT + '[tool.uv.workspace]\nmembers = ["libs/*"]\n')
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if strange == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(NixgenError) as caught:
        find_project(root).python_version_file()
    assert any(
        said in str(caught.value) for said in ("is not a regular file", "is a link out of", "not a regular file")
    )


@pytest.mark.parametrize("name", ["uv.lock", "models.toml"])
def test_a_link_to_itself_is_told(tmp_path: Path, name: str) -> None:
    """Case 35: on a Python before 3.13, resolving such a link is an error of its own kind."""
    root = make(tmp_path)
    (root / name).unlink(missing_ok=True)
    (root / name).symlink_to(name)
    with pytest.raises(NixgenError, match=name):
        read_manifest(find_project(root).root)


@pytest.mark.parametrize("strange", ["device", "pipe", "huge", "folder", "loop"])
@pytest.mark.parametrize(
    "name", ["uv.lock", "models.toml", "libs/a/pyproject.toml", "nix/nixgen/base.nix", "weights.bin"]
)
def test_case_36_what_nix_would_wait_for_is_told_before(tmp_path: Path, name: str, strange: str) -> None:
    (tmp_path / "default.nix").write_text(
        '  locks = {\n    "uv.lock" = "0";\n    "models.toml" = "0";\n    "libs/a/pyproject.toml" = "0";\n  };\n'
        '  files = [\n    { path = "w"; size = 6; local = "weights.bin"; }\n  ];\n'
    )
    spoil(tmp_path / name, strange)
    if strange in {"huge", "folder"} and name in {"weights.bin", "nix/nixgen/base.nix"}:
        inputs.refuse_strange(tmp_path)
        return
    with pytest.raises(
        UserError, match=rf"^{name}: (is not a regular file|is a folder|has more than 32 MiB|cannot be read)"
    ):
        inputs.refuse_strange(tmp_path)


@pytest.mark.parametrize("strange", ["device", "pipe", "huge"])
def test_case_36_a_record_that_has_no_end(tmp_path: Path, strange: str) -> None:
    spoil(tmp_path / "nixgen.hashes.json", strange)
    with pytest.raises(MachineError, match=r"^nixgen\.hashes\.json: cannot be read: it (is not a|has more)"):
        read_record(tmp_path / "nixgen.hashes.json")


def spoil(path: Path, strange: str) -> None:
    """Puts something there that is no file with an end, or one with 1 TiB of nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if strange == "pipe":
        os.mkfifo(path)
    elif strange == "folder":
        path.mkdir()
    elif strange == "loop":
        path.symlink_to(path.name)
    elif strange == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('name = "six"\nversion', "name = 6\nversion", "package[1].name"),
        ('version = "1.17.0"', "version = []", "package[1].version"),
        ('{ name = "six" }', '{ nam = "six" }', "package[0].dependencies: name"),
        ('{ name = "six" }', '{ name = "six", marker = 1 }', "package[0].dependencies: marker"),
    ],
)
def test_case_35_why_over_a_lock_of_another_shape(tmp_path: Path, old: str, new: str, where: str) -> None:
    """uv reads the lock for the other commands."""
    lock = uv_lock(SIX)
    assert old in lock
    with pytest.raises(UserError) as caught:
        graph.read(find_project(make(tmp_path, lock=lock.replace(old, new))))
    assert str(caught.value).startswith(f"uv.lock: {where}: is not a string\n")
