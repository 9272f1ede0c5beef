"""Merges the records of one person into days, column by column.

Steps, energy and exercise are merged by interval; heart rate is the mean of 5-minute bins of the day's best stream;
weight is the last one of the day; sleep is in ``nights.py``. Daily totals are never added: the best source of the day
counts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from fitness_assets.bronze.measurements import OFFSET_OF_EXPORT
from fitness_assets.bronze.units import factor
from fitness_assets.silver.devices.intervals import Days, cut, shares
from fitness_assets.silver.devices.streams import Order, Stream


class Upload(NamedTuple):
    """An upload whose records count.

    Attributes:
        kind: of the archive.
        place: its position among the uploads of the person, by time of ingestion.
    """

    kind: str
    place: int


class Measured(Protocol):
    """The records of one person that count."""

    def records(self, types: Sequence[str]) -> pa.Table:
        """Those of some types, as a table of ``bronze/measurements``."""
        ...

    def means(self, type_: str, minutes: int) -> pa.Table:
        """Those of one type, with one mean for each stream and so many minutes of UTC; it starts with them."""
        ...

    def streams(self) -> list[dict[str, Any]]:
        """Their different streams: upload_id, source, device; without what is a statement."""
        ...

    def period(self) -> tuple[date, date] | None:
        """Their first and last day (UTC, or as the vendor gives it); None without any."""
        ...


class Value(NamedTuple):
    """A value of one day.

    Attributes:
        value: the value.
        streams: the streams that it was made from, the best first.
        extra: what else is known of it.
        basis: what its day follows from: ``vendor_date``, ``offset`` or the person's ``zone``; None if unknown.
    """

    value: float
    streams: tuple[Stream, ...]
    extra: Mapping[str, Any] = {}
    basis: str | None = None


ByDay = dict[int, Value]


@dataclass(frozen=True)
class Records:
    """Records of one type of one person, as arrays.

    Attributes:
        stream: index of the stream, in `Person.streams`, which are in order: 0 is the best.
        place: of the upload.
        start: milliseconds; where there is none, `NONE`.
        end: milliseconds; where there is none, the start.
        offset: milliseconds ahead of UTC; NaN where the person's zone decides.
        day: the vendor's day; where there is none, `NONE`.
        value: in the unit of the lake.
        text: what is no number; of a weight, the unit of the file.
    """

    stream: np.ndarray
    place: np.ndarray
    start: np.ndarray
    end: np.ndarray
    offset: np.ndarray
    day: np.ndarray
    value: np.ndarray
    text: np.ndarray

    def where(self, mask: np.ndarray) -> "Records":
        """Some of them."""
        return Records(*(getattr(self, name)[mask] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.stream)


NONE = np.iinfo(np.int64).min


@dataclass
class Person:
    """One person with all that counts of their records.

    Attributes:
        uploads: by id.
        streams: in order, the best first.
        order: of the sources.
        zones: the zone from each day on.
        days: the local days.
        measured: the records.
    """

    uploads: Mapping[str, Upload]
    streams: Sequence[Stream]
    order: Order
    zones: Mapping[int, str]
    days: Days
    measured: "Measured"

    def records(self, type_: str) -> Records:
        """The records of one type."""
        return _arrays(self.measured.records([type_]), self.uploads, self.streams)

    def means(self, type_: str, minutes: int) -> Records:
        """The records of one type as means of some minutes."""
        return _arrays(self.measured.means(type_, minutes), self.uploads, self.streams)

    def day_of(self, records: Records) -> np.ndarray:
        """The local day of each record: the vendor's, or that of its start."""
        by_time = self.days.of(records.start, records.offset)
        return np.where(records.day != NONE, records.day, by_time)


