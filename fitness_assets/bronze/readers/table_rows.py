"""Reads rows of vendors' CSV tables: their days and times, which rows count, and checks of whole tables."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from fitness_assets.bronze.readers.google_cells import offset_of, utc_of
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.records import day_of, days_of, iso_day, number

Row = Mapping[str, str]
"""One row by column name; a missing value is an empty text."""

Skipped = tuple[str, str | None] | None
"""The outcome and the reason if a row does not count; None if it counts."""

_DAY, _HOUR = 86_400_000, 3_600_000
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LEAST_STEPS = 500
_NIGHTS = 14
"""Nights before and after a change of the clocks that are compared."""


class When(NamedTuple):
    """The time of a row, in the units of `Record`."""

    day: int | None = None
    start: int | None = None
    end: int | None = None
    offset: int | None = None
    clock: int | None = None


def day_in(column: str) -> Callable[[Row], When | str]:
    """Reads the day of a column, and the time if one follows."""

    def when(row: Row) -> When | str:
        day = written_day(row[column])
        return When(day, clock=utc_of(row[column])) if isinstance(day, int) else day

    return when


def written_day(text: str) -> int | str:
    """Days since 1970 of ``2026-06-26``, with or without a time, ``Jun 26, 2026`` or ``26 Jun 2026``; or the reason."""
    if (day := iso_day(text[:10])) is not None:
        return day
    match = re.fullmatch(r"(?:(?P<m>[A-Za-z]{3}) (?P<d>\d{1,2}),|(?P<d2>\d{1,2}) (?P<m2>[A-Za-z]{3})) (\d{4})", text)
    month = (match["m"] or match["m2"]).lower() if match else ""
    if not match or month not in _MONTHS:
        return "the day has no year" if re.fullmatch(r"[A-Za-z]{3} \d{1,2}|\d{1,2} [A-Za-z]{3}", text) else "no day"
    try:
        return days_of(date(int(match[5]), _MONTHS.index(month) + 1, int(match["d"] or match["d2"])))
    except ValueError:
        return "no day"


def _moment(text: str) -> tuple[int, int] | None:
    """Milliseconds and seconds of offset of ``2024-01-05T07:10:00+01:00``; None without an offset."""
    try:
        moment = datetime.fromisoformat(text)
        offset = moment.utcoffset()
        return None if offset is None else (int(moment.timestamp() * 1_000), int(offset.total_seconds()))
    except (ValueError, OverflowError):
        return None


def above_zero(column: str, why: str) -> Callable[[Row], Skipped]:
    """Skips rows unless a column is above zero."""

    def skip(row: Row) -> Skipped:
        return None if (number(row[column]) or 0) > 0 else ("invalid", why)

    return skip


# Garmin Connect in the browser.


def garmin_days(rows: Sequence[Row]) -> Sequence[Row]:
    """Days of the report of steps. Daily rows follow each other, which tells whether the day or the month is first."""

    def read(text: str, order: str) -> date | None:
        try:
            return datetime.strptime(text, order).replace(tzinfo=UTC).date()
        except ValueError:
            return None

    def daily(order: str) -> int:
        days = sorted({day for row in rows if (day := read(row[""], order))})
        return sum((after - before).days == 1 for before, after in pairwise(days))

    if not rows:
        return rows
    counts = {order: daily(order) for order in ("%m/%d/%Y", "%d/%m/%Y")}
    order = max(counts, key=lambda each: counts[each])
    if 2 * counts[order] < len(rows) - 1 or len({*counts.values()}) == 1:
        raise RefusedError(
            "it is a report of Garmin Connect whose rows are not one day after the other: weeks and months are not"
            " read, and one day alone does not tell whether the month or the day is written first"
        )
    if max(number(row["Actual"]) or 0 for row in rows) < _LEAST_STEPS:
        raise RefusedError("it is a report of Garmin Connect, but not of steps: its values are too small")
    return [{**row, "": day.isoformat() if day else ""}
            for row in rows for day in [read(row[""], order)]]  # fmt: skip


def garmin_weights(rows: Sequence[Row]) -> Sequence[Row]:
    """Weighings with the day of the heading above them, in the order of time: the last one of a day counts."""
    day, found = "", []
    for row in rows:
        if not any(cell for name, cell in row.items() if name != "Time") and _clock(row["Time"]) is None:
            day = row["Time"]
        else:
            known, minutes = written_day(day), _clock(row["Time"]) or 0
            clock = f" {minutes // 60:02}:{minutes % 60:02}"
            found.append({**row, "day": f"{day_of(known)}{clock}" if isinstance(known, int) else day})
    return sorted(found, key=lambda row: row["day"])


def _clock(text: str) -> int | None:
    """Minutes since midnight of ``8:28 AM`` or ``17:08``."""
    match = re.fullmatch(r"(\d{1,2}):(\d\d)(?: ([AP])M)?", text, re.IGNORECASE)
    if not match:
        return None
    hours = int(match[1]) % 12 + 12 * (match[3] in "Pp") if match[3] else int(match[1])
    return hours * 60 + int(match[2])


# Samsung Health: times are UTC beside an offset.


def samsung_day(row: Row) -> When | str:
    """``day_time`` is midnight UTC of the local day, in milliseconds or as text."""
    text = row["day_time"]
    milliseconds = number(text) if text.isdecimal() and len(text) < 15 else None
    day = written_day(text) if milliseconds is None else int(milliseconds) // _DAY
    return When(day) if isinstance(day, int) else day


def samsung_time(row: Row) -> When | str:
    """Start and end."""
    when, end = samsung_point(row), utc_of(row["end_time"])
    if isinstance(when, str):
        return when
    return "no end" if end is None else when._replace(end=end)


def samsung_point(row: Row) -> When | str:
    """Only the start."""
    start, offset = utc_of(row["start_time"]), offset_of(row["time_offset"].removeprefix("UTC"))
    if start is None:
        return "no time"
    if start < 365 * _DAY:
        return "a time of 1970 is a placeholder"
    return "no offset from UTC" if offset is None else When(start=start, offset=offset)


def samsung_part(row: Row) -> Skipped:
    """Rows of single devices are parts of the row -2, which is of all devices."""
    return None if number(row["source_type"]) == -2 else ("overlapped", None)


def samsung_nights(rows: Sequence[Row]) -> Sequence[Row]:
    """Make sure that times are UTC: bedtimes by the clock on the wall stay when the clocks change."""
    found = [when for row in rows if isinstance(when := samsung_time(row), When)]
    known = sorted((when.start or 0, when.end or 0, (when.offset or 0) / 3_600) for when in found)
    nights = [(start, hours) for start, end, hours in known if end - start > 3 * _HOUR]
    hours = [(start / _HOUR + offset - 12) % 24 for start, offset in nights]  # since noon
    jumps = []
    for at in range(1, len(nights)):
        change = nights[at][1] - nights[at - 1][1]
        before, after = hours[max(0, at - _NIGHTS) : at], hours[at : at + _NIGHTS]
        if abs(change) == 1 and min(len(before), len(after)) >= _NIGHTS // 2:
            jumps.append(abs(median(after) - median(before) - change) < 0.5)
    if sum(jumps) * 2 > len(jumps):
        raise RefusedError(
            "it is an export of Samsung Health in which bedtimes jump by an hour when the clocks change: its times are"
            " local times and not UTC, as they should be, so it is not read"
        )
    return rows


# Withings and Oura.


def by_date(rows: Sequence[Row]) -> Sequence[Row]:
    """Weighings in the order of time: the last one of a day counts."""
    return sorted(rows, key=lambda row: row["Date"])


def from_to(row: Row) -> When | str:
    """A sleep of Withings, on the local day of waking."""
    start, end = _moment(row["from"]), _moment(row["to"])
    if start is None or end is None:
        return "no time with an offset from UTC"
    return When((end[0] // 1_000 + end[1]) // 86_400, start[0], end[0], end[1])


def bedtime(row: Row) -> When | str:
    """A sleep of Oura, on the day that Oura says."""
    day, start, end = iso_day(row["day"]), _moment(row["bedtime_start"]), _moment(row["bedtime_end"])
    if day is None:
        return "no day"
    return When(day, start[0], end[0], end[1]) if start and end and start <= end else When(day)


def oura_moment(row: Row) -> When | str:
    """A moment. An offset of zero does not say where the person was."""
    moment = _moment(row["timestamp"])
    return "no time with an offset from UTC" if moment is None else When(start=moment[0], offset=moment[1] or None)


def oura_sleep(row: Row) -> Skipped:
    """Skips rows that are no sleep: rest, and sleep that the person deleted."""
    if row["type"] not in ("long_sleep", "sleep", "late_nap"):
        return "not_mapped", None
    return None if (number(row["total_sleep_duration"]) or 0) > 0 else ("invalid", "zero means not measured")
