"""What Nix knows of store paths: the JSON of all versions, doubles that fail, and real stores with a rotten path."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tree import fill, flip, manifest, sha256, tree

from nixgen import guard
from nixgen.guard import store as nix_store

if TYPE_CHECKING:
    from support.nix import Nix

PATH = "/nix/store/1r275apnx9h7rn01q8vzi061avnr57q5-a.bin"
NAME = "1r275apnx9h7rn01q8vzi061avnr57q5-a.bin"
HELLO = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
NIX32 = "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq"
BASE64 = "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([{"path": PATH, "ca": f"fixed:sha256:{NIX32}"}], f"flat:{HELLO}"),  # 2.8
        ({PATH: {"ca": f"fixed:sha256:{NIX32}", "version": 1}}, f"flat:{HELLO}"),  # 2.19
        (
            {"info": {NAME: {"ca": {"hash": f"sha256-{BASE64}", "method": "flat"}}}, "version": 2},
            f"flat:{HELLO}",
        ),  # 2.33
        (
            {"info": {PATH: {"ca": {"hash": {"algorithm": "sha256", "hash": BASE64}, "method": "flat"}}}},
            f"flat:{HELLO}",
        ),
        ([{"path": PATH, "ca": f"fixed:sha256:{HELLO}"}], f"flat:{HELLO}"),
        ([{"path": PATH, "ca": f"fixed:r:sha256:{NIX32}"}], f"nar:{HELLO}"),
        ([{"path": PATH, "ca": f"fixed:git:sha256:{NIX32}"}], f"git:{HELLO}"),
        ([{"path": PATH, "ca": f"text:sha256:{NIX32}"}], f"text:sha256:{NIX32}"),
        ([{"path": PATH, "ca": "fixed:md5:" + "0" * 26}], "fixed:md5:" + "0" * 26),
        ({"info": {NAME: {"ca": {"hash": "md5-AAAA", "method": "flat"}}}}, "flat:md5-AAAA"),
        ([{"path": PATH, "ca": None}], ""),
        ([{"path": PATH}], ""),
        ({PATH: {"ca": 3}}, ""),
        ([{"path": PATH, "valid": False}], None),
        ({PATH: None}, None),
        ({}, None),
        ("text", None),
    ],
)
def test_the_content_address_in_every_shape_of_json(answer: object, expected: str | None) -> None:
    assert guard.addresses(json.dumps(answer)).get(NAME) == expected


@given(st.binary(min_size=32, max_size=32))
def test_base_32_as_nix_writes_it(digest: bytes) -> None:
    value = int.from_bytes(digest, "little")
    text = "".join(nix_store._NIX32[value >> (5 * place) & 31] for place in reversed(range(52)))
    assert nix_store._hexadecimal(text) == digest.hex()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that passes for the store, with one file."""
    folder = fill(tmp_path / "store", {NAME: b"hello\n"})
    monkeypatch.setenv("NIX_STORE_DIR", str(folder))
    return folder


@pytest.fixture
def model(tmp_path: Path, store: Path) -> guard.Tree:
    folder = fill(tmp_path / "m", {})
    (folder / "a.bin").symlink_to(store / NAME)
    return tree(folder, {"a.bin": b"hello\n"})


def double(folder: Path, nix: str, nix_store: str = "") -> str:
    """Programs in place of Nix's; the folder to put on PATH."""
    for name, text in (("nix", nix), ("nix-store", nix_store)):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable} -IS\nimport sys\n{text}\n")
        program.chmod(0o755)
    return str(folder / "bin")


def said(model: guard.Tree) -> list[str]:
    return [found.said for found in guard.check([model]).findings]


ANSWER = f'print(\'[{{"path": "{PATH}", "ca": "fixed:sha256:{NIX32}"}}]\')'


