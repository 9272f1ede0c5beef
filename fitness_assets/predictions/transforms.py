"""Makes features and targets from days, and the table of predictions.

A feature of day t is known on day t: every window ends there. Only the targets look ahead.
"""

from collections.abc import Sequence

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from fitness_assets.engine.expressions import (
    clamp,
    count_of,
    decimals,
    mean_of,
    mean_over,
    spread_over,
    sum_and_count,
    sum_of,
)
from fitness_assets.predictions.tables import (
    FACT_PREDICTIONS,
    GAP_DAYS,
    HORIZON_DAYS,
    STRESS_CHANGES,
    STRESS_STEP,
    TARGETS,
    WEIGHT_LIMIT,
)
from fitness_assets.silver.tables import QUALITIES, WEEKDAYS
from fitness_assets.silver.transforms import with_empty_days

KEYS = ("user_id", "date_key")
LOOK_BACK_DAYS = 30
"""So many days before a day have a part in its features, beside the means of all days so far."""
DAY = "_day"
"""Days since 1970-01-01."""

LEVELS = (
    "age",
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
    "caloric_balance",
    "ra30_steps",
    "ra30_calories",
    "ra30_ex_minutes",
    "ra30_stress",
    "ra30_days",
    "weight_change_30d",
    "stress_change_30d",
    "yesterday_stress",
    "yesterday_sleep",
)
"""The features that are columns of ``gold/fact_daily``; all others are made from these."""
_MEANS = ("sleep_hours", "weight_kg", "heart_rate_avg", "caloric_balance")
_SPREADS = ("stress_level", "sleep_hours", "weight_kg", "steps")
_SO_FAR = ("stress_level", "sleep_hours", "weight_kg")
_USUAL = ("stress_to_usual", "usual_sleep_hours", "weight_to_usual")

FEATURES = (
    *LEVELS,
    *(f"mean30_{name}" for name in _MEANS),
    *(f"spread30_{name}" for name in _SPREADS),
    *(f"days30_{name}" for name in _SPREADS),
    *_USUAL,
    "is_male",
    *(f"is_{weekday.lower()}" for weekday in WEEKDAYS[1:]),
)
"""What the models may use, all of it numbers; empty where it was not measured."""

INPUTS = (*FEATURES, "sleep_quality_today")
"""And what the rules that they have to beat use besides: the label of today, by its position."""

SAMPLED_PEOPLE = 50
"""Of fewer people models do not learn, where there are more; about 20 are tested at the least."""

ACTUALS = tuple(target.actual for target in TARGETS)


