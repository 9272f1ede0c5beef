"""The gold step: it writes the whole star schema as one version, so that foreign keys always hold."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.engine.changes import Changes, Inputs, code_version
from fitness_assets.engine.layer_step import LayerStep, StepRun, stage, write
from fitness_assets.gold import transforms
from fitness_assets.gold.tables import (
    DIM_ACTIVITY,
    DIM_DATE,
    DIM_USER,
    FACT_DAILY,
    MONTHLY_SUMMARY,
    MONTHLY_SUMS,
    TABLES,
)
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.silver.tables import CLEAN_DAYS


def _make(step_run: StepRun, inputs: Inputs, changes: Changes) -> Staging:
    lake, months = step_run.lake, changes.months(step_run.lake, CLEAN_DAYS, inputs)
    clean_days = lake.read(CLEAN_DAYS, inputs[CLEAN_DAYS.key], months)
    sums = transforms.monthly_sums(clean_days)
    if changes.base and months is not None:
        sums = _of_other_months(lake, changes.base.version, months).union(sums)

    def write_all(staging: Staging) -> Collection[str] | None:
        def write_summaries() -> None:
            write(staging, MONTHLY_SUMS, sums)
            written = lake.read(MONTHLY_SUMS, staging.version)
            write(staging, DIM_USER, transforms.dim_user(written))
            write(staging, DIM_DATE, transforms.dim_date(written))
            write(staging, MONTHLY_SUMMARY, transforms.monthly_summary(written))

        # One query is planned while another one runs.
        with ThreadPoolExecutor(1) as pool:
            summaries = pool.submit(write_summaries)
            write(staging, DIM_ACTIVITY, transforms.dim_activity(clean_days), months)
            write(staging, FACT_DAILY, transforms.fact_daily(clean_days), months)
            summaries.result()
        return months

    return stage(step_run, STEP, inputs, changes, write_all)


def _of_other_months(lake: Lake, version: str, months: Collection[str]) -> DataFrame:
    """The monthly sums of an earlier version, without some months."""
    return lake.read(MONTHLY_SUMS, version).where(~F.date_format("first_date", "yyyy-MM").isin([*months]))


STEP = LayerStep(TABLES, [CLEAN_DAYS], _make, code_version("gold", "silver", "schema", "engine.expressions"))
