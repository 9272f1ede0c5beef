"""What the Dagster UI shows of a table: its columns, their lineage, and facts about a version."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.orchestration.headlines import headline
from fitness_assets.schema.table import Column, Table, number_text

_CELL_CHARACTERS = 300


def column_schema(table: Table) -> dg.TableSchema:
    """The columns with types, units, constraints, and their codes as tags."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                c.name,
                c.type,
                c.description + (f" Unit: {c.unit}." if c.unit else ""),
                dg.TableColumnConstraints(
                    nullable=c.nullable, unique=table.primary_key == (c.name,), other=_constraints(c)
                ),
                tags=c.codes,
            )
            for c in table.columns
        ]
    )


def column_lineage(table: Table) -> dg.TableColumnLineage:
    """The columns that each column is made from."""
    return dg.TableColumnLineage(
        {
            c.name: [
                dg.TableColumnDep(dg.AssetKey(key.split("/")), column)
                for key, _, column in (source.partition(".") for source in c.sources)
            ]
            for c in table.columns
            if c.sources
        }
    )


def materialization_metadata(lake: Lake, staging: Staging, table: Table) -> dict[str, Any]:
    """Facts about a version of a table: rows, size, inputs, the first rows, and its sidecar files."""
    version_metadata = staging.metadata[table.key]
    preview = [{name: row.get(name) for name in table.shown} for row in lake.preview(table, staging.version)]
    attached = {name.split(".")[1]: name for name in lake.attachments(table, staging.version)}
    artifacts = {f"{staging.version}.{name}": lake.store.artifact_location(table, name) for name in table.artifacts}
    return {
        **headline(lake, table, staging.version),
        "dagster/row_count": version_metadata.rows,
        "dagster/column_lineage": column_lineage(table),
        "size_bytes": version_metadata.size_bytes,
        "version": version_metadata.version,
        "made_from": dg.MetadataValue.json(version_metadata.inputs),
        "made_because": version_metadata.made_because,
        "months_made": ", ".join(version_metadata.months_made) if table.by_month else "not by month",
        "path": dg.MetadataValue.path(lake.store.location(table)),
        **({"preview": records(preview)} if preview else {}),
        **{
            f"{what}_file": dg.MetadataValue.path(artifacts.get(name) or lake.store.location(table, name))
            for what, name in attached.items()
        },
        **{
            what: dg.MetadataValue.md(lake.store.read_sidecar(table, name).decode())
            for what, name in attached.items()
            if name.endswith(".md")
        },
    }


def records(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows as a table in the Dagster UI. The table has the columns of all rows; a missing cell is empty."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [{name: _cell(row.get(name)) for name in columns} for row in rows]
    schema = dg.TableSchema(columns=[dg.TableColumn(name) for name in columns])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in cells], schema)


def _cell(value: Any) -> str | int | float | bool | None:
    if value is None or isinstance(value, (int, float, bool)):
        return value
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _CELL_CHARACTERS else text[:_CELL_CHARACTERS] + "…"


def _constraints(column: Column) -> list[str]:
    constraints = [" to ".join(map(number_text, column.range))] if column.range else []
    return constraints + ([f"one of {', '.join(column.allowed)}"] if column.allowed else [])
