"""How days become measures of their own quality: sums, histograms and short lists, nothing that grows with the days.

Here belongs what Spark counts. What the counts say of the data stands in ``measures.py`` and ``diagnostics.py``.

Most of it comes from sums for each person, which ``sums.py`` makes.
"""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from fitness_assets.quality.sums import (
    BIN_WIDTH,
    BINS_SCHEMA,
    DAY,
    HEIGHT,
    HEIGHT_SPREAD_CM,
    INPUTS,
    LOG,
    SCHEMA,
    sum_bins,
    sum_people,
)
from fitness_assets.quality.tables import METRICS

NAMED = 20
"""So many people are named for one item at most."""

COPY_CELLS, COPY_DAYS = 3, 3
"""Days of two people are alike if they agree in all cells and have at least so many; so many such days are a copy."""

LATEST_UPLOADS = 24
"""Uploads before these are taken together when uploads are compared."""


def people(clean_days: DataFrame) -> DataFrame:
    """Sums of every item for every person.

    Args:
        clean_days: ``silver/clean_days``.

    Returns:
        One row for each person and item, as `sums.SCHEMA` says.
    """
    days = clean_days.withColumn(DAY, F.unix_date("date")).select(*INPUTS)
    return days.repartition("user_id").sortWithinPartitions("user_id", DAY).mapInArrow(sum_people, SCHEMA)


def items(people: DataFrame) -> DataFrame:
    """Sums of every item over people, from which `measures` makes numbers with intervals.

    Args:
        people: as `people` makes them.

    Returns:
        One row for each item.
    """
    # A person's own sums of squares and products about the person's own means.
    pairs = F.nullif(F.col("pairs"), F.lit(0))
    a = F.col("pxy") - F.col("px") * F.col("py") / pairs
    b = F.col("pxx") - F.col("px") * F.col("px") / pairs
    c = F.col("pyy") - F.col("py") * F.col("py") / pairs
    workday_n = F.col("n") - F.col("weekend_n")
    shift = F.when(
        (F.col("weekend_n") > 0) & (workday_n > 0),
        F.try_divide("weekend_x", "weekend_n") - F.try_divide(F.col("x") - F.col("weekend_x"), workday_n),
    )
    made = people.withColumns(
        {
            "a": F.when(F.col("pairs") > 1, a),
            "b": F.when(F.col("pairs") > 1, b),
            "c": F.when(F.col("pairs") > 1, c),
            "shift": shift,
            "spread": _spread(),
            "mean_x": F.col("px") / pairs,
            "mean_y": F.col("py") / pairs,
        }
    )
    sums = ("n", "x", "xx", "pairs", "px", "py", "equal", "beyond", "round", "fine", "weekend_n")
    products = ("aa", "bb", "cc", "ab", "ac", "bc")
    return made.groupBy("item").agg(
        F.count("*").alias("people"),
        *(F.sum(name).alias(name) for name in sums),
        F.min("first").alias("first"),
        F.max("last").alias("last"),
        F.sum(F.col("n") * F.col("n")).alias("nn"),
        F.sum(F.col("x") * F.col("x") / F.col("n")).alias("x_means"),
        F.count("a").alias("paired_people"),
        *(F.sum(name).alias(name) for name in ("a", "b", "c")),
        *(F.sum(F.col(name[0]) * F.col(name[1])).alias(name) for name in products),
        F.count("shift").alias("shifts"),
        F.sum("shift").alias("shift"),
        F.sum(F.col("shift") * F.col("shift")).alias("shift_squares"),
        F.count_if(F.col("spread") > HEIGHT_SPREAD_CM).alias("spread_people"),
        F.count_if(F.col("n") > 1).alias("repeated_people"),
        F.corr("mean_x", "mean_y").alias("between"),
        F.sum(F.col("last") - F.col("first") + 1).alias("span"),
    )


def named(people: DataFrame) -> DataFrame:
    """For each item the people with the highest peaks, those with most round values and those who vary most.

    Returns:
        At most `NAMED` people for each item and list: item, list (``days``, ``peak``, ``round``, ``spread``), user_id,
        value, day on which it ended (days since 1970), n.
    """
    entries = F.array(
        *(
            F.struct(F.lit(name).alias("list"), value.alias("value"), ended.cast("bigint").alias("day"))
            for name, value, ended in (
                ("days", F.when(F.col("item") == "weight_kg", F.col("n").cast("double")), F.lit(None)),
                ("peak", F.col("peak"), F.col("peak_day")),
                ("round", F.when(F.col("round") > 0, F.col("round") / F.col("n")), F.lit(None)),
                ("spread", F.when(F.col("item") == HEIGHT, _spread()), F.lit(None)),
            )
        )
    )
    ranked = Window.partitionBy("item", "list").orderBy(F.desc("value"), "user_id")
    return (
        people.where("n >= 2")
        .select("item", "user_id", "n", F.inline(entries).alias("list", "value", "day"))
        .where("value IS NOT NULL AND (list != 'round' OR n >= 7)")
        .withColumn("rank", F.row_number().over(ranked))
        .where(F.col("rank") <= NAMED)
    )


