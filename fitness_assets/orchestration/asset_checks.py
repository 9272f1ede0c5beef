"""What is checked of a table as Dagster shows it: check specs, check results, tables of rows.

How rules are counted stands in ``audits.py``; no rule of any one table stands in either.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from fitness_assets.lake.version import CheckResult, VersionMetadata
from fitness_assets.schema.table import Table

_SAMPLE_CHARACTERS = 300


def check_specs(table: Table) -> list[dg.AssetCheckSpec]:
    """One Dagster check for each rule of a table, and one for its contract."""
    asset = dg.AssetKey(table.key.split("/"))
    return [
        dg.AssetCheckSpec(name, asset=asset, description=description, blocking=severity == "blocking")
        for name, description, severity in table.checks
    ]


def check_result(table: Table, version_metadata: VersionMetadata, result: CheckResult) -> dg.AssetCheckResult:
    """A result as Dagster shows it: with counts and some of the rows."""
    metadata: dict[str, Any] = {
        "failed": result.failed,
        "rows": version_metadata.rows,
        "version": version_metadata.version,
    }
    if result.sample:
        metadata["sample"] = records(result.sample)
    return dg.AssetCheckResult(
        passed=not result.failed,
        asset_key=dg.AssetKey(table.key.split("/")),
        check_name=result.rule,
        severity=dg.AssetCheckSeverity.WARN if result.severity == "warning" else dg.AssetCheckSeverity.ERROR,
        description=f"{result.failed} of {version_metadata.rows} rows fail: {result.description}"
        if result.failed
        else None,
        metadata=metadata,
    )


def records(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table in the Dagster UI."""
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
    schema = dg.TableSchema(columns=[dg.TableColumn(name) for name in cells[0]])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in cells], schema)


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (int, float, bool)):
        return value
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _SAMPLE_CHARACTERS else text[:_SAMPLE_CHARACTERS] + "…"
