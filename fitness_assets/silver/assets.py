"""The silver step: it merges records of devices into days, judges all rows, and writes its tables."""

from fitness_assets.bronze.measurements import MEASUREMENTS
from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.engine.layer_step import Frames, LayerStep, StepRun, stage, write
from fitness_assets.lake.staging import Staging
from fitness_assets.silver import transforms
from fitness_assets.silver.device_tables import DEVICE_DAYS
from fitness_assets.silver.devices.days import device_days
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS, TABLES


def _make(step_run: StepRun, sources: Frames) -> Staging:
    def write_all(staging: Staging) -> None:
        inputs = staging.metadata[CLEAN_DAYS.key].inputs
        version = inputs[LOGGED_DAYS.key]  # also of the ledger: one publish group shares a version
        logged = step_run.lake.metadata(LOGGED_DAYS, version).rows
        ledger = step_run.lake.rows(UPLOADS, version)
        withdrawn = [row["upload_id"] for row in ledger if row["status"] == "withdrawn"]
        rows = sources[LOGGED_DAYS.key]
        devices = device_days(step_run.lake, staging, version, ledger)
        write(staging, DEVICE_DAYS, devices)
        if devices is not None:
            rows = rows.unionByName(devices.select(rows.columns))
            logged += staging.metadata[DEVICE_DAYS.key].rows
        judged = transforms.judge(rows, withdrawn)
        write(staging, CLEAN_DAYS, transforms.clean_days(judged))
        # Judging a second time costs as much as storing all judged rows, and nothing if no row was rejected.
        is_some_rejected = logged > staging.metadata[CLEAN_DAYS.key].rows
        write(staging, REJECTED_DAYS, transforms.rejected_days(judged) if is_some_rejected else None)

    return stage(step_run, TABLES, sources, write_all)


STEP = LayerStep(TABLES, [LOGGED_DAYS, MEASUREMENTS], _make)
