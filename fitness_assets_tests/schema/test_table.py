"""The declarations of all tables: schemas, checks and the data dictionary follow from them."""

import re

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from fitness_assets.engine.rule_checks import broken_rows, contract_errors
from fitness_assets.registry import TABLES, table_of
from fitness_assets.schema.rules import Rule
from fitness_assets.schema.table import Column, Table, range_rule
from fitness_assets.silver.tables import REJECTIONS
from fitness_assets_tests.conftest import arrow_of, frame_of

COLUMNS = [pytest.param(table, column, id=f"{table.key}.{column.name}") for table in TABLES for column in table.columns]
RULES = [pytest.param(table, rule, id=f"{table.key}.{rule.name}") for table in TABLES for rule in table.rules]


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_every_column_is_named_described_and_traced(table: Table, column: Column):
    assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name)
    assert len(column.description) > 4
    assert column.description.endswith(".")
    for source in column.sources:
        key, _, name = source.partition(".")
        assert name in {c.name for c in table_of(key).columns}, source
        assert [t.key for t in TABLES].index(key) < [t.key for t in TABLES].index(table.key), "no step looks back"
    if table.layer != "bronze" and table.key != "coach/goals":  # these are made from uploads
        assert column.sources


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_keys_and_references_name_columns_that_are_never_empty(table: Table):
    for name in table.primary_key:
        assert not table[name].nullable
    for foreign_key in table.foreign_keys:
        assert foreign_key.columns == table_of(foreign_key.references).primary_key
        assert all(table[name] for name in foreign_key.columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_names_of_columns_and_rules_are_unique_in_their_table(table: Table):
    rules = [rule.name for rule in (*table.rules, *table.set_rules)]
    assert len(rules) == len(set(rules))
    assert len(table.columns) == len({column.name for column in table.columns})


@pytest.mark.parametrize(("table", "rule"), RULES)
def test_every_row_rule_passes_the_examples_and_fails_its_failing_example(table: Table, rule: Rule):
    with duckdb.connect() as reader:
        for row, expected in (({}, 0), (rule.failing_example, 1)):
            reader.register(table.name, arrow_of(table, [row]))
            assert broken_rows(reader, table)[rule.name][0] == expected


SPARK_RULES = [
    pytest.param(table, rule, id=f"{table.key}.{rule.name}")
    for table in TABLES
    for rule in table.rules
    if "spark" in rule.engines
]


@pytest.mark.parametrize(("table", "rule"), SPARK_RULES)
def test_a_rule_that_spark_reads_too_finds_the_same_there(spark, table: Table, rule: Rule):
    frame = frame_of(spark, table, [{}, {**rule.failing_example}])
    assert frame.where(rule.violated).count() == 1


def test_every_rule_that_silver_rejects_rows_by_is_written_for_spark_too():
    assert all("spark" in rule.engines for rule in REJECTIONS)


def test_not_a_number_is_outside_every_range():
    table = table_of("silver/clean_days")
    with duckdb.connect() as reader:
        reader.register(table.name, arrow_of(table, [{"weight_kg": float("nan")}]))
        failed, (row,) = broken_rows(reader, table)["weight_kg_range"]
    assert (failed, row["weight_kg"], row["date"]) == (1, "NaN", table["date"].example.isoformat())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.drop("steps"), "steps"),
        (lambda frame: frame.withColumn("steps", F.lit("many")), "steps"),
        (lambda frame: frame.withColumn("mood", F.lit(1)), "mood"),
        (lambda frame: frame.select(*reversed(frame.columns)), "in this order"),
    ],
    ids=["missing", "wrong type", "unknown", "another order"],
)
def test_the_contract_names_the_column_that_is_wrong(spark, change, says):
    table = table_of("gold/dim_activity")
    frame = frame_of(spark, table, [{}])
    assert contract_errors(table, frame) == []
    assert says in str(contract_errors(table, change(frame)))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_a_file_made_in_python_and_one_made_by_spark_have_the_same_types(spark, tmp_path, table: Table):
    example = {column.name: column.example for column in table.columns}
    rows = [example, dict.fromkeys(example)]
    pq.write_table(pa.Table.from_pylist(rows, table.arrow_schema), tmp_path / "python.parquet")
    by_python = spark.read.parquet(str(tmp_path / "python.parquet"))
    assert by_python.schema == table.spark_schema
    assert by_python.toArrow().to_pylist() == rows
    frame_of(spark, table, rows).coalesce(1).write.parquet(str(tmp_path / "spark"))
    (by_spark,) = (tmp_path / "spark").glob("*.parquet")
    assert pq.read_table(by_spark, schema=table.arrow_schema).to_pylist() == rows
    stored = pq.read_schema(by_spark)
    assert stored.names == table.arrow_schema.names
    # Spark stores moments in a format of its own, which has no time zone and counts nanoseconds.
    own = {pa.timestamp("us", tz="UTC"): pa.timestamp("ns")}
    for column in table.arrow_schema:
        assert stored.field(column.name).type in (column.type, own.get(column.type)), column.name


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0, 16_777_217, "0 AND 16777217"), (18.5, 1234567.25, "18.5 AND 1234567.25"), (-1e-7, 1e7, "-1e-07 AND 10000000")],
)
def test_a_range_keeps_all_its_digits(low, high, text):
    column = Column("steps", "bigint", "Steps.", 1, range=(low, high))
    assert f"BETWEEN {text}" in range_rule(column).violated
