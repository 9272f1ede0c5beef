"""What a run needs from outside: a Spark session and a place for the lake; plain functions of the settings."""

import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyspark
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from fitness_assets.aws.s3 import Bucket
from fitness_assets.engine.java import class_archive, short_job_compiler
from fitness_assets.lake.local import LocalStore, Store
from fitness_assets.lake.s3 import S3Store
from fitness_assets.lake.version import LakeError
from fitness_assets.settings import Settings, SettingsError

_SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
_DRIVER = {
    "spark.app.name": "fitness-assets",
    "spark.driver.memory": "4g",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.files.openCostInBytes": "65536",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 2),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""For a Spark that is started here. Files cost little to open, so that a small one is cut into equal parts."""

_LITTLE_BYTES = 50_000_000
"""Uploads of fewer bytes are a short job; the year of 1,000 people has 21 million."""

_CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


def start_spark(settings: Settings) -> SparkSession:
    """Start a Spark session: a client of the Spark Connect server that the settings name, or Spark in this process.

    Raises:
        LakeError: naming the variables to look at.
    """
    try:
        return _session(settings)
    except (PySparkException, Py4JError) as error:
        why = "".join(str(error).splitlines()[:2])  # more would be Java's stack trace
        where = "REMOTE" if settings.spark_remote else "MASTER"
        advice = f"Look at FITNESS_SPARK_{where}, at FITNESS_SPARK_CONF, and at what Java printed."
        raise LakeError(lost_server(error) or f"Spark does not start: {why} {advice}") from None


def _session(settings: Settings) -> SparkSession:
    # Java is asked in many short calls; a thread that draws or learns would keep each of them waiting for 5 ms.
    sys.setswitchinterval(0.0005)
    # For every failing query, caught or not, PySpark 4.3 logs kilobytes of JSON beside raising the error.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from dagster_pyspark import LazyPySparkResource

    if not settings.spark_remote:
        properties = driver_properties(settings, _is_little(settings))
        session = LazyPySparkResource(spark_config=properties).spark_session
        for name, value in settings.spark_properties.items():
            if session.conf.isModifiable(name):  # set again, because at its start Spark takes any value of these
                session.conf.set(name, value)
        return session
    session = LazyPySparkResource(spark_config={"spark.remote": settings.spark_remote}).spark_session
    from pyspark.sql.connect.client.retries import DefaultPolicy

    # For seconds, not for ten minutes: a server that comes back knows nothing of the session.
    client: Any = session.client
    client.set_retry_policies([DefaultPolicy(max_retries=5)])
    for name, value in {**_SESSION, **settings.spark_properties}.items():
        session.conf.set(name, value)
    return session


def given_spark() -> SparkSession:
    """The session of the service that started this process, with what our queries rely on."""
    session = SparkSession.builder.getOrCreate()
    for name, value in _SESSION.items():
        session.conf.set(name, value)
    return session


def _is_little(settings: Settings) -> bool:
    """Whether Spark runs on this machine and the uploads, which are here too, are few."""
    raw = Path(settings.raw)
    files = raw.rglob("*") if raw.is_dir() else [raw]
    sizes = (file.stat().st_size for file in files if file.is_file())
    return settings.spark_master.startswith("local") and raw.exists() and sum(sizes) < _LITTLE_BYTES


def driver_properties(settings: Settings, is_short: bool = False) -> dict[str, str]:
    """Properties of a Spark that is started here; in the end those that the user set.

    Args:
        settings: among them properties of the user's own.
        is_short: the job is over before what speeds up long ones is earned back.
    """
    # Spark makes a loop over rows one method, and of those over 8,000 bytes Java would compile none.
    java = f"-XX:+UseParallelGC -XX:-DontCompileHugeMethods {class_archive()}"
    made = {"spark.master": settings.spark_master, "spark.driver.extraJavaOptions": java}
    if settings.lake_bucket:
        made |= Bucket(settings.lake_bucket).spark_properties()
    if is_short:
        made["spark.driver.extraJavaOptions"] += f" {short_job_compiler()}"
        made["spark.shuffle.compress"] = "false"
    return {**made, **_DRIVER, **_SESSION, **settings.spark_properties}


def connect_server(settings: Settings, port: int) -> list[str]:
    """The command that starts a Spark Connect server with all that the settings ask for, open to this machine alone."""
    binding = {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": str(port)}
    properties = {**binding, **driver_properties(settings)}
    options = (option for name, value in properties.items() for option in ("--conf", f"{name}={value}"))
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    return [str(submit), "--class", _CONNECT_SERVER, *options, "spark-internal"]


def lost_server(error: Exception) -> str | None:
    """What to tell a person if an error means that the Spark Connect server, or what it knew of us, is gone."""
    if type(error).__name__ != "SparkConnectGrpcException":
        return None
    gone = ("StatusCode.UNAVAILABLE", "INVALID_HANDLE")
    if not any(sign in str(error) for sign in gone):
        return None
    return (
        "The Spark Connect server of FITNESS_SPARK_REMOTE cannot be reached, or was started anew in the middle of this "
        "run: start it and run again. Tables that were published stay as they are."
    )


def store_of(settings: Settings) -> Store:
    """The place of the lake."""
    if settings.lake_bucket:
        return S3Store(Bucket(settings.lake_bucket), settings.prefixes)
    return LocalStore(settings.local_root)


def require_connect() -> None:
    """Make sure that what a client of Spark Connect needs is installed.

    Raises:
        SettingsError: saying what to install.
    """
    if not find_spec("grpc_status"):
        raise SettingsError("FITNESS_SPARK_REMOTE needs further packages: pip install 'fitness-assets[connect]'.")
