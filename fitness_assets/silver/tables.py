"""The tables of silver: clean, enriched days, and the rows that were rejected.

The cleaning rules are data: a row that breaks no rule of `REJECTIONS` becomes a clean day. The same rules are then
checked on ``silver/clean_days`` itself.
"""

from datetime import date

from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
from fitness_assets.schema.rules import Rule, key_rule
from fitness_assets.schema.standards import HEIGHT
from fitness_assets.schema.table import Column, Table, range_rule
from fitness_assets.silver.device_tables import DEVICE_DAYS

LEVELS = ("sedentary", "light", "moderate", "active")
QUALITIES = ("poor", "fair", "good", "excellent")
BMI_CATEGORIES = ("underweight", "normal", "overweight", "obese")
CATEGORIES_FROM = {
    "steps": ((5_000, 10_000, 15_000), LEVELS),
    "sleep_hours": ((6, 8, 10), QUALITIES),
    "bmi": ((18.5, 25, 30), BMI_CATEGORIES),
}
"""Categories by column: each one ends below its bound, and the last one begins at the last bound."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_LOGGED = LOGGED_DAYS.key

NEGATIVE_TO_ZERO = ("steps", "heart_rate_avg", "sleep_hours", "calories_burned", "exercise_minutes", "weight_kg", "bmi")
"""Negative values of these become 0 before any rule is asked (the first cleaning rule)."""

DATE_RANGE = Rule(
    "date_range",
    "The day is neither before 1990-01-01 nor later than the day after its ingestion.",
    "date < DATE '1990-01-01' OR date > CAST(ingested_at AS DATE) + 1",
    {"date": date(9999, 12, 31)},
    engines=("duckdb", "spark"),
)
ZERO_STEPS = Rule("zero_steps", "The day has steps.", "steps = 0", {"steps": 0}, engines=("duckdb", "spark"))
NO_STEPS = Rule(
    "no_steps",
    "The day has a number of steps; devices may know other things of a day.",
    "steps IS NULL",
    {"steps": None},
    engines=("duckdb", "spark"),
)
DUPLICATE = "duplicate"
"""Reason of a row that repeats an earlier row of the same upload exactly."""
SUPERSEDED = "superseded"
"""Reason of a row for whose user and day a row was ingested later."""
WITHDRAWN = "withdrawn"
"""Reason of a row whose upload a person withdrew."""

REJECTIONS = (*(range_rule(column) for column in RAW_COLUMNS if column.range), ZERO_STEPS, NO_STEPS, DATE_RANGE)
"""The second and third cleaning rule. Each is also the reason under which a rejected row is kept."""

REASONS = (*(rule.name for rule in REJECTIONS), DUPLICATE, SUPERSEDED, WITHDRAWN)
"""Every reason that a rejected row can have."""


def _from_logged(*names: str) -> tuple[str, ...]:
    return tuple(f"{_LOGGED}.{name}" for name in names)


def _derived(name: str, type_: str, description: str, example: object, *sources: str, **more: object) -> Column:
    return Column(name, type_, description, example, sources=_from_logged(*sources), **more)  # type: ignore[arg-type]


def _mean(name: str, of: str, example: float, unit: str | None) -> Column:
    what = f"Mean {of} of the 30 calendar days that end today; days without a log do not count."
    return _derived(name, "double", what, example, of, "date", unit=unit)


CALENDAR = (
    _derived("year", "int", "Year of the date.", 2024, "date", nullable=False),
    _derived("month", "int", "Month of the date, 1 to 12.", 9, "date", range=(1, 12), nullable=False),
    _derived("day", "int", "Day of the month.", 6, "date", range=(1, 31), nullable=False),
    _derived("weekday", "string", "English name of the weekday.", "Friday", "date", allowed=WEEKDAYS, nullable=False),
    _derived("weekday_num", "int", "Number of the weekday, Monday 0.", 4, "date", range=(0, 6), nullable=False),
    _derived("is_weekend", "boolean", "Saturday or Sunday.", False, "date", nullable=False),
)
CATEGORIES = (
    _derived(
        "activity_level",
        "string",
        "By steps: sedentary below 5,000, light below 10,000, moderate below 15,000, active from there.",
        "light",
        "steps",
        allowed=LEVELS,
        nullable=False,
    ),
    _derived(
        "sleep_quality",
        "string",
        "By hours slept: poor below 6, fair below 8, good below 10, excellent from there.",
        "fair",
        "sleep_hours",
        allowed=QUALITIES,
    ),
    _derived(
        "bmi_category",
        "string",
        "By BMI: underweight below 18.5, normal below 25, overweight below 30, obese from there.",
        "normal",
        "bmi",
        allowed=BMI_CATEGORIES,
    ),
)
BODY = (
    _derived(
        "height_cm",
        "double",
        "Height implied by weight and BMI: 100·√(weight/BMI).",
        169.2,
        "weight_kg",
        "bmi",
        unit="cm",
        standard=HEIGHT,
    ),
    _derived(
        "bmr",
        "double",
        "Basal metabolic rate by Mifflin–St Jeor (1990): 10·kg + 6.25·cm − 5·years, + 5 for M, − 161 for F.",
        1370.5,
        "weight_kg",
        "bmi",
        "age",
        "gender",
        unit="kcal",
    ),
)
OVER_TIME = (
    _mean("ra30_steps", "steps", 7900.5, "steps"),
    _mean("ra30_calories", "calories_burned", 2210.25, "kcal"),
    _mean("ra30_ex_minutes", "exercise_minutes", 33.5, "min"),
    _mean("ra30_stress", "stress_level", 4.5, None),
    _derived(
        "ra30_days",
        "int",
        "Days with a log among the 30 that end today.",
        29,
        "date",
        range=(1, 30),
        nullable=False,
        unit="days",
    ),
    _derived(
        "caloric_balance",
        "double",
        "calories_burned − bmr.",
        869.5,
        "calories_burned",
        "weight_kg",
        "bmi",
        "age",
        "gender",
        unit="kcal",
    ),
    _derived(
        "weight_change_30d",
        "double",
        "weight_change_30d_raw, clamped to ±5 kg. Only as good as single weights are: ask quality/audit first.",
        -0.8,
        "weight_kg",
        "date",
        range=(-5, 5),
        unit="kg",
    ),
    _derived(
        "weight_change_30d_raw",
        "double",
        "Weight minus the weight 30 calendar days earlier; empty when that day has none.",
        -0.8,
        "weight_kg",
        "date",
        unit="kg",
    ),
    _derived(
        "stress_change_30d",
        "double",
        "Stress minus the stress 30 calendar days earlier; empty when that day has none.",
        1.0,
        "stress_level",
        "date",
        range=(-9, 9),
    ),
    _derived(
        "yesterday_stress",
        "int",
        "Stress one calendar day earlier; empty when that day has none.",
        5,
        "stress_level",
        "date",
        range=(1, 10),
    ),
    _derived(
        "yesterday_sleep",
        "double",
        "Hours slept one calendar day earlier; empty when that day has none.",
        6.8,
        "sleep_hours",
        "date",
        range=(2, 16),
        unit="h",
    ),
)


CLEAN_DAYS = Table(
    "silver/clean_days",
    "Clean days: negatives set to 0, impossible values and zero-step days left out, one row for each user and day, "
    "with features over calendar days.",
    "user and day",
    (
        *(LOGGED_DAYS[name].from_table(_LOGGED) for name in ("upload_id", "row_number")),
        *(column.from_table(_LOGGED) for column in RAW_COLUMNS),
        *CALENDAR,
        *CATEGORIES,
        *(
            _derived(
                f"activity_level_{level}",
                "int",
                f"1 when activity_level is {level}, else 0.",
                int(level == "light"),
                "steps",
                range=(0, 1),
                nullable=False,
            )
            for level in LEVELS
        ),
        *BODY,
        *OVER_TIME,
    ),
    ("user_id", "date"),
    own_rules=(ZERO_STEPS,),
    by_month=True,
)


def _rejected(column: Column) -> Column:
    """A raw column as it was: its range does not count, and a day that only devices know may have no steps."""
    return column.from_table(_LOGGED, range=None, nullable=column.nullable or column.name == "steps")


REJECTED_DAYS = Table(
    "silver/rejected_days",
    "Typed rows that silver left out, as they were, with every rule that they broke.",
    "one row of one upload",
    (
        *(LOGGED_DAYS[name].from_table(_LOGGED) for name in ("upload_id", "row_number")),
        *(_rejected(column) for column in RAW_COLUMNS),
        Column(
            "reasons",
            "array<string>",
            "The rules that the row broke, by name.",
            ["heart_rate_avg_range"],
            nullable=False,
            sources=_from_logged(*(column.name for column in RAW_COLUMNS)),
        ),
    ),
    ("upload_id", "row_number"),
    own_rules=(
        Rule("reason_given", "Every rejected row says why.", "len(reasons) = 0", {"reasons": []}),
        Rule(
            "reasons_known",
            "Reasons are names of cleaning rules.",
            f"NOT list_has_all({[*REASONS]}, reasons)",
            {"reasons": ["no such rule"]},
        ),
        key_rule(
            "rows_reconcile",
            "Every logged row, and every day of devices, is a clean row or a rejected row, once.",
            ("upload_id", "row_number"),
            (_LOGGED, DEVICE_DAYS.key, CLEAN_DAYS.key, "silver/rejected_days"),
            "logged_days + device_days != clean_days + rejected_days",
            check="rows_reconcile",
        ),
    ),
    by_month=True,
)

TABLES = (DEVICE_DAYS, CLEAN_DAYS, REJECTED_DAYS)
"""Written by one step and published together."""
