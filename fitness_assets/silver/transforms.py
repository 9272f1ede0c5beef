"""Makes silver: judges every logged row, keeps the clean days and adds features that are known on that day.

Windows are over calendar days. Engines compute windows of rows much faster than windows of ranges. So days without a
log are first added as empty rows, and removed at the end.
"""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from fitness_assets.bronze.tables import RAW_COLUMNS
from fitness_assets.engine.expressions import clamp, count_of, mean_over, sum_and_count
from fitness_assets.silver.tables import (
    CATEGORIES_FROM,
    CLEAN_DAYS,
    DUPLICATE,
    LEVELS,
    NEGATIVE_TO_ZERO,
    REASONS,
    REJECTED_DAYS,
    REJECTIONS,
    SUPERSEDED,
    WEEKDAYS,
    WITHDRAWN,
)

_RAW_NAMES = [column.name for column in RAW_COLUMNS]
_RAW_TYPES = {column.name: column.type for column in RAW_COLUMNS}
_DAY = "_day"
"""Days since 1970-01-01."""
_BROKEN = "_broken"
"""The reasons for rejection as bits of a number, which moves faster than a list."""
_REASON_BITS = {name: 1 << bit for bit, name in enumerate(REASONS)}
_KEY = ["user_id", _DAY]
_ROW = ["upload_id", "row_number"]
_WINDOW_DAYS = 30
LOOK_BACK_DAYS = 30
"""So many days before a day have a part in its features."""


def judge(logged_days: DataFrame, withdrawn: Sequence[str] = ()) -> DataFrame:
    """Give every logged row its reasons for rejection.

    Args:
        logged_days: ``bronze/logged_days``.
        withdrawn: ids of the uploads that a person withdrew.

    Returns:
        The same rows plus ``_day`` and ``_broken`` (0 for the row that is kept for its day).
    """
    rows = _with_broken_rules(logged_days, withdrawn).withColumn(_DAY, F.unix_date("date"))
    # Few rows share their day with another row, and only these need to be compared.
    shared = rows.groupBy(_KEY).agg(F.count("*").alias("_rows")).where(F.col("_rows") > 1).select(_KEY)
    lost = _lost_rows(rows.join(shared, _KEY, "left_semi"))
    reasons = F.col(_BROKEN) + F.coalesce("_lost", F.lit(0))
    return rows.join(lost, _ROW, "left").withColumn(_BROKEN, reasons).drop("_lost")


def _lost_rows(rows: DataFrame) -> DataFrame:
    """Of rows that share their day with others: those that repeat or precede another row of that day.

    Returns:
        ``upload_id``, ``row_number`` and ``_lost``, the bits of `DUPLICATE` and `SUPERSEDED`.
    """
    hashed = rows.withColumn("_hash", _row_hash())
    copies = [*_KEY, "upload_id", "_hash"]
    first = hashed.groupBy(copies).agg(F.min("row_number").alias("_first_row"))
    order, is_copy = F.struct("ingested_at", "row_number"), F.col("row_number") > F.col("_first_row")
    numbered = hashed.join(first, copies)
    winners = numbered.where((F.col(_BROKEN) == 0) & ~is_copy).groupBy(_KEY).agg(F.max(order).alias("_winner"))
    duplicate = F.when(is_copy, _REASON_BITS[DUPLICATE]).otherwise(0)
    superseded = F.when(F.col("_winner") > order, _REASON_BITS[SUPERSEDED]).otherwise(0)
    lost = numbered.join(winners, _KEY, "left").select(*_ROW, (duplicate + superseded).alias("_lost"))
    return lost.where(F.col("_lost") > 0)


def _row_hash() -> SparkColumn:
    """A hash of a row's content. Spark's hash skips nulls, so a second part tells which cells are empty."""
    names = [*_RAW_NAMES, "extra"]
    return F.xxhash64(*names, *(F.isnull(name) for name in names))


def _with_broken_rules(logged_days: DataFrame, withdrawn: Sequence[str]) -> DataFrame:
    """The rows as they were, plus the cleaning rules that each breaks once negative values are 0."""
    bits = [F.when(F.expr(rule.violated), _REASON_BITS[rule.name]).otherwise(0) for rule in REJECTIONS]
    if withdrawn:
        bits.append(F.when(F.col("upload_id").isin([*withdrawn]), _REASON_BITS[WITHDRAWN]).otherwise(0))
    others = [name for name in logged_days.columns if name not in _RAW_NAMES]
    return (
        logged_days.withColumn("_raw", F.struct(*_RAW_NAMES))
        .withColumns({name: _zero_if_negative(name) for name in NEGATIVE_TO_ZERO})
        .select(*others, "_raw.*", reduce(SparkColumn.__add__, bits).alias(_BROKEN))
    )


def rejected_days(judged: DataFrame) -> DataFrame:
    """The rows that were left out, as they were, with their reasons."""
    reasons = (F.when(F.col(_BROKEN).bitwiseAND(bit) != 0, F.lit(name)) for name, bit in _REASON_BITS.items())
    rejected = judged.where(F.col(_BROKEN) != 0)
    rejected = rejected.withColumn("reasons", F.array_compact(F.array(*reasons)).cast("array<string>"))
    return rejected.select(*(column.name for column in REJECTED_DAYS.columns))


