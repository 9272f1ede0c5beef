"""The profile of a person, ``raw/people/<user_id>/profile.toml``: facts that no export contains.

    birth_date = 1984-05-17         # or birth_year = 1984
    gender = "F"
    height_cm = 168
    time_zone = "Europe/Berlin"
    time_zone_changes = [{ from = 2024-03-01, zone = "Asia/Tokyo" }, { from = 2024-03-15, zone = "Europe/Berlin" }]
    sources = ["garmin", "Apple Watch", "csv"]      # the best first: kinds of archives, apps or devices

The birth date itself is not stored: in the lake each year of age starts on the first day of a month.
"""

import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fitness_assets.bronze.readers.cells import gender, listed, shown
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.records import Record, RecordCounter, day_of, days_of, iso_day, number

VERSION = 2
NAME = "profile.toml"
SOURCE = "profile"
_KEYS = {"birth_date", "birth_year", "gender", "height_cm", "time_zone", "time_zone_changes", "sources"}
_MOST_BYTES = 100_000
_OLDEST = 110


def read_profile(path: Path) -> dict[str, Any]:
    """Read a profile.

    Raises:
        RefusedError: if it is not TOML.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise RefusedError(f"the profile has more than {_MOST_BYTES:,} bytes")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError) as error:
        raise RefusedError(f"the profile is not TOML: {shown(str(error), 200)}") from error


def records(profile: dict[str, Any], counter: RecordCounter) -> Iterator[Record]:
    """What a profile says, as records; what is wrong with it becomes a warning."""
    if unknown := sorted(profile.keys() - _KEYS):
        counter.warnings.append(
            f"the profile has unknown keys: {listed(unknown)}; known are {', '.join(sorted(_KEYS))}"
        )
    born, year = profile.get("birth_date"), profile.get("birth_year")
    if born is None and year is not None:
        is_year = type(year) is int and 1900 <= year <= 2100
        # In the middle of the year, so that the age is never off by more than half a year.
        born = date(year, 7, 1) if is_year else "?"
    yield from ages(born, SOURCE, counter)
    yield from gender_record(profile.get("gender"), SOURCE, counter)
    if (height := profile.get("height_cm")) is not None:
        counter.see("height")
        value = number(height)
        if value is None or not 50 <= value <= 280:
            counter.drop("height", "invalid", "height_cm is not between 50 and 280")
            counter.warnings.append("the profile's height_cm is not a number between 50 and 280")
        else:
            yield Record("height", value, "cm", source=SOURCE)
    yield from _zones(profile, counter)
    yield from _order(profile.get("sources"), counter)


def ages(birth_date: object, source: str, counter: RecordCounter) -> Iterator[Record]:
    """The years of age of a person, each from the first day of a month on: that of the birthday or the next one."""
    if birth_date is None:
        return
    day = birth_date if isinstance(birth_date, date) else None
    if isinstance(birth_date, str) and (days := iso_day(birth_date[:10])) is not None:
        day = day_of(days)
    if day is None or not 1900 <= day.year <= 2100:
        counter.see("age")
        counter.drop("age", "invalid", "the birth date is not a day")
        counter.warnings.append(
            f"the birth date of the {source} is not a day YYYY-MM-DD, or a year, between 1900 and 2100"
        )
        return
    month = day.year * 12 + day.month - 1 + (day.day > 1)
    counter.see("age", _OLDEST)
    for years in range(1, _OLDEST + 1):
        start = days_of(date(month // 12 + years, month % 12 + 1, 1))
        yield Record("age", float(years), "years", day=start, source=source)


def gender_record(text: object, source: str, counter: RecordCounter) -> Iterator[Record]:
    """The gender, if it is M or F; vendors have other words, which stay out."""
    if text is None:
        return
    counter.see("gender")
    if known := gender(str(text).strip()):
        yield Record("gender", source=source, text=known)
    else:
        counter.drop("gender", "not_mapped")


def _zones(profile: dict[str, Any], counter: RecordCounter) -> Iterator[Record]:
    found: list[tuple[Any, Any]] = [(None, profile["time_zone"])] if "time_zone" in profile else []
    changes = profile.get("time_zone_changes", [])
    for change in changes if isinstance(changes, list) else [changes]:
        day, zone = (change.get("from"), change.get("zone")) if isinstance(change, dict) else (None, None)
        found.append((day if type(day) is date else "?", zone))
    for day, zone in found:
        counter.see("zone")
        if day == "?":
            counter.drop("zone", "invalid", "a change without a day")
            counter.warnings.append('time_zone_changes of the profile: write {from = YYYY-MM-DD, zone = "Area/City"}')
        elif not is_zone(zone):
            counter.drop("zone", "invalid", "no known time zone")
            counter.warnings.append(
                f"the profile's time zone '{shown(str(zone))}' is unknown: write it as Europe/Berlin"
            )
        else:
            yield Record("zone", day=days_of(day) if isinstance(day, date) else None, source=SOURCE, text=zone)


def is_zone(name: object) -> bool:
    """Whether the time zone database has a zone of that name."""
    if not isinstance(name, str) or not name or len(name) > 64:
        return False
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown zones, and names that are no names of zones
        return False
    return True


def _order(sources: object, counter: RecordCounter) -> Iterator[Record]:
    if sources is None:
        return
    names = sources if isinstance(sources, list) else [sources]
    counter.see("source_order", len(names))
    for place, name in enumerate(names):
        if isinstance(name, str) and name.strip():
            yield Record("source_order", float(place), source=SOURCE, text=name.strip())
        else:
            counter.drop("source_order", "invalid", "no name")
            counter.warnings.append("the profile's sources have to be a list of names")
