"""Layers: what tar and Nix read in them, that they depend on nothing but the NAR, and what changed is named."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nixgen.nix import nar
from nixgen.oci import layers, parts
from nixgen.oci.model import CHUNK, Unequal

NAME = "/nix/store/00000000000000000000000000000000-demo"


def fill(folder: Path) -> Path:
    """A store path below a folder, with all that one may hold."""
    top = folder / NAME.lstrip("/")
    (top / "bin").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "bin" / "run").write_bytes(b"#!/bin/sh\n")
    (top / "bin" / "run").chmod(0o700)
    (top / "aaa").write_bytes(b"")
    (top / "b.txt").write_bytes(b"x" * 511)
    (top / ("n" * 200)).write_bytes(b"y" * 512)
    (top / "large").write_bytes(os.urandom(CHUNK) * 2 + b"z")
    (top / "link").symlink_to("t" * 150)
    (top / "bin" / "ünïcödé").symlink_to("../b.txt")
    return top


def layer(top: Path, name: str = NAME) -> dict[str, Any]:
    return {"title": "demo", "paths": [{"path": name, "narHash": nar.hash_path(top)}]}


def read(data: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {entry.name: entry for entry in tar}


def test_a_layer_has_every_entry_with_what_a_nar_knows_of_it(tmp_path: Path) -> None:
    top = fill(tmp_path)
    data = b"".join(layers.pieces(layer(top), str(tmp_path)))
    entries = read(data)
    name = NAME.lstrip("/")
    wanted = {f"{name}/{path.relative_to(top)}" for path in top.rglob("*")} | {"nix", "nix/store", name}
    assert entries.keys() == wanted
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in entries.values()} == {(0, 0, "", 1)}
    assert {entry.mode for entry in entries.values() if entry.isfile()} == {0o444, 0o555}
    assert entries[f"{name}/bin/run"].mode == 0o555
    assert entries[f"{name}/link"].linkname == "t" * 150
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for path in (path for path in top.rglob("*") if path.is_file() and not path.is_symlink()):
            file = tar.extractfile(f"{name}/{path.relative_to(top)}")
            assert file is not None
            assert file.read() == path.read_bytes()


def test_the_digest_depends_on_neither_threads_nor_times_owners_links_and_order(tmp_path: Path) -> None:
    top = fill(tmp_path / "one")
    (top / "same1").write_bytes(b"same")
    (top / "same2").write_bytes(b"same")
    first = layers.described(layer(top), str(tmp_path / "one"), threads=1)
    other = tmp_path / "two" / NAME.lstrip("/")
    other.mkdir(parents=True)
    for path in sorted(top.rglob("*"), reverse=True):
        place = other / path.relative_to(top)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            place.symlink_to(path.readlink())
        elif path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(path.read_bytes())
            place.chmod(0o755 if path.stat().st_mode & 0o100 else 0o600)
    (other / "same2").unlink()
    (other / "same2").hardlink_to(other / "same1")  # as nix-store --optimise does it
    os.utime(other / "b.txt", (5, 5))
    assert layers.described(layer(top), str(tmp_path / "two"), threads=2) == first
    data = b"".join(layers.pieces(layer(top), str(tmp_path / "two")))
    assert first["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert first["size"] == len(data)
    blob = layers.blob(first, str(tmp_path / "two"))
    assert b"".join(blob.checked()) == data


def flip(top: Path) -> None:
    data = (top / "large").read_bytes()
    (top / "large").write_bytes(b"\0" + data[1:])


def shorten(top: Path) -> None:
    os.truncate(top / "b.txt", 3)


def rename(top: Path) -> None:
    (top / "b.txt").rename(top / "c.txt")


def execute(top: Path) -> None:
    (top / "b.txt").chmod(0o755)


def lead_elsewhere(top: Path) -> None:
    (top / "link").unlink()
    (top / "link").symlink_to("elsewhere")


def add(top: Path) -> None:
    (top / "more").mkdir()


CHANGES: list[Callable[[Path], None]] = [flip, shorten, rename, execute, lead_elsewhere, add]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_path_that_changed_on_the_disk_is_named(tmp_path: Path, change: Callable[[Path], None], threads: int) -> None:
    top = fill(tmp_path)
    told = layer(top)
    change(top)
    with pytest.raises(Unequal, match=NAME) as caught:
        list(layers.pieces(told, str(tmp_path), threads))
    assert "changed on the disk" in caught.value.what
    assert caught.value.mend.endswith(f"nix-store --repair-path {NAME}")


def test_what_is_gone_or_no_file_is_named(tmp_path: Path) -> None:
    top = fill(tmp_path)
    told = layer(top)
    os.mkfifo(top / "bin" / "pipe")
    with pytest.raises(Unequal, match=f"{NAME}/bin/pipe: cannot be read: it is neither"):
        list(layers.pieces(told, str(tmp_path)))
    with pytest.raises(Unequal, match=f"{NAME}: cannot be read: No such file"):
        list(layers.pieces(told, str(tmp_path / "nowhere")))


def test_threads_end_with_a_layer_that_nobody_reads_to_its_end(tmp_path: Path) -> None:
    top = fill(tmp_path)
    before = threading.active_count()
    reading = layers.pieces(layer(top), str(tmp_path))
    next(reading)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_is_small_whatever_a_file_is_large(
    tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "CHUNK", 1 << 14)
    monkeypatch.setattr(layers, "_SMALL", 1 << 12)
    top = tmp_path / NAME.lstrip("/")
    top.mkdir(parents=True)
    with (top / "weights").open("wb") as file:
        file.truncate(4 << 20)  # sparse
    told = layer(top)
    tracemalloc.start()
    try:
        total = sum(map(len, layers.pieces(told, str(tmp_path), threads)))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total > 4 << 20
    assert most < 1 << 20


def path(number: int, size: int) -> dict[str, Any]:
    return {"path": f"/nix/store/{number:032}-p{number}", "narHash": f"h{number}", "narSize": size}


def titles(found: list[dict[str, Any]]) -> list[str]:
    return [layer["title"] for layer in found]


def test_the_largest_paths_are_a_layer_each_and_the_rest_is_one() -> None:
    graph = [path(number, number << 20) for number in range(6)]
    assert titles(parts.layers("base", graph, (), 10)) == ["p1", "p2", "p3", "p4", "p5", "base"]
    few = parts.layers("base", graph, (graph[5]["path"],), 3)
    assert titles(few) == ["p3", "p4", "base"]
    assert [one["path"][-2:] for one in few[-1]["paths"]] == ["p0", "p1", "p2"]
    assert titles(parts.layers("base", graph, (), 1)) == ["base"]
    assert parts.layers("base", [], (), 3) == []
    assert parts.layers("base", [*reversed(graph)], (), 10) == parts.layers("base", graph, (), 10)


def test_a_closure_has_the_digest_that_a_check_has() -> None:
    from nixgen.check.digest import closure_digest
    from nixgen.check.model import ClosurePath

    graph = [{**path(1, 5), "references": [path(2, 1)["path"], path(1, 1)["path"]]}, {**path(2, 7), "references": []}]
    names = [str(one["path"])[11:] for one in graph]
    wanted = closure_digest([ClosurePath(names[0], "h1", 5, tuple(sorted(names))), ClosurePath(names[1], "h2", 7)])
    assert parts.closure_digest(graph) == wanted


def entries() -> Iterator[tuple[str, tarfile.TarInfo]]:
    yield from read(
        b"".join(layers.pieces(parts.system({"bin/sh": "/nix/sh", "etc/ssl/certs/ca.crt": "/nix/ca"})))
    ).items()


def test_the_system_layer_has_what_programs_expect() -> None:
    found = dict(entries())
    assert found["tmp"].mode == 0o1777
    assert found["var/tmp"].mode == 0o1777
    assert (found["bin/sh"].linkname, found["etc/ssl/certs/ca.crt"].linkname) == ("/nix/sh", "/nix/ca")
    assert all(found[name].isdir() for name in ("bin", "etc", "etc/ssl", "etc/ssl/certs", "home", "root", "run", "var"))
    assert found["etc/passwd"].isfile()
    order = list(found)
    assert all(order.index(name.rpartition("/")[0]) < order.index(name) for name in order if "/" in name)
