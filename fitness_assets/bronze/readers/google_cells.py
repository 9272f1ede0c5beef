"""Reads cells and JSON values of Google Health and Fitbit: times, offsets, sleep stages, and codes for "no value"."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from statistics import median
from typing import Any

from fitness_assets.bronze.readers.records import days_of, number

_DAY = 86_400_000
_TALL = 2.1
"""Metres. Nearly all people are shorter. If pounds are taken as kg, everybody above 1.42 m seems taller than this."""
_NEVER_ZERO = {"heart_rate", "weight", "height", "resting_heart_rate", "stress", "bmi", "sleep"}


def stages_of(item: dict[str, Any]) -> dict[str, float]:
    """Minutes by stage of one sleep; empty where it has no stages."""
    levels = item.get("levels")
    summary = levels.get("summary") if isinstance(levels, dict) else None
    found = {}
    for name, stage in (("deep", "deep"), ("light", "light"), ("rem", "rem"), ("wake", "awake")):
        said = summary.get(name) if isinstance(summary, dict) else None
        minutes = number(said.get("minutes")) if isinstance(said, dict) else None
        if minutes is not None and minutes >= 0:
            found[stage] = minutes
    return found


def unit_of_weights(weights: Sequence[tuple[int, float, float | None]], known: Mapping[int, float]) -> str:
    """The unit of weights of JSON files, ``kg`` or ``lb``; files seen so far have pounds.

    Weights of CSV files for the same days, in grams, tell it; else the heights that weight and BMI imply.

    Args:
        weights: days since 1970, weight and BMI.
        known: weights in kg by day.
    """
    ratios = [value / known[day] for day, value, _ in weights if known.get(day)]
    if ratios:
        return "kg" if 0.9 < median(ratios) < 1.1 else "lb"
    heights = [sqrt(value / bmi) for _, value, bmi in weights if bmi and bmi > 0]
    return "kg" if heights and median(heights) < _TALL else "lb"


def why_wrong(start: int | None, value: float | None, type_: str) -> str | None:
    """Why a record is no measurement."""
    if start is None:
        return "no time"
    if value is None:
        return "no number"
    if value < 0:
        return "a code for no measurement"
    return "zero means not measured" if value == 0 and type_ in _NEVER_ZERO else None


def utc_of(text: str) -> int | None:
    """Milliseconds of ``2024-01-05T07:10:00Z``, with or without an offset; without one it is UTC."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None


def clock_of(text: Any) -> int | None:
    """Milliseconds of ``01/05/24 07:10:00`` as if it were UTC; whose time it is depends on the family."""
    match = re.fullmatch(r"(\d\d)/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d)", text) if isinstance(text, str) else None
    if match is None:
        return None
    month, day, year, hours, minutes, seconds = map(int, match.groups())
    try:
        days = days_of(date(2000 + year, month, day))
    except ValueError:
        return None
    return days * _DAY + int(timedelta(hours=hours, minutes=minutes, seconds=seconds).total_seconds()) * 1_000


def offset_of(text: str | None) -> int | None:
    """Seconds of ``+02:00``, ``+0200`` or ``7200``."""
    match = re.fullmatch(r"\s*([+-]?)(\d\d):?(\d\d)(:?\d\d)?\s*", text or "")
    if match:
        seconds = int(match[2]) * 3_600 + int(match[3]) * 60
        return -seconds if match[1] == "-" else seconds
    value = number((text or "").strip().removesuffix("s"))
    return int(value) if value is not None and abs(value) <= 64_800 else None
