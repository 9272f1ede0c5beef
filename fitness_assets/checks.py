"""What is checked of a table, made from its dictionary entry: verdicts, Dagster's check specs and check results.

Here belongs how rules become counts, samples and checks; no rule of any one table stands here. Row rules were counted
in the pass that wrote the table (`Staging.write`); rules about rows together are asked of the staged files in one job.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any

import dagster as dg
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.dictionary import Frames, Rule, SetRule, Severity, Table
from fitness_assets.lake import Audit, Staging, Verdict

CONTRACT = "contract"
_AT_ONCE = 4  # planning and compiling a query keeps one core busy and leaves the others to the queries beside it
_SAMPLE_ROWS = 5
_SAMPLE_CHARACTERS = 300


def check_specs(table: Table) -> list[dg.AssetCheckSpec]:
    """One Dagster check for each rule of a table, and one for its contract."""
    asset = dg.AssetKey(table.key.split("/"))
    return [
        dg.AssetCheckSpec(name, asset=asset, description=description, blocking=severity == "blocking")
        for name, description, severity in _rules(table)
    ]


def check_result(table: Table, audit: Audit, verdict: Verdict) -> dg.AssetCheckResult:
    """A verdict as Dagster shows it: with counts and some of the rows."""
    metadata: dict[str, Any] = {"failed": verdict.failed, "rows": audit.rows, "version": audit.version}
    if verdict.sample:
        metadata["sample"] = records(verdict.sample)
    return dg.AssetCheckResult(
        passed=not verdict.failed,
        asset_key=dg.AssetKey(table.key.split("/")),
        check_name=verdict.rule,
        severity=dg.AssetCheckSeverity.WARN if verdict.severity == "warning" else dg.AssetCheckSeverity.ERROR,
        description=f"{verdict.failed} of {audit.rows} rows fail: {verdict.description}" if verdict.failed else None,
        metadata=metadata,
    )


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


def audit(staging: Staging, frames: Frames) -> None:
    """Fill in the verdicts of a staged version.

    Args:
        staging: with every table written.
        frames: the staged tables by key, and whatever else their rules ask for.
    """
    set_rules = [(table, rule) for table in staging.tables for rule in table.set_rules]
    failed = _count({_label(table, rule): rule.violations(frames) for table, rule in set_rules})
    for table in staging.tables:
        failed |= {_label(table, rule): staging.audits[table.key].failed_rows[rule.name] for rule in table.rules}
    offending: dict[str, DataFrame] = {}
    for table in staging.tables:
        offending |= {_label(table, rule): frames[table.key].where(rule.violated) for rule in table.rules}
    offending |= {_label(table, rule): rule.violations(frames) for table, rule in set_rules}
    samples = _sample({label: frame for label, frame in offending.items() if failed[label]})
    for table in staging.tables:
        staging.audits[table.key].verdicts = [
            Verdict(
                name,
                severity,
                description,
                failed.get(f"{table.key} {name}", 0),
                samples.get(f"{table.key} {name}", []),
            )
            for name, description, severity in _rules(table)
        ]


def records(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table in the Dagster UI."""
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
    schema = dg.TableSchema(columns=[dg.TableColumn(name) for name in cells[0]])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in cells], schema)


def _rules(table: Table) -> list[tuple[str, str, Severity]]:
    contract = (CONTRACT, "Column names and types are those of the dictionary, in its order.", "blocking")
    return [contract, *((rule.name, rule.description, rule.severity) for rule in (*table.rules, *table.set_rules))]


def _label(table: Table, rule: Rule | SetRule) -> str:
    return f"{table.key} {rule.name}"


def _count(violations: Mapping[str, DataFrame]) -> dict[str, int]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(violations, pool.map(DataFrame.count, violations.values()), strict=True))


def _sample(offending: Mapping[str, DataFrame]) -> dict[str, list[dict[str, Any]]]:
    if not offending:
        return {}
    rows = (
        frame.limit(_SAMPLE_ROWS).select(F.lit(label).alias("label"), F.to_json(F.struct("*")).alias("row"))
        for label, frame in offending.items()
    )
    samples: dict[str, list[dict[str, Any]]] = {label: [] for label in offending}
    for row in _union(rows).collect():
        samples[row["label"]].append(json.loads(row["row"]))
    return samples


def _union(frames: Iterable[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionAll, frames)


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (int, float, bool)):
        return value
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _SAMPLE_CHARACTERS else text[:_SAMPLE_CHARACTERS] + "…"
