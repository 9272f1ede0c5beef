"""A small archive like Google's Takeout of Google Health and Fitbit, with its quirks."""

import json
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fitness_assets.sample.life import HOME, LivedDay

_WATCH, _PHONE, _MIRROR = "Google Fitbit Air", "MobileTrack", "Apple Health Health Kit"
_JSON_DAYS = 10
"""So many first days are only in JSON; of the next one both have the record."""


def write(path: Path, days: Sequence[LivedDay]) -> None:
    """Write the archive: old days in JSON, later ones in CSV, and copies of another app.

    Args:
        path: of the archive.
        days: what happened.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, text: str) -> None:
            archive.writestr(f"Takeout/Google Health/{name}", text)

        def put_json(family: str, items: Sequence[Any]) -> None:
            put(f"Global Export Data/{family}-2024-01-01.json", json.dumps(items))

        def put_csv(family: str, value: str, rows: Iterable[tuple[datetime, Any, str]]) -> None:
            lines = [f"timestamp,{value},data source", *(f"{_z(at)},{cell},{source}" for at, cell, source in rows)]
            put(f"Physical Activity_GoogleData/{family}/{family}_2024-01-01.csv", "\n".join(lines) + "\n")

        # UTC days decide what is in CSV: the vendor's files are cut there.
        start = datetime(days[0].date.year, days[0].date.month, days[0].date.day, tzinfo=UTC)
        border = start + timedelta(days=_JSON_DAYS)
        old, new = days[: _JSON_DAYS + 1], days[_JSON_DAYS:]
        minutes = [(at, count) for day in days for at, count in _minutes(day)]
        put_json("steps", [
            {"dateTime": _clock(at), "value": str(count)} for at, count in minutes if at < border + timedelta(days=1)
        ])  # fmt: skip
        put_csv("steps", "steps", [
            *((at, count, _WATCH) for at, count in minutes if at >= border),
            *((at, f"{count}.0", _WATCH) for at, count in minutes[-5:] if at >= border),
            *((at, count, _MIRROR) for at, count in minutes[-500:] if at >= border),
        ])  # fmt: skip
        pulse = [(at, bpm) for day in days for at, bpm in day.pulse]
        put_json("heart_rate", [
            {"dateTime": _clock(at), "value": {"bpm": bpm, "confidence": 2}} for at, bpm in pulse if at < border
        ] + [{"dateTime": _clock(border), "value": {"bpm": 0, "confidence": 0}}])  # fmt: skip
        put_csv("heart_rate", "beats per minute", [(at, bpm, _WATCH) for at, bpm in pulse if at >= border])
        put_json("calories", [
            {"dateTime": _clock_of(day.date, minute), "value": f"{(day.active_kcal + day.basal_kcal) / 1440:.10f}"}
            for day in days
            for minute in range(1440)
        ])  # fmt: skip
        for family, share in (("moderately_active_minutes", 5), ("very_active_minutes", 0)):
            put_json(family, [
                {"dateTime": _clock_of(day.date), "value": str(share or day.exercise - 5)} for day in days
            ] + [{"dateTime": _clock_of(days[-1].date + timedelta(days=n)), "value": "0"} for n in (2, 3)])  # fmt: skip
        put_json("resting_heart_rate", [
            {"dateTime": _clock_of(day.date), "value": {"date": f"{day.date:%m/%d/%y}", "value": day.resting_bpm + 0.4}}
            for day in old
        ] + [{"dateTime": _clock_of(days[-1].date), "value": {"date": None, "value": 0.0}}])  # fmt: skip
        put_csv("daily_resting_heart_rate", "beats per minute", [
            (datetime(day.date.year, day.date.month, day.date.day, tzinfo=ZoneInfo(HOME)), day.resting_bpm, _WATCH)
            for day in new
        ])  # fmt: skip
        put_json("sleep", [_night(day) for day in days])
        weighed = [(day, day.weight_kg) for day in days if day.weight_kg]
        put_json("weight", [
            {"logId": n, "weight": round(kg / 0.45359237, 6), "bmi": 25.1, "date": f"{day.date:%m/%d/%y}",
             "time": "07:00:00"}
            for n, (day, kg) in enumerate(weighed)
        ])  # fmt: skip
        put_csv("weight", "weight grams", [
            (datetime(day.date.year, day.date.month, day.date.day, 6, tzinfo=UTC), round(kg * 1_000), _PHONE)
            for day, kg in weighed
            if day in new
        ])  # fmt: skip
        scores = [
            (day, "0", "CALCULATION_FAILED") if n % 7 == 0 else (day, str(100 - day.stress), "READY")
            for n, day in enumerate(days)
        ]
        lines = [f"{day.date}T00:00:00,{score},{status}" for day, score, status in scores]
        put("Stress Score/Stress Score.csv", "\n".join(["DATE,STRESS_SCORE,STATUS", *lines]))
        put(
            "Your Profile/Profile.csv",
            f"id,date_of_birth,gender,weight_unit,timezone\nX1,1984-05-17,FEMALE,METRIC,{HOME}\n",
        )
        put("Physical Activity_GoogleData/distance_2024-01-01.csv", "timestamp,distance,data source\n")
        put("Physical Activity_GoogleData/gps_location_2024-01-01.csv", "timestamp,latitude,longitude,data source\n")
        put("Active Zone Minutes (AZM)/Active Zone Minutes - 2024-01-01.csv", "No data\n")


def _minutes(day: LivedDay) -> list[tuple[datetime, int]]:
    found = []
    for walk in day.walks:
        start = walk.end - timedelta(minutes=len(walk.seen))
        found += [(start + timedelta(minutes=n), count) for n, count in enumerate(walk.seen)]
    return found


def _night(day: LivedDay) -> dict[str, Any]:
    seconds = {
        stage: sum((end - start).total_seconds() for start, end, name in day.asleep if name == stage)
        for stage in ("deep", "light", "rem", "awake")
    }
    minutes = {stage: round(value / 60) for stage, value in seconds.items()}
    zone = ZoneInfo(HOME)
    return {
        "logId": day.date.toordinal(),
        "dateOfSleep": str(day.date),
        "startTime": f"{day.asleep[0][0].astimezone(zone):%Y-%m-%dT%H:%M:%S}.000",
        "endTime": f"{day.asleep[-1][1].astimezone(zone):%Y-%m-%dT%H:%M:%S}.000",
        "minutesAsleep": minutes["deep"] + minutes["light"] + minutes["rem"],
        "mainSleep": True,
        "type": "stages",
        "levels": {
            "summary": {
                "wake" if stage == "awake" else stage: {"minutes": value, "count": 1}
                for stage, value in minutes.items()
            }
        },
    }


def _z(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%m/%d/%y %H:%M:%S}"


def _clock_of(day: date, minute: int = 0) -> str:
    return f"{day:%m/%d/%y} {minute // 60:02}:{minute % 60:02}:00"
