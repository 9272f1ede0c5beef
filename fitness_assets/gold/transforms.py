"""Makes gold from clean days: projections, averages and a calendar without gaps."""

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.engine.expressions import decimals, mean
from fitness_assets.gold.tables import DIM_ACTIVITY, DIM_DATE, DIM_USER, FACT_DAILY, MONTHLY_SUMMARY, ROUNDED
from fitness_assets.schema.table import Table
from fitness_assets.silver.transforms import of_the_calendar

_DATE_KEY = "year(date) * 10000 + month(date) * 100 + day(date)"


def dim_user(clean_days: DataFrame) -> DataFrame:
    """One row for each user: latest age and gender, averages over all clean days."""
    return (
        clean_days.groupBy("user_id")
        .agg(
            _latest(F.col("age")).alias("age"),
            # As a number: to find the latest of texts, Spark would sort all days.
            F.char(_latest(F.ascii("gender"))).alias("gender"),
            *(_average(of, f"avg_{of}") for of in ("height_cm", "weight_kg", "bmi", "bmr")),
        )
        .select(*_names(DIM_USER))
    )


def dim_date(clean_days: DataFrame) -> DataFrame:
    """Every calendar day from the first clean day to the last; no row if there is no clean day."""
    days = clean_days.agg(F.min("date").alias("first"), F.max("date").alias("last"))
    dates = days.select(F.explode(F.sequence("first", "last")).alias("date"))
    return dates.withColumns({**of_the_calendar(), "date_key": F.expr(_DATE_KEY)}).select(*_names(DIM_DATE))


def dim_activity(clean_days: DataFrame) -> DataFrame:
    """What a user did on a day."""
    return clean_days.withColumn("date_key", F.expr(_DATE_KEY)).select(*_names(DIM_ACTIVITY))


def fact_daily(clean_days: DataFrame) -> DataFrame:
    """Every clean day with its measures and features."""
    rounded = {name: decimals(F.col(name), 2) for name in ROUNDED}
    return clean_days.withColumns({"date_key": F.expr(_DATE_KEY), **rounded}).select(*_names(FACT_DAILY))


def monthly_summary(clean_days: DataFrame) -> DataFrame:
    """Averages and day counts for each user and month."""
    return (
        clean_days.groupBy("user_id", "year", "month")
        .agg(
            F.count("*").cast("int").alias("days_logged"),
            F.dayofmonth(F.last_day(F.min("date"))).alias("days_in_month"),
            _average("heart_rate_avg", "avg_heart_rate"),
            *(
                _average(of, f"avg_{of}")
                for of in (
                    "steps",
                    "sleep_hours",
                    "calories_burned",
                    "exercise_minutes",
                    "stress_level",
                    "weight_kg",
                    "bmi",
                )
            ),
        )
        .select(*_names(MONTHLY_SUMMARY))
    )


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _latest(value: SparkColumn) -> SparkColumn:
    return F.max_by(value, F.when(value.isNotNull(), F.col("date")))


def _average(of: str, name: str) -> SparkColumn:
    return decimals(mean(F.col(of)), 2).alias(name)