def clean_days(judged: DataFrame) -> DataFrame:
    """The days that were kept, cleaned and with features."""
    clean = judged.where(F.col(_BROKEN) == 0).withColumns({name: _zero_if_negative(name) for name in NEGATIVE_TO_ZERO})
    enriched = _of_the_day(_over_time(clean))
    return enriched.select(*(column.name for column in CLEAN_DAYS.columns))


def _zero_if_negative(name: str) -> SparkColumn:
    # The literal has the column's type: an int beside a double becomes an int on some engines.
    return F.when(F.col(name) < 0, F.lit(0).cast(_RAW_TYPES[name])).otherwise(F.col(name)).alias(name)


def of_the_calendar() -> dict[str, SparkColumn]:
    """Columns that follow from the column ``date`` alone."""
    weekday_num = (F.dayofweek("date") + 5) % 7
    return {
        "year": F.year("date"),
        "month": F.month("date"),
        "day": F.dayofmonth("date"),
        "weekday": F.element_at(F.array(*map(F.lit, WEEKDAYS)), weekday_num + 1),
        "weekday_num": weekday_num,
        "is_weekend": weekday_num >= 5,
    }


def _of_the_day(clean: DataFrame) -> DataFrame:
    meters = F.sqrt(F.col("weight_kg") / F.col("bmi"))
    by_gender = F.when(F.col("gender") == "M", 5).when(F.col("gender") == "F", -161)
    bmr = 10 * F.col("weight_kg") + 6.25 * F.col("height_cm") - 5 * F.col("age") + by_gender
    return (
        clean.withColumns(
            {
                **of_the_calendar(),
                "activity_level": _category("steps"),
                "sleep_quality": _category("sleep_hours"),
                "bmi_category": _category("bmi"),
                "height_cm": 100 * meters,
            }
        )
        .withColumns({f"activity_level_{name}": (F.col("activity_level") == name).cast("int") for name in LEVELS})
        .withColumn("bmr", bmr)
        .withColumn("caloric_balance", F.col("calories_burned") - F.col("bmr"))
    )


def with_empty_days(days: DataFrame, day: str, before: int, values: Sequence[str]) -> DataFrame:
    """Add empty rows for days without a log, so that a window of rows is a window of calendar days.

    After this, each logged day comes after ``before`` rows, one for each calendar day, unless the log of the person
    starts later.

    Args:
        days: one row for each user and logged day.
        day: the column with the number of the day.
        before: how many days before each logged day get a row; further days without a log get none.
        values: columns that are null in the empty rows; other columns of these rows mean nothing.

    Returns:
        The rows with the column ``_is_logged``, false for the added rows.
    """
    this, following = F.col(day), F.lead(day).over(Window.partitionBy("user_id").orderBy(day))
    following = F.coalesce(following, this + 1)
    rows = F.when(following - before <= this + 1, F.sequence(this, following - 1)).otherwise(
        F.concat(F.array(this), F.sequence(following - before, following - 1))
    )
    exploded = days.withColumn("_rows", rows).select("*", F.explode("_rows").alias("_row_day")).drop("_rows")
    is_logged = F.col("_row_day") == this
    return (
        exploded.withColumn("_is_logged", is_logged)
        .withColumns({name: F.when(F.col("_is_logged"), F.col(name)) for name in values})
        .withColumn(day, F.col("_row_day"))
        .drop("_row_day")
    )


def _over_time(clean: DataFrame) -> DataFrame:
    values = ["steps", "calories_burned", "exercise_minutes", "stress_level", "sleep_hours", "weight_kg"]
    by_day = Window.partitionBy("user_id").orderBy(_DAY)
    last_30 = by_day.rowsBetween(1 - _WINDOW_DAYS, 0)
    return (
        with_empty_days(clean, _DAY, _WINDOW_DAYS, values)
        .withColumns(
            {
                "ra30_steps": mean_over(F.col("steps"), last_30),
                "ra30_calories": mean_over(F.col("calories_burned"), last_30),
                "ra30_ex_minutes": mean_over(F.col("exercise_minutes"), last_30),
                "ra30_stress": mean_over(F.col("stress_level"), last_30),
                # Every logged day has steps.
                "ra30_days": count_of(sum_and_count(F.col("steps"), last_30)).cast("int"),
                "weight_change_30d_raw": F.col("weight_kg") - F.lag("weight_kg", _WINDOW_DAYS).over(by_day),
                "stress_change_30d": (F.col("stress_level") - F.lag("stress_level", _WINDOW_DAYS).over(by_day)).cast(
                    "double"
                ),
                "yesterday_stress": F.lag("stress_level").over(by_day),
                "yesterday_sleep": F.lag("sleep_hours").over(by_day),
            }
        )
        .where(F.col("_is_logged"))
        .withColumn("weight_change_30d", clamp(F.col("weight_change_30d_raw"), 5))
    )


def _category(name: str) -> SparkColumn:
    """The category whose upper bound is the first above the value; the last one from the last bound on."""
    bounds, categories = CATEGORIES_FROM[name]
    below = zip(bounds, categories, strict=False)
    first_bound, first = next(below)
    chain = reduce(
        lambda chain, step: chain.when(F.col(name) < step[0], step[1]), below, F.when(F.col(name) < first_bound, first)
    )
    return chain.when(F.col(name).isNotNull(), categories[-1])
