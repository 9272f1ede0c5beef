"""Google Health and Fitbit: one part of a Takeout archive, with the old or the new root folder.

An archive may have the same measurements twice: in CSV files with a column of sources, in UTC, and in older JSON files
with values that the vendor merged. They are never added: JSON counts only on days that no CSV file of the same family
has. CSV rows that another app measured do not make the JSON of their day redundant.
Times in JSON differ by family: steps and heart rates are in UTC, calories in local time. The calories of all minutes of
a local day are one record.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from io import TextIOWrapper
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from fitness_assets.bronze.measurements import origins
from fitness_assets.bronze.readers.archives import Archive, Entry, lines
from fitness_assets.bronze.readers.google_cells import (
    clock_of,
    offset_of,
    stages_of,
    unit_of_weights,
    utc_of,
    why_wrong,
)
from fitness_assets.bronze.readers.profile import ages, gender_record, is_zone
from fitness_assets.bronze.readers.records import Record, RecordCounter, iso_day, number
from fitness_assets.bronze.units import factor

VERSION = 3
_CSV, _FITNESS, _JSON = "Physical Activity_GoogleData", "Health Fitness Data_GoogleData", "Global Export Data"
_FOLDERS = {_CSV, _FITNESS, _JSON, "Stress Score", "Sleep Score", "Active Zone Minutes (AZM)", "Your Profile"}
_MINUTE, _DAY = 60_000, 86_400_000
_SOURCE = "Google Health"
_STRESS = "1 to 100, high is calm"
_FAMILY = re.compile(r"[A-Za-z][A-Za-z_ -]{0,40}")

_TIMED = {
    "steps": ("steps", True),
    "heart_rate": ("heart_rate", False),
    "calories": ("energy_total", True),
    "weight": ("weight", False),
    "height": ("height", False),
    "daily_resting_heart_rate": ("resting_heart_rate", False),
}
"""CSV families: type, and whether a row is about a minute."""
_UNITS = {
    "steps": "count", "count": "count", "beats per minute": "bpm", "bpm": "bpm",
    "calories": "kcal", "kilocalories": "kcal", "kcal": "kcal", "kilojoules": "kJ",
    "grams": "g", "kilograms": "kg", "kg": "kg", "pounds": "lb", "lb": "lb", "stone": "st",
    "millimeters": "mm", "centimeters": "cm", "cm": "cm", "meters": "m", "inches": "in", "feet": "ft",
}  # fmt: skip
"""Units by the names of columns, without what is measured in front of them, as in ``weight grams``."""
_ACTIVE = ("moderately_active_minutes", "very_active_minutes")


def matches(archive: Archive) -> bool:
    """Whether it is such an archive: folders are found by their own names, at any depth."""
    return any(_folder(entry) in _FOLDERS - {"Your Profile"} for entry in archive.entries)


def records(archive: Archive, counter: RecordCounter) -> Iterator[Record]:
    """Yield the records."""
    yield from _Reader(archive, counter).records()


def _folder(entry: Entry) -> str | None:
    """The last part of a path that is one of the known folders."""
    return next((part for part in reversed(entry.name.split("/")[:-1]) if part in _FOLDERS), None)


def _family(entry: Entry) -> str:
    """The start of a name before its date or number."""
    match = re.match(r"(.*?)[-_]?\d", entry.base)
    name = (match[1] if match else entry.base.rpartition(".")[0]).rstrip("_- (")
    return name if _FAMILY.fullmatch(name) else "other files"


def _unit(column: str, type_: str) -> str | None:
    """The unit that a column of values has by its name; None if it is no column of such values."""
    unit = _UNITS.get(column.lower().replace("_", " ").removeprefix(f"{type_} "))
    return unit if factor(type_, unit) else None


class _Reader:
    def __init__(self, archive: Archive, counter: RecordCounter) -> None:
        self._archive, self._counter = archive, counter
        self._zone: ZoneInfo | None = None
        self._covered: defaultdict[str, Counter[int]] = defaultdict(Counter)  # rows by type and day of UTC
        self._last = -1
        self._weights: dict[int, float] = {}

    def records(self) -> Iterator[Record]:
        """Yield the records of the profile, then of CSV files, then of JSON files."""
        files: dict[tuple[str | None, str], list[Entry]] = {}
        for entry in sorted(self._archive.entries, key=lambda entry: (entry.name, entry.index)):
            files.setdefault((_folder(entry), _family(entry)), []).append(entry)
        for entry in files.pop(("Your Profile", "Profile"), []):
            yield from self._profile(entry)
        for family in _TIMED:
            for entry in files.pop((_CSV, family), []):
                yield from self._timed(entry, family)
        yield from self._last_of_ids(self._user_sleeps(files.pop((_FITNESS, "UserSleeps"), [])))
        for entry in files.pop(("Stress Score", "Stress Score"), []):
            yield from self._stress(entry)
        yield from self._json_steps(files.pop((_JSON, "steps"), []))
        yield from self._json_heart(files.pop((_JSON, "heart_rate"), []))
        yield from self._json_calories({"calories": files.pop((_JSON, "calories"), [])})
        yield from self._json_resting(files.pop((_JSON, "resting_heart_rate"), []))
        yield from self._last_of_ids(self._json_sleep(files.pop((_JSON, "sleep"), [])))
        yield from self._json_weight(files.pop((_JSON, "weight"), []))
        yield from self._json_active({name: files.pop((_JSON, name), []) for name in _ACTIVE})
        for (folder, family), entries in sorted(files.items(), key=str):
            name = f"files of {family}" if folder and family != "other files" else "other files"
            self._counter.see(name, len(entries))
            self._counter.drop(name, "not_mapped", count=len(entries))

    def _profile(self, entry: Entry) -> Iterator[Record]:
        for row in self._rows(entry, "profile", ("date_of_birth",)):
            yield from ages(row.get("date_of_birth") or None, _SOURCE, self._counter)
            gender = row.get("gender")
            yield from gender_record(gender if gender not in ("", "NA") else None, _SOURCE, self._counter)
            zone = row.get("timezone")
            if zone and is_zone(zone):
                self._zone = ZoneInfo(zone)
                self._counter.see("zone")
                yield Record("zone", source=_SOURCE, text=zone)

    def _timed(self, entry: Entry, family: str) -> Iterator[Record]:
        (type_, is_minute), column = _TIMED[family], None
        for row in self._rows(entry, type_, ("timestamp",)):
            self._counter.see(type_)
            column = column or next(((name, unit) for name in row if (unit := _unit(name, type_))), ("", None))
            name, unit = column  # all rows have the same columns
            start, value = utc_of(row["timestamp"]), number(row.get(name))
            if why := why_wrong(start, value, type_) if unit else "no column of the file names a known unit":
                self._counter.drop(type_, "invalid", why)
                continue
            source = row.get("data source") or None
            if start is None or value is None:
                continue
            if not origins(source):
                self._covered[type_][start // _DAY] += 1
            self._last = max(self._last, start // _DAY)
            if family == "daily_resting_heart_rate":
                # A local midnight, or the day at 00:00 UTC: the nearest midnight is the day.
                yield Record(type_, value, unit, day=(start + _DAY // 2) // _DAY, source=source)
                continue
            if type_ == "weight":
                self._weights[start // _DAY] = value * (factor(type_, unit) or 1.0)
            yield Record(type_, value, unit, start, start + _MINUTE if is_minute else None, source=source)

    def _last_of_ids(self, sleeps: Iterable[tuple[object, list[Record]]]) -> Iterator[Record]:
        """The records of sleeps; of several with one id, the last sleep counts."""
        last: dict[object, list[Record]] = {}
        for id_, of_sleep in sleeps:
            key = object() if id_ in (None, "") else str(id_)
            self._counter.drop("sleep", "duplicate", count=len(last.pop(key, ())))
            last[key] = of_sleep
        yield from chain.from_iterable(last.values())

    def _user_sleeps(self, entries: list[Entry]) -> Iterator[tuple[object, list[Record]]]:
        """Nights and naps by their ids, which occur again in other files."""
        names = ("sleep_start", "sleep_end", "minutes_asleep")
        for row in chain.from_iterable(self._rows(entry, "sleep", names) for entry in entries):
            self._counter.see("sleep")
            start, end, value = utc_of(row["sleep_start"]), utc_of(row["sleep_end"]), number(row["minutes_asleep"])
            offset = offset_of(row.get("end_utc_offset"))
            if (why := why_wrong(start, value, "sleep")) or end is None:
                self._counter.drop("sleep", "invalid", why or "no end")
                continue
            if offset is None:
                self._counter.drop("sleep", "invalid", "no offset from UTC")
                continue
            source = row.get("data_source") or row.get("data source") or "UserSleeps"
            day = (end // 1_000 + offset) // 86_400
            record = Record("sleep", value, "min", start, end, offset, day, source, text="asleep")
            yield row.get("sleep_id"), [record]

    def _stress(self, entry: Entry) -> Iterator[Record]:
        for row in self._rows(entry, "stress", ("DATE", "STRESS_SCORE")):
            self._counter.see("stress")
            day, value = iso_day(row["DATE"][:10]), number(row["STRESS_SCORE"])
            why = "no day" if day is None else why_wrong(0, value, "stress")
            if not why and row.get("STATUS") == "CALCULATION_FAILED":
                why = "the vendor could not compute it"
            if why:
                self._counter.drop("stress", "invalid", why)
            else:
                yield Record("stress", value, day=day, source=_SOURCE, text=_STRESS)

    def _json_steps(self, entries: list[Entry]) -> Iterator[Record]:
        for item in self._items(entries, "steps"):
            start, value = clock_of(item.get("dateTime")), number(item.get("value"))
            if self._is_new("steps", start, value) and start is not None:
                yield Record("steps", value, "count", start, start + _MINUTE)

    def _json_heart(self, entries: list[Entry]) -> Iterator[Record]:
        for item in self._items(entries, "heart_rate"):
            reading = item.get("value")
            start, value = (
                clock_of(item.get("dateTime")),
                number(reading.get("bpm")) if isinstance(reading, dict) else None,
            )
            if self._is_new("heart_rate", start, value):
                yield Record("heart_rate", value, "bpm", start)

    def _is_new(self, type_: str, start: int | None, value: float | None) -> bool:
        """Whether a record of JSON can be used and its day is not in the CSV files; if not, it is counted."""
        if (why := why_wrong(start, value, type_)) or start is None:
            self._counter.drop(type_, "invalid", why)
            return False
        if start // _DAY in self._covered[type_]:
            self._counter.drop(type_, "overlapped")
            return False
        self._last = max(self._last, start // _DAY)
        return True

    def _json_calories(self, families: Mapping[str, list[Entry]]) -> Iterator[Record]:
        """Sums of local days; a basal rate is in them also on days when nothing was worn."""
        sums = self._sums_of_days(families, "energy_total")
        self._counter.see("energy_total", len(sums))
        for day, (value, minutes) in sums.items():
            # Days of CSV files are in UTC, so some of their rows may be of the local day before or after.
            if 2 * self._covered["energy_total"][day] >= minutes:
                self._counter.drop("energy_total", "overlapped")
            else:
                yield Record("energy_total", value, "kcal", day=day)

    def _sums_of_days(self, families: Mapping[str, list[Entry]], type_: str) -> dict[int, tuple[float, int]]:
        """Sums by local day, and of how many values. A minute that a family has twice counts once.

        Invalid and repeated values are counted here; the caller counts each sum as one record.
        """
        sums: dict[int, tuple[float, int]] = {}
        for entries in families.values():
            known: defaultdict[int, bytearray] = defaultdict(lambda: bytearray(_DAY // _MINUTE))
            for item in self._items(entries, type_, is_counted=False):
                clock, value = clock_of(item.get("dateTime")), number(item.get("value"))
                if (why := why_wrong(clock, value, type_)) or clock is None or value is None:
                    self._counter.see(type_)
                    self._counter.drop(type_, "invalid", why)
                    continue
                day, minute = clock // _DAY, clock % _DAY // _MINUTE
                if known[day][minute]:
                    self._counter.see(type_)
                    self._counter.drop(type_, "duplicate")
                    continue
                known[day][minute] = 1
                before, count = sums.get(day, (0.0, 0))
                sums[day] = before + value, count + 1
        return sums

    def _json_resting(self, entries: list[Entry]) -> Iterator[Record]:
        for item in self._items(entries, "resting_heart_rate"):
            reading = item.get("value")
            said = reading if isinstance(reading, dict) else {}
            clock, value = clock_of(f"{said.get('date')} 00:00:00"), number(said.get("value"))
            if why := why_wrong(clock, value, "resting_heart_rate"):
                self._counter.drop("resting_heart_rate", "invalid", why)
            elif clock is not None:
                yield Record("resting_heart_rate", value, "bpm", day=clock // _DAY)

    def _json_sleep(self, entries: list[Entry]) -> Iterator[tuple[object, list[Record]]]:
        """Nights and naps by their ids, on the day of waking; times are local, without an offset."""
        for item in self._items(entries, "sleep"):
            day, minutes = iso_day(item.get("dateOfSleep")), number(item.get("minutesAsleep"))
            why = "no day" if day is None else why_wrong(0, minutes, "sleep")
            if why or minutes is None:
                self._counter.drop("sleep", "invalid", why)
                continue
            start, end = self._local(item.get("startTime")), self._local(item.get("endTime"))
            times = (start, end) if start is not None and end is not None and start <= end else (None, None)
            stages = stages_of(item)
            if round(sum(stages.get(name, 0.0) for name in ("deep", "light", "rem"))) != round(minutes):
                stages = {"asleep": minutes}
            self._counter.see("sleep", len(stages) - 1)
            clock = utc_of(str(item.get("startTime")))
            yield (
                item.get("logId"),
                [
                    Record("sleep", value, "min", *times, day=day, text=stage, clock=clock)
                    for stage, value in stages.items()
                ],
            )

    def _json_weight(self, entries: list[Entry]) -> Iterator[Record]:
        """Weights in the unit that other weights, or the BMI beside them, tell, in the order of their times."""
        found = []
        timed = [
            (clock_of(f"{item.get('date')} {item.get('time') or '00:00:00'}"), item)
            for item in self._items(entries, "weight")
        ]
        for clock, item in sorted(timed, key=lambda one: one[0] or 0):
            value = number(item.get("weight"))
            if (why := why_wrong(clock, value, "weight")) or clock is None or value is None:
                self._counter.drop("weight", "invalid", why)
                continue
            bmi = number(item.get("bmi"))
            found.append((clock, value, bmi))
            if bmi is not None:
                self._counter.see("bmi")
                if why := why_wrong(clock, bmi, "bmi"):
                    self._counter.drop("bmi", "invalid", why)
                else:
                    yield Record("bmi", bmi, "count", day=clock // _DAY, clock=clock)
        unit = unit_of_weights([(clock // _DAY, value, bmi) for clock, value, bmi in found], self._weights)
        for clock, value, _ in found:
            yield Record("weight", value, unit, day=clock // _DAY, clock=clock)

    def _json_active(self, families: Mapping[str, list[Entry]]) -> Iterator[Record]:
        """Moderately and very active minutes of local days; the files go on into the future, with zeros."""
        sums = self._sums_of_days(families, "exercise")
        self._counter.see("exercise", len(sums))
        for day, (value, _) in sums.items():
            if not value and day > self._last + 1:
                self._counter.drop("exercise", "invalid", "zero after the last day with steps or heart rates")
            else:
                yield Record("exercise", value, "min", day=day)

    def _rows(self, entry: Entry, type_: str, required: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
        """Rows of a CSV file by name; a file that says that there is no data has no rows."""
        with self._archive.open(entry) as file, TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
            rows = csv.reader(lines(text))
            try:
                names = [name.strip() for name in next(rows, [])]
                if not set(required) <= set(names) or (first := next(rows, None)) is None:
                    self._empty(entry)
                    return
                for cells in chain([first], rows):
                    if len(cells) == len(names):
                        yield dict(zip(names, cells, strict=True))
                    elif cells:
                        self._counter.see(type_)
                        self._counter.drop(type_, "invalid", "a row with too few or too many cells")
            except csv.Error:
                self._unreadable(_family(entry))

    def _items(self, entries: list[Entry], type_: str, is_counted: bool = True) -> Iterator[dict[str, Any]]:
        """Objects of JSON files. Each is counted as seen, unless the caller does it. Other values are counted here."""
        for entry in entries:
            try:
                content = json.loads(self._archive.read(entry))
            except (ValueError, RecursionError):
                self._unreadable(_family(entry))
                continue
            if content == []:
                self._empty(entry)
            for item in content if isinstance(content, list) else [content]:
                is_object = isinstance(item, dict)
                if is_counted or not is_object:
                    self._counter.see(type_)
                if is_object:
                    yield item
                else:
                    self._counter.drop(type_, "invalid", "no object")

    def _empty(self, entry: Entry) -> None:
        name = f"files of {_family(entry)} without data"
        self._counter.see(name)
        self._counter.drop(name, "not_mapped")

    def _unreadable(self, family: str) -> None:
        self._counter.see("unreadable files")
        self._counter.drop("unreadable files", "invalid", "damaged")
        self._counter.warnings.append(f"a file of {family} cannot be read and was left out")

    def _local(self, text: Any) -> int | None:
        """Milliseconds of a local time without an offset, in the zone of the archive's profile."""
        if self._zone is None or not isinstance(text, str):
            return None
        try:
            return int(datetime.fromisoformat(text).replace(tzinfo=self._zone).timestamp() * 1_000)
        except (ValueError, OverflowError):
            return None
