"""The Dagster side of erasing a person: the job ``erase``, and what Dagster keeps of earlier runs.

Check results, previews and logs of earlier runs may show rows of the person. So every other run of this project is
deleted, with its events and its captured output. The events of sensors, which belong to no run, and the
materializations of the tables are deleted, too. All this uses Dagster's public API, so it works with every storage.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from logging import Logger
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from fitness_assets.bronze.sources import source_of
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.version import VersionConflictError
from fitness_assets.orchestration.io_manager import plain_failures
from fitness_assets.orchestration.step_assets import Before
from fitness_assets.privacy.erase import begin, finish
from fitness_assets.privacy.uploads import delete_old
from fitness_assets.registry import PUBLISH_GROUPS, TABLES
from fitness_assets.settings import Settings

_JOB_NAME, _OP_NAME = "erase", "erase_person"
_BEGUN = [status for status in dg.DagsterRunStatus if status.value not in ("NOT_STARTED", "QUEUED")]
"""A run that was killed counts as started for ever."""
_NO_RUN = ""
"""Dagster's id of events of no run. Those of sensors have names of uploads and rows of tables."""
_STEPS = {_OP_NAME, *(tables[0].layer for tables in PUBLISH_GROUPS)}
_SENSORS = ("new_uploads", "run_messages")
_LOGS_PREFIX = "compute-logs/"  # of the bucket, as docs/deployment.md configures it
_SERVER = (
    "Dagster's history is not in SQLite files. If a database server keeps it, deleted rows stay in its files until "
    "VACUUM FULL, and in its write-ahead log, replicas, dumps and backups: see to those yourself."
)
_SECONDS = 60.0  # to wait for a process that is at the same SQLite file


def erase_job(settings: Settings) -> dg.JobDefinition:
    """The job that erases a person, or finishes an erasure that was interrupted."""

    @dg.op(
        name=_OP_NAME,
        description="Erases a person whose code `fitness erase USER_ID --dry-run` prints, and everybody whose erasure "
        "was interrupted. Deletes the history of runs, because it shows rows of tables.",
        config_schema={"code": dg.Field(str, default_value="", description="Empty: only what was interrupted.")},
        required_resource_keys={"lake"},
    )
    def erase(context: dg.OpExecutionContext) -> None:
        lake: Lake = context.resources.lake
        with plain_failures(lake):
            if context.op_config["code"]:
                begin(lake, settings, context.op_config["code"])
            finish(
                lake,
                settings,
                context.log,
                context.run.run_id,
                partial(forget_history, lake, context.instance, context.run.run_id, context.log),
            )

    @dg.job(name=_JOB_NAME, description=f"{erase.description}")
    def job() -> None:
        erase()

    return job


def before_steps(settings: Settings) -> Before:
    """What runs do before a step: finish an erasure that was interrupted, delete old uploads."""

    def before(context: dg.AssetExecutionContext, lake: Lake) -> None:
        layer = context.op_execution_context.op.name
        was_open = finish(
            lake,
            settings,
            context.log,
            context.run.run_id,
            partial(forget_history, lake, context.instance, context.run.run_id, context.log),
        )
        if was_open and layer != UPLOADS.layer:
            raise VersionConflictError("An interrupted erasure was finished; the inputs of this step are read again.")
        if settings.keep_upload_days and layer == UPLOADS.layer and not was_open:
            now = datetime.now(UTC)
            delete_old(source_of(settings.raw), lake.rows(UPLOADS), settings.keep_upload_days, now, context.log)

    return before


def forget_history(lake: Lake, instance: dg.DagsterInstance, but: str, log: Logger) -> None:
    """Delete the runs of this project, and what Dagster keeps of its tables.

    Args:
        lake: the lake; its bucket may have messages and logs of runs.
        instance: the instance.
        but: id of the run that stays: the one that erases.
        log: of that run.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=_BEGUN)):
        if run.run_id == but:
            continue
        snapshot = run.execution_plan_snapshot_id
        plan = instance.get_execution_plan_snapshot(snapshot) if snapshot else None
        if plan and _STEPS & {*plan.step_keys_to_execute}:
            instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
    instance.delete_run(_NO_RUN)
    instance.wipe_assets([dg.AssetKey(table.key.split("/")) for table in TABLES])
    for state in instance.all_instigator_state():
        if state.instigator_name in _SENSORS:
            instance.purge_ticks(state.instigator_origin_id, state.selector_id, datetime.now(UTC).timestamp())
    if isinstance(lake.store, S3Store):
        from fitness_assets.orchestration.pipes_launcher import PIPES_PREFIX  # AWS, which a local lake does without

        bucket = lake.store.bucket
        bucket.delete(found.key for found in bucket.list(PIPES_PREFIX))
        for prefix in (PIPES_PREFIX, _LOGS_PREFIX):
            bucket.delete_old_versions(prefix)
    files = _sqlite_files(instance)
    if not files:
        log.info(_SERVER)
    for path in files:
        # SQLite keeps deleted rows in free pages and in its log until they are written anew.
        with closing(sqlite3.connect(path, timeout=_SECONDS, isolation_level=None)) as database:
            database.execute("VACUUM")
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sqlite_files(instance: dg.DagsterInstance) -> list[Path]:
    """The SQLite files of an instance; none where its storage is a server."""
    folders = {*_base_dirs(yaml.safe_load(instance.info_str()))}
    return sorted({path.resolve() for folder in folders for path in Path(folder).rglob("*.db")})


def _base_dirs(config: Any) -> Iterator[str]:
    """Every ``base_dir`` in a nested configuration."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "base_dir" and isinstance(value, str):
                yield value
            yield from _base_dirs(value)
    elif isinstance(config, list):
        for item in config:
            yield from _base_dirs(item)
