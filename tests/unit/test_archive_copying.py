"""Filling an archive: what a full disk leaves, be it the archive's or that of the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nixgen.archive import copying
from nixgen.archive.sources import Source
from nixgen.errors import MachineError
from nixgen.registry.files import FolderFiles


def sources(folder: Path, sizes: list[int], *, tree: bool = False) -> tuple[Any, list[Source]]:
    """Files of a store, and a Nix that has them."""
    found = []
    for number, size in enumerate(sizes):
        data = random.Random(number).randbytes(size)
        (folder / f"{number}.whl").write_bytes(data)
        out = str(folder / f"{number}.whl")
        found.append(Source(f"{number}.whl", hashlib.sha256(data).hexdigest(), out, "", "", "package", tree, True))
    nix = SimpleNamespace(
        roots=lambda: contextlib.nullcontext(folder),
        infos=dict.fromkeys,
        physical=Path,
        dump=lambda out: iter([Path(out).read_bytes()]),
    )
    return nix, found


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_full_disk_leaves_whole_files_only(mounted: Path, tmp_path: Path) -> None:
    nix, wanted = sources(tmp_path, [20_000] * 8)
    with pytest.raises(MachineError) as caught:
        copying.push(nix, FolderFiles(mounted), wanted)
    assert str(caught.value) == f"{mounted}: the disk is full\n  hint: free some room and try again"
    left = list((mounted / "sha256").iterdir())
    assert left
    for one in left:
        assert hashlib.sha256(one.read_bytes()).hexdigest() == one.name


def test_a_full_disk_of_the_cache_is_named(mounted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree's NAR is made there first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(mounted))
    nix, wanted = sources(tmp_path, [200_000], tree=True)
    with pytest.raises(MachineError) as caught:
        copying.push(nix, FolderFiles(tmp_path / "archive"), wanted)
    assert str(caught.value).startswith(f"{mounted}/nixgen/archive: cannot be written: No space left on device\n")
    assert not (tmp_path / "archive").exists()
    assert list((mounted / "nixgen/archive").iterdir()) == []
