"""diffoscope where it is there, and what is said where other bytes cannot be had."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nixgen.check.explain import diffoscope
from nixgen.check.explain.closures import differences
from nixgen.check.model import ClosurePath
from nixgen.machine.process import Result
from nixgen.nix.tools import PathInfo

NAME = "1" * 32 + "-demo"
PATH = f"/nix/store/{NAME}"


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A diffoscope that prints something."""
    folder.mkdir()
    (folder / "diffoscope").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "diffoscope").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


class TestDiffoscope:
    def test_its_report(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(tmp_path / "bin", 'shift 5; echo "--- $1"; echo "+++ $2"; exit 1', monkeypatch)
        assert diffoscope.report(Path("/a"), Path("/b")) == "--- /a\n+++ /b\n"

    def test_a_long_report_is_cut(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(tmp_path / "bin", "head -c 50000 /dev/zero | tr '\\0' x; exit 1", monkeypatch)
        found = diffoscope.report(Path("/a"), Path("/b"))
        assert found is not None
        assert found.startswith("x" * diffoscope.LARGEST + "\n… (the rest: ")

    @pytest.mark.parametrize("text", ["exit 0", "echo broken >&2; exit 2", "sleep 5; echo late; exit 1"])
    def test_none_where_it_has_nothing_fails_or_takes_long(
        self, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(diffoscope, "SECONDS", 0.3)
        program(tmp_path / "bin", text, monkeypatch)
        assert diffoscope.report(Path("/a"), Path("/b")) is None

    def test_none_where_there_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert diffoscope.report(Path("/a"), Path("/b")) is None


@dataclass(frozen=True)
class Double:
    """A Nix without any store: it knows its own paths, and names no store to copy from."""

    known: tuple[str, ...] = ()
    store: str = ""
    options: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)

    def version(self) -> tuple[int, ...]:
        return (2, 8, 0)

    def command(self, program: str, *words: object) -> list[str]:
        return [program, *map(str, words)]

    def settings(self) -> dict[str, object]:
        return {"substituters": list(self.names)}

    def run(self, program: str, *words: object) -> Result:
        return Result((program, *map(str, words)), 0, "", "")

    def infos(self, paths: list[str]) -> dict[str, object]:
        self.asked.append(self.store)
        return {path: object() for path in paths if path in self.known and not self.store}

    def physical(self, path: str) -> Path:
        return Path(path)


def told(nix: Any, info: PathInfo, expected: str, found: str, references: tuple[str, ...] = ()) -> str:
    before, now = ClosurePath(NAME, expected, 1), ClosurePath(NAME, found, 1, references)
    (difference,) = differences(nix, {NAME: before}, {NAME: now}, {PATH: info})
    return difference.said


INFO = PathInfo(PATH, "sha256-A", 1, (), None, ultimate=False, signatures=())


def test_what_differs_is_told_by_who_agrees() -> None:
    none = "; the expected bytes are not available: no recipe for them is in the store"
    assert told(Double(), INFO, "sha256-A", "sha256-B") == (
        f"the disk changed after the build: Nix's database still has the expected hash{none}"
    )
    assert told(Double(), INFO, "sha256-B", "sha256-A") == (
        f"built or fetched here with different bytes: disk and database agree{none}"
    )
    assert told(Double(), INFO, "sha256-B", "sha256-C") == (
        f"the expected hash, Nix's database and the disk are three different ones{none}"
    )
    assert told(Double(), INFO, "sha256-A", "sha256-A", (NAME,)) == "the same bytes, but different references"


def test_a_recipe_that_is_not_in_the_store_is_none() -> None:
    said = told(Double(), replace(INFO, deriver="/nix/store/x.drv"), "sha256-B", "sha256-A")
    assert said.endswith("no recipe for them is in the store")


def test_stores_that_nix_takes_binaries_from_are_asked() -> None:
    nix = Double(names=("https://cache.example.org", "https://other.example.org"))
    told(nix, INFO, "sha256-B", "sha256-A")
    assert nix.asked == ["https://cache.example.org", "https://other.example.org"]


def test_paths_come_in_the_order_of_their_references_and_only_those_of_both() -> None:
    names = [f"{number}" * 32 + f"-{name}" for number, name in ((1, "top"), (2, "middle"), (3, "deep"), (4, "new"))]
    found = {
        name: ClosurePath(name, "sha256-now", 1, tuple(sorted({following, name})))
        for name, following in zip(names, [*names[1:], names[3]], strict=True)
    }
    expected = {name: replace(found[name], nar_hash="sha256-then") for name in names[:3]}
    infos = {f"/nix/store/{name}": replace(INFO, path=f"/nix/store/{name}", nar_hash="sha256-now") for name in names}
    nix: Any = Double()
    assert [one.path.partition("-")[2] for one in differences(nix, expected, found, infos)] == ["deep", "middle", "top"]
