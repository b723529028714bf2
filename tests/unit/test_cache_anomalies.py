from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cryptography")

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nixgen.cache.anomalies import Anomaly, Held, Nar, anomalies
from nixgen.cache.entry import Entry
from nixgen.cache.narinfo import NarInfo, PublicKey
from nixgen.check.model import ClosurePath

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32))
KEY = PublicKey("team-1", PRIVATE.public_key().public_bytes_raw())
NAME, LIBRARY, OTHER = f"{'0' * 32}-app", f"{'1' * 32}-lib", f"{'2' * 32}-new"
H1, H2 = ("sha256-" + base64.b64encode(bytes([digit] * 32)).decode() for digit in (1, 2))


def signed(info: NarInfo, name: str = "team-1", key: Ed25519PrivateKey = PRIVATE) -> NarInfo:
    signature = base64.b64encode(key.sign(info.fingerprint().encode())).decode()
    return replace(info, signatures=(*info.signatures, f"{name}:{signature}"))


BARE = NarInfo(NAME, "nar/x.nar", H1, 100, (LIBRARY,))
GOOD = signed(BARE)
NAR = Nar(H1, 100)
ENTRY = Entry(NAME, H1, 100, (LIBRARY,))
RECORDED = ClosurePath(NAME, H1, 100, (LIBRARY,))
EDITED = replace(GOOD, nar_hash=H2)  # and the signature of before
RESIGNED = signed(replace(BARE, nar_hash=H2))
REFERENCES = replace(GOOD, references=(OTHER,))
NO_KEY = signed(BARE, "stranger-1", STRANGER)

COLLECTED = "and the cache does not have it: it was collected or deleted"
INSTEAD = f"NAR hash {H2}, not {H1}"
REFUSES = f"has a NAR that is not what its narinfo says, so Nix refuses it: {INSTEAD}"
ANEW = "is not what was logged, and was signed anew with team-1, so Nix takes it:"
UNFIT = "has a narinfo that is not what was logged, and its signature by team-1 does not fit:"
NOBODY = "is signed only by the untrusted key stranger-1"


def of(seen: Held, *logged: Entry, recorded: ClosurePath | None = None) -> list[tuple[str, str]]:
    found = anomalies(seen, logged, recorded, [KEY])
    assert all(anomaly.path == seen.name for anomaly in found)
    return [(anomaly.kind, anomaly.what) for anomaly in found]


def test_what_is_as_it_was_logged_is_well() -> None:
    assert of(Held(NAME, GOOD, NAR), ENTRY, recorded=RECORDED) == []
    assert of(Held(NAME, GOOD), ENTRY) == []  # the NAR was not read
    assert of(Held(NAME, signed(NO_KEY), NAR), ENTRY) == []  # signed by others, too


