"""The gold step: it writes the whole star schema as one version, so that foreign keys always hold."""

from concurrent.futures import ThreadPoolExecutor

from fitness_assets.engine.layer_step import Frames, LayerStep, StepRun, stage, write
from fitness_assets.gold import transforms
from fitness_assets.gold.tables import TABLES
from fitness_assets.lake.staging import Staging
from fitness_assets.silver.tables import CLEAN_DAYS


def _make(step_run: StepRun, sources: Frames) -> Staging:
    clean_days = sources[CLEAN_DAYS.key]
    made = (
        transforms.dim_user(clean_days),
        transforms.dim_date(clean_days),
        transforms.dim_activity(clean_days),
        transforms.monthly_summary(clean_days),
        transforms.fact_daily(clean_days),
    )

    def write_all(staging: Staging) -> None:
        # One query is planned while another one runs.
        with ThreadPoolExecutor(2) as pool:
            written = [pool.submit(write, staging, table, frame) for table, frame in zip(TABLES, made, strict=True)]
            for each in written:
                each.result()

    return stage(step_run, TABLES, sources, write_all)


STEP = LayerStep(TABLES, [CLEAN_DAYS], _make)
