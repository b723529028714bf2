from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.nix import base32


@given(st.binary(max_size=64))
def test_it_is_read_back(raw: bytes) -> None:
    assert base32.decode(base32.encode(raw)) == raw


def test_it_is_nixs() -> None:
    # From the Nix manual's page of nix-hash: `nix-hash --type sha256 --flat --base32` of "abc".
    assert base32.encode(hashlib.sha256(b"abc").digest()) == "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
    for text in ("zz", "e" * 52, "z" * 52):
        with pytest.raises(ValueError, match=r"no number of whole bytes|substring not found"):
            base32.decode(text)