def _arrays(table: pa.Table, uploads: Mapping[str, Upload], streams: Sequence[Stream]) -> Records:
    """Rows of ``bronze/measurements`` of one type as arrays."""
    if not len(table):
        empty = np.empty(0, np.int64)
        return Records(
            empty, empty, empty, empty, empty.astype(float), empty, empty.astype(float), empty.astype(object)
        )
    place = {stream: at for at, stream in enumerate(streams)}
    texts = {name: table[name].combine_chunks().dictionary_encode() for name in _TEXTS}
    codes = {name: column.indices.fill_null(-1).to_numpy(zero_copy_only=False) for name, column in texts.items()}
    words = {name: [*column.dictionary.to_pylist(), None] for name, column in texts.items()}
    upload = np.array([uploads[name].place for name in words["upload_id"][:-1]])[codes["upload_id"]]
    keys, at = np.unique(
        np.stack([codes[name] for name in ("upload_id", "source", "device")]), axis=1, return_inverse=True
    )
    stream = np.array(
        [
            place[Stream(uploads[words["upload_id"][u]].kind, words["source"][s], words["device"][d])]
            for u, s, d in keys.T.tolist()
        ]
    )[at.ravel()]
    has_own = np.array([uploads[name].kind not in OFFSET_OF_EXPORT for name in words["upload_id"][:-1]])[
        codes["upload_id"]
    ]
    offset = table["utc_offset_seconds"].cast(pa.float64()).to_numpy() * 1_000.0
    start, end, day = (
        _milliseconds(table["start_at"]),
        _milliseconds(table["end_at"]),
        _whole(table["day"].cast(pa.int32())),
    )
    type_ = table["type"][0].as_py()
    text = "unit" if type_ == "weight" else "text"
    factors = np.array([factor(type_, unit) or np.nan for unit in words["unit"]])[codes["unit"]]
    return Records(
        stream.astype(np.int32),
        upload.astype(np.int32),
        start,
        np.where(end == NONE, start, end),
        np.where(has_own, offset, np.nan),
        day,
        table["value"].to_numpy() * factors,
        # An object for each of millions of heart rates would be most of the memory.
        np.array(words[text], object)[codes[text]] if len(words[text]) > 1 else np.zeros(len(table), np.int8),
    )


_TEXTS = ("upload_id", "source", "device", "unit", "text")


def _whole(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.int64()).fill_null(NONE).to_numpy()


def _milliseconds(column: pa.ChunkedArray) -> np.ndarray:
    return _whole(column.cast(pa.timestamp("ms", tz="UTC")))


