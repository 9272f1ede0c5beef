"""The tables of gold: a star schema (dimensions, one fact) and a monthly summary.

Columns of silver keep their names; averages, changes and the caloric balance carry 2 decimals.
"""

from datetime import date

from fitness_assets.schema.rules import ForeignKey, SetRule
from fitness_assets.schema.table import Column, Table
from fitness_assets.silver.tables import CALENDAR, CATEGORIES, CLEAN_DAYS

_CLEAN = CLEAN_DAYS.key
_CALENDAR = {column.name: column for column in CALENDAR}

ROUNDED = (
    "ra30_steps",
    "ra30_calories",
    "ra30_ex_minutes",
    "ra30_stress",
    "caloric_balance",
    "weight_change_30d",
    "weight_change_30d_raw",
    "stress_change_30d",
)
"""Columns of the fact that carry 2 decimals."""


def _clean(*names: str) -> tuple[Column, ...]:
    return tuple(CLEAN_DAYS[name].from_table(_CLEAN) for name in names)


def _average(name: str, of: str, example: float, over: str) -> Column:
    column = CLEAN_DAYS[of]
    return Column(
        name, "double", f"Average {of} over {over}, 2 decimals.", example, column.unit, sources=(f"{_CLEAN}.{of}",)
    )


_DATE_KEY = Column(
    "date_key", "int", "The day as a number, yyyymmdd.", 20240906, nullable=False, sources=(f"{_CLEAN}.date",)
)

DIM_USER = Table(
    "gold/dim_user",
    "One row for each person, also when the age changes within the year.",
    "user",
    (
        *_clean("user_id"),
        CLEAN_DAYS["age"].from_table(_CLEAN, description="Age on the latest day that has one, in whole years."),
        CLEAN_DAYS["gender"].from_table(_CLEAN, description="Gender on the latest day that has one."),
        _average("avg_height_cm", "height_cm", 169.2, "all clean days"),
        _average("avg_weight_kg", "weight_kg", 68.4, "all clean days"),
        _average("avg_bmi", "bmi", 23.9, "all clean days"),
        _average("avg_bmr", "bmr", 1370.5, "all clean days"),
    ),
    ("user_id",),
)

DIM_DATE = Table(
    "gold/dim_date",
    "Every calendar day from the first clean day to the last, whether anybody logged it or not.",
    "day",
    (
        _DATE_KEY,
        Column("date", "date", "The day.", date(2024, 9, 6), nullable=False, sources=(f"{_CLEAN}.date",)),
        *(
            _CALENDAR[name].from_table(_CLEAN, sources=(f"{_CLEAN}.date",))
            for name in ("day", "month", "year", "weekday", "weekday_num", "is_weekend")
        ),
    ),
    ("date_key",),
)

_USER_EXISTS = ForeignKey(("user_id",), DIM_USER.key)
DAY_OF_KEY = "make_date(date_key // 10000, date_key // 100 % 100, date_key % 100)"
"""SQL of DuckDB for the day of a ``date_key``."""

_DATE_EXISTS = ForeignKey(("date_key",), DIM_DATE.key)

DIM_ACTIVITY = Table(
    "gold/dim_activity",
    "What a person did on a day.",
    "user and day",
    (*_clean("user_id", "steps", "exercise_minutes", "calories_burned", "activity_level", "sleep_quality"), _DATE_KEY),
    ("user_id", "date_key"),
    by_month=True,
)

FACT_DAILY = Table(
    "gold/fact_daily",
    "Every clean day of every person with its measures and 30-day features. The table to query.",
    "user and day",
    (
        *_clean("user_id"),
        _DATE_KEY,
        *_clean(
            "age",
            "gender",
            "sleep_hours",
            "heart_rate_avg",
            "stress_level",
            "steps",
            "exercise_minutes",
            "calories_burned",
            "weight_kg",
            "bmi",
            "height_cm",
            "bmr",
            "ra30_steps",
            "ra30_calories",
            "ra30_ex_minutes",
            "ra30_stress",
            "ra30_days",
            "caloric_balance",
            "weight_change_30d",
            "weight_change_30d_raw",
            "stress_change_30d",
            "yesterday_stress",
            "yesterday_sleep",
        ),
        *(column.from_table(_CLEAN) for column in (*CALENDAR, *CATEGORIES)),
    ),
    ("user_id", "date_key"),
    foreign_keys=(_USER_EXISTS, _DATE_EXISTS, ForeignKey(("user_id", "date_key"), DIM_ACTIVITY.key)),
    by_month=True,
    is_daily=True,
)

