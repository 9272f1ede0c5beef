"""Sail and Spark give the same tables, cell for cell.

Spark is a Spark Connect server here, so that one process can ask both engines. Whole runs on local Spark, on a cluster
and as jobs are compared with Sail by the deployment tests.
"""

import random
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from fitness_assets.bronze.tables import LOGGED_DAYS, RAW_COLUMNS
from fitness_assets.gold import transforms as gold
from fitness_assets.gold.tables import FACT_DAILY, MONTHLY_SUMS
from fitness_assets.predictions import transforms as predictions
from fitness_assets.schema.table import Table
from fitness_assets.silver import transforms as silver
from fitness_assets.silver.tables import CATEGORIES_FROM, CLEAN_DAYS
from fitness_assets_tests.conftest import NEEDS_JAVA, frame_of
from fitness_assets_tests.whole_runs import Server, environment, free_port, listens

pytestmark = NEEDS_JAVA

DAYS = [
    *(date(2024, 2, 27) + timedelta(n) for n in range(4)),  # a leap day
    *(date(2023, 12, 30) + timedelta(n) for n in range(4)),  # the end of a year
    *(date(2024, 3, 1) + timedelta(n) for n in (0, 1, 2, 28, 29, 30, 31, 59, 60, 61, 92)),
    date(1989, 12, 31),
    date(1990, 1, 1),
    date(1969, 12, 31),
    date(2999, 1, 1),
]
IDS = ["1", "01", "9" * 40, "Zoë", "Zoe\u0308", "名前", "a'b\"c", "x" * 200, " ", "null"]
UPLOADS = [(f"{n:016x}", datetime(2024, 9, 1 + n, 6, n, tzinfo=UTC)) for n in range(6)]


@pytest.fixture(scope="module")
def jvm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark itself."""
    port = free_port()
    command = [sys.executable, "-m", "fitness_assets", "spark-server", "--port", str(port)]
    server = Server(command, tmp_path_factory.mktemp("server"), environment())
    server.start(lambda: listens(port))
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
    for name, value in {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}.items():
        session.conf.set(name, value)
    yield session
    session.stop()
    server.kill()


def odd_values(name: str) -> list[Any]:
    """Values around every bound of a rule or category, negative values, zero, null and a number of many digits."""
    column = next(column for column in RAW_COLUMNS if column.name == name)
    bounds = [*(column.range or ()), *CATEGORIES_FROM.get(name, ((), ()))[0]]
    small = 1 if column.type == "int" else 0.1
    numbers = [bound + by for bound in bounds for by in (-small, 0, small)] + [-1, 0]
    if column.type == "int":
        return [int(number) for number in numbers]
    return [float(number) for number in numbers] + [-0.0, 71.123456789012345, 1 / 3, 1e-9, 1e15]


def logged_rows(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Rows of ``bronze/logged_days`` with odd values; many share their person and day, some are copies."""
    rows: list[dict[str, Any]] = []
    people = rng.sample(IDS, rng.randint(1, len(IDS)))
    for number in range(count):
        upload_id, ingested_at = rng.choice(UPLOADS)
        if rows and rng.random() < 0.2:  # a copy, in the same upload or in a later one
            row = dict(rng.choice(rows)) if rng.random() < 0.5 else rng.choice(rows) | {"upload_id": upload_id}
            row["ingested_at"] = dict(UPLOADS)[row["upload_id"]]
            rows.append(row | {"row_number": number})
            continue
        cells: dict[str, Any] = {"user_id": rng.choice(people), "date": rng.choice(DAYS)}
        cells["gender"] = rng.choice(["M", "F", None])
        for column in RAW_COLUMNS:
            if column.type in ("int", "double"):
                odd = odd_values(column.name) + ([None] if column.nullable else [])
                cells[column.name] = rng.choice(odd) if rng.random() < 0.15 else column.example
                if column.type == "double" and rng.random() < 0.5 and column.range:
                    cells[column.name] = round(rng.uniform(*column.range), rng.choice([1, 2, 9]))
        identity = {"upload_id": upload_id, "ingested_at": ingested_at, "row_number": number}
        rows.append({**identity, **cells, "extra": rng.choice([None, '{"device": "watch"}'])})
    return rows


def same_days(rng: random.Random, people: dict[str, int]) -> list[dict[str, Any]]:
    """Rows of people with so many days, with gaps; the shape in which windows and averages have something to do."""
    identity = {"upload_id": UPLOADS[0][0], "ingested_at": datetime(2030, 1, 1, tzinfo=UTC)}
    rows = []
    for person, days in people.items():
        day = date(2023, 11, 20)
        for _ in range(days):
            day += timedelta(rng.choice([1] * 12 + [2, 3, 29, 30, 31, 32, 75]))
            cells = {
                "user_id": person,
                "date": day,
                "steps": rng.randint(1, 50_000),
                "stress_level": rng.choice([None, *range(1, 11)]),
                "weight_kg": rng.choice([None, round(rng.uniform(30, 200), 3)]),
                "bmi": rng.choice([None, round(rng.uniform(10, 60), 2)]),
                "calories_burned": round(rng.uniform(500, 8000), 1),
                "sleep_hours": rng.choice([None, round(rng.uniform(2, 16), 4)]),
                "exercise_minutes": rng.choice([None, rng.uniform(0, 600)]),
            }
            rows.append({**identity, **cells, "row_number": len(rows)})
    return rows


Make = Callable[[DataFrame], DataFrame]


def same(spark: SparkSession, jvm: SparkSession, table: Table, rows: list[dict[str, Any]], make: Make) -> list[Any]:
    """What both engines make of rows of a table; they have to agree."""
    ours, theirs = (make(frame_of(session, table, rows)).collect() for session in (spark, jvm))
    assert sorted(map(repr, ours)) == sorted(map(repr, theirs))
    return [row.asDict() for row in ours]


def assert_same_tables(spark: SparkSession, jvm: SparkSession, rows: list[dict[str, Any]]) -> None:
    """Every table of silver and gold, and what models learn from."""
    clean = same(spark, jvm, LOGGED_DAYS, rows, lambda logged: silver.clean_days(silver.judge(logged)))
    same(spark, jvm, LOGGED_DAYS, rows, lambda logged: silver.rejected_days(silver.judge(logged)))
    same(spark, jvm, CLEAN_DAYS, clean, gold.dim_activity)
    sums = same(spark, jvm, CLEAN_DAYS, clean, gold.monthly_sums)
    for make in (gold.dim_user, gold.dim_date, gold.monthly_summary):
        same(spark, jvm, MONTHLY_SUMS, sums, make)
    fact = same(spark, jvm, CLEAN_DAYS, clean, gold.fact_daily)
    same(spark, jvm, FACT_DAILY, fact, predictions.features)
    same(spark, jvm, FACT_DAILY, fact, lambda days: predictions.sampled_features(days, 10_000, 100, 5_000))


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_odd_rows_and_days_with_gaps_give_the_same_tables_on_both_engines(spark, jvm, seed):
    rng = random.Random(seed)
    assert_same_tables(spark, jvm, logged_rows(rng, 400) + same_days(rng, {"p0": 1, "p1": 70, "p2": 120, "p3": 120}))


def test_no_rows_give_the_same_tables_on_both_engines(spark, jvm):
    assert_same_tables(spark, jvm, [])


def test_a_difference_in_one_cell_is_found(spark, jvm):
    added = iter([0, 1])
    with pytest.raises(AssertionError):
        same(spark, jvm, LOGGED_DAYS, [{}], lambda logged: logged.withColumn("steps", F.col("steps") + next(added)))
