"""When and where the audit is made: one step asks Spark, judges, and keeps the report beside the table."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
from pyspark.sql import DataFrame

from fitness_assets.io_managers import keep_contract, run_step, step_definition
from fitness_assets.lake import Lake
from fitness_assets.quality.diagnostics import diagnose
from fitness_assets.quality.measures import collect
from fitness_assets.quality.tables import AUDIT, READS, TABLES
from fitness_assets.quality.verdicts import rows
from fitness_assets.rules import Frames
from fitness_assets.staging import Staging


@dg.multi_asset(**step_definition(TABLES), ins={t.name: dg.AssetIn(t.key.split("/")) for t in READS})
def _step(context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], **inputs: DataFrame) -> Iterator[Any]:
    sources = {table.key: inputs[table.name] for table in READS}
    made_from = lake.versions_of([*sources.values()])

    def write(staging: Staging) -> Frames:
        collected = collect(sources)
        findings = diagnose(collected)
        # Imported here, because drawing takes a second to load that whoever loads the graph can do without.
        from fitness_assets.quality.report import report, summary

        with ThreadPoolExecutor(1) as pool:  # Spark leaves a core to the drawing
            frame = staging.frame(AUDIT, rows(findings))
            keep_contract(AUDIT, frame)
            written = pool.submit(staging.write, AUDIT, frame)
            staging.attach(AUDIT, "report.html", report(collected, findings, staging.version, made_from).encode())
            staging.attach(AUDIT, "summary.md", summary(collected, findings).encode())
            return sources | {AUDIT.key: written.result()}

    yield from run_step(context, lake, TABLES, made_from, write)


ASSETS = _step
