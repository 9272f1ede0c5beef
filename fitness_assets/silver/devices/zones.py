"""The local days of a person: the zone of the profile, with its dated changes."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from fitness_assets.bronze.readers.records import day_of
from fitness_assets.silver.devices.intervals import Days

UTC = "UTC"


def days_between(first: int, last: int, zones: Mapping[int, str]) -> Days:
    """The days of a person.

    Args:
        first: the first day that is needed, in days since 1970.
        last: the last one.
        zones: the zone from each day on; before the first of them, it is the earliest one.

    Returns:
        Days with one more at each end, because local days and those of UTC differ.
    """
    numbers = range(first - 2, last + 3)
    starts = sorted(zones)
    midnights, at = [], 0
    for number in (*numbers, numbers.stop):
        while at + 1 < len(starts) and starts[at + 1] <= number:
            at += 1
        zone = ZoneInfo(zones[starts[at]]) if starts else ZoneInfo(UTC)
        day = day_of(number)
        midnights.append(int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1_000))
    # A person who crosses the date line may never have had a day.
    return Days(np.maximum.accumulate(np.array(midnights, np.int64)), numbers.start)


def zone_on(day: int, zones: Mapping[int, str]) -> str:
    """The zone of a day."""
    starts = sorted(zones)
    before = [start for start in starts if start <= day] or starts[:1]
    return zones[before[-1]] if before else UTC
