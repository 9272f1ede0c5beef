"""The table of device records: one long table for all kinds of archives."""

import re
from datetime import UTC, date, datetime
from functools import lru_cache

from fitness_assets.bronze.columns import INGESTED_AT, KNOWN_UPLOADS, UPLOAD_ID
from fitness_assets.schema.rules import Rule
from fitness_assets.schema.table import Column, Table

STATEMENTS = ("gender", "height", "zone", "source_order")
"""Types of records that say something of the person and need no day; those with a day hold from that day on."""

TYPES = (
    "steps",
    "heart_rate",
    "resting_heart_rate",
    "heart_rate_min",
    "heart_rate_max",
    "energy_total",
    "energy_active",
    "energy_basal",
    "basal_rate",
    "exercise",
    "sleep",
    "weight",
    "bmi",
    "stress",
    "day_length",
    "age",
    *STATEMENTS,
)
"""What a record of ``bronze/measurements`` can be about."""

WORN = "watch|band|ring|wear|tracker|vivo|forerunner|fenix|venu|fitbit|garmin|whoop|oura|polar|charge|versa"
PHONE = "phone|pixel|galaxy|mobile|handset|ipad|ipod"
"""Regular expressions for names of devices that are worn, and of phones; upper or lower case."""

_ORIGINS = {
    r"^connect$|^garmin connect health ?kit$": {"garmin", "garmin_web"},
    r"health ?kit$": {"apple_health"},
    r"health connect$|^com\.google\.android\.apps\.healthdata$": {"health_connect"},
    r"^strava$": {"garmin", "garmin_web", "apple_health", "health_connect", "google_health", "samsung_health"},
}
"""Names of apps that copy, and the kinds of archives in which may be what they copied."""


@lru_cache(1_000)
def origins(app: str | None) -> frozenset[str]:
    """The kinds of archives in which may be what an app copied; none for an app that measures itself."""
    found = (kinds for name, kinds in _ORIGINS.items() if re.search(name, app or "", re.IGNORECASE))
    return frozenset().union(*found)


OFFSET_OF_EXPORT = {"apple_health"}
"""Kinds whose offsets are those of the place of the export. Others have that of the place of the measurement."""

MEASUREMENTS = Table(
    "bronze/measurements",
    "The records of all archives that people downloaded from vendors of devices, and of their profiles: value, unit, "
    "source and time as in the file. Sources overlap here: use silver or gold for analysis.",
    "one record of one upload",
    (
        UPLOAD_ID,
        Column("row_number", "bigint", "Position among the records of its upload that are used.", 1, nullable=False),
        Column("user_id", "string", "The person in whose folder the upload lies.", "17", nullable=False),
        Column("type", "string", "What was measured or stated.", "steps", allowed=TYPES, nullable=False),
        Column("source", "string", "The app that wrote it, as the file names it.", "Connect", is_free_text=True),
        Column("device", "string", "The device that measured it, as the file names it.", "Watch6,1", is_free_text=True),
        Column(
            "start_at",
            "timestamp",
            "Start (UTC); empty for a value of a whole day.",
            datetime(2024, 9, 6, 7, tzinfo=UTC),
        ),
        Column("end_at", "timestamp", "End (UTC); empty for a moment.", datetime(2024, 9, 6, 7, 10, tzinfo=UTC)),
        Column("utc_offset_seconds", "int", "Offset from UTC as the file gives it.", 7_200, "s"),
        Column(
            "day", "date", "The local day that the vendor itself gives; empty where it gives none.", date(2024, 9, 6)
        ),
        Column("value", "double", "The value, in the unit of the file.", 120.0),
        Column("unit", "string", "The unit, as the file names it.", "count"),
        # The person's own order of sources may have names of devices.
        Column(
            "text", "string", "What is no number: a stage of sleep, a gender, a time zone.", "deep", is_free_text=True
        ),
        INGESTED_AT,
    ),
    ("upload_id", "row_number"),
    known_rows=(KNOWN_UPLOADS, ("upload_id",)),
    own_rules=(
        Rule(
            "end_not_before_start",
            "No record ends before it starts.",
            "end_at < start_at",
            {"start_at": datetime(2024, 9, 7, tzinfo=UTC), "end_at": datetime(2024, 9, 6, tzinfo=UTC)},
        ),
        Rule(
            "time_given",
            "Every measurement has a time or a day, and a value or a text.",
            f"type NOT IN {STATEMENTS} AND (coalesce(CAST(start_at AS DATE), day) IS NULL"
            " OR (value IS NULL AND text IS NULL))",
            {"start_at": None, "end_at": None, "day": None},
        ),
    ),
)
