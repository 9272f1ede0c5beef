"""A small archive like the scheduled export of Android's Health Connect, with its quirks."""

import sqlite3
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from fitness_assets.sample.life import HOME, LivedDay

SCHEMA = """
    CREATE TABLE application_info_table (row_id INTEGER PRIMARY KEY, package_name TEXT, app_name TEXT);
    CREATE TABLE device_info_table (row_id INTEGER PRIMARY KEY, manufacturer TEXT, model TEXT, device_type INTEGER);
    CREATE TABLE health_data_category_priority_table (health_data_category INTEGER, app_id_priority_order TEXT);
    CREATE TABLE steps_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id, start_time, end_time,
        start_zone_offset, end_zone_offset, count,
        local_date_time_start_time INTEGER GENERATED ALWAYS AS (start_time + 1000 * start_zone_offset) VIRTUAL);
    CREATE TABLE heart_rate_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id, start_time, end_time,
        start_zone_offset, end_zone_offset);
    CREATE TABLE heart_rate_record_series_table (parent_key, epoch_millis, beats_per_minute);
    CREATE TABLE resting_heart_rate_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id, time,
        zone_offset, beats_per_minute);
    CREATE TABLE sleep_session_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id, start_time,
        end_time, start_zone_offset, end_zone_offset, local_date);
    CREATE TABLE sleep_stages_table (parent_key, stage_start_time, stage_end_time, stage_type);
    CREATE TABLE total_calories_burned_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id,
        start_time, end_time, start_zone_offset, end_zone_offset, energy);
    CREATE TABLE active_calories_burned_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id,
        start_time, end_time, start_zone_offset, end_zone_offset, energy);
    CREATE TABLE weight_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id, time, zone_offset,
        weight);
    CREATE TABLE height_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id, time, zone_offset,
        height);
    CREATE TABLE exercise_session_record_table (row_id INTEGER PRIMARY KEY, app_info_id, device_info_id, start_time,
        end_time, start_zone_offset, end_zone_offset, exercise_type);
    CREATE TABLE oxygen_saturation_record_table (row_id INTEGER PRIMARY KEY, app_info_id, time, zone_offset,
        percentage);
"""
_APP, _COPY, _PHONE, _WATCH = 1, 2, 1, 2
_STAGES = {"awake": 1, "light": 4, "deep": 5, "rem": 6}


def write(path: Path, days: Sequence[LivedDay]) -> None:
    """Write the archive: an app with a phone and a watch, and a second app that copies what the watch measured.

    Args:
        path: of the archive.
        days: what happened.
    """
    with TemporaryDirectory() as folder:
        database = Path(folder) / "any.db"
        connection = sqlite3.connect(database)
        with connection:
            connection.executescript(SCHEMA)
            _fill(connection, days)
        connection.close()
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(database, "health_connect_export.db")


def _fill(connection: sqlite3.Connection, days: Sequence[LivedDay]) -> None:
    def put(table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * len(columns.split(",")))
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608

    put("application_info_table", "row_id, package_name", [(_APP, "com.example.band"), (_COPY, "com.example.copy")])
    put(
        "device_info_table",
        "row_id, manufacturer, model, device_type",
        [(_PHONE, "Example", "P1", 2), (_WATCH, "Example", "W1", 1)],
    )
    put(
        "health_data_category_priority_table",
        "health_data_category, app_id_priority_order",
        [(1, f"{_APP},{_COPY}"), (5, f"{_COPY},{_APP}")],
    )
    interval = "app_info_id, device_info_id, start_time, end_time, start_zone_offset, end_zone_offset"
    moment = "app_info_id, device_info_id, time, zone_offset"
    steps = [
        (app, device, *_times(start, end), count)
        for day in days
        for walk in day.walks
        for app, device, records in (
            (_APP, _WATCH, walk.watch_records()),
            (_APP, _PHONE, walk.phone_records()),
            (_COPY, _WATCH, walk.watch_records()),
        )
        for start, end, count in records
    ]
    put("steps_record_table", f"{interval}, count", steps)
    put("heart_rate_record_table", f"row_id, {interval}", [
        (number, _APP, _WATCH, *_times(day.pulse[0][0], day.pulse[-1][0])) for number, day in enumerate(days)
    ])  # fmt: skip
    put("heart_rate_record_series_table", "parent_key, epoch_millis, beats_per_minute", [
        (number, _milliseconds(moment), bpm) for number, day in enumerate(days) for moment, bpm in day.pulse
    ])  # fmt: skip
    put("sleep_session_record_table", f"row_id, {interval}, local_date", [
        (number, _APP, _WATCH, *_times(day.asleep[0][0], day.asleep[-1][1]), day.date.toordinal() - 719_164)
        for number, day in enumerate(days)
    ])  # fmt: skip
    put("sleep_stages_table", "parent_key, stage_start_time, stage_end_time, stage_type", [
        (number, _milliseconds(start), _milliseconds(end), _STAGES[stage])
        for number, day in enumerate(days)
        for start, end, stage in day.asleep
    ])  # fmt: skip
    noon = [datetime(day.date.year, day.date.month, day.date.day, 12, tzinfo=ZoneInfo(HOME)) for day in days]
    for name, energies in (
        ("total", [day.active_kcal + day.basal_kcal for day in days]),
        ("active", [day.active_kcal for day in days]),
    ):
        put(f"{name}_calories_burned_record_table", f"{interval}, energy", [
            (_APP, _WATCH, *_times(at, at.replace(hour=13)), kcal * 1_000)
            for at, kcal in zip(noon, energies, strict=True)
        ])  # fmt: skip
    put("resting_heart_rate_record_table", f"{moment}, beats_per_minute", [
        (_APP, _WATCH, _milliseconds(at), _offset(at), day.resting_bpm) for at, day in zip(noon, days, strict=True)
    ])  # fmt: skip
    put("weight_record_table", f"{moment}, weight", [
        (_APP, None, _milliseconds(at), _offset(at), day.weight_kg * 1_000)
        for at, day in zip(noon, days, strict=True)
        if day.weight_kg
    ])  # fmt: skip
    put("exercise_session_record_table", f"{interval}, exercise_type", [
        (_APP, _WATCH, *_times(at, at.replace(hour=12 + day.exercise // 60, minute=day.exercise % 60)), 79)
        for at, day in zip(noon, days, strict=True)
    ])  # fmt: skip
    put("oxygen_saturation_record_table", "app_info_id, time, zone_offset, percentage", [
        (_APP, _milliseconds(at), _offset(at), 97.0) for at in noon
    ])  # fmt: skip


def _times(start: datetime, end: datetime) -> tuple[int, int, int, int]:
    return _milliseconds(start), _milliseconds(end), _offset(start), _offset(end)


def _milliseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1_000)


def _offset(moment: datetime) -> int:
    offset = moment.astimezone(ZoneInfo(HOME)).utcoffset()
    return int(offset.total_seconds()) if offset else 0
