"""What is asked of a staged version: every rule of its tables, counted, with some of the rows that break it.

Here belongs how rules become counts and samples; no rule of any one table, and no Dagster, so that a job on somebody
else's Spark audits as well. Row rules were counted in the pass that wrote the table (`Staging.write`); rules about rows
together are asked of the staged files by DuckDB: another reader than the one that wrote them, and a quick one.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.catalogue import table_of
from fitness_assets.dictionary import CONTRACT, Table
from fitness_assets.rules import SetRule, table_name
from fitness_assets.staging import Staging
from fitness_assets.versions import Verdict

if TYPE_CHECKING:
    import duckdb

_SAMPLE_ROWS = 5
_CONFIG = {"memory_limit": "2GB", "autoload_known_extensions": False, "autoinstall_known_extensions": False}
"""Of the engine that reads: what it cannot hold in memory it writes to the scratch folder, and it fetches nothing."""


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


def audit(staging: Staging) -> None:
    """Fill in the verdicts of a version of which every table is written."""
    samples = _rows_that_break(staging)
    with _reader(staging) as reader:
        for table in staging.tables:
            audit = staging.audits[table.key]
            found = {rule.name: (audit.failed_rows[rule.name], samples[table.key, rule.name]) for rule in table.rules}
            found |= {CONTRACT: (0, [])} | {rule.name: _violations(reader, rule) for rule in table.set_rules}
            audit.verdicts = [Verdict(name, severity, says, *found[name]) for name, says, severity in table.checks]


@contextmanager
def _reader(staging: Staging) -> Iterator["duckdb.DuckDBPyConnection"]:
    """The staged files, and what else their rules are about, as another engine reads them than the one that wrote."""
    import duckdb  # a local lake is looked at without it

    made_from = staging.audits[staging.tables[-1].key].inputs
    versions = {**made_from, **{table.key: staging.version for table in staging.tables}}
    with duckdb.connect(config=_CONFIG | {"temp_directory": str(staging.scratch / "duckdb")}) as reader:
        for key in {key for table in staging.tables for rule in table.set_rules for key in rule.tables}:
            rows = staging.met[key] if key in staging.met else staging.lake.store.dataset(table_of(key), versions[key])
            reader.register(table_name(key), rows)
        yield reader


def _violations(reader: "duckdb.DuckDBPyConnection", rule: SetRule) -> tuple[int, list[dict[str, Any]]]:
    """How many there are, and some of them."""
    ((count,),) = reader.sql(f"SELECT count(*) FROM ({rule.violations})").fetchall()
    if not count:
        return 0, []
    some = reader.sql(f"SELECT to_json(row) FROM ({rule.violations}) AS row LIMIT {_SAMPLE_ROWS}").fetchall()
    return count, [json.loads(row) for (row,) in some]


def _rows_that_break(staging: Staging) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Some of the rows that break each rule about single rows, by table and rule; asked in one job."""
    samples = {(table.key, rule.name): [] for table in staging.tables for rule in table.rules}
    # Rows become a table in the UI, which wants every column in each, whichever cells are empty.
    row = F.to_json(F.struct("*"), {"ignoreNullFields": "false"}).alias("row")
    some = [
        staging.lake.read(table, staging.version)
        .where(rule.violated)
        .limit(_SAMPLE_ROWS)
        .select(F.lit(table.key).alias("key"), F.lit(rule.name).alias("rule"), row)
        for table in staging.tables
        for rule in table.rules
        if staging.audits[table.key].failed_rows[rule.name]
    ]
    for found in reduce(DataFrame.unionAll, some).collect() if some else []:
        samples[found["key"], found["rule"]].append(json.loads(found["row"]))
    return samples
