"""Numbers in a stream, in little memory: exact count, minimum, maximum and mean, and quantiles.

The result depends on the numbers only: not on their order, nor on the blocks that they come in. docs/data.md says how
exact quantiles are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

BINS = 4096
"""So many different numbers are told apart; with more, numbers that lie close share a bin."""


class Sketch:
    """A histogram of whole numbers, whose bins grow when there are too many.

    A number k is in the bin k >> shift. When more than BINS bins are occupied, shift grows by one, which joins bins in
    pairs. As occupied bins only ever grow in number as numbers come in, the last shift is the least one that leaves at
    most BINS bins for all numbers: a property of the numbers, whatever their order.
    """

    def __init__(self) -> None:
        self.shift = 0
        self.count = 0
        self.minimum: int | None = None
        self.maximum: int | None = None
        self._bins: Counter[int] = Counter()

    def add(self, bins: Iterable[tuple[int, int]], shift: int, minimum: int, maximum: int) -> None:
        """Numbers, as (number >> shift, how many of it): ``shift`` is at most this sketch's."""
        more = self.shift - shift
        for number, times in bins:
            self._bins[number >> more] += times
            self.count += times
        self.minimum = minimum if self.minimum is None else min(minimum, self.minimum)
        self.maximum = maximum if self.maximum is None else max(maximum, self.maximum)
        if len(self._bins) > BINS:
            more = _least_shift(sorted(self._bins))
            self.shift += more
            joined: Counter[int] = Counter()
            for number, times in self._bins.items():
                joined[number >> more] += times
            self._bins = joined

    @property
    def distinct(self) -> int | None:
        """How many different numbers there are; None for more than BINS."""
        return len(self._bins) if not self.shift else None

    def quantiles(self, percents: Iterable[int]) -> list[int]:
        """For each percent (ascending) the least number that at least so many percent of the numbers do not exceed.

        Exact when ``shift`` is 0; else the middle of that number's bin, at most 2 ** shift / 2 away. Empty when there
        are no numbers.
        """
        if self.minimum is None or self.maximum is None:
            return []
        found: list[int] = []
        bins = iter(sorted(self._bins.items()))
        number, passed = next(bins)  # of (number, times): so many are passed when the first bin is
        for percent in percents:
            rank = max(1, -(-percent * self.count // 100))
            while passed < rank:
                number, times = next(bins)
                passed += times
            middle = (number << self.shift) + ((1 << self.shift) >> 1)
            found.append(min(max(middle, self.minimum), self.maximum))
        return found


def _least_shift(numbers: list[int]) -> int:
    """The least shift that leaves at most BINS of these numbers, which are sorted and different.

    Two neighbours become one when all bits are shifted out in which they differ; one below zero and one above never.
    """
    gaps = ((low ^ high).bit_length() for low, high in pairwise(numbers) if low ^ high >= 0)
    apart = numbers[0] < 0 <= numbers[-1]
    return sorted(gaps, reverse=True)[BINS - 1 - apart]
