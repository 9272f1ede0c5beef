"""Where everything is put together, and the only place where it is."""

from typing import Any

import dagster as dg

from fitness_assets.bronze.assets import bronze_assets
from fitness_assets.catalogue import TABLES
from fitness_assets.gold.assets import ASSETS as GOLD_ASSETS
from fitness_assets.io_managers import IO_MANAGER_KEY, SparkIOManager
from fitness_assets.lake import Lake
from fitness_assets.predictions.assets import prediction_assets
from fitness_assets.quality.assets import ASSETS as QUALITY_ASSETS
from fitness_assets.resources import require_java, spark_resource
from fitness_assets.sensors import JOB, message_sensors, uploads_sensor
from fitness_assets.settings import Settings, load_settings
from fitness_assets.silver.assets import ASSETS as SILVER_ASSETS


def build_defs(settings: Settings, **resources: Any) -> dg.Definitions:
    """The whole graph for some settings.

    Args:
        settings: where the lake and the uploads are, and which Spark to use.
        resources: resources by key that take the place of those made from the settings; tests pass their own.
    """
    spark = spark_resource(settings)
    lake = resources.get("lake") or Lake(settings.local_root, lambda: spark.spark_session)
    made = {"lake": lake, IO_MANAGER_KEY: SparkIOManager(lake, TABLES)}
    return dg.Definitions(
        assets=[
            bronze_assets(settings.raw),
            SILVER_ASSETS,
            GOLD_ASSETS,
            prediction_assets(settings.training_rows),
            QUALITY_ASSETS,
        ],
        jobs=[JOB],
        sensors=[uploads_sensor(settings.raw), *message_sensors(settings.sns_topic_arn, _sns)],
        resources=made | resources,
        # A process for each step would start a JVM for each step.
        executor=dg.in_process_executor,
    )


def _sns() -> Any:
    import boto3  # takes a while, and only messages need it

    return boto3.client("sns")


def _defs() -> dg.Definitions:
    settings = load_settings()
    if not settings.spark_remote:
        require_java()
    return build_defs(settings)


defs = _defs()