@pytest.mark.parametrize(
    ("seen", "kind", "what"),
    [
        (Held(NAME), "missing", f"is in the log, {COLLECTED}"),
        (Held(NAME, GOOD, Nar(lost=True)), "missing", "has a narinfo in the cache and no NAR: that was collected or deleted"),  # noqa: E501
        (Held(NAME, GOOD, Nar(H2, 100)), "rewritten", REFUSES),
        (Held(NAME, GOOD, Nar(H1, 99)), "rewritten", "has a NAR of 99 bytes, and its narinfo says 100"),
        (Held(NAME, GOOD, Nar(why="cannot be unpacked (x)")), "rewritten", "has a NAR that cannot be unpacked (x)"),
        (Held(NAME, why="cannot be read: line 1 has no colon"), "rewritten", "has a narinfo that cannot be read: line 1 has no colon"),  # noqa: E501
        (Held(NAME, EDITED, Nar(H2, 100)), "rewritten", f"{UNFIT} {INSTEAD}"),
        (Held(NAME, replace(EDITED, signatures=()), Nar(H2, 100)), "rewritten", f"has a narinfo that is not what was logged, and has no signature: {INSTEAD}"),  # noqa: E501
        (Held(NAME, RESIGNED, Nar(H2, 100)), "resigned", f"{ANEW} {INSTEAD}"),
        (Held(NAME, REFERENCES, NAR), "rewritten", f"{UNFIT} refers to {OTHER} as well; does not refer to {LIBRARY}"),
        (Held(NAME, signed(replace(BARE, references=())), NAR), "resigned", f"{ANEW} does not refer to {LIBRARY}"),
        (Held(NAME, signed(replace(BARE, nar_size=101)), NAR), "resigned", f"{ANEW} NAR size 101, not 100"),
        (Held(NAME, BARE, NAR), "unsigned", "has no signature"),
        (Held(NAME, NO_KEY, NAR), "unsigned", NOBODY),
        (Held(NAME, replace(BARE, signatures=("team-1:A",)), NAR), "unsigned", "its signature by team-1 does not fit"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_logged_is_told_apart(seen: Held, kind: str, what: str) -> None:
    assert of(seen, ENTRY)[0] == (kind, what)
    # What the record says beside the log changes nothing about what is wrong with the cache.
    assert of(seen, ENTRY, recorded=RECORDED) == of(seen, ENTRY)


def test_a_narinfo_that_was_edited_alone_is_told_from_a_nar_that_was() -> None:
    assert of(Held(NAME, EDITED, NAR), ENTRY) == [
        ("rewritten", f"{UNFIT} {INSTEAD}"),
        ("rewritten", "has the NAR that was logged, and a narinfo that is not its own: Nix refuses it"),
    ]


def test_what_nobody_logged() -> None:
    assert of(Held(NAME, GOOD, NAR)) == [("unlogged", "is signed with team-1, so Nix takes it, and is not in the log")]
    unknown = "is known to neither the log nor the record, and"
    assert of(Held(NAME, BARE, NAR)) == [("extra", f"{unknown} has no signature")]
    assert of(Held(NAME, NO_KEY, NAR)) == [("extra", f"{unknown} {NOBODY}")]
    recorded = [("unlogged", "is in the record and not in the log, and has no signature")]
    assert of(Held(NAME, BARE, NAR), recorded=RECORDED) == recorded
    assert of(Held(NAME), recorded=RECORDED) == [("missing", f"is in the record, not in the log, {COLLECTED}")]
    assert of(Held(NAME)) == []


def test_a_record_that_says_otherwise() -> None:
    other = replace(RECORDED, nar_hash=H2)
    said = f"is not what the record has: NAR hash {H1}, not {H2}"
    assert of(Held(NAME, GOOD, NAR), ENTRY, recorded=other) == [("recorded", said)]
    assert of(Held(NAME, GOOD, NAR), recorded=other)[1:] == [("recorded", said)]


def test_a_second_content_is_told_for_ever() -> None:
    second = replace(ENTRY, nar_hash=H2, conflict=True)
    said = f"has several contents in the log ({H1} and {H2}): it was built twice, differently"
    assert of(Held(NAME, GOOD, NAR), ENTRY, second) == [("conflict", said)]
    assert of(Held(NAME), ENTRY, second)[0] == ("conflict", said)
    # The first one counts: who logs a second one does not make it right.
    assert [kind for kind, _ in of(Held(NAME, RESIGNED, Nar(H2, 100)), ENTRY, second)] == ["conflict", "resigned"]
    # The same content under another derivation is none.
    assert of(Held(NAME, GOOD, NAR), ENTRY, replace(ENTRY, drv=f"{'3' * 32}-app.drv", output="out")) == []


names = st.sampled_from([LIBRARY, OTHER])
infos = st.builds(
    NarInfo,
    st.just(NAME),
    st.just("nar/x.nar"),
    st.sampled_from([H1, H2]),
    st.integers(100, 101),
    st.lists(names, unique=True).map(lambda some: tuple(sorted(some))),
)


@given(
    info=infos,
    sign=st.booleans(),
    nar=st.none() | st.builds(Nar, st.sampled_from([H1, H2]), st.integers(100, 101)),
)
def test_only_what_was_logged_signed_and_unchanged_is_well(info: NarInfo, *, sign: bool, nar: Nar | None) -> None:
    seen = Held(NAME, signed(info) if sign else info, nar)
    same = (info.nar_hash, info.nar_size, info.references) == (ENTRY.nar_hash, ENTRY.nar_size, ENTRY.references)
    whole = nar is None or (nar.nar_hash, nar.nar_size) == (info.nar_hash, info.nar_size)
    found = anomalies(seen, [ENTRY], None, [KEY])
    assert (found == ()) == (same and whole and sign)
    assert ("resigned" in {anomaly.kind for anomaly in found}) == (sign and not same)


def test_anomalies_are_sorted_by_path() -> None:
    assert Anomaly(NAME, "unsigned", "") < Anomaly(LIBRARY, "extra", "")
