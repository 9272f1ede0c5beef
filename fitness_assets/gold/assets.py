"""When and where gold is made: each table in a step of its own, the dimensions before what refers to them."""

from fitness_assets.gold import transforms
from fitness_assets.gold.tables import DIM_ACTIVITY, DIM_DATE, DIM_USER, FACT_DAILY, MONTHLY_SUMMARY
from fitness_assets.io_managers import table_assets
from fitness_assets.silver.tables import CLEAN_DAYS

# The dimensions that a table refers to are read for the checks of these references only.
ASSETS = [
    table_assets([DIM_USER], [CLEAN_DAYS], lambda clean: [transforms.dim_user(clean)]),
    table_assets([DIM_DATE], [CLEAN_DAYS], lambda clean: [transforms.dim_date(clean)]),
    table_assets([DIM_ACTIVITY], [CLEAN_DAYS], lambda clean: [transforms.dim_activity(clean)]),
    table_assets(
        [FACT_DAILY],
        [CLEAN_DAYS, DIM_USER, DIM_DATE, DIM_ACTIVITY],
        lambda clean, *dimensions: [transforms.fact_daily(clean)],
    ),
    table_assets(
        [MONTHLY_SUMMARY], [CLEAN_DAYS, DIM_USER], lambda clean, *dimensions: [transforms.monthly_summary(clean)]
    ),
]
