"""How days become measures of their own quality: sums, histograms and short lists, nothing that grows with the days.

Here belongs what Spark counts. What the counts say of the data stands in ``measures.py`` and ``diagnostics.py``.

Most of it comes from sums for each person, which ``sums.py`` makes and ``tallies.py`` adds up.
"""

from collections.abc import Callable, Iterator

import pyarrow as pa
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.quality.sums import DAY, INPUTS, ROUND_TO
from fitness_assets.quality.tables import METRICS
from fitness_assets.quality.tallies import BIN_WIDTH, NAMED, SCHEMA, Tally, add_up, tally_people, tally_rows

COPY_CELLS, COPY_DAYS = 3, 3
"""Days of two people are alike if they agree in all cells and have at least so many that are neither 0 nor round, as
round ones agree by chance; so many such days are a copy."""

LATEST_UPLOADS = 24
"""Uploads before these are taken together when uploads are compared."""


def tally(clean_days: DataFrame, here: bool) -> Tally:
    """The `tallies.Tally` of all clean days.

    Args:
        clean_days: ``silver/clean_days``.
        here: the days are few enough to be tallied in this process; starting Spark's own would take longer.
    """
    days = clean_days.withColumns({DAY: F.unix_date("date"), "gender": _is_male()}).select(*INPUTS)
    if here:
        return _tallied(tally_people, days.toArrow().sort_by([("user_id", "ascending"), (DAY, "ascending")]))
    by_person = days.repartition("user_id").sortWithinPartitions("user_id", DAY)
    return _added_up(by_person.mapInArrow(tally_people, SCHEMA))


def tally_before(logged_days: DataFrame, latest: list[str], here: bool) -> Tally:
    """The same of what was logged, as far as `tallies.tally_rows` goes; keys are the latest uploads, or none."""
    key = F.when(F.col("upload_id").isin(latest), F.col("upload_id")).alias("key")
    made = {"person": F.xxhash64("user_id"), DAY: F.unix_date("date"), "gender": _is_male()}
    asked = logged_days.withColumns(made).select(key, "person", DAY, *BIN_WIDTH)
    if here:
        return _tallied(tally_rows, asked.toArrow())
    return _added_up(asked.mapInArrow(tally_rows, SCHEMA))


def _tallied(make: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]], days: pa.Table) -> Tally:
    (made,) = make(iter(days.to_batches()))
    return Tally.from_json(made["tally"][0].as_py())


def _added_up(tallies: DataFrame) -> Tally:
    # By one task, not by this process: of a large lake they are many.
    return _tallied(add_up, tallies.repartition(1).mapInArrow(add_up, SCHEMA).toArrow())


def _is_male() -> SparkColumn:
    return F.when(F.col("gender") == "M", 1).when(F.col("gender") == "F", 0)


def copies(clean_days: DataFrame) -> DataFrame:
    """Pairs of people who have days that agree in every metric, whenever these days were.

    Returns:
        At most `NAMED` pairs with at least `COPY_DAYS` such days: one and other (as `by_hash` finds them), days, first
        (a day of the pair). Of more than two people who share a day, two stand for all.
    """
    # Spark's hash leaves nulls out, so which cells are empty is hashed beside them.
    alike = F.xxhash64(*METRICS, *(F.isnull(name) for name in METRICS))
    telling = (F.col(name) % ROUND_TO[name] if name in ROUND_TO else F.col(name) for name in METRICS)
    cells = sum((F.when(value != 0, 1).otherwise(0) for value in telling), F.lit(0))
    person = F.xxhash64("user_id")  # Spark has to sort all rows to find the lowest of texts, and not that of numbers
    return (
        clean_days.where(cells >= COPY_CELLS)
        .groupBy(alike.alias("alike"))
        .agg(F.min(person).alias("one"), F.max(person).alias("other"), F.min("date").alias("first"))
        .where("one != other")
        .groupBy("one", "other")
        .agg(F.count("*").alias("days"), F.min("first").alias("first"))
        .where(F.col("days") >= COPY_DAYS)
        .orderBy(F.desc("days"), "one", "other")
        .limit(NAMED)
    )


def by_hash(clean_days: DataFrame, hashes: list[int]) -> DataFrame:
    """The people whose names have these hashes: user_id, hash."""
    return (
        clean_days.select("user_id", F.xxhash64("user_id").alias("hash")).where(F.col("hash").isin(hashes)).distinct()
    )


def months(monthly_summary: DataFrame) -> DataFrame:
    """Each month's averages over people, and the share of its days that were logged."""
    return monthly_summary.groupBy("year", "month").agg(
        F.count("*").alias("people"),
        (F.sum("days_logged") / F.sum("days_in_month")).alias("share_logged"),
        *(F.avg(f"avg_{name.removesuffix('_avg')}").alias(name) for name in METRICS),
    )


def left_out(rejected_days: DataFrame, quarantine: DataFrame) -> DataFrame:
    """Rows rejected by each rule, and cells quarantined for each column: what stands before the colon of a reason."""
    reason = F.explode("reasons").alias("reason")
    kinds = [
        frame.select(F.lit(name).alias("kind"), reason)
        for name, frame in (("rejected", rejected_days), ("misfit", quarantine))
    ]
    return kinds[0].unionAll(kinds[1]).groupBy("kind", F.substring_index("reason", ":", 1).alias("reason")).count()
