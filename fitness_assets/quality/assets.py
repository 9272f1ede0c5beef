"""The quality step: it queries the tables, judges what it finds, and writes the audit table with its report."""

from concurrent.futures import ThreadPoolExecutor

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.engine.duckdb_reader import open_table, reader
from fitness_assets.engine.layer_step import Frames, LayerStep, StepRun, stage
from fitness_assets.lake.staging import Staging
from fitness_assets.quality.diagnostics import diagnose
from fitness_assets.quality.measures import collect
from fitness_assets.quality.tables import AUDIT, READS, TABLES
from fitness_assets.quality.transforms import tally
from fitness_assets.quality.verdicts import rows
from fitness_assets.silver.tables import CLEAN_DAYS


def _make(step_run: StepRun, sources: Frames) -> Staging:
    made_from = step_run.lake.versions_of([*sources.values()])

    def write_all(staging: Staging) -> None:
        ledger, store = step_run.lake.rows(UPLOADS, made_from[UPLOADS.key]), step_run.lake.store
        versions = [(table, made_from[table.key]) for table in READS]
        with reader(store, versions) as tables, tables.cursor() as days, ThreadPoolExecutor(2) as pool:
            open_table(days, store, CLEAN_DAYS, made_from[CLEAN_DAYS.key])
            tallied = pool.submit(tally, days)
            asked = pool.submit(collect, tables, tallied.result, ledger)
            # The import takes a second, which a process that only loads the graph does not need.
            from fitness_assets.quality.report import report, summary

            collected = asked.result()
        findings = diagnose(collected)
        staging.attach(AUDIT, "report.html", report(collected, findings, staging.version, made_from).encode())
        staging.attach(AUDIT, "summary.md", summary(collected, findings).encode())
        staging.write_rows(AUDIT, rows(findings))

    return stage(step_run, TABLES, sources, write_all)


STEP = LayerStep(TABLES, READS, _make)
