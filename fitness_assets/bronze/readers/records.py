"""Turns records of devices into tables for bronze, and counts which records are used and which are left out.

A reader of archives (``garmin.py``, ``health_connect.py``, …) counts each record that it sees by type, and then yields
the record or says why not. This module makes tables from the records, without exact repeats and impossible values.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from fitness_assets.bronze.measurements import MEASUREMENTS, STATEMENTS, TYPES
from fitness_assets.bronze.readers.repeats import Known, hashes
from fitness_assets.bronze.units import factor

_BATCH = 1 << 17  # records that become one table
_FIRST, _LAST = -2_208_988_800_000, 4_102_444_800_000
"""Milliseconds of 1900 and 2100: a time outside is a mistake of the file."""
_LONGEST = 7 * 86_400_000
"""Milliseconds of the longest record; nobody sleeps or walks longer without a pause."""
_LONGEST_TEXT = 200
_MOST_TEXTS = 10_000  # that are remembered; apps, devices and units repeat
_EPOCH = date(1970, 1, 1).toordinal()
_NAMES = [
    column.name for column in MEASUREMENTS.columns if column.name not in ("upload_id", "row_number", "ingested_at")
]
SCHEMA = pa.schema([MEASUREMENTS.arrow_schema.field(name) for name in _NAMES])
"""The columns of ``bronze/measurements`` without those that name a row."""


class Record(NamedTuple):
    """One record as its file has it.

    Attributes:
        type: one of `measurements.TYPES`.
        value: the number, in ``unit``; None where ``text`` says it.
        unit: as the file names it.
        start: milliseconds since 1970, UTC; None for a value of a whole day.
        end: the same; None for a moment.
        offset: offset of local time from UTC in seconds, as the file has it.
        day: the local day that the vendor gives, in days since 1970.
        source: the app.
        device: the device.
        text: a value that is not a number.
        clock: a local time without a known offset, in milliseconds as if it were UTC. It is not stored; it
            distinguishes equal records of one day from repeats of one record.
    """

    type: str
    value: float | None = None
    unit: str | None = None
    start: int | None = None
    end: int | None = None
    offset: int | None = None
    day: int | None = None
    source: str | None = None
    device: str | None = None
    text: str | None = None
    clock: int | None = None


class RecordCounter:
    """Counts the records of one upload by type and outcome.

    Attributes:
        warnings: sentences about the upload for a person.
        first: first day of a used record, in days since 1970 (UTC or as the vendor gives it); None without any.
        last: last day likewise.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.first: int | None = None
        self.last: int | None = None
        self._counts: dict[str, Counter[str]] = {}
        self._why: dict[str, Counter[str]] = {}

    def see(self, type_: str, count: int = 1) -> None:
        """Count records that the file has."""
        self._of(type_)["seen"] += count

    def drop(self, type_: str, outcome: str, why: str | None = None, count: int = 1) -> None:
        """Count records that are not used.

        Args:
            type_: their type.
            outcome: ``duplicate``, ``overlapped``, ``not_mapped`` or ``invalid``.
            why: what is wrong with an invalid record.
            count: how many.
        """
        self._of(type_)[outcome] += count
        if why:
            self._why.setdefault(type_, Counter())[why] += count

    def use(self, type_: str, count: int) -> None:
        """Count records that are stored."""
        self._of(type_)["used"] += count

    def cover(self, first: int, last: int) -> None:
        """Extend the period."""
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    @property
    def seen(self) -> int:
        """Records of all types."""
        return sum(counts["seen"] for counts in self._counts.values())

    @property
    def used(self) -> int:
        """Records of all types that are stored."""
        return sum(counts["used"] for counts in self._counts.values())

    def ledger_columns(self) -> dict[str, Any]:
        """The counts as columns of the ledger."""
        outcomes = ("seen", "used", "duplicate", "overlapped", "not_mapped", "invalid")
        counts: dict[str, dict[str, Any]] = {
            type_: {name: counted[name] for name in outcomes} for type_, counted in sorted(self._counts.items())
        }
        for type_, why in self._why.items():
            counts[type_]["why"] = dict(why)
        return {
            "records_seen": self.seen,
            "records_used": self.used,
            "record_counts": json.dumps(counts, ensure_ascii=False),
            "first_day": None if self.first is None else day_of(self.first),
            "last_day": None if self.last is None else day_of(self.last),
        }

    def _of(self, type_: str) -> Counter[str]:
        return self._counts.setdefault(type_, Counter())


