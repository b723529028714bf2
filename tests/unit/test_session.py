"""What the console blocks of pages are compared by: hashes and counts may be others, nothing else."""

from __future__ import annotations

import pytest
from support.session import as_pattern

LINE = "bytes: 1 of 16 paths is another; the first is 3g4w696rf4jbfhfh1ra31g2cws02zm0r-cycler-0.12.1"
SRI = "    expected sha256-fD+ZQvM+R38Fj1ZDKLrtGFR9OByxgOtYk+Vaba5m2RA="


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (LINE, LINE.replace("3g4w696rf4jbfhfh1ra31g2cws02zm0r", "blr45jvcwif5pvsm9x9ixvbdjd6h9iz0"), True),
        (LINE, LINE.replace("16 paths", "17 paths"), True),
        (LINE, LINE.replace("cycler", "six"), False),
        (SRI, SRI.replace("fD+Z", "0000"), True),
        (SRI, SRI.replace("expected", "found"), False),
    ],
)
def test_hashes_and_counts_vary(shown: str, printed: str, same: bool) -> None:  # noqa: FBT001 -- a column of the table
    assert bool(as_pattern([shown]).fullmatch(printed + "\n")) is same
