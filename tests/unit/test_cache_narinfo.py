from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.cache import narinfo
from nixgen.cache.narinfo import NarInfo, PublicKey
from nixgen.errors import Finding, UserError

# Written and signed by Nix 2.8.0.
KEY = "k-1:GjPnf35ueEMLD6Bbz3FJoVg8heLkjmpoWl/6RUe6nZg="
FILE = "25q050ilzakmjzx9ks46r3bmq7l4q8z0.narinfo"
TEXT = """StorePath: /nix/store/25q050ilzakmjzx9ks46r3bmq7l4q8z0-b
URL: nar/16dbg72zvg6nmzx4hk3fjwmmnxjpizg35ymflc6bfyjgsk05ayh8.nar.zst
Compression: zstd
FileHash: sha256:16dbg72zvg6nmzx4hk3fjwmmnxjpizg35ymflc6bfyjgsk05ayh8
FileSize: 159
NarHash: sha256:1gvg3678fm10jrmjgcaz591mm4l14mjysdlqwmcrkbp836pg8rx3
NarSize: 208
References: 25q050ilzakmjzx9ks46r3bmq7l4q8z0-b dcgxgfrhy8mb76rg8f1djpw23cl3fzmx-a
Deriver: hngz9zbd2mwc1i3isdq3aj1wr5gi3fl9-b.drv
Sig: k-1:Z678MkNIAdPwWWpEYIa9iQpgRapnoUyMWio9rCp0XnITKZlW0EDHPPwj1kV87v2uCpoKD0XnhOxOISRurWjvDg==
"""
INFO = NarInfo(
    name="25q050ilzakmjzx9ks46r3bmq7l4q8z0-b",
    url="nar/16dbg72zvg6nmzx4hk3fjwmmnxjpizg35ymflc6bfyjgsk05ayh8.nar.zst",
    nar_hash="sha256-o2f0rhnorplZ5Zg27WUlgZJaQypfsSdrliBUh44Zb78=",
    nar_size=208,
    references=("25q050ilzakmjzx9ks46r3bmq7l4q8z0-b", "dcgxgfrhy8mb76rg8f1djpw23cl3fzmx-a"),
    compression="zstd",
    deriver="hngz9zbd2mwc1i3isdq3aj1wr5gi3fl9-b.drv",
    signatures=("k-1:Z678MkNIAdPwWWpEYIa9iQpgRapnoUyMWio9rCp0XnITKZlW0EDHPPwj1kV87v2uCpoKD0XnhOxOISRurWjvDg==",),
    file_hash="sha256-CHpVwNRPercMo676Mt6PV3ZbK5duTEj6r9a8/cV5q5k=",
    file_size=159,
)


def without(key: str) -> str:
    return "".join(line for line in TEXT.splitlines(keepends=True) if not line.startswith(f"{key}:"))


def changed(key: str, value: str) -> str:
    return without(key) + f"{key}: {value}\n"


def test_what_nix_wrote_is_read() -> None:
    assert narinfo.parse(TEXT, FILE) == INFO
    assert INFO.path == "/nix/store/25q050ilzakmjzx9ks46r3bmq7l4q8z0-b"


def test_the_signed_text_is_that_of_nix() -> None:
    assert INFO.fingerprint() == (
        "1;/nix/store/25q050ilzakmjzx9ks46r3bmq7l4q8z0-b;"
        "sha256:1gvg3678fm10jrmjgcaz591mm4l14mjysdlqwmcrkbp836pg8rx3;208;"
        "/nix/store/25q050ilzakmjzx9ks46r3bmq7l4q8z0-b,/nix/store/dcgxgfrhy8mb76rg8f1djpw23cl3fzmx-a"
    )


def test_a_signature_of_nix_fits_and_no_other() -> None:
    key = PublicKey.parse(KEY)
    assert key.signed(INFO)
    other = "sha256-" + base64.b64encode(bytes(32)).decode()
    for edited in (
        replace(INFO, nar_hash=other),
        replace(INFO, nar_size=209),
        replace(INFO, references=INFO.references[:1]),
        replace(INFO, name=INFO.name + "b"),
        replace(INFO, store="/elsewhere"),
        replace(INFO, signatures=()),
        replace(INFO, signatures=("k-1:not base 64",)),
        replace(INFO, signatures=("k-1:AAAA",)),
        replace(INFO, signatures=(INFO.signatures[0].replace("k-1", "k-2"),)),
    ):
        assert not key.signed(edited)
    assert not PublicKey("k-1", bytes(32)).signed(INFO)
    # What is not signed is not protected: that is Nix's rule, and why the log is there.
    assert key.signed(replace(INFO, url="nar/other.nar", compression="xz", deriver=None))