def newest(kind: np.ndarray, day: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Which records are of the newest upload of their kind and day: each export repeats what the ones before have.

    The first day of an export may be a part of it. An older upload that has this day counts, if there is one.
    """
    if not len(day) or (place == place[0]).all():
        return np.ones(len(day), bool)
    pairs, at = np.unique(np.stack([kind, place]), axis=1, return_inverse=True)
    first = np.full(pairs.shape[1], np.iinfo(np.int64).max)
    np.minimum.at(first, at.ravel(), day)
    score = place - np.where(day == first[at.ravel()], 1_000_000, 0)
    _, group = np.unique(np.stack([kind, day]), axis=1, return_inverse=True)
    best = np.full(group.max() + 1, np.iinfo(np.int64).min)
    np.maximum.at(best, group.ravel(), score)
    return score == best[group.ravel()]


def merged_sums(person: Person, type_: str) -> ByDay:
    """A count-like type by day: intervals of all streams merged, or the best daily total."""
    records = person.records(type_)
    if not len(records):
        return {}
    kinds = _kinds(person, records)
    is_total = records.day != NONE
    found = _best_totals(person, records.where(is_total), kinds[is_total])
    by_interval = _by_interval(person, type_, records.where(~is_total), kinds[~is_total])
    for day, value in by_interval.items():
        if day not in found or person.order.key(value.streams[0]) < person.order.key(found[day].streams[0]):
            found[day] = value
    return found


def _kinds(person: Person, records: Records) -> np.ndarray:
    names = sorted({stream.kind for stream in person.streams})
    return np.array([names.index(stream.kind) for stream in person.streams])[records.stream]


def _best_totals(person: Person, records: Records, kinds: np.ndarray) -> ByDay:
    counts = newest(kinds, records.day, records.place)
    records = records.where(counts)
    found: ByDay = {}
    for at in np.lexsort((records.place, -records.stream)):  # the best stream last
        stream = person.streams[int(records.stream[at])]
        found[int(records.day[at])] = Value(float(records.value[at]), (stream,), basis="vendor_date")
    return found


def _by_interval(person: Person, type_: str, records: Records, kinds: np.ndarray) -> ByDay:
    if not len(records):
        return {}
    pieces = cut(records.start, records.end, records.value, records.offset, person.days)
    counts = newest(kinds[pieces.record], pieces.day, records.place[np.asarray(pieces.record)])
    record, day, start, end, value = (np.asarray(column)[counts] for column in pieces)
    stream = records.stream[record]
    counted = value * shares(stream, start, end)
    first = int(day.min())
    width = int(day.max()) - first + 1
    sums = np.bincount(day - first, counted, width)
    offsets = np.bincount(day - first, ~np.isnan(records.offset[record]), width)
    single: dict[int, float] = {}
    used: dict[int, list[Stream]] = {}
    for each in np.unique(stream):
        is_its = stream == each
        total = np.bincount(day[is_its] - first, value[is_its], width)
        part = np.bincount(day[is_its] - first, counted[is_its], width)
        has = np.bincount(day[is_its] - first, minlength=width) > 0
        for at in np.flatnonzero(has).tolist():
            single[at] = max(single.get(at, 0.0), float(total[at]))
            if part[at] > 0 or at not in used:
                used.setdefault(at, []).append(person.streams[each])
    return {
        at + first: Value(
            float(sums[at]),
            tuple(used[at]),
            {f"{type_}_max_single_source": round(single[at], 3)},
            "offset" if offsets[at] else "zone",
        )
        for at in used
    }


def best_points(
    person: Person, records: Records, of_day: Callable[[Records], tuple[float, Mapping[str, Any]]]
) -> ByDay:
    """Points by day: those of the day's best stream, made into one value.

    Args:
        person: the person.
        records: of one type.
        of_day: makes one value, and what else is known, of the records of one day and stream, ascending by time.
    """
    if not len(records):
        return {}
    day = person.day_of(records)
    counts = newest(_kinds(person, records), day, records.place)
    records, day = records.where(counts), day[counts]
    order = np.lexsort((records.start, records.stream, day))
    records, day = records.where(order), day[order]
    starts = np.flatnonzero(np.concatenate([[True], day[1:] != day[:-1]]))
    found: ByDay = {}
    for begin, until in zip(starts, [*starts[1:], len(day)], strict=True):
        of_best = begin + np.searchsorted(records.stream[begin:until], records.stream[begin], "right")
        value, extra = of_day(records.where(np.arange(begin, of_best)))
        by_time = "zone" if np.isnan(records.offset[begin]) else "offset"
        basis = by_time if records.day[begin] == NONE else "vendor_date"
        found[int(day[begin])] = Value(value, (person.streams[records.stream[begin]],), extra, basis)
    return found


def mean_of_bins(records: Records) -> tuple[float, Mapping[str, Any]]:
    """The mean of means of 5 minutes: watches measure more often in a workout, which must not count more.

    A mean that the vendor itself gives for the day is taken as it is.
    """
    of_vendor = records.start[0] == NONE
    return float(records.value.mean()), {"hr_basis": "vendor"} if of_vendor else {"hr_bins_5min": len(records)}


def last_of_day(records: Records) -> tuple[float, Mapping[str, Any]]:
    """The last value."""
    return float(records.value[-1]), {}


def last_weight_of_day(records: Records) -> tuple[float, Mapping[str, Any]]:
    """The last weight, its unit in the file, and of several weights the smallest and the largest one."""
    extra: dict[str, Any] = {"weight_unit_in": records.text[-1]}
    if len(records) > 1:
        lightest, heaviest = float(records.value.min()), float(records.value.max())
        extra |= {"weight_min_kg": round(lightest, 3), "weight_max_kg": round(heaviest, 3)}
    return float(records.value[-1]), extra


def mean_of_day(records: Records) -> tuple[float, Mapping[str, Any]]:
    """The mean."""
    return float(records.value.mean()), {}


def lowest_of_day(records: Records) -> tuple[float, Mapping[str, Any]]:
    """The smallest value."""
    return float(records.value.min()), {}


def highest_of_day(records: Records) -> tuple[float, Mapping[str, Any]]:
    """The largest value."""
    return float(records.value.max()), {}
