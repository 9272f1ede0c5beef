"""Checks every rule of a staged version: counts the failing rows and keeps some of them as a sample.

DuckDB reads the staged files. A second reader finds mistakes that the engine which wrote the files would repeat, and it
answers in milliseconds. This module does not use Dagster, so it also runs in a job on another Spark.
"""

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame

from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import CheckResult
from fitness_assets.schema.months import WHOLE, month_of_row, month_sql
from fitness_assets.schema.rules import SetRule
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


def check_version(staging: Staging, reads: Sequence[Table], months: Collection[str] | None = None) -> None:
    """Check every rule and store the check results in the metadata of a version whose tables are all written.

    Only months that were made anew are read. What the parent's results say of the other months is taken over.

    Args:
        staging: the version.
        reads: the tables that it was made from; rules may compare with them.
        months: of these tables, the months to compare with; None: all of them.
    """
    inputs = staging.metadata[staging.tables[-1].key].inputs
    needed = {key for table in staging.tables for rule in table.set_rules for key in rule.tables}
    versions = [Opened(table, staging.version, staging.metadata[table.key].months_made) for table in staging.tables]
    opened = [Opened(table, inputs[table.key], months) for table in reads if table.key in needed]
    with reader(staging.store, [*versions, *opened], staging.run_inputs) as connection:
        for table in staging.tables:
            found = {CONTRACT: (0, []), **broken_rows(connection, table), **broken_sets(connection, table)}
            results = [
                CheckResult(rule.name, rule.severity, rule.description, *found[rule.name]) for rule in table.all_rules
            ]
            if table.by_month:
                _add_months(connection, staging, table, results)
            staging.metadata[table.key].check_results = results


def check_run_inputs(staging: Staging) -> None:
    """Check again the rules that ask what this run found, of a version that stays as it is."""
    for table in staging.tables:
        rules = {rule.name: rule for rule in table.set_rules if not staging.run_inputs.keys().isdisjoint(rule.tables)}
        if rules:
            stored, version = staging.metadata[table.key], [Opened(table, staging.version)]
            with reader(staging.store, version, staging.run_inputs) as connection:
                for result in stored.check_results:
                    if rule := rules.get(result.rule):
                        (result.failed, result.sample) = _broken_set(connection, rule)


def _add_months(
    connection: "duckdb.DuckDBPyConnection", staging: Staging, table: Table, results: Sequence[CheckResult]
) -> None:
    """Count failures by month, and add those of months that the version takes over from its parent."""
    metadata = staging.metadata[table.key]
    taken_over = metadata.parts.keys() - metadata.months_made - {WHOLE}
    before: dict[str, CheckResult] = {}
    if taken_over and metadata.parent:
        parent = staging.store.metadata(table, metadata.parent)
        before = {result.rule: result for result in parent.check_results}
    violated = {rule.name: rule.violated for rule in table.rules}
    month = month_sql([column.name for column in table.columns])
    for result in results:
        if result.failed and result.rule in violated:
            counts = f"SELECT {month}, count(*) FROM {table.name} WHERE {violated[result.rule]} GROUP BY 1"
            result.failed_by_month = dict(sorted(connection.sql(counts).fetchall()))
        if parent_result := before.get(result.rule):
            kept = {m: n for m, n in parent_result.failed_by_month.items() if m in taken_over}
            result.failed += sum(kept.values())
            result.failed_by_month = dict(sorted((kept | result.failed_by_month).items()))
            rows = [row for row in parent_result.sample if month_of_row(row) in kept]
            result.sample = [*result.sample, *rows][:_SAMPLE_ROWS]


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
    return {rule.name: _broken_set(connection, rule) for rule in table.set_rules}


def _broken_set(connection: "duckdb.DuckDBPyConnection", rule: SetRule) -> Found:
    ((count,),) = connection.sql(f"SELECT count(*) FROM ({rule.violations})").fetchall()
    return _found(connection, rule.violations, count)


def _found(connection: "duckdb.DuckDBPyConnection", violations: str, count: int) -> Found:
    if not count:
        return 0, []
    some = connection.sql(f"SELECT to_json(row) FROM ({violations}) AS row LIMIT {_SAMPLE_ROWS}").fetchall()
    return count, [json.loads(row, parse_constant=str) for (row,) in some]  # NaN, Infinity
