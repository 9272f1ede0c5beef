"""Builds the Dagster definitions from the settings. Only this module puts the parts together."""

import atexit
import gc
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import dagster as dg

from fitness_assets.aws.glue import register
from fitness_assets.aws.s3 import client
from fitness_assets.bronze.pseudonyms import pseudonyms_of
from fitness_assets.engine.java import require_java
from fitness_assets.engine.session import start_spark, store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.layers import steps
from fitness_assets.orchestration.erasure import before_steps, erase_job
from fitness_assets.orchestration.io_manager import IO_MANAGER_KEY, SparkIOManager
from fitness_assets.orchestration.observed import raw_uploads
from fitness_assets.orchestration.sensors import ALL_TABLES_JOB, DAILY, Listeners, messages_sensor, uploads_sensor
from fitness_assets.orchestration.step_assets import Launch, step_assets
from fitness_assets.schema.table import Table
from fitness_assets.settings import Settings, load_settings, require_runs_in_dagster_home


def build_defs(settings: Settings, **resources: Any) -> dg.Definitions:
    """The whole graph for some settings.

    Args:
        settings: where the lake and the uploads are, and where Spark code runs.
        resources: resources by key that replace those made from the settings; tests pass their own.
    """
    lake = resources.get("lake") or _lake(settings)
    listeners = Listeners(settings.sns_topic_arn, settings.lake_bucket, client)
    made = {"lake": lake, IO_MANAGER_KEY: SparkIOManager(lake, _register(settings, lake))}
    return dg.Definitions(
        assets=[
            raw_uploads(settings.raw),
            *(
                step_assets(step, settings.stale_after_days, _launch(settings), before_steps(settings))
                for step in steps(settings)
            ),
        ],
        jobs=[ALL_TABLES_JOB, erase_job(settings)],
        schedules=[DAILY],
        sensors=[
            uploads_sensor(settings.raw, settings.goals, listeners, pseudonyms_of(settings)),
            messages_sensor(listeners),
        ],
        resources=made | resources,
        executor=dg.multiprocess_executor if settings.executor == "multiprocess" else dg.in_process_executor,
    )


def _lake(settings: Settings) -> Lake:
    return Lake(store_of(settings), cache(lambda: start_spark(settings)), settings.keep_versions)


def _launch(settings: Settings) -> Launch | None:
    """Starts the job of a step; None where steps run in Dagster's process."""
    if not settings.job_service:
        return None
    from fitness_assets.orchestration.pipes_launcher import launcher  # imports AWS, which a local lake does without

    return launcher(settings)


def _register(settings: Settings, lake: Lake) -> Callable[[Sequence[Table]], None] | None:
    """Registers published gold tables in the Glue catalog; None where no database is set."""
    database = settings.glue_database
    if not database or not settings.lake_bucket:
        return None
    return lambda tables: register(
        [table for table in tables if table.layer == "gold"], lake.store, database, lambda: client("glue")
    )


def _defs() -> dg.Definitions:
    # What Dagster's next release may change is for its developers; a person who runs the graph can do nothing about it.
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    # Python looks through a million objects for garbage when it ends, which takes most of a second.
    atexit.register(gc.freeze)
    settings = load_settings()
    require_runs_in_dagster_home()
    if settings.needs_java:
        require_java()
    return build_defs(settings)


defs = _defs()