def features(fact_daily: DataFrame, earlier: DataFrame | None = None) -> DataFrame:
    """Features and targets of every day.

    Args:
        fact_daily: ``gold/fact_daily``, or all of its days from some month on.
        earlier: rows of ``gold/monthly_sums``: the months before the first of these days. None: there are none.

    Returns:
        The same days: keys, ``_day``, `INPUTS` as doubles, `ACTUALS` (empty where there is no such day).
    """
    by_day = Window.partitionBy("user_id").orderBy(DAY)
    last_30, so_far = by_day.rowsBetween(-29, 0), by_day.rowsBetween(Window.unboundedPreceding, 0)
    stress, weight = F.col("stress_level"), F.col("weight_kg")

    def usual(name: str) -> SparkColumn:
        """The mean of a person's days so far."""
        if earlier is None:
            return mean_over(F.col(name), so_far)
        known = sum_and_count(F.col(name), so_far)
        parts = ((sum_of(known), f"_{name}_sum"), (count_of(known), f"_{name}_count"))
        return mean_of(*(F.coalesce(part, F.lit(0)) + F.coalesce(name, F.lit(0)) for part, name in parts))

    stress_change = _days_later(stress, HORIZON_DAYS, by_day) - stress
    weight_change = _days_later(weight, HORIZON_DAYS, by_day) - weight
    made = {
        **{f"mean30_{name}": mean_over(F.col(name), last_30) for name in _MEANS},
        **{f"spread30_{name}": spread_over(F.col(name), last_30) for name in _SPREADS},
        **{f"days30_{name}": F.count(name).over(last_30) for name in _SPREADS},
        "stress_to_usual": usual("stress_level") - stress,
        "usual_sleep_hours": usual("sleep_hours"),
        "weight_to_usual": usual("weight_kg") - weight,
        "is_male": (F.col("gender") == "M"),
        **{f"is_{weekday.lower()}": F.col("weekday") == weekday for weekday in WEEKDAYS[1:]},
        "sleep_quality_today": F.array_position(F.array(*map(F.lit, QUALITIES)), F.col("sleep_quality")),
        "_stress_change": stress_change,
        "_weight_change": weight_change,
        "actual_sleep_quality": _days_later(F.col("sleep_quality"), 1, by_day),
    }
    actuals = {
        "actual_stress_change": F.when(F.col("_stress_change") <= -STRESS_STEP, STRESS_CHANGES[0])
        .when(F.col("_stress_change") < STRESS_STEP, STRESS_CHANGES[1])
        .when(F.col("_stress_change").isNotNull(), STRESS_CHANGES[2]),
        "actual_weight_change_30d": decimals(clamp(F.col("_weight_change"), WEIGHT_LIMIT), 3),
    }
    numbers = (F.col(name).cast("double").alias(name) for name in INPUTS)
    days = fact_daily.withColumn(DAY, F.unix_date(F.make_date("year", "month", "day")))
    if earlier is not None:
        sums = (F.sum(f"{name}_{what}").alias(f"_{name}_{what}") for name in _SO_FAR for what in ("sum", "count"))
        days = days.join(earlier.groupBy("user_id").agg(*sums), "user_id", "left")
    return (
        with_empty_days(days, DAY, HORIZON_DAYS, [*dict.fromkeys((*_MEANS, *_SPREADS)), "sleep_quality"])
        .withColumns(made)
        .where(F.col("_is_logged"))
        .withColumns(actuals)
        .select(*KEYS, DAY, *numbers, *ACTUALS)
    )


def _days_later(value: SparkColumn, days: int, by_day: WindowSpec) -> SparkColumn:
    """The value so many calendar days later; null if that day has no log."""
    is_that_day = F.lead(DAY, days).over(by_day) == F.col(DAY) + days
    return F.when(is_that_day, F.lead(value, days).over(by_day))


def sampled_features(fact_daily: DataFrame, rows: int, people: int, limit: int) -> DataFrame:
    """Features and targets of about ``limit`` days, always the same ones.

    The sample has all days of some people. If that gave fewer than `SAMPLED_PEOPLE` people, it has some days of
    `SAMPLED_PEOPLE` people; the features of these days still come from all days before them.

    Args:
        fact_daily: ``gold/fact_daily``.
        rows: number of its rows.
        people: number of its people.
        limit: number of days that are wanted; with fewer rows, the sample is all of them.
    """
    if rows <= limit:
        return features(fact_daily)
    of_people = max(limit / rows, min(SAMPLED_PEOPLE / people, 1.0))
    return _random_share(features(_random_share(fact_daily, of_people, KEYS[:1])), limit / rows / of_people, KEYS)


def _random_share(frame: DataFrame, share: float, keys: Sequence[str]) -> DataFrame:
    buckets = 1_000_000_000
    return frame if share == 1 else frame.where(F.pmod(F.xxhash64(*keys), F.lit(buckets)) < F.lit(share * buckets))


def split(train_until: int | None) -> SparkColumn:
    """Which side of the evaluation a day is on.

    Args:
        train_until: the last day that is learned from; None if nothing is learned.
    """
    labelled = F.coalesce(*(F.col(name).cast("string") for name in ACTUALS)).isNotNull()
    is_test = F.lit(False) if train_until is None else F.col(DAY) > train_until + GAP_DAYS
    return F.when(~labelled, "unlabelled").when(is_test, "test").otherwise("train")


def fact_predictions(answered: DataFrame, train_until: int | None) -> DataFrame:
    """``gold/fact_predictions``; empty where nobody predicts.

    Args:
        answered: as `features` makes them, with what `scoring.score` adds.
        train_until: the last day that was learned from.
    """
    days = answered.withColumn("split", split(train_until))
    return days.select(
        *(
            (F.col(field.name) if field.name in days.columns else F.lit(None)).cast(field.dataType).alias(field.name)
            for field in FACT_PREDICTIONS.spark_schema
        )
    )
