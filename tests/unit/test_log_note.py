"""Signed notes and keys, against the examples of the C2SP specification and of Go's implementation."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs import SIGNER, VERIFIER

from nixgen.log.checkpoint import Checkpoint
from nixgen.log.note import Note, NoteError, Signer, Verifier
from nixgen.machine import extras

# Go's (golang.org/x/mod/sumdb/note)
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
BY_PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
# The specification's (c2sp.org/signed-note)
EXAMPLE = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# A tree of Go's checksum database, as its tests have it
TREE_KEY = "localhost.localdev/sumdb+00000c67+AcTrnkbUA+TU4heY3hkjiSES/DSQniBqIeQ/YppAUtK6"
TREE = (
    "go.sum database tree\n6\nwc4SkQt52o5W2nQ8To2ARs+mWuUJjss+sdleoiqxMmM=\n\n— localhost.localdev/sumdb "
    "AAAMZ6oRNswlEZ6ZZhxrCvgl1MBy+nusq4JU+TG6Fe2NihWLqOzb+y2c2kzRLoCr4tvw9o36ucQEnhc20e4nA4Qc/wc=\n"
)


def opened(note: str, vkey: str) -> str:
    return Note.parse(note.encode()).verified(Verifier.parse(vkey))


def refusal(data: bytes) -> str:
    with pytest.raises(NoteError) as caught:
        Note.parse(data)
    return str(caught.value)


def test_known_notes() -> None:
    assert opened(EXAMPLE_NOTE, EXAMPLE) == "This is an example message.\n"
    assert opened(f"{TEXT}\n{BY_PETER}", PETER) == TEXT
    both = f"{TEXT}\n{BY_PETER}{BY_ENOCH}"
    assert opened(both, PETER) == opened(both, ENOCH) == TEXT
    assert opened(f"{TEXT}\n{BY_ENOCH}{BY_PETER * 16}", PETER) == TEXT


def test_known_tree() -> None:
    found = Checkpoint.unverified(TREE.encode())
    assert (found.origin, found.size, found.root.hex()[:8]) == ("go.sum database tree", 6, "c1ce1291")


def test_signing_gives_the_known_note() -> None:
    signer = Signer.parse(PETER_SECRET)
    assert str(signer.verifier) == PETER
    assert signer.secret() == PETER_SECRET
    assert signer.sign(TEXT) == f"{TEXT}\n{BY_PETER}"
    assert PETER_SECRET[-20:] not in repr(signer)


@pytest.mark.parametrize("at", range(len(PETER)))
def test_no_other_text_is_that_key(at: int) -> None:
    texts = [PETER[:at], PETER[at + 1 :], PETER[:at] + chr(ord(PETER[at]) + 1) + PETER[at + 1 :]]
    for text in texts:
        with pytest.raises(NoteError, match=r"^is not a verifier key: "):
            Verifier.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # too long
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # another algorithm
        PETER.replace("c74f20a3", "C74F20A3"),
        PETER.replace("PeterNeumann", "Peter Neumann"),
        PETER + "\n",
        "",
    ],
)
def test_keys_that_are_none(text: str) -> None:
    with pytest.raises(NoteError, match=r"^is not a verifier key: "):
        Verifier.parse(text)


def test_a_name_with_white_space_is_none_even_with_its_own_id() -> None:
    bad = Verifier("a b", VERIFIER.key)
    with pytest.raises(NoteError):
        Verifier.parse(str(bad))


@pytest.mark.parametrize("at", range(0, len(PETER_SECRET), 3))
def test_private_keys_that_are_none(at: int) -> None:
    for text in (PETER_SECRET[:at], PETER_SECRET[:at] + chr(ord(PETER_SECRET[at]) + 1) + PETER_SECRET[at + 1 :]):
        with pytest.raises(NoteError, match=r"^is not a private key of a log: ") as caught:
            Signer.parse(text)
        assert PETER_SECRET[-20:-2] not in str(caught.value)


def test_new_keys() -> None:
    one, other = Signer.generate("example.com/log"), Signer.generate("example.com/log")
    assert one.seed != other.seed
    assert Signer.parse(one.secret()) == one
    assert Verifier.parse(str(one.verifier)) == one.verifier
    for name in ("", "a b", "a+b", "a\u2003b", "a\nb", "a\x01"):
        with pytest.raises(NoteError, match=r"^is not a key's name: "):
            Signer.generate(name)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (TEXT, "no signature follows its text"),
        (f"{TEXT}\n", "no signature follows its text"),
        (f"{TEXT}\n{BY_PETER}"[:-1], "no signature follows its text"),
        (f"\x01{TEXT}\n{BY_PETER}", "it has control characters"),
        (f"{TEXT}\r\n{BY_PETER}", "it has control characters"),
        (f"{TEXT}\n{BY_PETER}".replace("PeterNeumann", "Peter Neumann"), "a line of its signatures is none"),
        (f"{TEXT}\n{BY_PETER}Unexpected line.\n", "a line of its signatures is none"),
        (f"{TEXT}\n— PeterNeumann x08g\n", "a line of its signatures is none"),
        (f"{TEXT}\n{BY_PETER}".replace("=", "=="), "a line of its signatures is none"),
    ],
)
def test_texts_that_are_no_notes(data: str, why: str) -> None:
    assert refusal(data.encode()) == f"is not a note: {why}"


def test_bytes_that_are_no_notes() -> None:
    assert refusal(b"\xff" + f"{TEXT}\n{BY_PETER}".encode()) == "is not a note: it is not UTF-8 text"
    assert refusal(b"a" * (1 << 20) + b"\n\n") == "is not a note: it is too long"


def test_who_did_not_sign() -> None:
    with pytest.raises(NoteError, match=re.escape("is not signed by EnochRoot+af0cfe78")):
        opened(f"{TEXT}\n{BY_PETER}", ENOCH)
    with pytest.raises(NoteError, match=re.escape("has a wrong signature by PeterNeumann+c74f20a3")):
        opened(f"{TEXT.upper()}\n{BY_PETER}", PETER)
    renamed = f"{TEXT}\n{BY_PETER}".replace("PeterNeumann", "CarmenSandiego")
    with pytest.raises(NoteError, match="is not signed by PeterNeumann"):
        opened(renamed, PETER)
    short = base64.b64encode(Verifier.parse(PETER).id + b"short").decode()
    with pytest.raises(NoteError, match="has a wrong signature by PeterNeumann"):
        opened(f"{TEXT}\n— PeterNeumann {short}\n{BY_PETER}", PETER)


@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc"), whitelist_characters="\n")).map(lambda text: f"{text}\n")
)
def test_what_is_signed_is_what_is_read(text: str) -> None:
    note = SIGNER.sign(text)
    assert Note.parse(note.encode()).verified(VERIFIER) == text
    body = note.encode()
    at = int.from_bytes(hashlib.sha256(body).digest()[:4]) % len(body)
    changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
    with pytest.raises(NoteError):
        Note.parse(changed).verified(VERIFIER)


def test_checkpoints() -> None:
    made = Checkpoint.signed(SIGNER, 20852163, bytes(range(32)))
    assert made.note.startswith(
        "example.com/log\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— example.com"
    )
    assert Checkpoint.opened(made.note.encode(), VERIFIER) == made
    assert str(made) == "20852163 entries, root AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.mark.parametrize(
    "text",
    [
        "example.com/log\n01\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "example.com/log\n-1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "example.com/log\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n",
        "example.com/log\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd\n",
        "\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        "example.com/log\n1\n",
        "example.com/log\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n",
    ],
)
def test_texts_that_are_no_checkpoints(text: str) -> None:
    with pytest.raises(NoteError, match=r"^is not a checkpoint: |^is not a note"):
        Checkpoint.opened(SIGNER.sign(text).encode(), VERIFIER)


def test_a_checkpoint_of_another_log() -> None:
    text = "example.com/other\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    with pytest.raises(NoteError, match=r'^is a checkpoint of "example.com/other", not of "example.com/log"$'):
        Checkpoint.opened(SIGNER.sign(text).encode(), VERIFIER)


def test_lines_behind_the_root_are_allowed() -> None:
    text = "example.com/log\n1\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nmore\n"
    assert Checkpoint.opened(SIGNER.sign(text).encode(), VERIFIER).size == 1


def test_cryptography_is_imported_only_for_signatures() -> None:
    program = (
        "import sys; import nixgen.lock.lockfile, nixgen.log.log\n"
        f"from nixgen.log.note import Verifier; Verifier.parse({PETER!r})\n"
        "sys.exit('cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    from nixgen.errors import UserError

    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    wanted = re.escape(
        "the log of a cache or registry needs the library cryptography, which is not here\n"
        f"  hint: {extras.install('cache')}"
    )
    with pytest.raises(UserError, match=wanted):
        opened(EXAMPLE_NOTE, EXAMPLE)
    with pytest.raises(UserError, match=wanted):
        SIGNER.sign("text\n")
