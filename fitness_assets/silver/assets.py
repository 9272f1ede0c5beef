"""The silver step: it judges the logged rows and writes both tables."""

from fitness_assets.bronze.tables import LOGGED_DAYS, UPLOADS
from fitness_assets.engine.layer_step import Frames, LayerStep, StepRun, stage, write
from fitness_assets.lake.staging import Staging
from fitness_assets.silver import transforms
from fitness_assets.silver.tables import CLEAN_DAYS, REJECTED_DAYS, TABLES


def _make(step_run: StepRun, sources: Frames) -> Staging:
    def write_all(staging: Staging) -> None:
        inputs = staging.metadata[CLEAN_DAYS.key].inputs
        version = inputs[LOGGED_DAYS.key]  # also of the ledger: one publish group shares a version
        logged = step_run.lake.metadata(LOGGED_DAYS, version).rows
        ledger = step_run.lake.rows(UPLOADS, version)
        withdrawn = [row["upload_id"] for row in ledger if row["status"] == "withdrawn"]
        judged = transforms.judge(sources[LOGGED_DAYS.key], withdrawn)
        write(staging, CLEAN_DAYS, transforms.clean_days(judged))
        # Judging a second time costs as much as storing all judged rows, and nothing if no row was rejected.
        is_some_rejected = logged > staging.metadata[CLEAN_DAYS.key].rows
        write(staging, REJECTED_DAYS, transforms.rejected_days(judged) if is_some_rejected else None)

    return stage(step_run, TABLES, sources, write_all)


STEP = LayerStep(TABLES, [LOGGED_DAYS], _make)
