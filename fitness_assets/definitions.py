"""Where everything is put together, and the only place where it is."""

import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import dagster as dg

from fitness_assets.aws.glue import register
from fitness_assets.aws.s3 import client
from fitness_assets.engine.java import require_java
from fitness_assets.engine.session import require_connect, start_spark, store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.layers import steps
from fitness_assets.orchestration.io_manager import (
    IO_MANAGER_KEY,
    Launch,
    SparkIOManager,
    libraries,
    libraries_key,
    step_assets,
)
from fitness_assets.orchestration.sensors import JOB, Listeners, messages_sensor, uploads_sensor
from fitness_assets.schema.table import Table
from fitness_assets.settings import Settings, load_settings

_RUNS = ("asset materialize", "job execute", "launch", "api execute_run")
"""Commands of dagster and dg whose process makes tables; the last one is what the UI and sensors start."""


def build_defs(settings: Settings, **resources: Any) -> dg.Definitions:
    """The whole graph for some settings.

    Args:
        settings: where the lake and the uploads are, and which Spark to use.
        resources: resources by key that take the place of those made from the settings; tests pass their own.
    """
    lake = resources.get("lake") or _lake(settings)
    listeners = Listeners(settings.sns_topic_arn, settings.lake_bucket, client)
    layers = steps(settings)
    made = {
        "lake": lake,
        IO_MANAGER_KEY: SparkIOManager(lake, _register(settings, lake)),
        **{libraries_key(step): libraries(step) for step in layers if step.loads},
    }
    return dg.Definitions(
        assets=[step_assets(step, _launch(settings)) for step in layers],
        jobs=[JOB],
        sensors=[uploads_sensor(settings.raw, listeners), messages_sensor(listeners)],
        resources=made | resources,
        executor=dg.multiprocess_executor if settings.executor == "multiprocess" else dg.in_process_executor,
    )


def _lake(settings: Settings) -> Lake:
    return Lake(store_of(settings), cache(lambda: start_spark(settings)))


def _launch(settings: Settings) -> Launch | None:
    """What has steps made elsewhere; None where they are made in Dagster's process."""
    if not settings.spark_jobs:
        return None
    from fitness_assets.orchestration.pipes_launcher import launcher  # imports AWS, which a local lake does without

    return launcher(settings)


def _register(settings: Settings, lake: Lake) -> Callable[[Sequence[Table]], None] | None:
    """What enters published gold tables in a catalog; None where none is asked for."""
    database = settings.glue_database
    if not database or not settings.lake_bucket:
        return None
    return lambda tables: register(
        [table for table in tables if table.layer == "gold"], lake.store, database, lambda: client("glue")
    )


def _defs() -> dg.Definitions:
    settings = load_settings()
    if settings.spark_remote:
        require_connect()
    elif settings.spark_jobs in (None, "process"):
        require_java()
    lake = _lake(settings)
    starts_java = not settings.spark_remote and not settings.spark_jobs and settings.executor == "in_process"
    if starts_java and " ".join(sys.argv[1:3]).startswith(_RUNS):
        lake.start_spark()  # it takes seconds, in which Dagster plans the run
    return build_defs(settings, lake=lake)


defs = _defs()
