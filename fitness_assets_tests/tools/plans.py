"""Show what Spark plans for many times a lake: `python -m fitness_assets_tests.tools.plans LAKE --times 1000`.

No query runs: each file of the lake is linked many times, and Spark plans by file sizes. For each query the script
prints the numbers of tasks and exchanges, and the bytes that it reads: a table that it reads twice counts twice.
"""

import io
import os
import re
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import click
from pyspark.sql import DataFrame

from fitness_assets.bronze.tables import LOGGED_DAYS
from fitness_assets.engine.session import start_spark
from fitness_assets.gold import transforms as gold
from fitness_assets.gold.tables import FACT_DAILY
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.predictions import transforms as predictions
from fitness_assets.schema.table import Table
from fitness_assets.settings import Settings
from fitness_assets.silver import transforms as silver
from fitness_assets.silver.tables import CLEAN_DAYS

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}


@click.command(help=__doc__)
@click.argument("root", metavar="LAKE", type=click.Path(exists=True, path_type=Path))
@click.option("--times", default=1_000, show_default=True, help="The number of copies of each file.")
def main(root: Path, times: int) -> None:
    """Print one line for each query that reads all rows."""
    lake = Lake(LocalStore(root), lambda: start_spark(Settings(spark="local[*]")))
    with tempfile.TemporaryDirectory(dir=root) as folder:
        logged, clean, fact = (
            many(lake, table, times, Path(folder)) for table in (LOGGED_DAYS, CLEAN_DAYS, FACT_DAILY)
        )
        queries = {
            "silver: judge and enrich": silver.clean_days(silver.judge(logged)),
            "gold: fact_daily": gold.fact_daily(clean),
            "gold: monthly_summary": gold.monthly_summary(gold.monthly_sums(clean)),
            "predictions: features": predictions.features(fact),
        }
        click.echo("| query | tasks that read | exchanges | tasks after one | bytes read |\n|---|---|---|---|---|")
        for name, query in queries.items():
            reads = {"silver": logged, "gold": clean, "predictions": fact}[name.split(":")[0]]
            plan, size = explained(query)
            exchanges = len(re.findall(r"Exchange hashpartitioning", plan))
            click.echo(
                f"| {name} | {reads.rdd.getNumPartitions()} | {exchanges} | {query.rdd.getNumPartitions()} "
                f"| {size / 2**30:.1f} GiB |"
            )


def many(lake: Lake, table: Table, times: int, folder: Path) -> DataFrame:
    """A frame of a table in which each file exists many times."""
    copies = folder / table.name
    copies.mkdir()
    for source in map(Path, lake.store.files(table, lake.current(table) or "")):
        for copy in range(times):
            os.link(source, copies / f"{copy}-{source.name}")
    return lake.spark.read.schema(table.spark_schema).parquet(str(copies))


def explained(query: DataFrame) -> tuple[str, float]:
    """The physical plan, and the bytes of all files that the logical plan reads, by its statistics."""
    with redirect_stdout(io.StringIO()) as printed:
        query.explain("cost")
    logical, _, physical = printed.getvalue().partition("== Physical Plan ==")
    optimized = logical.partition("== Optimized Logical Plan ==")[2]
    sizes = re.findall(r"Relation .*sizeInBytes=([\d.]+(?:E\+?\d+)?) (\w+)", optimized)
    return physical, sum(float(number) * UNITS[unit] for number, unit in sizes)


if __name__ == "__main__":
    main(prog_name="python -m fitness_assets_tests.tools.plans")
