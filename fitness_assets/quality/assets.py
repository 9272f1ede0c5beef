"""The quality step: it queries the tables, judges what it finds, and writes the audit table with its report.

It reads all days, so it runs only when the result may differ: `_why_due` says when.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.engine.changes import Changes, Inputs, code_version
from fitness_assets.engine.duckdb_reader import Opened, open_table, reader
from fitness_assets.engine.layer_step import LayerStep, StepRun, stage
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.predictions.stored_scoring import stored_scoring
from fitness_assets.predictions.tables import MODELS, conclusion_of
from fitness_assets.quality.diagnostics import diagnose
from fitness_assets.quality.measures import collect
from fitness_assets.quality.tables import AUDIT, READS, TABLES
from fitness_assets.quality.transforms import aggregates
from fitness_assets.quality.verdicts import rows
from fitness_assets.silver.tables import CLEAN_DAYS

_BASIS = "basis.json"  # sidecar of the audit
_NEW_SHARE = 0.1
"""The audit is made again when the clean days have become more, or fewer, by this share."""


def _make(step_run: StepRun, made_from: Inputs, changes: Changes) -> Staging:
    basis = _basis(step_run.lake, made_from)
    if changes.base:
        before = json.loads(step_run.lake.store.read_sidecar(AUDIT, f"{changes.base.version}.{_BASIS}"))
        if not (why := _why_due(before, basis)):
            stays = f"{AUDIT.key}: version {changes.base.version} stays"
            step_run.log.info(f"{stays}: the models are the same, and less than a tenth of the days is new")
            return step_run.lake.reopen(TABLES)
        changes = Changes(why)

    def write_all(staging: Staging) -> None:
        ledger, store = step_run.lake.rows(UPLOADS, made_from[UPLOADS.key]), step_run.lake.store
        versions = [Opened(table, made_from[table.key]) for table in READS]
        with reader(store, versions) as tables, tables.cursor() as days, ThreadPoolExecutor(2) as pool:
            open_table(days, store, Opened(CLEAN_DAYS, made_from[CLEAN_DAYS.key]))
            aggregated = pool.submit(aggregates, days)
            asked = pool.submit(collect, tables, aggregated.result, ledger)
            # The import takes a second, which a process that only loads the graph does not need.
            from fitness_assets.quality.report import report_page, summary

            collected = asked.result()
        findings = diagnose(collected)
        staging.attach(
            AUDIT, "report.html", report_page(collected, findings, staging.version, dict(made_from)).encode()
        )
        staging.attach(AUDIT, "summary.md", summary(collected, findings).encode())
        staging.attach(AUDIT, _BASIS, json.dumps(basis).encode())
        staging.write_rows(AUDIT, rows(findings, collected.sources))

    return stage(step_run, STEP, made_from, changes, write_all)


def _basis(lake: Lake, inputs: Inputs) -> dict[str, Any]:
    """What an audit depends on: the fitted models, what may be concluded from them, how many clean days there are."""
    models = stored_scoring(lake, inputs[next(iter(MODELS.values())).key])
    rows = lake.metadata(CLEAN_DAYS, inputs[CLEAN_DAYS.key]).rows
    conclusions = [models.constants[conclusion_of(name)] for name in MODELS]
    return {"models": models.version, "conclusions": conclusions, "clean_days": rows}


def _why_due(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why the audit is made again; empty if its results are recent enough."""
    if now["models"] != before["models"]:
        return "the models were fitted again, because a month is complete or days of complete months changed"
    if now["conclusions"] != before["conclusions"]:
        return "what may be concluded from the predictions changed"
    if abs(now["clean_days"] - before["clean_days"]) > before["clean_days"] * _NEW_SHARE:
        return f"there were {before['clean_days']:,} clean days, and there are {now['clean_days']:,}"
    return ""


STEP = LayerStep(TABLES, READS, _make, code_version("quality", "schema"))
