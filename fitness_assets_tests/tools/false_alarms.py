"""How often the audit is in doubt about simulated people with realistic devices, by diagnostic.

`python -m fitness_assets_tests.tools.false_alarms` takes about 6 minutes; `quality/bounds.py` keeps the figures.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.engine.duckdb_reader import reader
from fitness_assets.engine.session import start_spark
from fitness_assets.lake.local import LocalStore
from fitness_assets.quality.bounds import COHORTS
from fitness_assets.quality.diagnostics import diagnose
from fitness_assets.quality.measures import collect
from fitness_assets.quality.tables import FILE, LOOKS_GENERATED, SUSPICIOUS
from fitness_assets.quality.transforms import aggregates
from fitness_assets.quality.verdicts import verdicts
from fitness_assets.settings import Settings
from fitness_assets_tests import devices, people


def main() -> None:
    """Print how many cohorts each diagnostic is in doubt about, and how many metrics of a cohort are, at the worst."""
    spark = start_spark(Settings())
    alarms, doubtful, generated = Counter[str](), Counter[int](), 0
    for seed in range(COHORTS // len(devices.COHORTS)):
        for number, (name, kind) in enumerate(devices.COHORTS.items()):
            with tempfile.TemporaryDirectory() as folder:
                days = devices.cohort(kind, 1_000 * seed + number)
                held = people.tables(spark, days, Path(folder) / "tables")
                with reader(LocalStore(Path(folder)), [], held) as tables:
                    collected = collect(tables, lambda tables=tables: aggregates(tables), held[UPLOADS.key].to_pylist())
            found = diagnose(collected)
            alarms.update({f.diagnostic.name for f in found if f.verdict in (SUSPICIOUS, LOOKS_GENERATED)})
            metrics = [verdict.verdict for verdict in verdicts(found) if verdict.scope != FILE]
            doubtful[metrics.count(SUSPICIOUS)] += 1
            generated += metrics.count(LOOKS_GENERATED)
            print(seed, name, dict(alarms), file=sys.stderr, flush=True)  # noqa: T201
    print(f"alarms: {dict(alarms)}; cohorts by suspicious metrics: {dict(doubtful)}; generated: {generated}")  # noqa: T201
    spark.stop()


if __name__ == "__main__":
    main()
