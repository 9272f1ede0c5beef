"""Simulated days with a planted signal. Each kind plants what one model is to find; all else is drawn independently."""

import tempfile
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
from fitness_assets.gold import transforms as gold
from fitness_assets.predictions import transforms
from fitness_assets.predictions.tables import TARGETS, Target
from fitness_assets.sample import realistic
from fitness_assets.silver import transforms as silver

FIRST_DAY = date(2024, 9, 6)
_STRESS_MEAN, _STRESS_SPREAD = 5.5, 2.9  # of whole numbers from 1 to 10, all as frequent

_TARGET_OF = {"sleep": "sleep_quality", "weight": "weight_change", "stress": "stress_change"}


class Planted(NamedTuple):
    """What is planted in the days of some users.

    Attributes:
        kind: ``none``, ``sleep``, ``weight`` or ``stress``.
        strength: of ``sleep``, the correlation of a day's stress with the next night's sleep; of ``stress``, that of a
            day's stress with a personal cycle of 80 to 120 days; of ``weight``, the kg that a person is below their own
            base 30 days after a month of burning one standard deviation more than usual.
        seed: of everything that is drawn.
        rounds: whether half of the people log the first half of the days only, and the others the second half only, so
            that nobody who logs later has earlier days.
    """

    kind: str = "none"
    strength: float = 0.0
    seed: int = 0
    rounds: bool = False

    @property
    def name(self) -> str:
        """What the users' identifiers begin with."""
        return f"{self.kind}-{self.strength:g}{'-rounds' * self.rounds}-{self.seed}"

    @property
    def target(self) -> Target:
        """What can be predicted of these days."""
        return next(target for target in TARGETS if target.name == _TARGET_OF[self.kind])


def raw_days(planted: Planted, users: int, days: int) -> pd.DataFrame:
    """Every day of every user, in the raw contract's twelve columns."""
    rng = np.random.default_rng(planted.seed)
    kind, strength, shape = planted.kind, planted.strength, (users, days)
    rest = np.sqrt(1 - strength**2) if kind in ("sleep", "stress") else 1.0
    height, base = rng.normal(1.70, 0.09, (users, 1)).clip(1.5, 2), rng.normal(75, 12, (users, 1)).clip(45, 130)

    steps = rng.normal(8_000, 2_500, shape).round().clip(300, 30_000)
    stress = rng.uniform(-np.sqrt(3), np.sqrt(3), shape)
    sleep = rng.normal(0, 1, shape)
    weight = base + rng.normal(0, 2, shape)
    calories = 1_900 + steps * 0.05 + rng.normal(0, 150, shape)
    if kind == "stress":
        period, phase = rng.uniform(80, 120, (users, 1)), rng.uniform(0, 2 * np.pi, (users, 1))
        stress = strength * np.sqrt(2) * np.sin(2 * np.pi * np.arange(days) / period + phase) + rest * stress
    stress = (_STRESS_MEAN + _STRESS_SPREAD * stress).round().clip(1, 10)
    if kind == "sleep":
        before = (stress[:, :-1] - _STRESS_MEAN) / _STRESS_SPREAD
        sleep[:, 1:] = rest * sleep[:, 1:] - strength * before
    if kind == "weight":
        energy = _slow(rng, users, days)
        calories += 300 * energy
        weight[:, 30:] -= strength * _mean_of_30(energy)[:, :-30]

    made = pd.DataFrame(
        {
            "user_id": np.repeat([f"{planted.name}-{user:03}" for user in range(users)], days),
            "age": np.repeat(rng.integers(18, 80, users), days),
            "gender": np.repeat(rng.choice(["M", "F"], users), days),
            "date": [FIRST_DAY + timedelta(day) for day in range(days)] * users,
            "steps": steps.ravel().astype(int),
            "heart_rate_avg": rng.normal(75, 10, shape).round(1).clip(45, 150).ravel(),
            "sleep_hours": (7 + 1.3 * sleep).round(1).clip(3, 12).ravel(),
            "calories_burned": calories.round(1).clip(700, 6_000).ravel(),
            "exercise_minutes": rng.normal(45, 15, shape).round(1).clip(0, 180).ravel(),
            "stress_level": stress.ravel().astype(int),
            "weight_kg": weight.round(1).clip(35, 180).ravel(),
            "bmi": (weight / height**2).round(1).clip(12, 55).ravel(),
        }
    )
    if not planted.rounds:
        return made
    is_late_user, is_late_day = (
        np.repeat(np.arange(users) >= users // 2, days),
        np.tile(np.arange(days), users) >= days // 2,
    )
    return made.loc[is_late_user == is_late_day].reset_index(drop=True)


def _slow(rng: np.random.Generator, users: int, days: int) -> np.ndarray:
    """A course for each user that takes about 10 days to forget where it was; mean 0, variance 1."""
    keeps = 0.9
    course = rng.normal(0, 1, (users, days))
    for day in range(1, days):
        course[:, day] = keeps * course[:, day - 1] + np.sqrt(1 - keeps**2) * course[:, day]
    return course


def _mean_of_30(values: np.ndarray) -> np.ndarray:
    """The mean of each day and the 29 before it, in standard deviations of all these means."""
    means = np.asarray(pd.DataFrame(values.T).rolling(30, min_periods=1).mean()).T
    return means / means.std()


def fact_daily(spark: SparkSession, days: pd.DataFrame, folder: Path) -> DataFrame:
    """What silver and gold make of raw days; by way of a file, because Spark takes lists of Python much more slowly."""
    logged = days.assign(
        upload_id="planted", ingested_at=datetime(2026, 1, 1, tzinfo=UTC), row_number=np.arange(len(days)) + 1
    )
    path = folder / "logged_days.parquet"
    pq.write_table(
        pa.Table.from_pandas(logged.reindex(columns=LOGGED_DAYS.arrow_schema.names), LOGGED_DAYS.arrow_schema), path
    )
    frame = spark.read.schema(LOGGED_DAYS.spark_schema).parquet(str(path))
    return gold.fact_daily(silver.clean_days(silver.judge(frame)))


def features(spark: SparkSession, all_planted: Iterable[Planted], users: int, days: int) -> dict[Planted, pd.DataFrame]:
    """Features and targets of every day, made in one pass of Spark."""
    all_planted = list(all_planted)
    raw = pd.concat([raw_days(planted, users, days) for planted in all_planted])
    rows = features_of(spark, raw)
    of = dict([*rows.groupby(rows["user_id"].str.rsplit("-", n=1).str[0])])
    return {planted: of[planted.name].reset_index(drop=True) for planted in all_planted}


def features_of(spark: SparkSession, raw: pd.DataFrame) -> pd.DataFrame:
    """Features and targets of raw days, by person and day."""
    with tempfile.TemporaryDirectory() as folder:
        made = transforms.features(fact_daily(spark, raw, Path(folder))).toArrow()
    return made.sort_by([("user_id", "ascending"), (transforms.DAY, "ascending")]).to_pandas()


def realistic_days(people: int, days: int, seed: int) -> pd.DataFrame:
    """Raw days of the realistic sample."""
    names = pd.Index([column.name for column in RAW_COLUMNS])
    raw = pd.DataFrame([cells for user in realistic.rows(people, days, seed) for cells in user], columns=names)
    numbers = {column.name: column.type for column in RAW_COLUMNS if column.type in ("int", "double")}
    return raw.astype(numbers).assign(date=pd.to_datetime(raw["date"]).dt.date)
