"""The Merkle tree of RFC 6962, section 2.1: hashes, and proofs made from and checked against them. SHA-256 throughout.

Making a proof needs hashes of *perfect* subtrees only; ``perfect(height, index)`` gives that of the leaves from
``index << height`` to ``(index + 1) << height``. A tree never changes them once they are there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

Perfect = Callable[[int, int], bytes]

LENGTH = 32  # bytes of a hash
EMPTY = sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one leaf."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node with two children."""
    return sha256(b"\1" + left + right).digest()


def row_hash(row: Sequence[bytes]) -> bytes:
    """The hash of the perfect subtree over a row of hashes; their number is a power of two."""
    while len(row) > 1:
        row = [sha256(b"\1" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def root(size: int, perfect: Perfect) -> bytes:
    """MTH(D[size])."""
    return _subtree(0, size, perfect) if size else EMPTY


def inclusion(index: int, size: int, perfect: Perfect) -> tuple[bytes, ...]:
    """PATH(index, D[size]): proves that a tree of ``size`` leaves has a leaf at ``index``."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_subtree(middle, end, perfect))
            end = middle
        else:
            proof.append(_subtree(start, middle, perfect))
            start = middle
    return tuple(reversed(proof))


def consistency(old: int, new: int, perfect: Perfect) -> tuple[bytes, ...]:
    """PROOF(old, D[new]): proves that the first ``old`` leaves of a tree of ``new`` are the tree that it was then."""
    if not 0 < old <= new:
        raise ValueError(f"there is no proof from a tree of {old} to one of {new}")
    proof: list[bytes] = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_subtree(middle, end, perfect))
            end = middle
        else:
            proof.append(_subtree(start, middle, perfect))
            start = middle
    if start:  # where the old tree is itself perfect, its root needs not be told
        proof.append(_subtree(start, end, perfect))
    return tuple(reversed(proof))


def root_of_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to, from a leaf's hash; None for a proof of the wrong length.

    RFC 9162, section 2.1.3.2, which tells how to check the proofs of RFC 6962.
    """
    if not 0 <= index < size or len(leaf) != LENGTH:
        return None
    first, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return None
        if first & 1 or first == last:
            found = node_hash(step, found)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, step)
        first, last = first >> 1, last >> 1
    return found if last == 0 else None


def included(index: int, size: int, leaf: bytes, proof: Sequence[bytes], head: bytes) -> bool:
    """Whether ``proof`` proves that the tree with root ``head`` has the leaf with this hash at ``index``."""
    return root_of_inclusion(index, size, leaf, proof) == head


def roots_of_consistency(old: int, new: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The two roots, old and new, that a consistency proof leads to; None for a proof of the wrong length.

    RFC 9162, section 2.1.4.2. ``old_root`` counts only where the old tree is perfect: the proof leaves it out then.
    """
    if not 0 < old <= new:
        return None
    if old == new:
        return (old_root, old_root) if not proof else None
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return None
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = path[0]
    for step in path[1:]:
        if last == 0:
            return None
        if first & 1 or first == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            after = node_hash(after, step)
        first, last = first >> 1, last >> 1
    return (before, after) if last == 0 else None


def consistent(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` proves that the tree with ``new_root`` begins with the one with ``old_root``."""
    return roots_of_consistency(old, new, old_root, proof) == (old_root, new_root)


def _subtree(start: int, end: int, perfect: Perfect) -> bytes:
    """MTH(D[start:end]), where ``start`` is where the RFC's recursion cuts."""
    parts: list[bytes] = []
    while start < end:
        height = (end - start).bit_length() - 1
        parts.append(perfect(height, start >> height))
        start += 1 << height
    found = parts.pop()
    while parts:
        found = node_hash(parts.pop(), found)
    return found


def _split(size: int) -> int:
    """The largest power of two that is smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)
