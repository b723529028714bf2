"""nixgen.hashes.json: what it looks like, what is refused, how systems are merged."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from records import ARM, BUILDER, PATHS, RECORD, SYSTEM, X86, path, records, store_name, system_record
from support.plans import NIXPKGS

from nixgen.artifacts.manifest import read_manifest
from nixgen.check import record, steps
from nixgen.check.model import LOCKS, Record
from nixgen.errors import MachineError, UserError
from nixgen.generate import planning
from nixgen.lock import lockfile
from nixgen.lock.model import Lock

MEND = "\n  hint: restore it with git, or delete it and write it anew: nixgen check --update"


def document() -> Any:
    return json.loads(record.dump_record(RECORD))


def refused(changed: Any) -> str:
    with pytest.raises(UserError) as caught:
        record.parse_record(json.dumps(changed))
    return str(caught.value)


@given(records)
def test_what_is_written_is_read_again(any_record: Record) -> None:
    text = record.dump_record(any_record)
    read = record.parse_record(text)
    assert read == any_record
    assert record.dump_record(read) == text


def test_it_is_sorted_json_with_a_line_for_each_path() -> None:
    text = record.dump_record(RECORD)
    assert text.endswith("}\n")
    lines = [line for line in text.splitlines() if '"narHash"' in line]
    assert len(lines) == 2 * len(PATHS)
    assert lines[:4] == sorted(lines[:4])
    assert json.dumps(json.loads(text), sort_keys=True) == json.dumps(json.loads(text))
    wheel = '        "numpy": {"file": "numpy-2.4.6-cp311-cp311-linux_x86_64.whl", "sha256": "'
    assert f'{wheel}{"e" * 64}", "version": "2.4.6"' in text


def test_a_record_of_a_newer_nixgen_is_refused_with_what_to_do() -> None:
    with pytest.raises(MachineError) as caught:
        record.parse_record('{"version": 2, "new": []}')
    assert str(caught.value) == (
        "nixgen.hashes.json: version: is 2: a newer nixgen wrote it, and this one knows 1\n"
        "  hint: update nixgen, as the others of the project did"
    )
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<<<<<<< HEAD\n", "nixgen.hashes.json: line 1: is not JSON: Expecting value"),
        ("[]", "nixgen.hashes.json: is a list, not an object"),
        ('{"version": 1, "version": 1}', 'nixgen.hashes.json: is not a record: the key "version" is there twice'),
        ("[" * 100_000, "nixgen.hashes.json: is not a record: it is nested too deeply"),
        ('{"version": 0, "project": "p", "systems": {}}', "nixgen.hashes.json: version: is 0, and this nixgen knows 1"),
        ('{"version": 1, "project": "p", "systems": {"pc": {}}}', "systems.pc: is not a system; they are named like"),
        ('{"version": 1, "project": "p", "sistems": {}}', 'sistems: is not a known key; did you mean "systems"?'),
    ],
)
def test_what_is_no_record_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        record.parse_record(text)
    assert sentence in str(caught.value)


def test_a_damaged_record_is_written_anew_under_its_name(tmp_path: Path) -> None:
    """What --record names, not the project's own."""
    (tmp_path / "mine.json").write_text("<<<<<<< HEAD\n")
    options = steps.Options(record=tmp_path / "mine.json")
    with pytest.raises(UserError) as caught:
        record.read_record(tmp_path / "mine.json", again=steps.again(options))
    assert caught.value.problems[0].mend == (
        f"restore it with git, or delete it and write it anew: nixgen check --update --record {tmp_path}/mine.json"
    )
    with pytest.raises(UserError) as caught:
        record.parse_record('{"version": 1, "project": "p", "sistems": {}}')
    assert {one.mend for one in caught.value.problems} == {
        "restore it with git, or delete it and write it anew: nixgen check --update"
    }


def test_every_problem_is_told_at_once_with_its_path() -> None:
    changed = document()
    system = changed["systems"][X86]
    system["inputs"]["base"]["kind"] = "alpine"
    system["outputs"]["environment"]["drvPath"] = "/nix/store/nothing"
    system["closure"][store_name("base")]["narHash"] = "sha256:abc"
    system["closure"][store_name("root")]["hash"] = 1
    system["builder"]["cores"] = -1
    said = refused(changed)
    at = f"nixgen.hashes.json: systems.{X86}"
    for line in (
        f'{at}.inputs.base.kind: is "alpine", not one of debian, nixpkgs',
        f"{at}.outputs.environment.drvPath: has an impossible value: '/nix/store/nothing'",
        f"{at}.closure.{store_name('base')}.narHash: has an impossible value: 'sha256:abc'",
        f"{at}.closure.{store_name('root')}.hash: is not a known key",
        f"{at}.builder.cores: is -1, below zero",
    ):
        assert line + MEND in said


