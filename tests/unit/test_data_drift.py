"""How far a dataset moved, in the numbers that a promotion may bound."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from support.snapshots import taken

from nixgen.data import drift
from nixgen.data.diff import DataDiff, diff
from nixgen.data.drift import Moved


def moved(tmp_path: Path, old: str, new: str) -> DataDiff:
    return diff(taken(tmp_path / "old", {"a.csv": old}), taken(tmp_path / "new", {"a.csv": new}))


def column(*values: object) -> str:
    return "\n".join(["x,y", *(f"{value},1" for value in values), ""])


TENS = [*range(0, 1000, 10)]


@pytest.mark.parametrize(
    ("old", "new", "mean", "quantiles"),
    [
        (TENS, [value + 90 for value in TENS], 0.1, 0.1),
        (TENS, [*TENS[:-1], 90_990], 1.0, 0.0),  # one value alone: the mean tells it
        ([5, 5, 5], [6, 6, 6], math.inf, math.inf),  # a constant is no constant any more
        ([0] * 99 + [100], [0] * 99 + [200], 0.01, 0.0),  # most are one value: minimum to maximum
        (["a", "bb"], ["aaa", "bbbb"], 2.0, 2.0),  # lengths
        (["2026-01-01", "2026-01-11"], ["2026-01-02", "2026-01-12"], 0.1, 0.1),
        (["2026-01-01T00:00:00", "2026-01-01T10:00:00"], ["2026-01-01T01:00:00", "2026-01-01T11:00:00"], 0.1, 0.1),
    ],
)
def test_how_far_values_moved(
    tmp_path: Path, old: list[object], new: list[object], mean: float, quantiles: float
) -> None:
    found = moved(tmp_path, column(*old), column(*new))
    for measure, amount in ((drift.mean, mean), (drift.quantiles, quantiles)):
        got = measure(found).amount
        assert got is not None
        assert got == pytest.approx(amount, rel=0.1)
        assert measure(found, ["x"]) == Moved(0.0)
    assert (drift.rows(found), drift.columns(found)) == (0.0, 0)


def test_missing_values(tmp_path: Path) -> None:
    found = moved(tmp_path, column(1.5, 2, 3, "nan"), column(1.5, "", "nan", "nan"))
    assert drift.nulls(found) == Moved(0.5, "x")


def test_what_cannot_be_told_is_none(tmp_path: Path) -> None:
    found = moved(tmp_path, column(1, 2, 3), column("", "", ""))
    assert drift.mean(found) == Moved(None, "x")  # it had values
    found = moved(tmp_path, "x,y\n1,1\n", "x,y\na,1\n")
    assert drift.mean(found) == Moved(None, "x")  # numbers, and texts' lengths
    assert drift.columns(found) == 1
    found = moved(tmp_path, column(1, 2, 3), column(1, 2, "inf"))
    assert drift.mean(found) == Moved(None, "x")
    found = moved(tmp_path, column("-1.7e308", 0, "1.7e308"), column("-1.7e308", 1, "1.7e308"))
    assert drift.mean(found) == Moved(None, "x")  # no number is as large as this spread
    plain = diff(taken(tmp_path / "a", {"a.bin": "1"}), taken(tmp_path / "b", {"a.bin": "2"}))
    assert (drift.rows(plain), drift.columns(plain), drift.mean(plain)) == (None, None, Moved(None))
    same = diff(taken(tmp_path / "c", {"a.bin": "1"}), taken(tmp_path / "d", {"a.bin": "1"}))
    assert (drift.rows(same), drift.columns(same), drift.mean(same)) == (0.0, 0, Moved(0.0))


def test_a_value_that_is_no_number() -> None:
    """Manifests are in nixgen.lock, which others write, too."""
    assert [drift._number(value) for value in ("sNaN", "nan", "1e999999999", "x", 10**400)] == [None] * 5


def test_rows_and_columns(tmp_path: Path) -> None:
    found = moved(tmp_path, "a,b,c\n1,2,x\n2,2,x\n", "a,d,c\n1,2,5\n")
    assert drift.rows(found) == -0.5
    assert drift.columns(found) == 3
    assert drift.columns(found, ["c"]) == 2
    empty = moved(tmp_path / "more", "a\n", "a\n1\n")
    assert drift.rows(empty) == math.inf
