"""Days as data points of Open mHealth and IEEE 1752.1: a header that names a schema, and a body that follows it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fitness_assets.export.days import CREATED_AT, Day, measures_of

Body = Mapping[str, Any]


def _quantity(name: str, unit: str, **more: Any) -> Callable[[float], Body]:
    """A body with one quantity; units are those that the schemas allow, which are not all UCUM."""
    return lambda value: {name: {"value": value, "unit": unit}, **more}


_BODIES: dict[str, Callable[[float], Body]] = {
    "steps": _quantity("base_movement_quantity", "steps", activity_name="walking"),
    "heart_rate_avg": _quantity("heart_rate", "beats/min", descriptive_statistic="average"),
    "sleep_hours": _quantity("total_sleep_time", "h"),
    "calories_burned": _quantity("kcal_burned", "kcal"),
    "exercise_minutes": _quantity("duration", "min", activity_name="exercise"),
    "weight_kg": _quantity("body_weight", "kg"),
    "bmi": _quantity("body_mass_index", "kg/m^2"),
}
"""The body of a data point by column, without its time frame."""


def data_points(days: Sequence[Day], zone: ZoneInfo) -> list[dict[str, Any]]:
    """One data point for each value that has a schema.

    Args:
        days: as `days_of` returns them.
        zone: the person's time zone. Tables hold local dates; the standards want the hours in which a day began and
            ended.
    """
    return [point for day in days for point in _points(day, zone)]


def _points(day: Day, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    interval = {
        "start_date_time": _midnight(day["date"], zone),
        "end_date_time": _midnight(day["date"] + timedelta(days=1), zone),
    }
    for measure in measures_of(day):
        if not measure.standard.schema:
            continue
        namespace, name, version = measure.standard.schema.split(":")
        yield {
            "header": {
                "uuid": measure.identifier,
                "schema_id": {"namespace": namespace, "name": name, "version": version},
                "source_creation_date_time": day[CREATED_AT].isoformat(),
                "user_id": day["user_id"],
            },
            "body": {
                **_BODIES[measure.column.name](measure.value),
                "effective_time_frame": {"time_interval": interval},
            },
        }


def _midnight(day: date, zone: ZoneInfo) -> str:
    return datetime.combine(day, time(), zone).isoformat()
