"""The hash of a folder is the one that Nix computes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixgen.errors import MachineError, UserError
from nixgen.nix.nar import hash_path, hash_tree, source_path

needs_nix = pytest.mark.skipif(shutil.which("nix") is None, reason="needs Nix")

EMPTY_FILE = "sha256-d6xi4mKdjkX2JFicDIv5niSzpyI0m/Hnm8GGAIU04kY="
"""What ``nix hash path`` says of an empty file that is not executable."""

names = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)
files = st.tuples(st.binary(max_size=40), st.booleans())
trees = st.recursive(st.dictionaries(names, files, max_size=3), lambda inner: st.dictionaries(names, inner, max_size=3))


def flat(tree: dict[str, object], above: str = "") -> dict[str, tuple[bytes, bool]]:
    """The tree as relative paths; empty folders are lost."""
    found: dict[str, tuple[bytes, bool]] = {}
    for name, node in tree.items():
        if isinstance(node, dict):
            found |= flat(node, f"{above}{name}/")
        else:
            assert isinstance(node, tuple)
            found[above + name] = node
    return found


def write(folder: Path, tree: dict[str, tuple[bytes, bool]]) -> None:
    folder.mkdir(exist_ok=True)
    for name, (content, executable) in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)


def nix_hash(path: Path) -> str:
    command = ["nix", "--extra-experimental-features", "nix-command", "hash", "path", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert hash_path(tmp_path / "empty") == EMPTY_FILE


@given(trees)
def test_on_disk_and_in_memory_are_one(tree: dict[str, object]) -> None:
    known = flat(tree)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "tree"), known)
        assert hash_path(Path(folder, "tree")) == hash_tree(known)


@needs_nix
@settings(max_examples=25)
@given(trees)
@pytest.mark.heavy
def test_nix_says_the_same(tree: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder, "tree"), flat(tree))
        assert hash_path(Path(folder, "tree")) == nix_hash(Path(folder, "tree"))


@needs_nix
def test_links_empty_folders_and_large_files(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "empty").mkdir(parents=True)
    (tree / "link").symlink_to("../else where")
    (tree / "large").write_bytes(os.urandom(3 << 20))
    (tree / "large").chmod(0o711)
    assert hash_path(tree) == nix_hash(tree)


def test_time_owner_and_other_permissions_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    before = hash_path(tmp_path)
    os.utime(tmp_path / "a", (1, 1))
    (tmp_path / "a").chmod(0o466)
    assert hash_path(tmp_path) == before
    (tmp_path / "a").chmod(0o700)
    assert hash_path(tmp_path) != before


@pytest.mark.parametrize("name", ["/a", "", "a//b", "./a", "a/../b", "a/"])
def test_paths_that_are_not_inside(name: str) -> None:
    with pytest.raises(ValueError, match=r"^not a relative path: "):
        hash_tree({name: (b"", False)})


@pytest.mark.parametrize("second", ["a", "a/b"])
def test_a_file_cannot_be_a_folder_too(second: str) -> None:
    with pytest.raises(ValueError, match=r"^both a file and a folder: "):
        hash_tree({"a/b/c": (b"", False), second: (b"", False)})
    if second == "a/b":
        with pytest.raises(ValueError, match=r"^both a file and a folder: "):
            hash_tree({second: (b"", False), "a/b/c": (b"", False)})


def test_what_no_store_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind("plug")
        with pytest.raises(UserError, match="is neither a file, a folder nor a link"):
            hash_path(tmp_path)
    with pytest.raises(MachineError, match="gone: cannot be read: No such file or directory"):
        hash_path(tmp_path / "gone")


def test_the_store_path_of_a_source() -> None:
    """What `nix store add-path --name source` gives for an empty file's folder with this hash."""
    known = "sha256-pQpattmS9VmO3ZIQUFn66az8GSmB4IvYhTTCFn6SUmo="  # an empty folder
    assert source_path(known) == "/nix/store/0ccnxa25whszw7mgbgyzdm4nqc0zwnm8-source"
