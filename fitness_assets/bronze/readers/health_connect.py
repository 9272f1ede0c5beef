"""Android Health Connect: the scheduled export, a ZIP archive with one SQLite database, or the database itself.

The database is untrusted: it is opened read-only, and its views, triggers and functions are not used. Columns are
selected by name, because their order differs from phone to phone. Energy is stored in small calories, weight in grams,
height in metres, offsets from UTC in seconds. The local day of a record follows from the record's own offset.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from fitness_assets.bronze.readers.archives import SQLITE, Archive, Entry
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.records import Record, RecordCounter, number

VERSION = 1
DAMAGED = "the database of Health Connect is damaged"

_LONGEST = 10_000_000  # bytes of a value
_NAME = re.compile(r"[a-z][a-z0-9_]{0,80}")
_DEVICES = {1: "watch", 2: "phone", 3: "scale", 4: "ring", 5: "head mounted", 6: "band", 7: "chest strap", 8: "display"}
_STAGES = {1: "awake", 2: "asleep", 3: "awake", 4: "light", 5: "deep", 6: "rem", 7: "awake"}
_OWNER = ("app_info_id", "device_info_id")
_INTERVAL = ("start_time", "end_time", "start_zone_offset")
_MOMENT = ("time", "zone_offset")


class _Source(NamedTuple):
    """A table with one value in each row.

    Attributes:
        type: of its records.
        value: the column.
        unit: the unit of the schema.
        is_interval: whether its rows have a start and an end.
    """

    type: str
    value: str
    unit: str
    is_interval: bool = False


_TABLES = {
    "steps_record_table": _Source("steps", "count", "count", True),
    "total_calories_burned_record_table": _Source("energy_total", "energy", "cal", True),
    "active_calories_burned_record_table": _Source("energy_active", "energy", "cal", True),
    "resting_heart_rate_record_table": _Source("resting_heart_rate", "beats_per_minute", "bpm"),
    "basal_metabolic_rate_record_table": _Source("basal_rate", "basal_metabolic_rate", "W"),
    "weight_record_table": _Source("weight", "weight", "g"),
    "height_record_table": _Source("height", "height", "m"),
}
_HEART, _SERIES = "heart_rate_record_table", "heart_rate_record_series_table"
_SLEEP, _SLEEP_STAGES = "sleep_session_record_table", "sleep_stages_table"
_EXERCISE = "exercise_session_record_table"
_APPS, _DEVICE_INFO = "application_info_table", "device_info_table"
_PRIORITY = "health_data_category_priority_table"
_CATEGORIES = {1: "activity", 5: "sleep", 6: "vitals", 2: "body"}
_READ = {*_TABLES, _HEART, _SERIES, _SLEEP, _SLEEP_STAGES, _EXERCISE, _APPS, _DEVICE_INFO, _PRIORITY}


def matches(archive: Archive) -> bool:
    """Whether it is such an archive."""
    return _database(archive) is not None


def records(archive: Archive, counter: RecordCounter) -> Iterator[Record]:
    """Yield the records.

    Raises:
        RefusedError: if the database is damaged, or not one of Health Connect.
    """
    entry = _database(archive)
    if entry is None:
        raise RefusedError(DAMAGED)
    try:
        with archive.local(entry) as path, closing(_open(path)) as connection:
            yield from _Database(connection, counter).records()
    except (sqlite3.Error, OverflowError, UnicodeError) as error:  # a message may quote bytes of the file
        raise RefusedError(DAMAGED) from error


def _database(archive: Archive) -> Entry | None:
    """The largest database of the archive."""
    candidates = [entry for entry in archive.entries if not archive.is_zip or entry.base.lower().endswith(".db")]
    largest = max(candidates, key=lambda entry: entry.size, default=None)
    return largest if largest and archive.head(largest, 16) == SQLITE else None


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


class _Database:
    def __init__(self, connection: sqlite3.Connection, counter: RecordCounter) -> None:
        self._connection, self._counter = connection, counter
        objects = connection.execute("SELECT name, type, sql FROM sqlite_master").fetchall()
        named = [(str(name).lower(), type_, str(sql)) for name, type_, sql in objects]
        if any(name in _READ and type_ == "view" for name, type_, _ in named):
            raise RefusedError("the database has a view in place of a table: no phone writes such a database")
        self._tables = {
            name for name, type_, sql in named
            if type_ == "table" and _NAME.fullmatch(name) and not re.match(r"\s*CREATE\s+VIRTUAL", sql, re.IGNORECASE)
        }  # fmt: skip
        if not self._tables & {*_TABLES, _HEART, _SLEEP}:
            raise RefusedError("it is a database, but not one of Health Connect")
        self._apps = self._names(_APPS, ("package_name", "app_name"))
        self._devices = self._names(_DEVICE_INFO, ("manufacturer", "model", "device_type"))

    def records(self) -> Iterator[Record]:
        """Yield the records of all tables that are read, and count those of the others."""
        for table, source in _TABLES.items():
            yield from self._values(table, source)
        yield from self._heart_rates()
        yield from self._sleep()
        yield from self._exercise()
        yield from self._order()
        for table in sorted(self._tables - _READ):
            if table.endswith("_record_table") and (rows := self._count(table)):
                self._counter.see(table, rows)
                self._counter.drop(table, "not_mapped", count=rows)

    def _values(self, table: str, source: _Source) -> Iterator[Record]:
        columns = (*(_INTERVAL if source.is_interval else _MOMENT), *_OWNER, source.value)
        for row in self._rows(table, source.type, columns, (source.value,)):
            start = row["start_time"] if source.is_interval else row["time"]
            offset = row["start_zone_offset"] if source.is_interval else row["zone_offset"]
            value = number(row[source.value])
            if why := _wrong(value, source.type) or _wrong_time(start):
                self._counter.drop(source.type, "invalid", why)
                continue
            end = row["end_time"] if source.is_interval else None
            if source.is_interval and (why := _wrong_time(end)):
                self._counter.drop(source.type, "invalid", why)
                continue
            yield Record(source.type, value, source.unit, start, end, _int(offset), None, *self._owner(row))

    def _heart_rates(self) -> Iterator[Record]:
        """Samples, with the owner and the offset of their parents."""
        samples = ("parent_key", "epoch_millis", "beats_per_minute")
        parents = self._parents(_HEART, ("start_zone_offset",))
        for row in self._rows(_SERIES, "heart_rate", samples, samples):
            value, parent = number(row["beats_per_minute"]), parents.get(row["parent_key"])
            why = "a sample without its record" if parent is None else _wrong(value, "heart_rate")
            if parent is None or (why := why or _wrong_time(row["epoch_millis"])):
                self._counter.drop("heart_rate", "invalid", why)
                continue
            offset = _int(parent["start_zone_offset"])
            yield Record("heart_rate", value, "bpm", row["epoch_millis"], None, offset, None, *self._owner(parent))

    def _sleep(self) -> Iterator[Record]:
        """Stages, and sessions without stages. A stage has no offset: it gets that of the end of its session."""
        times = ("start_time", "end_time", "end_zone_offset")
        sessions = self._parents(_SLEEP, times)
        with_stages: set[Any] = set()
        stages = ("parent_key", "stage_start_time", "stage_end_time", "stage_type")
        for row in self._rows(_SLEEP_STAGES, "sleep", stages, stages):
            session, stage = sessions.get(row["parent_key"]), _STAGES.get(row["stage_type"])
            start, end = row["stage_start_time"], row["stage_end_time"]
            why = "a stage without its session" if session is None else _wrong_time(start) or _wrong_time(end)
            if session is None or stage is None or why:
                self._counter.drop("sleep", "invalid", why or "an unknown stage")
                continue
            with_stages.add(row["parent_key"])
            offset = _int(session["end_zone_offset"])
            yield Record("sleep", None, None, start, end, offset, None, *self._owner(session), stage)
        afternoons = nights = 0
        self._counter.see("sleep", len(sessions))
        for key, row in sessions.items():
            start, end, offset = row["start_time"], row["end_time"], _int(row["end_zone_offset"])
            if why := _wrong_time(start) or _wrong_time(end):
                self._counter.drop("sleep", "invalid", why)
                continue
            if end - start > 3 * 3_600_000 and offset is not None:
                nights += 1
                afternoons += 12 <= (end // 1_000 + offset) // 3_600 % 24 < 20
            if key in with_stages:
                self._counter.drop("sleep", "overlapped")
            else:
                yield Record("sleep", None, None, start, end, offset, None, *self._owner(row), "session")
        if nights >= 5 and 2 * afternoons > nights:
            self._counter.warnings.append(
                "more than half of the nights end in the afternoon: an app may have written them with a wrong time zone"
            )

    def _exercise(self) -> Iterator[Record]:
        for row in self._rows(_EXERCISE, "exercise", (*_INTERVAL, *_OWNER), _INTERVAL[:2]):
            start, end = row["start_time"], row["end_time"]
            if why := _wrong_time(start) or _wrong_time(end):
                self._counter.drop("exercise", "invalid", why)
                continue
            offset = _int(row["start_zone_offset"])
            yield Record("exercise", float(end - start), "ms", start, end, offset, None, *self._owner(row))

    def _order(self) -> Iterator[Record]:
        """The person's own order of apps, as the phone has it: that of activities first."""
        known: list[str] = []
        rows = self._rows(_PRIORITY, "source_order", ("health_data_category", "app_id_priority_order"), ())
        by_category = {row["health_data_category"]: str(row["app_id_priority_order"] or "") for row in rows}
        for category in sorted(by_category, key=lambda category: [*_CATEGORIES, category].index(category)):
            if category not in _CATEGORIES:
                self._counter.drop("source_order", "not_mapped")
                continue
            self._counter.drop("source_order", "overlapped")  # the lists together say it
            for text in by_category[category].split(","):
                app = self._apps.get(int(text)) if text.strip().isdecimal() and len(text) < 12 else None
                if app and app[0] and app[0] not in known:
                    known.append(app[0])
        self._counter.see("source_order", len(known))
        for place, name in enumerate(known):
            yield Record("source_order", float(place), source="Health Connect", text=name)

    def _owner(self, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """The app and the device of a record."""
        app, device = self._apps.get(row["app_info_id"]), self._devices.get(row["device_info_id"])
        if device is None:
            return (app[0] if app else None), None
        manufacturer, model, type_ = device
        parts = [manufacturer, model, f"({_DEVICES[type_]})" if type_ in _DEVICES else None]
        return (app[0] if app else None), " ".join(str(part) for part in parts if part) or None

    def _names(self, table: str, columns: Sequence[str]) -> dict[Any, tuple[Any, ...]]:
        found = self._select(table, ("row_id", *columns), ("row_id",))
        return {row["row_id"]: tuple(row[name] for name in columns) for row in found or ()}

    def _parents(self, table: str, columns: Sequence[str]) -> dict[Any, dict[str, Any]]:
        found = self._select(table, ("row_id", *_OWNER, *columns), ("row_id",))
        return {row["row_id"]: row for row in found or ()}

    def _rows(
        self, table: str, type_: str, columns: Sequence[str], required: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        """The rows of a table, each counted as seen; none if the table is absent."""
        if table not in self._tables:
            return
        found = self._select(table, columns, required)
        if found is None:
            rows = self._count(table)
            self._counter.see(type_, rows)
            self._counter.drop(type_, "invalid", "the table lacks a column", rows)
            self._counter.warnings.append(f"{table} lacks one of the columns {', '.join(required)}: it was left out")
            return
        self._counter.see(type_, self._count(table))
        yield from found

    def _select(self, table: str, columns: Sequence[str], required: Sequence[str]) -> Iterator[dict[str, Any]] | None:
        """Some columns of a table; absent ones are None. None if a required one is absent."""
        if table not in self._tables:
            return iter(())
        there = {row[1].lower() for row in self._connection.execute(f'PRAGMA table_xinfo("{table}")')}
        if not there.issuperset(required):
            return None
        selected = ", ".join(f'"{name}"' if name in there else "NULL" for name in columns)
        rows = self._connection.execute(f'SELECT {selected} FROM "{table}"')
        return (dict(zip(columns, row, strict=True)) for row in rows)

    def _count(self, table: str) -> int:
        return self._connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]


def _wrong(value: float | None, type_: str) -> str | None:
    """Why a value is no measurement."""
    if value is None:
        return "no number"
    if value < 0:
        return "negative"
    # Phones write the smallest number above zero where nothing was entered.
    if value < 1e-300 and type_ not in ("steps", "energy_active", "energy_total"):
        return "zero means not measured"
    return None


def _wrong_time(value: Any) -> str | None:
    return None if isinstance(value, int) else "no time"


def _int(value: Any) -> int | None:
    return value if isinstance(value, int) else None
