"""How often the audit is in doubt about simulated people with realistic devices, by diagnostic.

`python -m fitness_assets_tests.tools.false_alarms` takes about 6 minutes; `quality/bounds.py` keeps the figures.
"""

import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.engine.duckdb_reader import reader
from fitness_assets.engine.session import start_spark
from fitness_assets.lake.local import LocalStore
from fitness_assets.quality.bounds import COHORTS, NOT_SIMULATED
from fitness_assets.quality.diagnostics import Finding, diagnose
from fitness_assets.quality.measures import collect
from fitness_assets.quality.tables import FILE, LOOKS_GENERATED, NOT_ENOUGH_DATA, SUSPICIOUS
from fitness_assets.quality.transforms import aggregates
from fitness_assets.quality.verdicts import verdicts
from fitness_assets.settings import Settings
from fitness_assets_tests import devices, people


def judged(spark: SparkSession, number: int) -> list[Finding]:
    """What the audit finds in one of the cohorts."""
    kind = [*devices.COHORTS.values()][number % len(devices.COHORTS)]
    with tempfile.TemporaryDirectory() as folder:
        held = people.tables(spark, devices.cohort(kind, 1_000 + number), Path(folder) / "tables")
        with reader(LocalStore(Path(folder)), [], held) as tables:
            return diagnose(collect(tables, lambda: aggregates(tables), held[UPLOADS.key].to_pylist()))


def alarms_of(findings: Sequence[Finding]) -> set[str]:
    """The diagnostics that are in doubt."""
    return {f.diagnostic.name for f in findings if f.verdict in (SUSPICIOUS, LOOKS_GENERATED)}


def main() -> None:
    """Print how many cohorts each diagnostic is in doubt about, and how many metrics of a cohort are, at the worst."""
    spark = start_spark(Settings())
    alarms, asked, doubtful, generated = Counter[str](), Counter[str](), Counter[int](), 0
    for number in range(COHORTS):
        found = judged(spark, number)
        alarms.update(alarms_of(found))
        asked.update({f.diagnostic.name for f in found if f.verdict != NOT_ENOUGH_DATA})
        metrics = [verdict.verdict for verdict in verdicts(found) if verdict.scope != FILE]
        doubtful[metrics.count(SUSPICIOUS)] += 1
        generated += metrics.count(LOOKS_GENERATED)
        print(number, dict(alarms), file=sys.stderr, flush=True)  # noqa: T201
    print(f"alarms: {dict(alarms)}; cohorts by suspicious metrics: {dict(doubtful)}; generated: {generated}")  # noqa: T201
    print(f"cohorts that each diagnostic judged: {dict(asked)}; these it cannot: {sorted(NOT_SIMULATED)}")  # noqa: T201
    spark.stop()


if __name__ == "__main__":
    main()