def test_a_file_that_nix_knows(model: guard.Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", double(tmp_path, ANSWER))
    report = guard.check([model])
    assert (report.ok, report.nix) == (True, "asked")
    assert guard.check([model], nix=False).nix == "not asked"


def test_a_file_that_nix_does_not_know(
    model: guard.Tree, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", double(tmp_path, ANSWER, "print(sys.argv[-1])"))
    assert said(model) == [f"is not valid to Nix: {store / NAME}"]


def test_a_file_with_another_address(
    model: guard.Tree, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", double(tmp_path, ANSWER.replace("fixed:", "fixed:r:")))
    assert said(model) == [f"is not fixed by its hash, says Nix (nar:{HELLO}): {store / NAME}"]
    monkeypatch.setenv("PATH", double(tmp_path, f'print(\'{{"{PATH}": {{"ca": null}}}}\')'))
    assert said(model) == [f"is not fixed by its hash, says Nix (no content address): {store / NAME}"]


def test_a_nix_that_fails_is_no_leave_to_start(
    model: guard.Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", double(tmp_path, "sys.exit('error: the database is locked')"))
    assert said(model) == ["Nix cannot be asked about it: nix failed: error: the database is locked"]
    monkeypatch.setenv("PATH", double(tmp_path, "print('no JSON')"))
    assert said(model)[0].startswith("Nix cannot be asked about it: Expecting value")


def test_a_nix_that_wants_a_format_is_given_one(
    model: guard.Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = "'--json-format' in sys.argv or sys.exit('error: please specify --json-format 1')\n" + ANSWER
    monkeypatch.setenv("PATH", double(tmp_path, wants))
    assert said(model) == []


@pytest.mark.usefixtures("store")
def test_without_nix_the_bytes_alone_count(model: guard.Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nix_store, "_nix_programs", lambda: None)
    report = guard.check([model])
    assert (report.ok, report.nix) == (True, "not on this machine")


def test_a_plain_folder_needs_no_nix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", double(tmp_path, "sys.exit(9)", "sys.exit(9)"))
    report = guard.check([tree(fill(tmp_path / "m", {"a": b"a"}), {"a": b"a"})])
    assert (report.ok, report.nix) == (True, "not needed")


def _add(nix: Nix, folder: Path, name: str, data: bytes) -> str:
    fill(folder, {name: data})
    return nix.run("nix-store", "--add-fixed", "sha256", folder / name).stdout.strip()


def _guard(nix: Nix, expected: Path) -> tuple[int, str]:
    program = Path(guard.__file__).parent
    done = nix.inside(
        sys.executable, "-I", program, "--expected", expected, "--no-stamp", "--", "echo", "started", check=False
    )
    assert (done.stdout == "started\n") == (done.returncode == 0)
    return done.returncode, done.stderr


def test_a_rotten_store_path(nix: Nix, store_of_its_own: Path, tmp_path: Path) -> None:
    """One bit of a store path is flipped, with its times put back; Nix's database still says that it is valid."""
    own = nix.with_store(store_of_its_own)
    path = _add(own, tmp_path, "a.bin", b"hello\n")
    model = fill(tmp_path / "m", {"plain": b"p"})
    (model / "a.bin").symlink_to(path)
    expected = tmp_path / "expected.json"
    expected.write_text(manifest(model, {"plain": b"p", "a.bin": b"hello\n"}))
    assert _guard(own, expected)[0] == 0
    assert "Nix: asked" in _guard(own, expected)[1]

    flip(own.real(path), 4)
    assert own.run("nix-store", "--check-validity", path).ok
    assert own.path_info(path)["ca"] in (f"fixed:sha256:{NIX32}", {"hash": f"sha256-{BASE64}", "method": "flat"})
    code, told = _guard(own, expected)
    assert code == 79
    rotten = sha256(own.real(path).read_bytes())
    assert told.splitlines()[1] == f"models.m: a.bin: is changed: SHA-256 {rotten}, not {HELLO}"


def test_the_right_bytes_in_the_store_that_nix_does_not_vouch_for(
    nix: Nix, store_of_its_own: Path, tmp_path: Path
) -> None:
    own = nix.with_store(store_of_its_own)
    _add(own, tmp_path, "a.bin", b"hello\n")
    planted = own.real(f"/nix/store/{'0' * 32}-planted")
    planted.write_bytes(b"hello\n")
    recursive = own.run("nix-store", "--add", tmp_path / "a.bin").stdout.strip()
    model = fill(tmp_path / "m", {})
    (model / "planted").symlink_to(f"/nix/store/{planted.name}")
    (model / "recursive").symlink_to(recursive)
    (tmp_path / "expected.json").write_text(manifest(model, dict.fromkeys(("planted", "recursive"), b"hello\n")))
    code, told = _guard(own, tmp_path / "expected.json")
    assert code == 79
    assert told.splitlines()[1] == f"models.m: planted: is not valid to Nix: /nix/store/{planted.name}"
    assert told.splitlines()[2].startswith("models.m: recursive: is not fixed by its hash, says Nix (nar:")


@pytest.fixture
def store_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")