def tables(records: Iterable[Record], user_id: str, counter: RecordCounter) -> Iterator[pa.Table]:
    """Make tables of the records that are used.

    Args:
        records: what a reader yields; it has counted each as seen.
        user_id: whose they are.
        counter: learns what becomes of them.

    Yields:
        Tables with the columns `SCHEMA`.
    """
    stream, known = iter(records), Known()
    while batch := list(islice(stream, _BATCH)):
        valid = [record for record in batch if _is_valid(record, counter)]
        if not valid:
            continue
        table = _table(valid, user_id)
        clocks = np.array([record.clock or 0 for record in valid], np.int64)
        is_new = known.add(hashes(table, clocks.view(np.uint64)))
        for type_ in TYPES:
            is_type = _codes(table["type"], type_)
            if used := int((is_type & is_new).sum()):
                counter.use(type_, used)
            if repeated := int((is_type & ~is_new).sum()):
                counter.drop(type_, "duplicate", count=repeated)
        table = table.filter(pa.array(is_new))
        _cover(table, counter)
        if len(table):
            yield table


def days_of(day: date) -> int:
    """Days since 1970."""
    return day.toordinal() - _EPOCH


def day_of(days: int) -> date:
    """The day with this number of days after 1970-01-01."""
    return date.fromordinal(days + _EPOCH)


def iso_day(text: object) -> int | None:
    """Days since 1970 of a day ``YYYY-MM-DD``; None for anything else."""
    try:
        return days_of(date.fromisoformat(text)) if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


def number(value: object) -> float | None:
    """A number of JSON or of a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _is_valid(record: Record, counter: RecordCounter) -> bool:
    """Whether a record can be stored; if not, this is counted with the reason."""
    why = None
    start, end = record.start, record.end
    if record.value is None and record.text is None:
        why = "no value"
    elif record.value is not None and not math.isfinite(record.value):
        why = "the value is not finite"
    elif record.value is not None and factor(record.type, record.unit) is None:
        why = "the unit is unknown"
    elif start is not None and not _FIRST <= start <= _LAST:
        why = "the time is not between 1900 and 2100"
    elif record.day is not None and not _FIRST <= record.day * 86_400_000 <= _LAST:
        why = "the day is not between 1900 and 2100"
    elif end is not None and (start is None or end < start):
        why = "it ends before it starts"
    elif start is not None and end is not None and end - start > _LONGEST:
        why = "it lasts longer than a week"
    elif record.offset is not None and abs(record.offset) > 18 * 3_600:
        why = "the offset from UTC is impossible"
    if why:
        counter.drop(record.type, "invalid", why)
    return why is None


def _table(records: list[Record], user_id: str) -> pa.Table:
    types, values, units, starts, ends, offsets, days, sources, devices, texts, _ = zip(*records, strict=True)
    columns: dict[str, Any] = {
        "user_id": pa.repeat(user_id, len(records)),
        "type": types,
        "source": [_short(text) for text in sources],
        "device": [_short(text) for text in devices],
        "start_at": _moments(starts),
        "end_at": _moments(ends),
        "utc_offset_seconds": offsets,
        "day": pa.array(days, pa.int32()).cast(pa.date32()),
        "value": values,
        "unit": [_short(text) for text in units],
        "text": [_short(text) for text in texts],
    }
    return pa.table(
        [
            columns[field.name]
            if isinstance(columns[field.name], pa.Array)
            else pa.array(columns[field.name], field.type)
            for field in SCHEMA
        ],
        schema=SCHEMA,
    )


@lru_cache(_MOST_TEXTS)
def _short(text: str | None) -> str | None:
    """A text of the file without characters that cannot be stored or printed."""
    if text is None:
        return None
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text[:_LONGEST_TEXT].strip() or None


def _moments(milliseconds: Iterable[int | None]) -> pa.Array:
    return pa.array(milliseconds, pa.int64()).cast(pa.timestamp("ms", tz="UTC")).cast(pa.timestamp("us", tz="UTC"))


def _codes(column: pa.ChunkedArray, text: str) -> np.ndarray:
    import pyarrow.compute as pc

    return pc.call_function("equal", [column, pa.scalar(text)]).to_numpy(zero_copy_only=False).astype(bool)


def _cover(table: pa.Table, counter: RecordCounter) -> None:
    import pyarrow.compute as pc

    is_about_person = np.zeros(len(table), bool)
    for type_ in (*STATEMENTS, "age"):
        is_about_person |= _codes(table["type"], type_)
    table = table.filter(pa.array(~is_about_person))
    day = pc.call_function("coalesce", [table["day"], table["start_at"].cast(pa.date32(), safe=False)])
    ends = pc.call_function("min_max", [day.cast(pa.int32())]).as_py()
    if ends["min"] is not None:
        counter.cover(ends["min"], ends["max"])
