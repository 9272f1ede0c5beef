"""A small archive like Garmin's export of all data, with its quirks."""

import json
import zipfile
from collections.abc import Sequence
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fitness_assets.sample.life import HOME, LivedDay

_FOLDER = "6f1c4e2a-0d9b-4a5e-9f57-1c2d3e4f5a6b/DI_CONNECT"
_ADDRESS = "anna.example@example.org"
_DAYS_OF_FILE = 100


def write(path: Path, days: Sequence[LivedDay]) -> None:
    """Write the archive.

    Args:
        path: of the archive.
        days: what happened.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:

        def put(name: str, content: Any) -> None:
            archive.writestr(f"{_FOLDER}/{name}", json.dumps(content))

        for number, start in enumerate(range(0, len(days), _DAYS_OF_FILE)):
            # The files overlap by one day, which the earlier one has only in part.
            part = days[start : start + _DAYS_OF_FILE + 1]
            is_cut = start + _DAYS_OF_FILE < len(days)
            objects = [_day(day, is_cut and day is part[-1]) for day in part]
            objects.append({"calendarDate": str(part[0].date), "hydration": {"goalInML": 2000.0}})
            put(f"DI-Connect-Aggregator/UDSFile_{part[0].date}_{part[-1].date}.json", objects)
            nights = [_night(day) for day in part[: len(part) - is_cut]]
            # Older files have stubs.
            nights.append({"sleepStartTimestampGMT": "2024-01-01T00:00:00.0"})
            nights.append({"calendarDate": "2019-05-01", "deepSleepSeconds": 0, "lightSleepSeconds": 0})
            put(f"DI-Connect-Wellness/{part[0].date}_{part[-1].date}_{number}_sleepData.json", nights)
        put(f"DI-Connect-Wellness/{_ADDRESS}_userBioMetrics.json", [w for day in days for w in _weights(day)])
        put(f"DI-Connect-Wellness/{_ADDRESS}_userBioMetricProfileData.json", [{"height": 168.0, "weight": 72_000.0}])
        put("DI-Connect-User/user_profile.json", {"birthDate": "1984-05-17", "gender": "FEMALE", "email": _ADDRESS})
        put(f"DI-Connect-Fitness/{_ADDRESS}_0_summarizedActivities.json", [])


def _day(day: LivedDay, is_part: bool) -> dict[str, Any]:
    local = ZoneInfo(HOME)
    start = min(walk.start for walk in day.walks).astimezone(local).replace(hour=0, minute=0)
    end = (start + timedelta(days=1)).astimezone(UTC)
    return {
        "calendarDate": str(day.date),
        "uuid": {"uuid": "0b1c"},
        "includesWellnessData": True,
        "totalSteps": day.steps // 2 if is_part else day.steps,
        "totalKilocalories": day.active_kcal + day.basal_kcal,
        "activeKilocalories": day.active_kcal,
        "bmrKilocalories": day.basal_kcal,
        "moderateIntensityMinutes": day.exercise - 5,
        "vigorousIntensityMinutes": 5,
        "restingHeartRate": day.resting_bpm,
        "minHeartRate": day.resting_bpm - 4,
        "maxHeartRate": 151,
        "durationInMilliseconds": round((end - start.astimezone(UTC)).total_seconds() * 1_000),
        "wellnessStartTimeGmt": f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.0",
        "wellnessStartTimeLocal": f"{start:%Y-%m-%dT%H:%M:%S}.0",
        "allDayStress": {
            "aggregatorList": [
                {"type": "AWAKE", "averageStressLevel": day.stress + 10},
                {"type": "TOTAL", "averageStressLevel": -2 if day.date.day == 1 else day.stress},
            ]
        },
    }


def _night(day: LivedDay) -> dict[str, Any]:
    seconds = {
        stage: round(sum((end - start).total_seconds() for start, end, name in day.asleep if name == stage))
        for stage in ("deep", "light", "rem", "awake")
    }
    return {
        # The need of the next night stands inside, with a date of its own.
        "nextSleepNeed": {"calendarDate": str(day.date + timedelta(days=1)), "actual": 480},
        "calendarDate": str(day.date),
        "sleepStartTimestampGMT": f"{day.asleep[0][0]:%Y-%m-%dT%H:%M:%S}.0",
        "sleepEndTimestampGMT": f"{day.asleep[-1][1]:%Y-%m-%dT%H:%M:%S}.0",
        "sleepWindowConfirmationType": "ENHANCED_CONFIRMED_FINAL",
        **{f"{stage}SleepSeconds": value for stage, value in seconds.items()},
        "unmeasurableSeconds": 0,
    }


def _weights(day: LivedDay) -> list[dict[str, Any]]:
    """Two weighings on days with one: the last counts."""
    if day.weight_kg is None:
        return []
    return [
        {
            "metaData": {"calendarDate": f"{day.date}T00:00:00.0", "sequence": 1},
            "weight": {"weight": grams, "sourceType": "INDEX_SCALE", "timestampGMT": f"{day.date}T{hour:02}:00:00.0"},
        }
        for hour, grams in ((20, day.weight_kg * 1_000), (6, day.weight_kg * 1_000 + 700))
    ]
