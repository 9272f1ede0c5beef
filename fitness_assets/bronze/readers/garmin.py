"""Garmin's archive of a person's data (the GDPR export of Garmin Connect): daily totals, nights and weights in JSON.

Days are the device's own local days (``calendarDate`` of the record itself, never a nested one). Files of the archive
overlap by a day; the later file counts. A file may have several sleeps of a day. The reader uses the files
``UDSFile_<from>_<to>.json``, ``*_sleepData.json``, ``*_userBioMetrics.json``, ``*_userBioMetricProfileData.json`` and
``user_profile.json``, at any depth.
"""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from fitness_assets.bronze.readers.archives import Archive
from fitness_assets.bronze.readers.profile import ages, gender_record
from fitness_assets.bronze.readers.records import Record, RecordCounter, iso_day, number

VERSION = 3
_FOLDER = re.compile(r"(^|/)(DI_CONNECT|DI-Connect-[A-Za-z-]+)/")
_SOURCE = "Garmin Connect"
_DAILY = {
    "totalSteps": ("steps", "count"),
    "totalKilocalories": ("energy_total", "kcal"),
    "activeKilocalories": ("energy_active", "kcal"),
    "bmrKilocalories": ("energy_basal", "kcal"),
    "restingHeartRate": ("resting_heart_rate", "bpm"),
    "minHeartRate": ("heart_rate_min", "bpm"),
    "maxHeartRate": ("heart_rate_max", "bpm"),
    "durationInMilliseconds": ("day_length", "ms"),
}
_INTENSITY = ("moderateIntensityMinutes", "vigorousIntensityMinutes")
_STAGES = {
    "deepSleepSeconds": "deep",
    "lightSleepSeconds": "light",
    "remSleepSeconds": "rem",
    "awakeSleepSeconds": "awake",
}
_STRESS = "0 to 100, high is stressed"
_NEVER_ZERO = {"resting_heart_rate", "heart_rate_min", "heart_rate_max", "weight", "height", "nap"}

_Days = dict[tuple[str, int | None, int | None], list[Record]]
"""Records by type, day and start."""


def matches(archive: Archive) -> bool:
    """Whether it is such an archive."""
    return any(_FOLDER.search(entry.name) for entry in archive.entries)


def records(archive: Archive, counter: RecordCounter) -> Iterator[Record]:
    """Yield the records; those of a later file replace those of an earlier one for the same day."""
    days: _Days = {}
    for entry in sorted(archive.entries, key=lambda entry: (entry.base, entry.index)):
        read = next((reader for pattern, reader in _READERS if re.search(pattern, entry.base)), None)
        if read is None or entry.base.startswith("._"):  # what macOS adds beside each file
            counter.see("other files")
            counter.drop("other files", "not_mapped")
            continue
        try:
            content = json.loads(archive.read(entry))
        except (ValueError, RecursionError):
            counter.see("unreadable files")
            counter.drop("unreadable files", "invalid", "no JSON")
            counter.warnings.append(f"a file of the archive is no JSON and was left out: {_kind_of(entry.base)}")
            continue
        of_file: _Days = {}
        for item in content if isinstance(content, list) else [content]:
            _replace(of_file, _by_key((record.start, record) for record in read(item, counter)), counter)
        found = chain.from_iterable(of_file.values())
        # The sleep of a day is one thing with all its stages: a later file may have another start for it.
        _replace(days, _by_key((None if record.type == "sleep" else record.start, record) for record in found), counter)
    yield from chain.from_iterable(days.values())


def _by_key(found: Iterable[tuple[int | None, Record]]) -> _Days:
    by_key: _Days = {}
    for start, record in found:
        by_key.setdefault((record.type, record.day, start), []).append(record)
    return by_key


def _replace(days: _Days, later: _Days, counter: RecordCounter) -> None:
    """Replace records by later ones, and count them."""
    for key, records in later.items():
        same = {*records}
        for before in days.get(key, ()):
            counter.drop(before.type, "duplicate" if before in same else "overlapped")
    days.update(later)


def _kind_of(base: str) -> str:
    return next(re.sub(r"[^A-Za-z_]", "", pattern) for pattern, _ in _READERS if re.search(pattern, base))


def _uds(item: Any, counter: RecordCounter) -> Iterator[Record]:
    """One day; other objects, such as hydration, stand in the same list."""
    fields = {*_DAILY, *_INTENSITY, "allDayStress"}
    if not isinstance(item, dict) or not fields & item.keys():
        counter.see("other objects")
        counter.drop("other objects", "not_mapped")
        return
    day, why = iso_day(item.get("calendarDate")), None
    if day is None:
        why = "no calendarDate"
    elif item.get("includesWellnessData") is False or (_number_of(item, "totalSteps") is None):
        why = "a day without wellness data"
    found: list[tuple[str, str | None, float | None]] = [
        (*_DAILY[name], _number_of(item, name)) for name in _DAILY if item.get(name) is not None
    ]
    minutes = [_number_of(item, name) for name in _INTENSITY if item.get(name) is not None]
    if known := [value for value in minutes if value is not None and value >= 0]:
        found.append(("exercise", "min", sum(known)))
    found += [("exercise", "min", value) for value in minutes if value is None or value < 0]
    if stress := _stress(item):
        found.append(("stress", None, stress[0]))
    if not found:
        found.append(("steps", "count", None))
    for type_, unit, value in found:
        counter.see(type_)
        reason = why or _reason(type_, value)
        if reason:
            counter.drop(type_, "invalid", reason)
        else:
            yield Record(type_, value, unit, day=day, source=_SOURCE, text=_STRESS if type_ == "stress" else None)


