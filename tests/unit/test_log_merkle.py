"""The Merkle tree against RFC 6962's own definitions, written out plainly, and against known values."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixgen.log import merkle

# The leaves and roots of the reference implementation of Certificate Transparency.
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSIONS = {  # (leaf, size): the proof
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCIES = {  # (old, new): the proof
    (1, 1): [],
    (1, 8): INCLUSIONS[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


# RFC 6962, section 2.1, as it is written there.


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = cut(len(leaves))
    return hashlib.sha256(b"\1" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = cut(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = cut(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


def cut(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def perfect(leaves: list[bytes]) -> merkle.Perfect:
    return lambda height, index: mth(leaves[index << height : (index + 1) << height])


def numbered(size: int) -> list[bytes]:
    return [b"%d" % number for number in range(size)]


def test_known_hashes() -> None:
    assert merkle.EMPTY.hex() == ROOTS[0]
    assert merkle.leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert merkle.node_hash(b"N123", b"N456").hex() == (
        "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    assert mth(LEAVES[:size]).hex() == ROOTS[size]
    assert merkle.root(size, perfect(LEAVES)).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSIONS)
def test_known_inclusion_proofs(index: int, size: int) -> None:
    proof = merkle.inclusion(index, size, perfect(LEAVES))
    assert [step.hex() for step in proof] == INCLUSIONS[index, size]
    assert merkle.included(index, size, merkle.leaf_hash(LEAVES[index]), proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCIES)
def test_known_consistency_proofs(old: int, new: int) -> None:
    proof = merkle.consistency(old, new, perfect(LEAVES))
    assert [step.hex() for step in proof] == CONSISTENCIES[old, new]
    assert merkle.consistent(old, new, bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new]), proof)


def test_every_proof_of_small_trees() -> None:
    for size in range(1, 33):
        leaves = numbered(size)
        root = mth(leaves)
        for index in range(size):
            proof = merkle.inclusion(index, size, perfect(leaves))
            assert list(proof) == path(index, leaves)
            assert merkle.included(index, size, merkle.leaf_hash(leaves[index]), proof, root)
        for old in range(1, size + 1):
            proof = merkle.consistency(old, size, perfect(leaves))
            assert list(proof) == subproof(old, leaves, whole=True)
            assert merkle.consistent(old, size, mth(leaves[:old]), root, proof)


@given(st.data())
def test_proofs_of_larger_trees(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 600))
    leaves = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    assert merkle.root(size, perfect(leaves)) == mth(leaves)
    assert list(merkle.inclusion(index, size, perfect(leaves))) == path(index, leaves)
    assert list(merkle.consistency(index + 1, size, perfect(leaves))) == subproof(index + 1, leaves, whole=True)


@given(st.data())
def test_an_inclusion_proof_proves_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    leaves = numbered(size)
    index = data.draw(st.integers(0, size - 1))
    root, leaf, proof = mth(leaves), merkle.leaf_hash(leaves[index]), path(index, leaves)
    other = data.draw(st.integers(-2, 80).filter(lambda number: number != index))
    assert not merkle.included(other, size, leaf, proof, root)
    assert not merkle.included(index, size, merkle.leaf_hash(b"other"), proof, root)
    assert not merkle.included(index, size, leaf, [*proof, merkle.EMPTY], root)
    assert not merkle.included(index, size, leaf, proof, merkle.EMPTY)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not merkle.included(index, size, leaf, [*proof[:at], *proof[at + 1 :]], root)
        bit = data.draw(st.integers(0, 255))
        assert not merkle.included(index, size, leaf, [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]], root)


@given(st.data())
def test_a_consistency_proof_proves_nothing_else(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 70))
    old = data.draw(st.integers(1, new - 1))
    leaves = numbered(new)
    before, after, proof = mth(leaves[:old]), mth(leaves), subproof(old, leaves, whole=True)
    changed = data.draw(st.integers(0, old - 1))
    forked = [*leaves[:changed], b"other", *leaves[changed + 1 :]]
    assert not merkle.consistent(old, new, mth(forked[:old]), after, proof)
    assert not merkle.consistent(old, new, before, mth(forked), subproof(old, forked, whole=True))
    assert not merkle.consistent(old, new, before, after, [*proof, merkle.EMPTY])
    assert not merkle.consistent(old, new, after, before, proof)
    at = data.draw(st.integers(0, len(proof) - 1))
    bit = data.draw(st.integers(0, 255))
    assert not merkle.consistent(old, new, before, after, [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]])
    assert not merkle.consistent(old, new, before, after, [*proof[:at], *proof[at + 1 :]])


def test_what_cannot_be_proven() -> None:
    nothing = perfect([])
    for index, size in ((0, 0), (3, 3), (-1, 2)):
        with pytest.raises(ValueError, match=f"^there is no leaf {index} in a tree of {size}$"):
            merkle.inclusion(index, size, nothing)
        assert not merkle.included(index, size, merkle.EMPTY, [], merkle.EMPTY)
    for old, new in ((0, 3), (4, 3), (0, 0)):
        with pytest.raises(ValueError, match=f"^there is no proof from a tree of {old} to one of {new}$"):
            merkle.consistency(old, new, nothing)
        assert not merkle.consistent(old, new, merkle.EMPTY, merkle.EMPTY, [])
    assert not merkle.included(0, 1, b"", [], b"")
    assert not merkle.consistent(2, 2, merkle.EMPTY, merkle.EMPTY, [merkle.EMPTY])


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data) ^ (1 << bit)).to_bytes(len(data))
