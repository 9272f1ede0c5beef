"""Makes gold from clean days: projections, averages and a calendar without gaps."""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.engine.expressions import decimals, mean_of, total
from fitness_assets.gold.tables import (
    DIM_ACTIVITY,
    DIM_DATE,
    DIM_USER,
    FACT_DAILY,
    MONTHLY_SUMMARY,
    MONTHLY_SUMS,
    ROUNDED,
    SUMMED,
)
from fitness_assets.schema.table import Table
from fitness_assets.silver.transforms import of_the_calendar

_DATE_KEY = "year(date) * 10000 + month(date) * 100 + day(date)"


def monthly_sums(clean_days: DataFrame) -> DataFrame:
    """Sums and counts for each user and month, and the latest age and gender."""
    counted = {f"{name}_count": F.count(name).cast("int") for name in SUMMED}
    return (
        clean_days.groupBy("user_id", "year", "month")
        .agg(
            F.min("date").alias("first_date"),
            F.max("date").alias("last_date"),
            F.count("*").cast("int").alias("days_logged"),
            F.max_by("age", _known("date", "age")).alias("age"),
            # As a number: to find the latest of texts, Spark would sort all days.
            F.char(F.max_by(F.ascii("gender"), _known("date", "gender"))).alias("gender"),
            *(F.max(_known("date", name)).alias(f"{name}_date") for name in ("age", "gender")),
            *(total(F.col(name)).alias(f"{name}_sum") for name in SUMMED),
            *(count.alias(name) for name, count in counted.items()),
        )
        .select(*_names(MONTHLY_SUMS))
    )


def dim_user(monthly_sums: DataFrame) -> DataFrame:
    """One row for each user: latest age and gender, averages over all clean days."""
    averages = {
        f"avg_{name}": decimals(mean_of(F.sum(f"{name}_sum"), F.sum(f"{name}_count")), 2)
        for name in ("height_cm", "weight_kg", "bmi", "bmr")
    }
    return (
        monthly_sums.groupBy("user_id")
        .agg(
            F.max_by("age", "age_date").alias("age"),
            F.char(F.max_by(F.ascii("gender"), F.col("gender_date"))).alias("gender"),
            *(average.alias(name) for name, average in averages.items()),
        )
        .select(*_names(DIM_USER))
    )


def dim_date(monthly_sums: DataFrame) -> DataFrame:
    """Every calendar day from the first clean day to the last; no row if there is no clean day."""
    days = monthly_sums.agg(F.min("first_date").alias("first"), F.max("last_date").alias("last"))
    dates = days.select(F.explode(F.sequence("first", "last")).alias("date"))
    return dates.withColumns({**of_the_calendar(), "date_key": F.expr(_DATE_KEY)}).select(*_names(DIM_DATE))


def dim_activity(clean_days: DataFrame) -> DataFrame:
    """What a user did on a day."""
    return clean_days.withColumn("date_key", F.expr(_DATE_KEY)).select(*_names(DIM_ACTIVITY))


def fact_daily(clean_days: DataFrame) -> DataFrame:
    """Every clean day with its measures and features."""
    rounded = {name: decimals(F.col(name), 2) for name in ROUNDED}
    return clean_days.withColumns({"date_key": F.expr(_DATE_KEY), **rounded}).select(*_names(FACT_DAILY))


def monthly_summary(monthly_sums: DataFrame) -> DataFrame:
    """Averages and day counts for each user and month."""
    averages = {
        f"avg_{name.removesuffix('_avg')}": decimals(mean_of(F.col(f"{name}_sum"), F.col(f"{name}_count")), 2)
        for name in SUMMED
    }
    days_in_month = F.dayofmonth(F.last_day("first_date"))
    return monthly_sums.withColumns({**averages, "days_in_month": days_in_month}).select(*_names(MONTHLY_SUMMARY))


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _known(name: str, where: str) -> SparkColumn:
    """A column where another one is not empty."""
    return F.when(F.col(where).isNotNull(), F.col(name))
