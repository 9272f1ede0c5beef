"""Starts the Spark session that `FITNESS_SPARK` asks for, and opens the store of the lake."""

import atexit
import logging
import os
from pathlib import Path
from typing import Any

import pyspark
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from fitness_assets.aws.s3 import Bucket
from fitness_assets.engine.sail import start_sail
from fitness_assets.lake.local import LocalStore
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.store import Store
from fitness_assets.lake.version import LakeError
from fitness_assets.settings import Settings

_SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # the type that Sail and Python write
}
_DRIVER = {
    "spark.app.name": "fitness-assets",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.driver.memory": "4g",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.files.openCostInBytes": "65536",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 2),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""For Spark that is started here. A low cost to open files cuts even a small file into equal parts."""

_CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"
_RETRIES = 5  # of a request to a Spark Connect server: some seconds, where the default is ten minutes


def start_spark(settings: Settings) -> SparkSession:
    """Start the session that the settings ask for: on Sail, on Spark in this process, or on a Spark Connect server.

    Raises:
        LakeError: naming the variables to look at.
    """
    try:
        return _session(settings)
    except (PySparkException, Py4JError) as error:
        why = "".join(str(error).splitlines()[:2])  # further lines are Java's stack trace
        advice = "Look at FITNESS_SPARK, at FITNESS_SPARK_CONF, and at what Java printed."
        raise LakeError(lost_server(error) or f"Spark does not start: {why} {advice}") from None


def _session(settings: Settings) -> SparkSession:
    # For every failing query, caught or not, PySpark logs kilobytes of JSON beside raising the error.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from dagster_pyspark import LazyPySparkResource

    if settings.needs_java:
        session = LazyPySparkResource(spark_config=driver_properties(settings)).spark_session
        for name, value in settings.spark_properties.items():
            if session.conf.isModifiable(name):  # Spark checks these values only when they are set again
                session.conf.set(name, value)
        return session
    url = settings.spark if settings.spark.startswith("sc://") else start_sail(settings)
    session = LazyPySparkResource(spark_config={"spark.remote": url}).spark_session
    from pyspark.sql.connect.client.retries import DefaultPolicy

    # A server that restarts has lost the session, so to retry for long does not help.
    client: Any = session.client
    client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES)])
    # At exit PySpark asks the server to tidy up, unless its client is closed. After Ctrl-C the answer may never come.
    atexit.register(client.close)
    for name, value in {**_SESSION, **settings.spark_properties}.items():
        session.conf.set(name, value)
    return session


def given_spark() -> SparkSession:
    """The session of the service that started this process (Glue, EMR Serverless), with the options that we rely on."""
    session = SparkSession.builder.getOrCreate()
    for name, value in _SESSION.items():
        session.conf.set(name, value)
    return session


def driver_properties(settings: Settings) -> dict[str, str]:
    """Properties of a Spark that is started here; the properties that the user set win."""
    made = {"spark.master": settings.spark if settings.needs_java else "local[*]"}
    if settings.lake_bucket:
        made |= Bucket(settings.lake_bucket).spark_properties()
    return {**made, **_DRIVER, **_SESSION, **settings.spark_properties}


def connect_server(settings: Settings, port: int) -> list[str]:
    """The command that starts a Spark Connect server with the settings' properties; it listens on loopback only."""
    binding = {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": str(port)}
    properties = {**binding, **driver_properties(settings)}
    options = (option for name, value in properties.items() for option in ("--conf", f"{name}={value}"))
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    return [str(submit), "--class", _CONNECT_SERVER, *options, "spark-internal"]


def lost_server(error: Exception) -> str | None:
    """The sentence for a person if an error means that the Spark Connect server is gone or has lost the session."""
    if type(error).__name__ != "SparkConnectGrpcException":
        return None
    if not any(sign in str(error) for sign in ("StatusCode.UNAVAILABLE", "INVALID_HANDLE")):
        return None
    return (
        "The Spark Connect server of FITNESS_SPARK cannot be reached, or was restarted during this run: start it and "
        "run again. Published tables stay as they are."
    )


def store_of(settings: Settings) -> Store:
    """The store of the lake: a folder or a bucket."""
    if settings.lake_bucket:
        return S3Store(Bucket(settings.lake_bucket), settings.prefixes)
    return LocalStore(settings.local_root)
