"""Merges intervals of several streams: a stream counts only at times that no better stream covers.

A stream is one app on one device. Values are spread evenly over their intervals. Times are whole milliseconds since
1970, in arrays, so that millions of records take seconds.
"""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

import numpy as np

DAY = 86_400_000
"""Milliseconds of a day."""


class Days:
    """The local days of one person.

    Args:
        midnights: when each day starts, ascending; one more than there are days.
        first: the first day, in days since 1970.
    """

    def __init__(self, midnights: np.ndarray, first: int) -> None:
        self._midnights, self._first = midnights, first

    def of(self, moments: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """The local day of each moment, in days since 1970.

        Args:
            moments: milliseconds.
            offsets: milliseconds that local time is ahead of UTC; NaN where the person's own zone decides.
        """
        by_zone = np.searchsorted(self._midnights, moments, "right") - 1 + self._first
        own = ~np.isnan(offsets)
        by_zone[own] = (moments[own] + offsets[own].astype(np.int64)) // DAY
        return by_zone

    def end(self, days: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """When each day ends."""
        at = days - self._first + 1
        ends = np.append(self._midnights, np.iinfo(np.int64).max)[np.clip(at, 0, len(self._midnights))]
        own = ~np.isnan(offsets)
        ends[own] = (days[own] + 1) * DAY - offsets[own].astype(np.int64)
        return ends


class Pieces(NamedTuple):
    """Intervals that end within their day.

    Attributes:
        record: the index of the record that each was cut from.
        day: its local day.
        start: its start.
        end: its end; later than its start.
        value: its share of the record's value.
    """

    record: np.ndarray
    day: np.ndarray
    start: np.ndarray
    end: np.ndarray
    value: np.ndarray


def cut(start: np.ndarray, end: np.ndarray, value: np.ndarray, offsets: np.ndarray, days: Days) -> Pieces:
    """Cut records at local midnights. A record without length is given one millisecond."""
    record, at, end = np.arange(len(start)), start, np.maximum(end, start + 1)
    length, pieces = (end - start).astype(float), []
    while len(record):
        day = days.of(at, offsets[record])
        until = np.minimum(end[record], np.maximum(days.end(day, offsets[record]), at + 1))
        pieces.append((record, day, at, until, value[record] * (until - at) / length[record]))
        goes_on = until < end[record]
        record, at = record[goes_on], until[goes_on]
    columns = zip(*pieces, strict=True) if pieces else ([np.empty(0, np.int64)] for _ in range(5))
    return Pieces(*map(np.concatenate, columns))


class Coverage:
    """Times that are covered so far, as intervals that do not overlap."""

    def __init__(self) -> None:
        self._start = self._end = np.empty(0, np.int64)
        self._before = np.zeros(1, np.int64)

    def uncovered(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Milliseconds of each interval that are not covered."""
        return (end - start) - (self._until(end) - self._until(start))

    def add(self, start: np.ndarray, end: np.ndarray) -> None:
        """Cover intervals, which may overlap."""
        self._start, self._end = union(np.concatenate([self._start, start]), np.concatenate([self._end, end]))
        self._before = np.concatenate([[0], np.cumsum(self._end - self._start)])

    def _until(self, moment: np.ndarray) -> np.ndarray:
        """Milliseconds that are covered before each moment."""
        if not len(self._start):
            return np.zeros(len(moment), np.int64)
        at = np.searchsorted(self._start, moment, "right") - 1
        inside = np.minimum(moment, self._end[at]) - self._start[at]
        return np.where(at < 0, 0, self._before[at] + inside)


def union(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same times as intervals that neither overlap nor touch, ascending."""
    if not len(start):
        return start, end
    order = np.argsort(start, kind="stable")
    start, latest = start[order], np.maximum.accumulate(end[order])
    is_first = np.concatenate([[True], start[1:] > latest[:-1]])
    last = np.concatenate([np.flatnonzero(is_first)[1:] - 1, [len(start) - 1]])
    return start[is_first], latest[last]


def shares(rank: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The share of each interval that counts: what neither a better stream nor a longer interval of its own covers.

    Args:
        rank: of the stream of each interval; 0 is the best.
        start: milliseconds.
        end: milliseconds.

    Returns:
        Numbers from 0 to 1.
    """
    counted, covered = np.zeros(len(start)), Coverage()
    for each in np.unique(rank):
        at = np.flatnonzero(rank == each)
        index, begin, until = _parts(at[np.argsort(start[at], kind="stable")], start, end)
        np.add.at(counted, index, covered.uncovered(begin, until))
        covered.add(begin, until)
    return counted / (end - start)


def _parts(at: np.ndarray, start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parts of the intervals of one stream that do not overlap: the longest as a whole, of others what is left.

    Args:
        at: the indices of the intervals, ascending by start.
        start: of all intervals.
        end: of all intervals.

    Returns:
        The index of the interval, the start and the end of each part.
    """
    latest = np.maximum.accumulate(end[at])
    begins_cluster = np.concatenate([[True], start[at][1:] >= latest[:-1]])
    cluster = np.cumsum(begins_cluster) - 1
    is_alone = np.bincount(cluster)[cluster] == 1
    index, begin, until = [at[is_alone]], [start[at[is_alone]]], [end[at[is_alone]]]
    clustered = at[~is_alone]
    order = np.lexsort((clustered, start[clustered] - end[clustered]))
    laid = _Laid()
    parts = [(int(i), *part) for i in clustered[order] for part in laid.lay(int(start[i]), int(end[i]))]
    if parts:
        columns = (np.array(column, np.int64) for column in zip(*parts, strict=True))
        for column, more in zip((index, begin, until), columns, strict=True):
            column.append(more)
    return np.concatenate(index), np.concatenate(begin), np.concatenate(until)


class _Laid:
    """Intervals that were added one by one."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def lay(self, start: int, end: int) -> list[tuple[int, int]]:
        """Add the parts of an interval that are not covered yet; returns them."""
        first = bisect_left(self._ends, start)
        last = bisect_right(self._starts, end)
        parts, at = [], start
        for begin, until in zip(self._starts[first:last], self._ends[first:last], strict=True):
            if at < begin:
                parts.append((at, begin))
            at = max(at, until)
        if at < end:
            parts.append((at, end))
        if first < last:
            start, end = min(start, self._starts[first]), max(end, self._ends[last - 1])
        self._starts[first:last], self._ends[first:last] = [start], [end]
        return parts