MONTHLY_SUMMARY = Table(
    "gold/monthly_summary",
    "Averages and day counts for each person and month: easier to trust than single noisy days.",
    "user and month",
    (
        *_clean("user_id"),
        *(_CALENDAR[name].from_table(_CLEAN) for name in ("year", "month")),
        Column(
            "days_logged",
            "int",
            "Clean days in the month.",
            29,
            "days",
            (1, 31),
            nullable=False,
            sources=(f"{_CLEAN}.date",),
        ),
        Column(
            "days_in_month",
            "int",
            "Calendar days of the month.",
            30,
            "days",
            (28, 31),
            nullable=False,
            sources=(f"{_CLEAN}.date",),
        ),
        _average("avg_steps", "steps", 7900.5, "the clean days of the month"),
        _average("avg_heart_rate", "heart_rate_avg", 71.5, "the clean days of the month"),
        _average("avg_sleep_hours", "sleep_hours", 7.1, "the clean days of the month"),
        _average("avg_calories_burned", "calories_burned", 2210.25, "the clean days of the month"),
        _average("avg_exercise_minutes", "exercise_minutes", 33.5, "the clean days of the month"),
        _average("avg_stress_level", "stress_level", 4.5, "the clean days of the month"),
        _average("avg_weight_kg", "weight_kg", 68.4, "the clean days of the month"),
        _average("avg_bmi", "bmi", 23.9, "the clean days of the month"),
    ),
    ("user_id", "year", "month"),
    foreign_keys=(_USER_EXISTS,),
)

SUMMED = (
    "steps",
    "heart_rate_avg",
    "sleep_hours",
    "calories_burned",
    "exercise_minutes",
    "stress_level",
    "weight_kg",
    "bmi",
    "height_cm",
    "bmr",
)
"""Columns of clean days whose sums and counts are kept by month."""


def _of_clean(name: str, type_: str, description: str, example: object, of: str, **more: object) -> Column:
    return Column(name, type_, description, example, sources=(f"{_CLEAN}.{of}",), **more)  # type: ignore[arg-type]


MONTHLY_SUMS = Table(
    "gold/monthly_sums",
    "Sums and counts for each person and month. They add up: an average over any months is the sum of sums divided by "
    "the sum of counts. The summary, dim_user and dim_date are made from them.",
    "user and month",
    (
        *_clean("user_id"),
        *(_CALENDAR[name].from_table(_CLEAN) for name in ("year", "month")),
        _of_clean("first_date", "date", "First clean day in the month.", date(2024, 9, 1), "date", nullable=False),
        _of_clean("last_date", "date", "Last clean day in the month.", date(2024, 9, 30), "date", nullable=False),
        MONTHLY_SUMMARY["days_logged"],
        CLEAN_DAYS["age"].from_table(_CLEAN, description="Age on the latest day of the month that has one."),
        _of_clean("age_date", "date", "That day.", date(2024, 9, 30), "age"),
        CLEAN_DAYS["gender"].from_table(_CLEAN, description="Gender on the latest day of the month that has one."),
        _of_clean("gender_date", "date", "That day.", date(2024, 9, 30), "gender"),
        *(
            column
            for name in SUMMED
            for column in (
                _of_clean(
                    f"{name}_sum",
                    "bigint",
                    f"Sum of {name} in millionths: sums of whole numbers are exact. Empty if no day has a value.",
                    229_114_500_000,
                    name,
                    unit="millionths",
                ),
                _of_clean(
                    f"{name}_count", "int", f"Days with {name}.", 29, name, unit="days", range=(0, 31), nullable=False
                ),
            )
        ),
    ),
    ("user_id", "year", "month"),
    foreign_keys=(_USER_EXISTS,),
    own_rules=(
        SetRule(
            "days_reconcile",
            "Every month of gold/fact_daily has as many days as the sums say.",
            ("gold/monthly_sums", FACT_DAILY.key),
            "SELECT year, month, days, summed FROM"
            " (SELECT year, month, count(*) AS days FROM fact_daily GROUP BY ALL)"
            " LEFT JOIN (SELECT year, month, sum(days_logged) AS summed FROM monthly_sums GROUP BY ALL)"
            " USING (year, month) WHERE days IS DISTINCT FROM summed",
        ),
    ),
)

TABLES = (DIM_USER, DIM_DATE, DIM_ACTIVITY, MONTHLY_SUMS, MONTHLY_SUMMARY, FACT_DAILY)
"""Written by one step and published together, the fact last."""
