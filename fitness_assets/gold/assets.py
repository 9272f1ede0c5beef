"""When and where gold is made: one step writes the whole star, so that its tables always refer to one another."""

from collections.abc import Sequence

from pyspark.sql import DataFrame

from fitness_assets.gold import transforms
from fitness_assets.gold.tables import TABLES
from fitness_assets.silver.tables import CLEAN_DAYS
from fitness_assets.steps import table_step


def _frames(clean_days: DataFrame) -> Sequence[DataFrame]:
    return (
        transforms.dim_user(clean_days),
        transforms.dim_date(clean_days),
        transforms.dim_activity(clean_days),
        transforms.monthly_summary(clean_days),
        transforms.fact_daily(clean_days),
    )


# Planning and compiling a query keeps one core busy and leaves the others to the query beside it.
STEP = table_step(TABLES, [CLEAN_DAYS], _frames, at_once=2)