def _reason(type_: str, value: float | None) -> str | None:
    """Why a value means that nothing was measured; None where it is a measurement."""
    if value is None:
        return "no number"
    if value < 0:
        return "a code for no measurement"
    return "zero means not measured" if value == 0 and type_ in _NEVER_ZERO else None


def _stress(item: dict[str, Any]) -> tuple[float | None] | None:
    """The stress of the whole day, in a tuple; None where the day has none."""
    stress = item.get("allDayStress")
    totals = stress.get("aggregatorList") if isinstance(stress, dict) else None
    for total in totals if isinstance(totals, list) else []:
        if isinstance(total, dict) and total.get("type") == "TOTAL" and "averageStressLevel" in total:
            return (number(total["averageStressLevel"]),)
    return None


def _sleep(item: Any, counter: RecordCounter) -> Iterator[Record]:
    """One night and its naps, on the day of waking; asleep is the sum of stages, and awake is none of them."""
    if not isinstance(item, dict):
        counter.see("other objects")
        counter.drop("other objects", "not_mapped")
        return
    stages = [(stage, _number_of(item, name)) for name, stage in _STAGES.items() if item.get(name) is not None]
    day = iso_day(item.get("calendarDate"))
    is_stub = not any(value for stage, value in stages if stage != "awake")
    if not stages:
        counter.see("sleep")
        counter.drop("sleep", "invalid", "a night without stages")
    for stage, value in stages:
        counter.see("sleep")
        if day is None:
            counter.drop("sleep", "invalid", "no calendarDate")
        elif is_stub:
            counter.drop("sleep", "invalid", "a night without stages")
        elif reason := _reason("sleep", value):
            counter.drop("sleep", "invalid", reason)
        else:
            yield Record("sleep", value, "s", *_times(item, "sleep"), day=day, source=_SOURCE, text=stage)
    naps = item.get("napList")
    for nap in naps if isinstance(naps, list) else []:
        counter.see("sleep")
        value = _number_of(nap, "napTimeSec") if isinstance(nap, dict) else None
        if reason := _reason("nap", value) if day is not None else "no calendarDate":
            counter.drop("sleep", "invalid", reason)
        else:
            yield Record("sleep", value, "s", *_times(nap, "nap"), day=day, source=_SOURCE, text="asleep")


def _times(item: dict[str, Any], name: str) -> tuple[int | None, int | None]:
    """Start and end of a sleep; None for both if they make no sense."""
    start, end = _gmt(item.get(f"{name}StartTimestampGMT")), _gmt(item.get(f"{name}EndTimestampGMT"))
    return (start, end) if start is not None and end is not None and start <= end else (None, None)


def _weight(item: Any, counter: RecordCounter) -> Iterator[Record]:
    """One weighing, in grams."""
    weight = item.get("weight") if isinstance(item, dict) else None
    if not isinstance(weight, dict):
        counter.see("other objects")
        counter.drop("other objects", "not_mapped")
        return
    about = item.get("metaData")
    day = iso_day(str(about.get("calendarDate"))[:10]) if isinstance(about, dict) else None
    start, value = _gmt(weight.get("timestampGMT")), _number_of(weight, "weight")
    counter.see("weight")
    reason = "no day" if day is None and start is None else _reason("weight", value)
    if reason:
        counter.drop("weight", "invalid", reason)
        return
    device = weight.get("sourceType")
    yield Record(
        "weight", value, "g", start, day=day, source=_SOURCE, device=device if isinstance(device, str) else None
    )


def _body(item: Any, counter: RecordCounter) -> Iterator[Record]:
    """The height of the profile, in centimetres."""
    value = item.get("height") if isinstance(item, dict) else None
    if value is None:
        return
    counter.see("height")
    if reason := _reason("height", number(value)):
        counter.drop("height", "invalid", reason)
    else:
        yield Record("height", number(value), "cm", source=_SOURCE)


def _person(item: Any, counter: RecordCounter) -> Iterator[Record]:
    """Birth date and gender; nothing else of this file is read."""
    if isinstance(item, dict):
        yield from ages(item.get("birthDate"), _SOURCE, counter)
        yield from gender_record(item.get("gender"), _SOURCE, counter)


def _number_of(item: dict[str, Any], name: str) -> float | None:
    return number(item.get(name))


def _gmt(value: Any) -> int | None:
    """Milliseconds since 1970 of ``2026-10-04T22:58:00.0`` in UTC, or of a number that is that already."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return int(value) if abs(value) < 1e14 else None
    match = re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", value) if isinstance(value, str) else None
    try:
        return int(datetime.fromisoformat(match[0]).replace(tzinfo=UTC).timestamp() * 1_000) if match else None
    except ValueError:
        return None


_READERS = (
    (r"^UDSFile_.*\.json$", _uds),
    (r"sleepData\.json$", _sleep),
    (r"userBioMetrics\.json$", _weight),
    (r"userBioMetricProfileData\.json$", _body),
    (r"^user_profile\.json$", _person),
)
