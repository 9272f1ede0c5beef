"""Makes the days of one person from the records in ``bronze/measurements``."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from fitness_assets.bronze.readers.records import day_of, days_of
from fitness_assets.bronze.units import factor
from fitness_assets.silver.devices.nights import sleep_by_day
from fitness_assets.silver.devices.person import (
    ByDay,
    Measured,
    Person,
    Records,
    Upload,
    Value,
    best_points,
    highest_of_day,
    last_of_day,
    last_weight_of_day,
    lowest_of_day,
    mean_of_bins,
    mean_of_day,
    merged_sums,
)
from fitness_assets.silver.devices.streams import Order, Stream
from fitness_assets.silver.devices.zones import days_between, zone_on

_STATEMENTS = ("gender", "height", "zone", "source_order", "age")
_BIN_MINUTES = 5
_EXERCISE = {
    "garmin": "moderate and vigorous minutes",
    "apple_health": "Apple exercise minutes",
    "health_connect": "length of sessions",
    "google_health": "moderately and very active minutes",
    "oura": "medium and high activity",
}


class Day(NamedTuple):
    """The values of devices for one day of a person.

    Attributes:
        date: the local day.
        cells: values by raw column; none is None.
        sources: by raw column, the streams that a value was made from, for a person.
        before_csv: raw columns whose value counts before that of a CSV file.
        extra: what else is known, by the names that ``docs/devices.md`` lists.
    """

    date: date
    cells: dict[str, Any]
    sources: dict[str, str]
    before_csv: set[str]
    extra: dict[str, Any]


class Statements:
    """Facts about a person, stated by the person or by a vendor.

    Args:
        measured: the records.
        uploads: by id.

    Attributes:
        zones: the zone from each day on, in days since 1970.
        order: of the sources.
        gender: M, F or None.
        height_m: in metres, or None.
    """

    def __init__(self, measured: Measured, uploads: Mapping[str, Upload]) -> None:
        rows = measured.records(_STATEMENTS).to_pylist()
        # What the profile says counts before what vendors say, then the newer upload.
        rows.sort(key=lambda row: (uploads[row["upload_id"]].kind == "profile", uploads[row["upload_id"]].place))
        of_type = {name: [row for row in rows if row["type"] == name] for name in _STATEMENTS}
        last = {name: of[-1]["upload_id"] for name, of in of_type.items() if of}
        mine = {name: [row for row in of if row["upload_id"] == last[name]] for name, of in of_type.items()}
        self.zones = {_number(row["day"]): row["text"] for row in mine["zone"]}
        own, of_phone = (_names(of_type["source_order"], uploads, kind) for kind in ("profile", "health_connect"))
        self.order = Order(own, of_phone, {upload.kind for upload in uploads.values()})
        self.gender = next((row["text"] for row in mine["gender"]), None)
        heights = [row["value"] * (factor("height", row["unit"]) or math.nan) for row in mine["height"]]
        self.height_m = heights[-1] if heights else None
        self._ages = sorted((_number(row["day"]), int(row["value"])) for row in mine["age"])

    def age(self, day: int) -> int | None:
        """The age on a day; None if nobody says it."""
        return next((age for start, age in reversed(self._ages) if start <= day), None)


def _names(rows: Sequence[dict[str, Any]], uploads: Mapping[str, Upload], kind: str) -> list[str]:
    """The names of sources, the best first, that the newest upload of a kind gives."""
    of_kind = [row for row in rows if uploads[row["upload_id"]].kind == kind]
    newest = max((uploads[row["upload_id"]].place for row in of_kind), default=0)
    mine = [row for row in of_kind if uploads[row["upload_id"]].place == newest]
    return [row["text"] for row in sorted(mine, key=lambda row: row["value"])]


def _number(day: date | None) -> int:
    return -1_000_000 if day is None else days_of(day)


def merged_days(measured: Measured, uploads: Mapping[str, Upload]) -> Iterator[Day]:
    """Make the days of one person, in order.

    Args:
        measured: the person's records.
        uploads: the uploads that count, by id.
    """
    of_person = Statements(measured, uploads)
    found = {Stream(uploads[row["upload_id"]].kind, row["source"], row["device"]) for row in measured.streams()}
    period = measured.period()
    if not period:
        return
    first, last = map(_number, period)
    days = days_between(first, last, of_person.zones)
    streams = sorted(found, key=of_person.order.key)
    person = Person(uploads, streams, of_person.order, of_person.zones, days, measured)
    columns = _columns(person, of_person)
    every = sorted({day for by_day in columns.values() for day in by_day})
    for day in every:
        values = {name: by_day[day] for name, by_day in columns.items() if day in by_day}
        made = _day(day, values, of_person, person)
        if day in (every[0], every[-1]):
            made.extra["partial_day"] = True
        yield made


def _columns(person: Person, of_person: Statements) -> dict[str, ByDay]:
    sums = {
        name: merged_sums(person, name)
        for name in ("steps", "energy_total", "energy_active", "energy_basal", "exercise")
    }
    points = {
        "heart_rate_avg": best_points(person, person.means("heart_rate", _BIN_MINUTES), mean_of_bins),
        "weight_kg": best_points(person, person.records("weight"), last_weight_of_day),
        "reported_bmi": best_points(person, person.records("bmi"), last_of_day),
        "resting_hr_bpm": best_points(person, person.records("resting_heart_rate"), mean_of_day),
        "hr_min_bpm": best_points(person, person.records("heart_rate_min"), lowest_of_day),
        "hr_max_bpm": best_points(person, person.records("heart_rate_max"), highest_of_day),
        "vendor_stress": best_points(person, person.records("stress"), _stress_of_day),
        "basal_rate_kcal": best_points(person, person.records("basal_rate"), last_of_day),
        "day_hours": best_points(person, person.records("day_length"), last_of_day),
    }
    energy = dict(sums["energy_total"])
    for day in sums["energy_active"].keys() & sums["energy_basal"].keys() - energy.keys():
        active, basal = sums["energy_active"][day], sums["energy_basal"][day]
        streams = tuple(dict.fromkeys((*active.streams, *basal.streams)))
        energy[day] = Value(active.value + basal.value, streams, basis=active.basis)
    return {
        "steps": sums["steps"],
        "sleep_hours": sleep_by_day(person),
        "calories_burned": energy,
        "exercise_minutes": sums["exercise"],
        "active_kcal": sums["energy_active"],
        "basal_kcal": sums["energy_basal"],
        **points,
        "bmi": _bmi(points["weight_kg"], points["reported_bmi"], of_person.height_m),
    }


def _stress_of_day(records: Records) -> tuple[float, dict[str, Any]]:
    """The mean of what a vendor calls stress, on the vendor's scale."""
    return float(records.value.mean()), {"scale": records.text[-1]}


