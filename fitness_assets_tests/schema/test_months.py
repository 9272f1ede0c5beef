"""Labels of months: from paths, from rows, and widened by days."""

from datetime import date, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import functions as F

from fitness_assets.schema.months import (
    OTHER,
    WHOLE,
    last_day,
    month_in,
    month_of,
    month_of_row,
    month_sql,
    third_sql,
    widened,
)

DAYS = st.dates(date(1990, 2, 1), date(2099, 10, 31))


@pytest.mark.parametrize(
    ("path", "month"),
    [
        ("/lake/_versions/silver/clean_days/000001/2024-09.part-0.snappy.parquet", "2024-09"),
        ("s3://b/silver/clean_days/_versions/000001/w/calendar_month=2024-09/part-0.parquet", "2024-09"),
        ("s3://b/silver/clean_days/_versions/000001/w/calendar_month=2024-09.3/part-0.parquet", "2024-09"),
        ("2024-09.1.part-0.snappy.parquet", "2024-09"),
        ("calendar_month=other/part-0.parquet", OTHER),
        ("calendar_month=other.2/part-0.parquet", OTHER),
        ("other.part-0.parquet", OTHER),
        ("/lake/2024-09/part-2023-01.parquet", WHOLE),
        ("/lake/calendar_month=2024-09/deeper/part-0.parquet", WHOLE),
        ("part-2024-09.parquet", WHOLE),
        ("2024-09-06.parquet", WHOLE),
    ],
)
def test_the_month_of_a_file_is_in_its_path(path, month):
    assert month_in(path) == month


ROWS = [date(1989, 12, 31), date(1990, 1, 1), date(2024, 2, 29), date(2099, 12, 31), date(2100, 1, 1), date(1, 1, 1)]
LABELS = [OTHER, "1990-01", "2024-02", "2099-12", OTHER, OTHER]


@pytest.mark.parametrize("column", ["date", "date_key"])
def test_duckdb_the_engine_and_json_agree_on_the_month_of_a_row(spark, column):
    keys = {day: day if column == "date" else int(f"{day:%Y%m%d}") for day in ROWS}
    type_, cast = ("date", "DATE") if column == "date" else ("int", "INTEGER")
    frame = spark.createDataFrame([(keys[day],) for day in ROWS] + [(None,)], f"{column} {type_}")
    by_engine = {row[column]: row["month"] for row in frame.withColumn("month", F.expr(month_sql([column]))).collect()}
    with duckdb.connect() as connection:
        values = ", ".join(f"('{keys[day]}'::{cast})" for day in ROWS)
        found = connection.sql(f"SELECT {column}, {month_sql([column])} FROM (VALUES {values}) t({column})").fetchall()
    expected = dict(zip((keys[day] for day in ROWS), LABELS, strict=True))
    assert by_engine == expected | {None: OTHER}
    assert dict(found) == expected
    assert [month_of_row({column: keys[day] if column == "date_key" else str(day)}) for day in ROWS] == LABELS


@pytest.mark.parametrize("column", ["date", "date_key"])
def test_the_engine_splits_a_month_after_the_10th_and_the_20th(spark, column):
    days = [date(2024, 2, day) for day in range(1, 30)]
    keys = [day if column == "date" else int(f"{day:%Y%m%d}") for day in days]
    frame = spark.createDataFrame([(key,) for key in keys], f"{column} {'date' if column == 'date' else 'int'}")
    found = {row[column]: row["third"] for row in frame.withColumn("third", F.expr(third_sql([column]))).collect()}
    assert [found[key] for key in keys] == ["2024-02.1"] * 10 + ["2024-02.2"] * 10 + ["2024-02.3"] * 9


@given(DAYS, st.integers(0, 40), st.integers(0, 40), st.integers(-40, 40))
def test_widened_months_have_every_day_that_is_so_near_and_no_other_month(day, before, after, distance):
    months = widened([month_of(day)], before, after)
    other = day + timedelta(distance)
    if -before <= distance <= after:
        assert month_of(other) in months
    edges = [day.replace(day=1) - timedelta(before), last_day(month_of(day)) + timedelta(after)]
    assert {min(months), max(months)} == {month_of(edge) for edge in edges}


def test_days_out_of_range_have_no_neighbours():
    assert widened([OTHER], 30, 30) == {OTHER}
