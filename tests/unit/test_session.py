"""What the console blocks of pages are compared by: hashes, sizes and times may be others, nothing else (case 58)."""

from __future__ import annotations

import pytest
from support.session import as_pattern

LINE = "bytes: 1 of 16 paths is another; the first is 3g4w696rf4jbfhfh1ra31g2cws02zm0r-cycler-0.12.1"
PINNED = "Pinned Debian trixie for x86_64-linux: 46 packages, 21 MiB, Python 3.13, glibc 2.41."
SRI = "    expected sha256-fD+ZQvM+R38Fj1ZDKLrtGFR9OByxgOtYk+Vaba5m2RA="


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (LINE, LINE.replace("3g4w696rf4jbfhfh1ra31g2cws02zm0r", "blr45jvcwif5pvsm9x9ixvbdjd6h9iz0"), True),
        (LINE, LINE.replace("16 paths", "17 paths"), False),
        (PINNED, PINNED.replace("21 MiB", "22 MiB"), True),
        (PINNED, PINNED.replace("46", "47"), False),
        (PINNED, PINNED.replace("2.41", "2.42"), False),
        ("nix/nixgen/: 79 written", "nix/nixgen/: 80 written", False),
        ("Resolved 6 packages in 13ms", "Resolved 6 packages in 1.24s", True),
        ("Resolved 6 packages in 13ms", "Resolved 7 packages in 13ms", False),
        ("9 symbols", "8 symbols", False),
        (LINE, LINE.replace("cycler", "six"), False),
        (SRI, SRI.replace("fD+Z", "0000"), True),
        (SRI, SRI.replace("expected", "found"), False),
    ],
)
def test_hashes_sizes_and_times_vary(shown: str, printed: str, same: bool) -> None:  # noqa: FBT001 -- a column of the table
    assert bool(as_pattern([shown]).fullmatch(printed + "\n")) is same