def test_an_edited_hash_is_seen_by_the_digest() -> None:
    changed = document()
    changed["systems"][X86]["closure"][store_name("base")]["narSize"] += 1
    assert refused(changed) == (
        f"nixgen.hashes.json: systems.{X86}.digest: is not that of the closure: "
        f"the file was edited, or merged by hand{MEND}"
    )


def test_a_closure_is_whole() -> None:
    changed = document()
    del changed["systems"][X86]["closure"][store_name("base")]
    assert f"refers to {store_name('base')}, which is not in the closure" in refused(changed)
    changed = document()
    changed["systems"][X86]["outputs"]["root"]["outPath"] = f"/nix/store/{store_name('other')}"
    assert f"systems.{X86}.outputs.root: has a path that is not in the closure" in refused(changed)
    changed = document()
    del changed["systems"][X86]["outputs"]["root"]
    assert f"systems.{X86}.outputs.root: is missing" in refused(changed)
    del changed["systems"][X86]["outputs"]  # case 35: this was a traceback
    assert f"systems.{X86}.outputs: is missing" in refused(changed)
    changed = document()
    changed["systems"][X86]["closure"] = {}
    assert f"systems.{X86}.closure: is empty" in refused(changed)


def test_a_system_is_written_and_the_others_stay(tmp_path: Path) -> None:
    place = tmp_path / record.NAME
    assert record.update(place, "plot", ARM, SYSTEM)
    before = place.read_text().splitlines()
    assert record.update(place, "plot", X86, SYSTEM)
    after = place.read_text().splitlines()
    assert set(before) <= {*after, *(line.rstrip(",") for line in after)}
    read = record.read_record(place)
    assert read is not None
    assert list(read.systems) == [ARM, X86]


def test_facts_about_the_builder_alone_change_nothing(tmp_path: Path) -> None:
    place = tmp_path / record.NAME
    record.update(place, "plot", X86, SYSTEM)
    before = place.read_bytes()
    other = replace(SYSTEM, builder=replace(BUILDER, nix="2.34.8", cpu="another", cores=64))
    assert not record.update(place, "plot", X86, other)
    assert place.read_bytes() == before
    changed = system_record({**PATHS, store_name("more"): path("more")})
    assert record.update(place, "plot", X86, replace(changed, builder=other.builder))
    read = record.read_record(place)
    assert read is not None
    assert read.systems[X86].builder.nix == "2.34.8"


def test_what_is_there_is_never_replaced_when_it_cannot_be_read(tmp_path: Path) -> None:
    place = tmp_path / record.NAME
    place.write_text('{"version": 2}')
    with pytest.raises(MachineError):
        record.update(place, "plot", X86, SYSTEM)
    assert place.read_text() == '{"version": 2}'
    assert record.update(place, "plot", X86, SYSTEM, alone=True)
    assert record.read_record(place) == Record("plot", {X86: SYSTEM})


def test_a_full_disk_leaves_the_record_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / record.NAME
    record.update(place, "plot", ARM, SYSTEM)
    before = place.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError) as caught:
        record.update(place, "plot", X86, SYSTEM)
    assert "the disk is full; nothing was changed" in str(caught.value)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {record.NAME: before}


def test_a_record_is_read_where_there_is_one(tmp_path: Path) -> None:
    assert record.read_record(tmp_path / "none.json") is None
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UserError, match=r"folder\.json: is a folder, not a file"):
        record.read_record(tmp_path / "folder.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"bytes\.json: is not UTF-8 text \(byte 0\)"):
        record.read_record(tmp_path / "bytes.json")
    with pytest.raises(UserError, match="is not a folder"):
        record.update(tmp_path / "none" / "x.json", "plot", X86, SYSTEM)


def test_it_knows_every_file_that_default_nix_is_made_from(tmp_path: Path) -> None:
    """What ``nixgen generate`` takes the digest of, the record can hold: else it would write what it cannot read."""
    for name, text in (
        ("uv.lock", ""),
        ("pyproject.toml", '[tool.nixgen]\nbase = "debian"\n'),
        ("models.toml", 'version = 1\n[models.m]\nsource = "hf:org/m"\n'),
    ):
        (tmp_path / name).write_text(text)
    pins = planning.Pins(Lock(NIXPKGS), lockfile.dump_lock(Lock(NIXPKGS)).encode(), {})
    found = planning.digests(tmp_path, pins, read_manifest(tmp_path))
    assert sorted(found) == sorted(LOCKS)


def test_every_file_that_counts_is_read_again() -> None:
    more = (
        ".python-version",
        "libs/core/VERSION",
        "libs/core/pyproject.toml",
        "models.toml",
        "pyproject.toml",
        "uv.toml",
    )
    files = dict.fromkeys((*more, "nixgen.lock", "uv.lock"), "5" * 64)
    made = Record("plot", {X86: replace(SYSTEM, inputs=replace(SYSTEM.inputs, files=files))})
    assert record.parse_record(record.dump_record(made)) == made
