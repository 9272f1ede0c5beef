"""The silver step: it merges records of devices into days, judges the rows of the months that changed, and writes."""

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.engine.changes import Changes, Inputs, code_version
from fitness_assets.engine.expressions import of_months
from fitness_assets.engine.layer_step import LayerStep, StepRun, stage, write
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.schema.months import OTHER, first_day, month_sql, widened
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
        if withdrawn != _withdrawn(lake.rows(UPLOADS, changes.base.inputs[LOGGED_DAYS.key])):
            changes, changed = Changes("an upload was withdrawn or restored: everything is made anew"), None
        elif lake.metadata(MEASUREMENTS, version).rows:
            changes, changed = Changes("there are archives of devices, whose records may have a part in any day"), None
    parts = lake.metadata(LOGGED_DAYS, version).parts
    months = changed
    if changed is not None:  # a day has its part in the features of the days that come after it
        months = changed | (widened(changed, 0, transforms.LOOK_BACK_DAYS) & parts.keys())

    def write_all(staging: Staging) -> None:
        logged = sum(part[0] for month, part in parts.items() if months is None or month in months)
        rows = _logged_days(lake, version, months)
        devices = device_days(lake, staging, version, ledger)
        write(staging, DEVICE_DAYS, devices)
        if devices is not None:
            rows = rows.unionByName(devices.select(rows.columns))
            logged += staging.metadata[DEVICE_DAYS.key].rows
        judged = transforms.judge(rows, withdrawn)
        clean_days = transforms.clean_days(judged)
        write(staging, CLEAN_DAYS, of_months(clean_days, months), months)
        # Judging a second time costs as much as storing all judged rows, and nothing if no row was rejected.
        made = staging.metadata[CLEAN_DAYS.key]
        is_some_rejected = logged > sum(part[0] for month, part in made.parts.items() if month in made.months_made)
        rejected_days = of_months(transforms.rejected_days(judged), months) if is_some_rejected else None
        write(staging, REJECTED_DAYS, rejected_days, months)

    return stage(step_run, STEP, inputs, changes, write_all, months)


def _withdrawn(ledger: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of the uploads that are withdrawn."""
    return sorted(row["upload_id"] for row in ledger if row["status"] == "withdrawn")


def _logged_days(lake: Lake, version: str, months: Collection[str] | None) -> DataFrame:
    """The logged rows of some months, and of the days before them that features look back on."""
    if months is None:
        return lake.read(LOGGED_DAYS, version)
    rows = lake.read(LOGGED_DAYS, version, widened(months, transforms.LOOK_BACK_DAYS, 0))
    first = min((first_day(month) for month in months if month != OTHER), default=None)
    if first is None:
        return rows
    is_needed = F.col("date") >= F.lit(first - timedelta(transforms.LOOK_BACK_DAYS))
    return rows.where(is_needed | (F.expr(month_sql(_NAMES)) == OTHER))


STEP = LayerStep(TABLES, [LOGGED_DAYS, MEASUREMENTS], _make, code_version(*_CODE))
