"""The tests' own support is tested too: a helper that says "fine" to everything would make every other test pass."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.nix import SYSTEM, Nix, NixError
from support.wheels import make_wheel, sha256

if TYPE_CHECKING:
    from support.index import Index

FETCH = """derivation {
  name = "demo.whl"; system = "%s"; builder = "builtin:fetchurl"; url = "%s";
  outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "%s"; preferLocalBuild = true;
}"""


def test_a_store_is_isolated_and_its_paths_have_the_usual_prefix(
    nix: Nix, store: Path, tmp_path: Path, index: Callable[..., Index]
) -> None:
    wheel = make_wheel(tmp_path / "w", "demo", "1.0")
    own = nix.with_store(store)
    built = own.build_expression(FETCH % (SYSTEM, index(wheel.parent).url(wheel), sha256(wheel)))
    assert str(built).startswith("/nix/store/")
    assert built.name.endswith("-demo.whl")
    assert own.real(built).read_bytes() == wheel.read_bytes()
    assert own.inside("sha256sum", built).stdout.split()[0] == sha256(wheel)
    assert not built.exists(), "the machine's own store is not touched"
    assert own.path_info(built)["narHash"].startswith("sha256-")
    assert own.nar_hash(built).startswith("sha256:")


def test_both_versions_agree_on_a_path_and_its_nar_hash(
    both_nix: tuple[Nix, Nix], tmp_path: Path, index: Callable[..., Index]
) -> None:
    wheel = make_wheel(tmp_path / "w", "demo", "1.0")
    served = index(wheel.parent)
    old, new = both_nix
    assert old.version < new.version
    built = [n.build_expression(FETCH % (SYSTEM, served.url(wheel), sha256(wheel))) for n in both_nix]
    assert built[0] == built[1]
    assert old.nar_hash(built[0]) == new.nar_hash(built[1])


def test_a_failure_shows_the_command_and_what_nix_said(nix: Nix) -> None:
    with pytest.raises(NixError, match=r"(?s)nix-instantiate.*exit 1.*no such luck"):
        nix.evaluate('throw "no such luck"')
    assert nix.evaluate("1 + 1") == 2


@pytest.mark.heavy
def test_a_wheel_is_one_that_pip_takes_and_the_same_each_time(tmp_path: Path) -> None:
    first = make_wheel(tmp_path / "a", "some-thing", "1.0", {"some_thing/__init__.py": "X = 1\n"})
    second = make_wheel(tmp_path / "b", "some-thing", "1.0", {"some_thing/__init__.py": "X = 1\n"})
    assert first.name == "some_thing-1.0-py3-none-any.whl"
    assert first.read_bytes() == second.read_bytes()
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", tmp_path / "t", first],
        check=True,
    )
    assert (tmp_path / "t" / "some_thing" / "__init__.py").read_text() == "X = 1\n"


def test_a_wheel_can_be_broken_in_known_ways(tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path, "b", "1", {"b.py": "", "../x.py": ""}, bad_hash="b.py", unrecorded={"y.py": ""}, missing=["z.py"]
    )
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read("b-1.dist-info/RECORD").decode()
        assert {"b.py", "../x.py", "y.py"} < set(archive.namelist())
    assert "y.py" not in record
    assert "z.py,sha256=" in record
    assert "b.py,sha256=47DEQpj8HBSa" not in record, "the hash of an empty file"


def test_the_index_gives_hashes_only_where_asked(tmp_path: Path, index: Callable[..., Index]) -> None:
    wheel = make_wheel(tmp_path / "w", "demo", "1.0")
    with_hashes, without = index(tmp_path / "w"), index(tmp_path / "w", hashes=False)
    page = urllib.request.urlopen(with_hashes.simple + "demo/").read().decode()
    assert f"#sha256={sha256(wheel)}" in page
    page = urllib.request.urlopen(without.simple + "demo/").read().decode()
    assert "sha256" not in page
    assert wheel.name in page
    assert urllib.request.urlopen(without.url(wheel)).read() == wheel.read_bytes()
