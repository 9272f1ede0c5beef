"""The silver step: it merges records of devices into days, judges the rows of the months that changed, and writes."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.engine.changes import Changes, Inputs, code_version
from fitness_assets.engine.duckdb_reader import Opened, reader
from fitness_assets.engine.expressions import of_months
from fitness_assets.engine.layer_step import LayerStep, StepRun, stage, write
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import VersionMetadata
from fitness_assets.schema.months import OTHER, first_day, month_sql, widened
from fitness_assets.schema.table import Table
from fitness_assets.silver import transforms
from fitness_assets.silver.device_tables import DEVICE_DAYS
from fitness_assets.silver.devices.days import device_days
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS, TABLES

_CODE = ("silver", "silver.devices", "schema", "engine.expressions")
_NAMES = [column.name for column in LOGGED_DAYS.columns]


def _make(step_run: StepRun, inputs: Inputs, changes: Changes) -> Staging:
    lake, version = step_run.lake, inputs[LOGGED_DAYS.key]  # also of the ledger: one publish group shares a version
    ledger, changed = lake.rows(UPLOADS, version), changes.months(lake, LOGGED_DAYS, inputs)
    withdrawn = _withdrawn(ledger)
    # The version before may be removed; then it is not known which months changed, and nobody needs to ask its ledger.
    if changes.base and changed is not None:
        before = _withdrawn(lake.rows(UPLOADS, changes.base.inputs[LOGGED_DAYS.key]))
        changed |= _months_of(lake, version, before ^ withdrawn)

    def write_all(staging: Staging) -> Collection[str] | None:
        devices = device_days(lake, staging, version, ledger, changed, step_run.is_rebuild)
        months = None
        if changes.base and changed is not None:  # a day has its part in the features of the days that come after it
            known = lake.metadata(CLEAN_DAYS, changes.base.version).parts.keys()
            months = {*changed, *devices.differ}
            months |= widened(months, 0, transforms.LOOK_BACK_DAYS) & known
        write(staging, DEVICE_DAYS, devices.rows(months), months)
        rows = _with_days_before(lake, LOGGED_DAYS, version, months)
        logged = _count(lake.metadata(LOGGED_DAYS, version), months)
        if staging.metadata[DEVICE_DAYS.key].rows:
            rows = rows.unionByName(_with_days_before(lake, DEVICE_DAYS, staging.version, months).select(rows.columns))
            logged += _count(staging.metadata[DEVICE_DAYS.key], months)
        judged = transforms.judge(rows, sorted(withdrawn))
        clean_days = transforms.clean_days(judged)
        write(staging, CLEAN_DAYS, of_months(clean_days, months), months)
        # Judging a second time costs as much as storing all judged rows, and nothing if no row was rejected.
        is_some_rejected = logged > _count(staging.metadata[CLEAN_DAYS.key], months)
        rejected_days = of_months(transforms.rejected_days(judged), months) if is_some_rejected else None
        write(staging, REJECTED_DAYS, rejected_days, months)
        return months

    return stage(step_run, STEP, inputs, changes, write_all)


def _withdrawn(ledger: Iterable[Mapping[str, Any]]) -> set[str]:
    """Ids of the uploads that are withdrawn."""
    return {row["upload_id"] for row in ledger if row["status"] == "withdrawn"}


def _months_of(lake: Lake, version: str, upload_ids: Collection[str]) -> set[str]:
    """The months of the logged rows of some uploads."""
    if not upload_ids:
        return set()
    with reader(lake.store, [Opened(LOGGED_DAYS, version)]) as connection:
        query = f"SELECT DISTINCT {month_sql(_NAMES)} FROM logged_days WHERE list_contains($1, upload_id)"
        return {month for (month,) in connection.execute(query, [[*upload_ids]]).fetchall()}


def _count(metadata: VersionMetadata, months: Collection[str] | None) -> int:
    """How many rows there are of some months, or of all."""
    return sum(part[0] for month, part in metadata.parts.items() if months is None or month in months)


def _with_days_before(lake: Lake, table: Table, version: str, months: Collection[str] | None) -> DataFrame:
    """The rows of some months, and of the days before them that features look back on."""
    if months is None:
        return lake.read(table, version)
    rows = lake.read(table, version, widened(months, transforms.LOOK_BACK_DAYS, 0))
    first = min((first_day(month) for month in months if month != OTHER), default=None)
    if first is None:
        return rows
    is_needed = F.col("date") >= F.lit(first - timedelta(transforms.LOOK_BACK_DAYS))
    return rows.where(is_needed | (F.expr(month_sql(_NAMES)) == OTHER))


STEP = LayerStep(TABLES, [LOGGED_DAYS, MEASUREMENTS], _make, code_version(*_CODE))
