"""When and where silver is made: one step judges the logged rows and writes both of its tables."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pyspark.sql import DataFrame

from fitness_assets.bronze.tables import LOGGED_DAYS
from fitness_assets.silver import transforms
from fitness_assets.silver.tables import TABLES
from fitness_assets.steps import table_step


@contextmanager
def _frames(logged_days: DataFrame) -> Iterator[Sequence[DataFrame]]:
    judged = transforms.judge(logged_days).persist()  # asked for twice, and the sorting is the dear part
    try:
        yield transforms.clean_days(judged), transforms.rejected_days(judged)
    finally:
        judged.unpersist()


STEP = table_step(TABLES, [LOGGED_DAYS], _frames)