def completeness(people: DataFrame) -> DataFrame:
    """How many people logged which share of the days from their first to their last; shares in steps of 5 %."""
    share = F.col("n") / (F.col("last") - F.col("first") + 1)
    of_log = people.where(F.col("item") == LOG)
    return of_log.groupBy((F.floor(share * 20) / 20).alias("share")).agg(F.count("*").alias("people"))


def _spread() -> SparkColumn:
    """Standard deviation of a person's values."""
    return F.sqrt(F.greatest(F.col("xx") / F.col("n") - F.pow(F.col("x") / F.col("n"), 2), F.lit(0.0)))


def _bins(days: DataFrame, key: SparkColumn) -> DataFrame:
    gender = F.when(F.col("gender") == "M", 1).when(F.col("gender") == "F", 0).alias("gender")
    asked = days.select(key.cast("string").alias("key"), *(gender if c == "gender" else c for c in BIN_WIDTH))
    bars = asked.mapInArrow(sum_bins, BINS_SCHEMA).groupBy("key", "item", "bin")
    return bars.agg(*(F.sum(name).alias(name) for name in ("n", "x", "xx")))


def bins_before(logged_days: DataFrame, latest: list[str]) -> DataFrame:
    """Histograms of what was logged; the key is one of the latest uploads, or empty for all earlier ones together."""
    return _bins(logged_days, F.when(F.col("upload_id").isin(latest), F.col("upload_id")))


def bins_after(clean_days: DataFrame) -> DataFrame:
    """Histograms of clean days; the key is the weekday (Monday 0)."""
    return _bins(clean_days, F.col("weekday_num"))


def people_of_uploads(logged_days: DataFrame) -> DataFrame:
    """How many people each upload has, about, and its first and last day."""
    return logged_days.groupBy("upload_id").agg(
        F.approx_count_distinct("user_id").alias("people"), F.min("date").alias("first"), F.max("date").alias("last")
    )


def copies(clean_days: DataFrame) -> DataFrame:
    """Pairs of people who have days that agree in every metric, whenever these days were.

    Returns:
        At most `NAMED` pairs with at least `COPY_DAYS` such days: user_id, other_id, days, first (a day of the pair).
    """
    # Spark's hash leaves nulls out, so which cells are empty is hashed beside them.
    alike = F.xxhash64(*METRICS, *(F.isnull(name) for name in METRICS))
    cells = sum((F.when(F.col(name) != 0, 1).otherwise(0) for name in METRICS), F.lit(0))
    return (
        clean_days.where(cells >= COPY_CELLS)
        .groupBy(alike.alias("alike"))
        .agg(F.min("user_id").alias("user_id"), F.max("user_id").alias("other_id"), F.min("date").alias("first"))
        .where("user_id != other_id")
        .groupBy("user_id", "other_id")
        .agg(F.count("*").alias("days"), F.min("first").alias("first"))
        .where(F.col("days") >= COPY_DAYS)
        .orderBy(F.desc("days"), "user_id", "other_id")
        .limit(NAMED)
    )


def changing(clean_days: DataFrame) -> DataFrame:
    """One row with ``people``: of how many the gender changes or the age falls or leaps."""
    born = F.col("age") - F.year("date")
    per_person = clean_days.groupBy("user_id").agg(
        (F.min("gender") != F.max("gender")).alias("gender"),
        # On a birthday the difference of age and year moves by one; one that moves by two is not of one person.
        (F.max(born) - F.min(born) > 1).alias("age"),
    )
    return per_person.agg(F.count_if(F.expr("gender OR age")).alias("people"))


def months(monthly_summary: DataFrame) -> DataFrame:
    """Each month's averages over people, and the share of its days that were logged."""
    return (
        monthly_summary.groupBy("year", "month")
        .agg(
            F.count("*").alias("people"),
            (F.sum("days_logged") / F.sum("days_in_month")).alias("share_logged"),
            *(F.avg(f"avg_{name.removesuffix('_avg')}").alias(name) for name in METRICS),
        )
        .orderBy("year", "month")
    )


def reasons(days: DataFrame) -> DataFrame:
    """How many rows were left out for each reason."""
    return days.select(F.explode("reasons").alias("reason")).groupBy("reason").agg(F.count("*").alias("rows"))


def misfits(quarantine: DataFrame) -> DataFrame:
    """How many cells were quarantined for each column: what stands before the colon of a reason."""
    column = F.substring_index("reason", ":", 1)
    one = quarantine.select(F.explode("reasons").alias("reason")).select(column.alias("reason"))
    return one.groupBy("reason").agg(F.count("*").alias("rows")).orderBy(F.desc("rows"), "reason").limit(NAMED)


def one_person(clean_days: DataFrame, user_id: str, days: int = 366) -> DataFrame:
    """The first days of one person, to be drawn."""
    person = clean_days.where(F.col("user_id") == user_id)
    return person.select("date", *METRICS).orderBy("date").limit(days)
