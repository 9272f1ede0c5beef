"""Generates days of people who resemble real people in everything that the quality audit measures, and adds faults."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from fitness_assets.bronze.tables import LOGGED_DAYS, QUARANTINE, UPLOADS
from fitness_assets.gold import transforms as gold
from fitness_assets.gold.tables import MONTHLY_SUMMARY
from fitness_assets.predictions.tables import MODELS
from fitness_assets.silver import transforms as silver
from fitness_assets.silver.device_tables import DEVICE_DAYS
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS
from fitness_assets_tests.conftest import arrow_of

FIRST_DAY = date(2024, 1, 1)  # a Monday
USERS, DAYS = 30, 150


def plausible() -> pd.DataFrame:
    """Days with the raw columns: people and weekends differ, bodies change slowly, measures depend on each other."""
    rng = np.random.default_rng(5)
    shape = (USERS, DAYS)
    weekend = np.array([(FIRST_DAY + timedelta(day)).weekday() >= 5 for day in range(DAYS)])

    def slow(keeps: float) -> np.ndarray:
        course = rng.normal(0, 1, shape)
        for day in range(1, DAYS):
            course[:, day] = keeps * course[:, day - 1] + np.sqrt(1 - keeps**2) * course[:, day]
        return course

    def person(spread: float) -> np.ndarray:
        return rng.normal(0, spread, (USERS, 1))

    age, gender = rng.integers(20, 70, (USERS, 1)), rng.choice(["M", "F"], (USERS, 1))
    height = np.where(gender == "M", 178, 165) + person(7)
    active, strain = slow(0.4), slow(0.5)
    steps = (8_000 + person(2_500) + 2_500 * active - 400 * strain + 1_500 * weekend).clip(400, 40_000).round()
    exercise = (35 + person(12) + 14 * active + 8 * weekend + rng.normal(0, 8, shape)).clip(0).round()
    weight = 24.5 * (height / 100) ** 2 + person(9) + 1.5 * slow(0.98) + 0.15 * (rng.normal(0, 1, shape) + 2 * weekend)
    bmr = 10 * weight + 6.25 * height - 5 * age + np.where(gender == "M", 5, -161)
    heart = 68 + person(6) + 3 * slow(0.6) + 0.1 * exercise + 1.5 * strain
    sleep = (
        7 + person(0.7) + 0.6 * rng.normal(0, 1, shape) - 0.3 * strain - 0.15 * active + 0.7 * weekend + 0.2 * slow(0.5)
    )
    stress = 4.5 + person(1) + 1.6 * strain - 0.8 * weekend
    weight = weight.round(1)
    return pd.DataFrame(
        {
            "user_id": np.repeat([f"{user:02}" for user in range(USERS)], DAYS),
            "age": np.repeat(age, DAYS),
            "gender": np.repeat(gender, DAYS),
            "date": [FIRST_DAY + timedelta(day) for day in range(DAYS)] * USERS,
            "steps": steps.ravel(),
            "heart_rate_avg": heart.ravel().round(),
            "sleep_hours": (sleep.clip(3, 12) * 60).round().ravel() / 60,
            "calories_burned": (1.3 * bmr + 0.05 * steps + rng.normal(0, 60, shape)).round().ravel(),
            "exercise_minutes": exercise.ravel(),
            "stress_level": stress.round().clip(1, 10).ravel(),
            "weight_kg": weight.ravel(),
            "bmi": (weight / (height / 100) ** 2).round(2).ravel(),
        }
    )


def with_planted_faults(days: pd.DataFrame) -> pd.DataFrame:
    """The same days with faults of a few people on a few days."""
    days = days.copy()
    day = days.groupby("user_id").cumcount()
    days.loc[(days.user_id == "03") & (day >= 60), "weight_kg"] += 8
    one = days.user_id == "04"
    measured = [name for name in days.columns if name not in ("user_id", "date", "age", "gender")]
    days.loc[days.user_id == "05", measured] = days.loc[one, measured].to_numpy()
    days.loc[days.user_id == "07", "steps"] = (days.steps / 1_000).round().clip(1) * 1_000
    days.loc[(days.user_id == "09") & day.between(30, 39), "heart_rate_avg"] = 64.3
    days.loc[(days.user_id == "10") & (day >= 75), "gender"] = np.where(
        days.loc[(days.user_id == "10") & (day >= 75), "gender"] == "M", "F", "M"
    )
    return days.loc[~((days.user_id == "11") & day.between(40, 99))]


def careless(days: pd.DataFrame) -> pd.DataFrame:
    """The same days, carelessly recorded: gaps, empty cells, zeros, rounded values, and other units from May on."""
    rng = np.random.default_rng(6)
    days = days.copy()
    days["steps"] = (days.steps / 1_000).round().clip(1) * 1_000
    days.loc[rng.random(len(days)) < 0.05, "steps"] = 0
    days.loc[rng.random(len(days)) < 0.6, "sleep_hours"] = np.nan
    days["calories_burned"] = (days.calories_burned * rng.choice([0.5, 1.01], len(days))).round(1)
    days.loc[pd.to_datetime(days.date) >= "2024-05-01", "exercise_minutes"] *= 2.5
    days["bmi"] = (days.bmi + rng.normal(0, 2, len(days))).round(2)
    days["weight_kg"] += rng.normal(0, 3, len(days)).round(1)
    return days.loc[rng.random(len(days)) > 0.35]


def tables(spark: SparkSession, days: pd.DataFrame, folder: Path, quarantined: int = 0) -> dict[str, pa.Table]:
    """The tables that the audit reads, by key, made from raw days. The days from May on are a second upload."""
    upload = np.where(pd.to_datetime(days.date) >= "2024-05-01", "may", "first")
    logged = days.assign(
        upload_id=upload, ingested_at=datetime(2026, 1, 1, tzinfo=UTC), row_number=np.arange(len(days)) + 1
    )
    logged = logged.reindex(columns=LOGGED_DAYS.arrow_schema.names)
    logged = pa.Table.from_pandas(logged, LOGGED_DAYS.arrow_schema, preserve_index=False)
    folder.mkdir()
    pq.write_table(logged, folder / "logged_days.parquet")
    judged = silver.judge(spark.read.schema(LOGGED_DAYS.spark_schema).parquet(str(folder / "logged_days.parquet")))
    silver.clean_days(judged).write.parquet(str(folder / "clean"))
    clean = spark.read.parquet(str(folder / "clean"))
    ledger = [
        {
            "upload_id": name,
            "uri": f"{name}.csv",
            "ingested_at": datetime(2026, 1, 1 + position, tzinfo=UTC),
            "rows_read": int((upload == name).sum()) + quarantined,
            "rows_quarantined": quarantined,
        }
        for position, name in enumerate(sorted({*upload.tolist()}))
    ]
    malformed = [{"row_number": number, "reasons": ["steps: '8k' is not a number"]} for number in range(quarantined)]
    return {
        LOGGED_DAYS.key: logged,
        QUARANTINE.key: arrow_of(QUARANTINE, malformed),
        UPLOADS.key: arrow_of(UPLOADS, ledger),
        DEVICE_DAYS.key: arrow_of(DEVICE_DAYS, []),
        CLEAN_DAYS.key: clean.toArrow(),
        REJECTED_DAYS.key: silver.rejected_days(judged).toArrow(),
        MONTHLY_SUMMARY.key: gold.monthly_summary(gold.monthly_sums(clean)).toArrow(),
        **{table.key: arrow_of(table, [{"measure": "skill"}]) for table in MODELS.values()},
    }