@pytest.mark.parametrize(
    "spelled",
    [
        "sha256:1gvg3678fm10jrmjgcaz591mm4l14mjysdlqwmcrkbp836pg8rx3",
        "sha256:" + narinfo.sri_digest(INFO.nar_hash).hex(),
        "sha256:o2f0rhnorplZ5Zg27WUlgZJaQypfsSdrliBUh44Zb78=",
        "sha256-o2f0rhnorplZ5Zg27WUlgZJaQypfsSdrliBUh44Zb78=",
    ],
)
def test_a_hash_may_be_spelled_in_each_of_nixs_ways(spelled: str) -> None:
    assert narinfo.parse(changed("NarHash", spelled), FILE).nar_hash == INFO.nar_hash


def test_what_may_be_missing_has_nixs_defaults() -> None:
    bare = narinfo.parse(
        "StorePath: /nix/store/25q050ilzakmjzx9ks46r3bmq7l4q8z0-b\nURL: n\nNarSize: 1\nReferences: \nNew: thing\n"
        f"NarHash: {INFO.nar_hash}\nDeriver: unknown-deriver\n",
        FILE,
    )
    assert bare == NarInfo(INFO.name, "n", INFO.nar_hash, 1, ())
    assert bare.compression == "bzip2"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rubbish\n", "cannot be read: line 1 is not KEY: VALUE"),
        (TEXT.rstrip("\n"), "cannot be read: its last line has no end"),
        (TEXT.replace("\n", "\r\n"), "cannot be read: line 1 is not KEY: VALUE"),
        # To Nix, the line after the first is its value: it sees a path without references, or without a signature.
        (TEXT.replace("References:", "New:\nReferences:"), "cannot be read: line 8 is not KEY: VALUE"),
        (TEXT.replace("\nNarSize:", "\x0bNarSize:"), "cannot be read: line 6 is not KEY: VALUE"),
        (TEXT.replace("NarSize: ", "NarSize:1"), "cannot be read: line 7 is not KEY: VALUE"),
        (TEXT + "Sig: \x1b[2Jk-1:AAAA\n", "cannot be read: line 11 is not KEY: VALUE"),
        ("", "cannot be read: it lacks StorePath, URL, NarHash, NarSize, References"),
        (without("NarHash"), "cannot be read: it lacks NarHash"),
        (TEXT + "NarSize: 1\n", "cannot be read: it has NarSize twice"),
        (changed("StorePath", "/etc/passwd"), "its StorePath is no store path: '/etc/passwd'"),
        (changed("StorePath", "/nix/store/" + "0" * 32 + "-b"), f"is about another path: {'0' * 32}-b"),
        (changed("NarSize", "-1"), "its NarSize is no number: '-1'"),
        (changed("NarHash", "md5:00"), "its NarHash is no SHA-256: 'md5:00'"),
        (changed("NarHash", "sha256:" + "z" * 52), f"its NarHash is no SHA-256: 'sha256:{'z' * 52}'"),
        (changed("References", "../etc"), "refers to what is no store path: '../etc'"),
    ],
)
def test_what_cannot_be_a_narinfo_is_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(Finding) as caught:
        narinfo.parse(text, FILE)
    assert str(caught.value) == f"{FILE}: {sentence}"


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        narinfo.parse(text, FILE)
    except Finding:
        pass
    else:
        raise AssertionError(text)


def test_keys_are_read_in_nixs_form() -> None:
    raw = bytes(range(64))
    secret = f"k-1:{base64.b64encode(raw).decode()}\n"
    assert PublicKey.of_secret(secret, "key") == PublicKey("k-1", raw[32:])
    assert str(PublicKey.parse(KEY)) == KEY
    for text in ("", "k-1", ":" + KEY, "k-1:AAAA", "k 1:" + KEY[4:], secret):
        with pytest.raises(UserError) as caught:
            PublicKey.parse(text, "here")
        assert str(caught.value) == "here: is not a public key of Nix\n  hint: it is one line, NAME:BASE64"


def test_a_secret_that_is_in_the_wrong_place_is_not_shown() -> None:
    secret = f"k-1:{base64.b64encode(bytes(range(64))).decode()}"
    with pytest.raises(UserError) as caught:
        PublicKey.parse(secret)
    assert secret[4:] not in str(caught.value)
