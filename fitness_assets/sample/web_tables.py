"""Small archives of CSV tables like those that people download from vendors; every column that is read has a value."""

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fitness_assets.sample.life import HOME, LivedDay

_STAGES = ("light", "deep", "rem", "awake")
_SAMSUNG_STAGES = {"awake": 40001, "light": 40002, "deep": 40003, "rem": 40004}


def google_fit(path: Path, days: Sequence[LivedDay]) -> None:
    """Write an archive of Google Fit."""
    names = "Date,Calories (kcal),Average heart rate (bpm),Step count,Average weight (kg),Sleep duration (ms)"
    rows = (
        (day.date, _energy(day), _pulse(day), day.steps, day.weight_kg, round(day.sleep_hours * 3_600_000))
        for day in days
    )
    _write(path, {"Takeout/Fit/Daily activity metrics/Daily activity metrics.csv": _table(names, rows)})


def garmin_web(path: Path, days: Sequence[LivedDay]) -> None:
    """Write the reports of Garmin Connect."""
    sleep = "Sleep Score 4 Weeks,Score,Resting Heart Rate,Duration,Bedtime,Wake Time"
    weights = [
        f'" {day.date:%b} {day.date.day}, {day.date.year}",\n7:00 AM,{day.weight_kg} kg,--,--,\n'
        for day in days
        if day.weight_kg
    ]
    _write(
        path,
        {
            "Steps.csv": _table(",Actual,Goal", ((f"{day.date:%m/%d/%Y}", day.steps, 7_500) for day in days)),
            "Sleep.csv": _table(sleep, ((day.date, 80, day.resting_bpm, _duration(day), "", "") for day in days)),
            "Weight.csv": "".join(["Time,Weight,Change,Body Fat,\n", *weights]),
        },
    )


def samsung(path: Path, days: Sequence[LivedDay]) -> None:
    """Write an archive of Samsung Health: steps of all devices together, and of the phone alone."""
    tables: dict[str, tuple[str, Iterable[Sequence[Any]]]] = {
        "com.samsung.shealth.step_daily_trend": (
            "source_type,count,calorie,day_time",
            (
                (source, count, day.active_kcal, f"{day.date} 00:00:00.000")
                for day in days
                for source, count in ((-2, day.steps), (0, day.steps // 2))
            ),
        ),
        "com.samsung.shealth.sleep": (
            "start_time,end_time,time_offset,datauuid",
            ((_utc(day.asleep[0][0]), _utc(day.asleep[-1][1]), _offset(day), f"night-{day.date}") for day in days),
        ),
        "com.samsung.health.sleep_stage": (
            "start_time,end_time,stage,sleep_id,time_offset",
            (
                (_utc(start), _utc(end), _SAMSUNG_STAGES[stage], f"night-{day.date}", _offset(day))
                for day in days
                for start, end, stage in day.asleep
            ),
        ),
        "com.samsung.shealth.tracker.heart_rate": (
            "heart_rate,start_time,time_offset",
            ((bpm, _utc(moment), _offset(day)) for day in days for moment, bpm in day.pulse),
        ),
        "com.samsung.health.weight": (
            "weight,height,start_time,time_offset",
            ((day.weight_kg, 168, _utc(day.asleep[-1][1]), _offset(day)) for day in days if day.weight_kg),
        ),
        "com.samsung.shealth.stress": (
            "score,start_time,time_offset",
            ((day.stress, _utc(day.asleep[-1][1]), _offset(day)) for day in days),
        ),
    }
    _write(
        path,
        {
            f"samsunghealth_anna_20241101120000/{name}.20241101120000.csv": f"{name},1,1\n{_table(*table, end=',')}"
            for name, table in tables.items()
        },
    )


def withings(path: Path, days: Sequence[LivedDay]) -> None:
    """Write an archive of Withings."""
    nights = (
        (day.asleep[0][0].isoformat(), day.asleep[-1][1].isoformat(), *(_seconds(day, stage) for stage in _STAGES))
        for day in days
    )
    totals = {
        "steps": ((day.date, day.steps) for day in days),
        "calories_earned": ((day.date, day.active_kcal) for day in days),
        "calories_passive": ((day.date, day.basal_kcal) for day in days),
    }
    _write(
        path,
        {
            "weight.csv": _table(
                "Date,Weight (kg),Comments", ((f"{day.date} 07:00:00", day.weight_kg, "") for day in days)
            ),
            "sleep.csv": _table("from,to,light (s),deep (s),rem (s),awake (s)", nights),
            **{f"aggregates_{name}.csv": _table("date,value", rows) for name, rows in totals.items()},
        },
    )


def oura(path: Path, days: Sequence[LivedDay]) -> None:
    """Write an archive of Oura."""
    activity = "day;steps;active_calories;total_calories;high_activity_time;medium_activity_time"
    sleep = (
        "day;bedtime_start;bedtime_end;total_sleep_duration;light_sleep_duration;deep_sleep_duration;"
        "rem_sleep_duration;awake_time;type"
    )
    nights = (
        (day.date, day.asleep[0][0].isoformat(), day.asleep[-1][1].isoformat(), round(day.sleep_hours * 3_600),
         *(_seconds(day, stage) for stage in _STAGES), "long_sleep")
        for day in days
    )  # fmt: skip
    _write(
        path,
        {
            "App Data/dailyactivity.csv": _table(
                activity, ((d.date, d.steps, d.active_kcal, _energy(d), 300, (d.exercise - 5) * 60) for d in days), ";"
            ),
            "App Data/sleepmodel.csv": _table(sleep, nights, ";"),
            "App Data/heartrate.csv": _table(
                "timestamp;bpm;source", ((at.isoformat(), bpm, "rest") for day in days for at, bpm in day.pulse), ";"
            ),
        },
    )


WRITERS: dict[str, Callable[[Path, Sequence[LivedDay]], None]] = {
    "google-fit": google_fit,
    "garmin-web": garmin_web,
    "samsung": samsung,
    "withings": withings,
    "oura": oura,
}
"""What writes an archive of each kind."""


def _write(path: Path, files: Mapping[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def _table(names: str, rows: Iterable[Sequence[Any]], delimiter: str = ",", end: str = "") -> str:
    """A header and rows; a cell that is None is empty."""
    lines = (delimiter.join("" if cell is None else str(cell) for cell in row) for row in rows)
    return "".join(f"{line}{end}\n" for line in (names, *lines))


def _seconds(day: LivedDay, stage: str) -> int:
    return round(sum((end - start).total_seconds() for start, end, name in day.asleep if name == stage))


def _duration(day: LivedDay) -> str:
    hours, minutes = divmod(round(day.sleep_hours * 60), 60)
    return f"{hours}h {minutes}min"


def _energy(day: LivedDay) -> float:
    return day.active_kcal + day.basal_kcal


def _pulse(day: LivedDay) -> float:
    return round(sum(bpm for _, bpm in day.pulse) / len(day.pulse), 1)


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}.000"


def _offset(day: LivedDay) -> str:
    """The offset at the end of the night."""
    return f"UTC{day.asleep[-1][1].astimezone(ZoneInfo(HOME)):%z}"