def _bmi(weights: ByDay, reported: ByDay, height_m: float | None) -> ByDay:
    """By weight and height; what a vendor says only where no height is known."""
    if height_m is None:
        return {day: value._replace(extra={"bmi_basis": "reported"}) for day, value in reported.items()}
    return {
        day: Value(weight.value / height_m**2, weight.streams, {"bmi_basis": "computed"})
        for day, weight in weights.items()
    }


_RAW = {
    "steps": 0,
    "heart_rate_avg": 2,
    "sleep_hours": 3,
    "calories_burned": 1,
    "exercise_minutes": 1,
    "weight_kg": 3,
    "bmi": 2,
}
"""Columns that become those of a day, with their decimals. Stress of vendors is no rating of a person."""

_SUMS = ("steps", "calories_burned", "exercise_minutes")
_MERGE_RULES = "intervals", "vendor_total"
"""How these columns are made: merged by interval, or a total of the best source of the day."""

_EXTRA = (
    "resting_hr_bpm",
    "hr_min_bpm",
    "hr_max_bpm",
    "active_kcal",
    "basal_kcal",
    "basal_rate_kcal",
    "vendor_stress",
    "day_hours",
)


def _day(day: int, values: Mapping[str, Value], of_person: Statements, person: Person) -> Day:
    extra: dict[str, Any] = {name: round(values[name].value, 2) for name in _EXTRA if name in values}
    cells: dict[str, Any] = {"age": of_person.age(day), "gender": of_person.gender}
    sources: dict[str, str] = {}
    before_csv = set()
    for name, decimals in _RAW.items():
        if name not in values:
            continue
        value, streams, more, _ = values[name]
        extra |= more
        if math.isnan(value):
            continue
        cells[name] = round(value, decimals) if decimals else math.floor(value + 0.5)
        sources[name] = "; ".join(stream.label for stream in streams)
        if person.order.comes_before_csv(streams[0]):
            before_csv.add(name)
    if "exercise_minutes" in cells:
        extra["exercise_rule"] = _EXERCISE.get(values["exercise_minutes"].streams[0].kind)
    if rules := {name: _MERGE_RULES[values[name].basis == "vendor_date"] for name in _SUMS if name in cells}:
        extra["merge_rule"] = rules
    if "vendor_stress" in values:
        extra["vendor_stress_scale"] = values["vendor_stress"].extra["scale"]
    extra["n_sources"] = len({stream for value in values.values() for stream in value.streams})
    basis = next((values[name].basis for name in _RAW if name in values and values[name].basis), "zone")
    own_zone = "person_zone" if of_person.zones else "assumed"
    extra["zone_basis"] = own_zone if basis == "zone" else basis
    extra["zone"] = zone_on(day, of_person.zones)
    known = {name: value for name, value in cells.items() if value is not None}
    return Day(day_of(day), known, sources, before_csv, extra)
