"""The table of days with values from devices."""

from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
from fitness_assets.schema.rules import Rule
from fitness_assets.schema.table import Column, Table

_KEY = MEASUREMENTS.key
_VALUES = (f"{_KEY}.value", f"{_KEY}.type", f"{LOGGED_DAYS.key}.steps")


def _both(column: Column) -> Column:
    """A raw column, which records and CSV files may fill."""
    sources = (f"{_KEY}.value", f"{LOGGED_DAYS.key}.{column.name}")
    return column.from_table(LOGGED_DAYS.key, sources=sources, nullable=column.name not in ("user_id", "date"))


DEVICE_DAYS = Table(
    "silver/device_days",
    "One row for each person and day of which archives of devices know something: their records merged, and what CSV "
    "files say of the same day. The cleaning rules judge these rows like those of CSV files.",
    "user and day",
    (
        Column(
            "upload_id",
            "string",
            "The newest upload of the person that counts.",
            "9f86d081884c7d65",
            nullable=False,
            sources=(f"{_KEY}.upload_id",),
        ),
        Column(
            "row_number",
            "bigint",
            "The day, in days since 1970-01-01.",
            19_972,
            nullable=False,
            sources=(f"{_KEY}.day",),
        ),
        *(_both(column) for column in RAW_COLUMNS),
        Column(
            "extra",
            "string",
            "What else devices say of the day, as JSON; see docs/devices.md.",
            '{"resting_hr_bpm": 52.0}',
            sources=_VALUES[:2],
            is_free_text=True,
        ),
        Column(
            "sources",
            "string",
            "Where each value of the row comes from, as JSON: csv, or the kind of archive with app and device.",
            '{"steps": "apple_health: Watch; apple_health: Phone", "stress_level": "csv"}',
            nullable=False,
            sources=(f"{_KEY}.source", f"{_KEY}.device", f"{LOGGED_DAYS.key}.steps"),
            is_free_text=True,  # people give their devices their own names
        ),
        Column(
            "measured",
            "string",
            "What devices alone say, as JSON: the values by column, their sources, and the columns that count before"
            " those of CSV files.",
            '{"cells": {"steps": 8120}, "sources": {"steps": "garmin: Garmin Connect"}, "before_csv": []}',
            nullable=False,
            sources=_VALUES[:2],
            is_free_text=True,
        ),
        Column(
            "ingested_at",
            "timestamp",
            "One microsecond after the newest upload that the row was made from: the row counts before its rows.",
            LOGGED_DAYS["ingested_at"].example,
            nullable=False,
            sources=(f"{_KEY}.ingested_at", f"{LOGGED_DAYS.key}.ingested_at"),
        ),
    ),
    ("user_id", "date"),
    own_rules=(
        Rule(
            "energy_is_plausible",
            "No day has a total energy below what its active energy is, or below 600 kcal: then a unit may be wrong.",
            "calories_burned < greatest(600, coalesce(TRY_CAST(json_extract(extra, '$.active_kcal') AS DOUBLE), 0))",
            {"calories_burned": 500.0},
            "warning",
        ),
    ),
    range_severity="warning",
    by_month=True,
)
