"""What Sail computes differently from Spark, as listed in docs/spark.md; our transforms avoid all of it.

A test that fails after an upgrade of Sail means that a difference is gone: take it out of this file and of the list.
"""

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import Window
from pyspark.sql import functions as F


def value(spark, sql):
    return spark.sql(f"SELECT {sql}").collect()[0][0]


def test_rint_rounds_halves_away_from_zero(spark):
    assert value(spark, "rint(2.5D)") == 3.0  # Spark: 2.0


def test_round_looks_at_the_binary_value(spark):
    # Spark looks at the decimal text and gives 1.01.
    assert spark.createDataFrame([(1.005,)], "x double").select(F.round("x", 2)).collect()[0][0] == 1.0


def test_a_case_with_an_int_literal_and_a_double_column_is_an_int(spark):
    frame = spark.createDataFrame([(1.5,)], "x double")
    assert frame.select(F.when(F.col("x") < 0, F.lit(0)).otherwise(F.col("x")).alias("y")).dtypes == [("y", "int")]


def test_a_sliding_sum_of_doubles_subtracts_what_leaves_the_window(spark):
    frame = spark.createDataFrame([(n, x) for n, x in enumerate([1e16, 1.0, 1.0])], "n int, x double")
    sums = frame.select("n", F.sum("x").over(Window.partitionBy().orderBy("n").rowsBetween(-1, 0)).alias("sum"))
    assert [row["sum"] for row in sorted(sums.collect())] == [1e16, 1e16, 0.0]  # Spark: the last one is 2.0


def test_a_folder_that_does_not_exist_is_read_as_no_rows(spark, tmp_path):
    assert spark.read.schema("a int").parquet(str(tmp_path / "nowhere")).count() == 0  # Spark: an error


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("'a' RLIKE '(?!b)a'", "regex parse error"),
        ("try_divide(1.0D, 0.0D)", "try_divide"),
        ("from_csv('1,2', 'a STRING, b STRING, c STRING')", "values but schema expects"),
        ("sum(x) / count(x) FROM (SELECT CAST(NULL AS DOUBLE) AS x)", "Division by zero"),
    ],
    ids=["no look-ahead in patterns", "no try_divide of doubles", "no short rows", "a mean of no values"],
)
def test_it_fails_where_spark_answers(spark, sql, says):
    with pytest.raises(PySparkException, match=says):
        value(spark, sql)
