"""How silver is made: judge every logged row once, keep the clean days, add what can be known of them up to that day.

Windows go by calendar days, never by rows: over gaps, 30 rows reach back further than 30 days.
"""

from functools import reduce

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from fitness_assets.bronze.tables import RAW_COLUMNS
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
)

_RAW_NAMES = [column.name for column in RAW_COLUMNS]
_DAY = "_day"  # days since 1970-01-01
_BROKEN = "_broken"  # the reasons for rejection as the bits of a number, which is quicker to carry than a list
_REASON_BITS = {name: 1 << bit for bit, name in enumerate(REASONS)}


def judge(logged_days: DataFrame) -> DataFrame:
    """Give every logged row its reasons for rejection.

    Args:
        logged_days: ``bronze/logged_days``.

    Returns:
        The same rows, distributed by user, plus ``_day`` and ``_broken`` (0 for the row that wins its day).
    """
    order = F.struct("ingested_at", "row_number")
    alike = Window.partitionBy("user_id", _DAY).orderBy("upload_id", "_hash", "row_number")
    same_day = Window.partitionBy("user_id", _DAY)
    repeats = (F.lag("upload_id").over(alike) == F.col("upload_id")) & (F.lag("_hash").over(alike) == F.col("_hash"))
    return (
        _with_broken_rules(logged_days)
        .withColumns({_DAY: F.unix_date("date"), "_hash": _row_hash()})
        .repartition("user_id")
        .withColumn("_repeats", F.coalesce(repeats, F.lit(False)))
        .withColumn("_winner", F.max(F.when((F.col(_BROKEN) == 0) & ~F.col("_repeats"), order)).over(same_day))
        .withColumn(
            _BROKEN,
            F.col(_BROKEN)
            + F.when(F.col("_repeats"), _REASON_BITS[DUPLICATE]).otherwise(0)
            + F.when(F.col("_winner") > order, _REASON_BITS[SUPERSEDED]).otherwise(0),
        )
        .drop("_hash", "_repeats", "_winner")
    )


def _row_hash() -> SparkColumn:
    """A hash of all that was logged. Spark's leaves nulls out, so which cells are empty is hashed beside them."""
    names = [*_RAW_NAMES, "extra"]
    return F.xxhash64(*names, *(F.isnull(name) for name in names))


def _with_broken_rules(logged_days: DataFrame) -> DataFrame:
    """The rows as they were, plus the cleaning rules that each breaks once negatives are set to 0."""
    bits = (F.when(F.expr(rule.violated), _REASON_BITS[rule.name]).otherwise(0) for rule in REJECTIONS)
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
    """The days that were kept, cleaned and enriched."""
    clean = judged.where(F.col(_BROKEN) == 0).withColumns({name: _zero_if_negative(name) for name in NEGATIVE_TO_ZERO})
    enriched = _over_time(_of_the_day(clean))
    return enriched.select(*(column.name for column in CLEAN_DAYS.columns))


def _zero_if_negative(name: str) -> SparkColumn:
    return F.when(F.col(name) < 0, F.lit(0)).otherwise(F.col(name)).alias(name)


def of_the_calendar() -> dict[str, SparkColumn]:
    """What follows from the column ``date`` alone."""
    weekday_num = F.weekday("date")
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


def _over_time(clean: DataFrame) -> DataFrame:
    by_day = Window.partitionBy("user_id").orderBy(_DAY)
    last_30 = by_day.rangeBetween(-29, 0)
    ago_30 = by_day.rangeBetween(-30, -30)
    yesterday = F.lag(_DAY).over(by_day) == F.col(_DAY) - 1
    weight_change = F.col("weight_kg") - F.first("weight_kg").over(ago_30)
    return clean.withColumns(
        {
            "ra30_steps": F.avg("steps").over(last_30),
            "ra30_calories": F.avg("calories_burned").over(last_30),
            "ra30_ex_minutes": F.avg("exercise_minutes").over(last_30),
            "ra30_stress": F.avg("stress_level").over(last_30),
            "ra30_days": F.count(_DAY).over(last_30).cast("int"),
            "weight_change_30d_raw": weight_change,
            "stress_change_30d": (F.col("stress_level") - F.first("stress_level").over(ago_30)).cast("double"),
            "yesterday_stress": F.when(yesterday, F.lag("stress_level").over(by_day)),
            "yesterday_sleep": F.when(yesterday, F.lag("sleep_hours").over(by_day)),
        }
    ).withColumn("weight_change_30d", clamp(F.col("weight_change_30d_raw"), 5))


def clamp(value: SparkColumn, limit: float) -> SparkColumn:
    """A value, but no further from zero than ``limit``."""
    # greatest and least skip nulls, and a change that is not known must stay so.
    return F.when(value.isNotNull(), F.greatest(F.lit(-float(limit)), F.least(F.lit(float(limit)), value)))


def _category(name: str) -> SparkColumn:
    """The category whose upper bound is the first above the value; the last one from the last bound on."""
    bounds, categories = CATEGORIES_FROM[name]
    below = zip(bounds, categories, strict=False)
    first_bound, first = next(below)
    chain = reduce(
        lambda chain, step: chain.when(F.col(name) < step[0], step[1]), below, F.when(F.col(name) < first_bound, first)
    )
    return chain.when(F.col(name).isNotNull(), categories[-1])
