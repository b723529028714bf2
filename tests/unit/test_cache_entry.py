"""Entries: one form for each, and nothing else is one."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import digest, entry, store_name

from nixgen.cache.entry import Entry
from nixgen.log.entry import EntryError
from nixgen.nix import base32

NAMES = st.builds(
    lambda letters, name: f"{letters}-{name}",
    st.text(base32.ALPHABET, min_size=32, max_size=32),
    st.from_regex(r"[0-9a-zA-Z+\-._?=]{1,40}", fullmatch=True),
)
ENTRIES = st.builds(
    Entry,
    path=NAMES,
    nar_hash=st.just("sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    nar_size=st.integers(1, 1 << 60),
    references=st.sets(NAMES, max_size=5).map(lambda names: tuple(sorted(names))),
    drv=st.none() | NAMES.map(lambda name: f"{name}.drv"),
    output=st.none() | st.sampled_from(("out", "dev", "man")),
    conflict=st.booleans(),
)


@given(ENTRIES)
def test_one_form(made: Entry) -> None:
    line = made.line()
    assert b"\n" not in line
    assert Entry.parse(line) == made
    assert json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode() == line
    assert made.line() == line


def test_a_line() -> None:
    path = store_name("x", "numpy-2.1")
    made = Entry(path, "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", 7, (path,))
    assert made.line().decode() == (
        '{"drv":null,"narHash":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","narSize":7,"output":null,'
        f'"path":"{path}","references":["{path}"],"v":1}}'
    )
    assert b'"conflict":true' in dataclasses.replace(made, conflict=True).line()


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"path": "numpy"}, "'path'"),
        ({"path": "/nix/store/" + store_name(1, "a")}, "'path'"),
        ({"path": store_name(1, "a/b")}, "'path'"),
        ({"path": store_name(1, "a") + "\n"}, "'path'"),
        ({"narHash": "sha256:" + digest(1).hex()}, "'narHash'"),
        ({"narSize": 0}, "'narSize'"),
        ({"narSize": True}, "'narSize'"),
        ({"narSize": 1.5}, "'narSize'"),
        ({"references": [store_name(2, "b"), store_name(2, "b")]}, "'references'"),
        ({"references": sorted([store_name(2, "b"), store_name(3, "c")], reverse=True)}, "'references'"),
        ({"references": None}, "'references'"),
        ({"drv": store_name(2, "b")}, "'drv'"),
        ({"output": ""}, "'output'"),
        ({"conflict": False}, "'conflict'"),
        ({"more": 1}, "'more'"),
        ({"v": True}, "'v'"),
        ({"v": 0, "path": 1}, "'path', 'v'"),
    ],
)
def test_what_is_none(changes: dict[str, Any], wrong: str) -> None:
    table = {**json.loads(entry(1).line()), **changes}
    line = json.dumps(table, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(EntryError, match=re.escape(f"is not an entry: {wrong} missing, unknown or impossible")):
        Entry.parse(line)


def test_other_forms_of_the_same() -> None:
    line = entry(1).line()
    for other in (b" " + line, line.replace(b":", b": "), json.dumps(json.loads(line)).encode()):
        with pytest.raises(EntryError, match="is not an entry: it is not in canonical form"):
            Entry.parse(other)
    for other in (b"", b"[]", b"1", b"\xff", b"{", b"[" * 100_000, b'"' + b"a" * (1 << 20) + b'"'):
        with pytest.raises(EntryError, match="is not an entry: it is not a line of JSON"):
            Entry.parse(other)
    with pytest.raises(EntryError, match=r"'drv', 'narHash'.* missing"):
        Entry.parse(b"{}")


def test_a_newer_version() -> None:
    line = entry(1).line().replace(b'"v":1', b'"v":2')
    with pytest.raises(EntryError, match=r"^is of version 2, and this nixgen knows 1: use a newer nixgen$"):
        Entry.parse(line)


@given(st.binary(max_size=200))
def test_anything_else_is_refused_and_never_crashes(data: bytes) -> None:
    with pytest.raises(EntryError):
        Entry.parse(data)
