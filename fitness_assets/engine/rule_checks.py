"""Checks every rule of a staged version: counts the failing rows and keeps some of them as a sample.

DuckDB reads the staged files for that: a second reader finds mistakes that the engine which wrote the files would
repeat, and it answers in milliseconds. This module does not use Dagster, so a job on another Spark runs it as well.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from fitness_assets.engine.duckdb_reader import reader
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import CheckResult
from fitness_assets.schema.table import CONTRACT, Table

if TYPE_CHECKING:
    import duckdb

Found = tuple[int, list[dict[str, Any]]]
"""How many rows (of a set rule: how many violations) fail a rule, and a sample of them."""

_SAMPLE_ROWS = 5


def contract_errors(table: Table, frame: DataFrame) -> list[dict[str, Any]]:
    """Compare the columns of a frame with the table's declaration: names, types and order. No Spark job runs."""
    expected = {column.name: column.type for column in table.columns}
    found = [(field.name, field.dataType.simpleString()) for field in frame.schema]
    if found == [*expected.items()]:
        return []
    from pandera.config import ValidationDepth, config_context  # takes a second, which only a wrong frame needs

    with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
        validated: Any = table.pandera_schema().validate(frame)
    errors = [
        {"column": str(error["column"]), "error": str(error["error"])}
        for kinds in validated.pandera.errors.get("SCHEMA", {}).values()
        for error in kinds
    ]
    return errors or [{"column": table.key, "error": f"the columns are not, in this order, {', '.join(expected)}"}]


def check_version(staging: Staging, reads: Sequence[Table]) -> None:
    """Check every rule and store the check results in the metadata of a version whose tables are all written.

    Args:
        staging: the version.
        reads: the tables that it was made from; rules may compare with them.
    """
    inputs = staging.metadata[staging.tables[-1].key].inputs
    needed = {key for table in staging.tables for rule in table.set_rules for key in rule.tables}
    versions = [(table, staging.version) for table in staging.tables]
    versions += [(table, inputs[table.key]) for table in reads if table.key in needed]
    with reader(staging.store, versions, staging.run_inputs) as connection:
        for table in staging.tables:
            found = {CONTRACT: (0, []), **broken_rows(connection, table), **broken_sets(connection, table)}
            staging.metadata[table.key].check_results = [
                CheckResult(rule.name, rule.severity, rule.description, *found[rule.name]) for rule in table.all_rules
            ]


def broken_rows(connection: "duckdb.DuckDBPyConnection", table: Table) -> dict[str, Found]:
    """The failures of each rule about single rows, by the rule's name; one pass counts all of them."""
    counts = ", ".join(f"count_if({rule.violated})" for rule in table.rules)
    (failed,) = connection.sql(f"SELECT {counts} FROM {table.name}").fetchall()
    shown = f"SELECT {', '.join(table.shown)} FROM {table.name}"
    return {
        rule.name: _found(connection, f"{shown} WHERE {rule.violated}", count)
        for rule, count in zip(table.rules, failed, strict=True)
    }


def broken_sets(connection: "duckdb.DuckDBPyConnection", table: Table) -> dict[str, Found]:
    """The violations of each rule about several rows, by the rule's name."""
    counts = {
        rule: connection.sql(f"SELECT count(*) FROM ({rule.violations})").fetchall()[0][0] for rule in table.set_rules
    }
    return {rule.name: _found(connection, rule.violations, count) for rule, count in counts.items()}


def _found(connection: "duckdb.DuckDBPyConnection", violations: str, count: int) -> Found:
    if not count:
        return 0, []
    some = connection.sql(f"SELECT to_json(row) FROM ({violations}) AS row LIMIT {_SAMPLE_ROWS}").fetchall()
    return count, [json.loads(row, parse_constant=str) for (row,) in some]  # NaN, Infinity
