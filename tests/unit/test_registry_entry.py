"""The lines of a registry's log, names and versions, and what follows from a log's events."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.errors import UserError
from nixgen.log.entry import EntryError
from nixgen.registry import checksums
from nixgen.registry.checksums import ChecksumError
from nixgen.registry.entry import Condition, Entry
from nixgen.registry.names import Ref, Version
from nixgen.registry.state import State

AT = "2026-11-03T12:00:00.000000Z"
PUBLISH = Entry("publish", "demo/fraud", "1.0.0", AT, "ann", digest="0" * 64, run="20261103-120000-abcdef")
PROMOTE = Entry(
    "promote", "demo/fraud", "1.0.0", AT, "ann", "good", alias="prod", serial=1,
    verdict=(Condition("auc", True, "0.93", ">= 0.9"),),
)  # fmt: skip


def line(entry: Entry = PUBLISH, **changes: object) -> bytes:
    table = {**json.loads(entry.line()), **changes}
    told = {key: value for key, value in table.items() if value is not None}
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def test_one_form() -> None:
    assert PUBLISH.line() == (
        b'{"at":"2026-11-03T12:00:00.000000Z","by":"ann","digest":"' + b"0" * 64 + b'","kind":"publish",'
        b'"model":"demo/fraud","run":"20261103-120000-abcdef","v":1,"version":"1.0.0"}'
    )
    for entry in (PUBLISH, PROMOTE, PROMOTE.marked(conflict=True)):
        assert Entry.parse(entry.line()) == entry


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        line(v=True),
        line(kind="delete"),
        line(model="fraud"),
        line(model="../fraud"),
        line(version="1.0"),
        line(digest=None),
        line(digest="0" * 63),
        line(at="2026-11-03"),
        line(alias="prod"),
        line(more=1),
        line(by=""),
        line(conflict=False),
        line(PROMOTE, serial=0),
        line(PROMOTE, serial=1.0),
        line(PROMOTE, alias="1.0.0"),
        line(PROMOTE, digest="0" * 64),
        line(PROMOTE, verdict=[["auc", 1, "0.9", ""]]),
        line(PROMOTE, override=1),
        line() + b" ",
        PUBLISH.line().replace(b'"v":1', b'"v": 1'),
    ],
)
def test_lines_that_are_no_entry(data: bytes) -> None:
    with pytest.raises(EntryError):
        Entry.parse(data)


def test_a_later_version() -> None:
    with pytest.raises(EntryError, match="is of version 2, and this nixgen knows 1: use a newer nixgen"):
        Entry.parse(line(v=2))


@given(st.text(min_size=1), st.text(min_size=1))
def test_what_people_write_is_kept(by: str, why: str) -> None:
    try:
        by.encode(), why.encode()
    except UnicodeEncodeError:
        return
    entry = Entry("deprecate", "demo/fraud", "1.0.0", AT, by, why)
    assert Entry.parse(entry.line()) == entry


def test_what_contradicts_is_told_and_does_not_count() -> None:
    state = State()
    state.extend([PUBLISH, PUBLISH, PROMOTE, PROMOTE, Entry("deprecate", "demo/fraud", "9.0.0", AT, "ann")])
    assert [why for _, why in state.wrong] == [
        "was published before",
        "does not go on from the move of prod before it",
        "was never published",
    ]
    assert state.model("demo/fraud").aliases() == {"prod": "1.0.0"}
    state.extend([PROMOTE.marked(conflict=True)])
    assert len(state.lost) == 1


def test_which_version_a_word_means() -> None:
    state = State()
    for version in ("1.0.0", "1.10.0", "1.9.0", "2.0.0-rc.1"):
        state.extend([Entry("publish", "demo/fraud", version, AT, "ann", digest="0" * 64)])
    state.extend([Entry("promote", "demo/fraud", "1.9.0", AT, "ann", alias="prod", serial=1)])
    assert state.version("demo", Ref.parse("fraud")).version == "1.10.0"
    assert state.version("demo", Ref.parse("fraud@prod")).version == "1.9.0"
    assert state.version("demo", Ref.parse("fraud@2.0.0-rc.1")).version == "2.0.0-rc.1"
    state.extend([Entry("deprecate", "demo/fraud", "1.10.0", AT, "ann", "leaks")])
    assert state.version("demo", Ref.parse("fraud")).version == "1.9.0"
    for word, said in {
        "fraud@beta": (
            "fraud@beta: beta is neither a version (like 1.2.3) nor an alias\n"
            "  hint: versions: 1.0.0, 1.9.0, 1.10.0, 2.0.0-rc.1; aliases: prod"
        ),
        "fraud@9": "fraud@9: 9 is neither a version (like 1.2.3) nor an alias",
        "fraud@3.0.0": (
            "fraud@3.0.0: there is no such version\n  hint: the highest are: 1.0.0, 1.9.0, 1.10.0, 2.0.0-rc.1"
        ),
        "other": "demo/other: there is no such model in the registry\n  hint: there are: demo/fraud",
    }.items():
        with pytest.raises(UserError) as caught:
            state.version("demo", Ref.parse(word))
        assert str(caught.value).startswith(said)


def test_the_order_of_versions() -> None:
    """Semantic Versioning 2.0.0, 11."""
    before = ["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"]
    ordered = [*(f"1.0.0-{part}" for part in before), "1.0.0", "1.0.1", "1.2.0", "1.10.0"]
    assert sorted(ordered[5:] + ordered[:5], key=Version.parse) == ordered
    for text in ("1", "1.0", "01.0.0", "1.0.0-01", "1.0.0-", "v1.0.0", "1.0.0 ", "1.0.0\n", "9" * 300):
        with pytest.raises(UserError):
            Version.parse(text)


@given(st.dictionaries(st.text(min_size=1), st.from_regex(r"[0-9a-f]{64}", fullmatch=True)))
def test_checksums(hashes: dict[str, str]) -> None:
    fine = {}
    for path, sha256 in hashes.items():
        try:
            fine[checksums.check_path(path)] = sha256
        except UserError:
            continue
    assert checksums.parse(checksums.dump(fine)) == fine


@given(st.binary() | st.from_regex(rb"([0-9a-f]{64}  [a-z./]+\n)*", fullmatch=True))
def test_texts_that_are_no_checksums(data: bytes) -> None:
    try:
        found = checksums.parse(data)
    except ChecksumError:
        return
    assert checksums.dump(found) == data
    assert not any(path.startswith(("/", "..")) for path in found)
