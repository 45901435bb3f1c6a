"""Sets of whole numbers as a short list: those that follow each other are one stretch.

Numbers from 1 up, ascending. One below zero is the end of the stretch that the one before it begins: ``[3, 7, -9]`` is
3, 7, 8 and 9. So a set of fifty thousand ids that were given in a row is two numbers, a list of single ones is as it
always was, and one number comes or goes without the others being looked at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

Stretches = list[int]


def stretches(numbers: Iterable[int]) -> Stretches:
    """The set of these, which are in any order."""
    found: Stretches = []
    first = last = 0
    for number in sorted(numbers):
        if number > last + 1 and first:
            found += _stretch(first, last)
        if not first or number > last + 1:
            first = number
        last = number
    return found + _stretch(first, last) if first else found


def spans(of: Sequence[int]) -> Iterator[range]:
    """Each stretch, in order."""
    first = 0
    for number in of:
        if number < 0:
            yield range(first, 1 - number)
            first = 0
            continue
        if first:
            yield range(first, first + 1)
        first = number
    if first:
        yield range(first, first + 1)


def has(of: Sequence[int], number: int) -> bool:
    """Whether a number is in the set."""
    at = bisect_right(of, number, key=abs)
    return (at > 0 and abs(of[at - 1]) == number) or (at < len(of) and of[at] < 0)


def add(of: Stretches, number: int) -> None:
    """Take a number in."""
    at = bisect_right(of, number, key=abs)
    if has(of, number):
        return
    begin, end, first, last = at, at, number, number
    if at and abs(of[at - 1]) == number - 1:
        begin -= 2 if of[at - 1] < 0 else 1
        first = of[begin]
    if at < len(of) and of[at] == number + 1:
        end += 2 if at + 1 < len(of) and of[at + 1] < 0 else 1
        last = abs(of[end - 1])
    of[begin:end] = _stretch(first, last)


def drop(of: Stretches, number: int) -> None:
    """Leave a number out."""
    if not has(of, number):
        return
    at = bisect_right(of, number, key=abs)
    if at < len(of) and of[at] < 0:
        begin, end = at - 1, at + 1
    else:
        begin, end = at - (2 if of[at - 1] < 0 else 1), at
    first, last = of[begin], abs(of[end - 1])
    of[begin:end] = _stretch(first, number - 1) + _stretch(number + 1, last)


def _stretch(first: int, last: int) -> Stretches:
    """From ``first`` to ``last``; nothing when that is before it."""
    return [] if last < first else [first] if last == first else [first, -last]
