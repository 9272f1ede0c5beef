"""What is asked of a staged version: every rule of its tables, counted, with some of the rows that break it.

Here belongs how rules become counts and samples; no rule of any one table, and no Dagster, so that a job on somebody
else's Spark checks as well. Rules are asked of the staged files by DuckDB: another reader than the one that wrote them,
and a quick one, where Spark takes seconds to compile a question.
"""

import json
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from fitness_assets.engine.duckdb_reader import reader
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import CheckResult
from fitness_assets.schema.table import CONTRACT, Table

if TYPE_CHECKING:
    import duckdb

Found = tuple[int, list[dict[str, Any]]]
"""How many rows, or sets of rows, break a rule, and some of them."""

_SAMPLE_ROWS = 5


def contract_errors(table: Table, frame: DataFrame) -> list[dict[str, Any]]:
    """Where names, types and order of a frame are not those of the dictionary; judged from the schema alone."""
    from pandera.config import ValidationDepth, config_context

    with config_context(validation_depth=ValidationDepth.SCHEMA_ONLY):
        validated: Any = table.pandera_schema().validate(frame)
    errors = validated.pandera.errors
    found = [
        {"column": str(error["column"]), "error": str(error["error"])}
        for kinds in errors.get("SCHEMA", {}).values()
        for error in kinds
    ]
    expected = [column.name for column in table.columns]
    if not found and frame.columns != expected:
        found = [{"column": table.key, "error": f"columns are in another order than {', '.join(expected)}"}]
    return found


def check_version(staging: Staging) -> None:
    """Fill in the check_results of a version of which every table is written."""
    versions = {
        **staging.metadata[staging.tables[-1].key].inputs,
        **{table.key: staging.version for table in staging.tables},
    }
    asked = {
        key for table in staging.tables for rule in table.set_rules for key in rule.tables
    } - staging.run_inputs.keys()
    with reader(staging.store, {key: versions[key] for key in asked}, staging.run_inputs) as connection:
        for table in staging.tables:
            found = {CONTRACT: (0, []), **broken_rows(connection, table), **broken_sets(connection, table)}
            staging.metadata[table.key].check_results = [
                CheckResult(name, severity, says, *found[name]) for name, says, severity in table.checks
            ]


def broken_rows(connection: "duckdb.DuckDBPyConnection", table: Table) -> dict[str, Found]:
    """What each rule about single rows finds, by its name; all are counted in one pass."""
    counts = ", ".join(f"count_if({rule.violated})" for rule in table.rules)
    (failed,) = connection.sql(f"SELECT {counts} FROM {table.name}").fetchall()
    return {
        rule.name: _found(connection, f"FROM {table.name} WHERE {rule.violated}", count)
        for rule, count in zip(table.rules, failed, strict=True)
    }


def broken_sets(connection: "duckdb.DuckDBPyConnection", table: Table) -> dict[str, Found]:
    """What each rule about rows together finds, by its name."""
    counts = {
        rule: connection.sql(f"SELECT count(*) FROM ({rule.violations})").fetchall()[0][0] for rule in table.set_rules
    }
    return {rule.name: _found(connection, rule.violations, count) for rule, count in counts.items()}


def _found(connection: "duckdb.DuckDBPyConnection", violations: str, count: int) -> Found:
    if not count:
        return 0, []
    some = connection.sql(f"SELECT to_json(row) FROM ({violations}) AS row LIMIT {_SAMPLE_ROWS}").fetchall()
    return count, [json.loads(row, parse_constant=str) for (row,) in some]  # what is no number is no JSON either
