"""What a run needs from outside: Java, a Spark session, and a place for the lake; plain functions of the settings."""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyspark
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from fitness_assets.aws import Bucket
from fitness_assets.s3_store import S3Store
from fitness_assets.settings import Settings, SettingsError
from fitness_assets.stores import LocalStore, Store

JAVA_MINIMUM = 17

_ARCHIVE_MAGIC = bytes.fromhex("a8ab0bf0")
_QUIET = "-Xlog:disable -Xlog:all=error:stderr"  # Java would list every class that it leaves out of the archive

_SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
_DRIVER = {
    "spark.app.name": "fitness-assets",
    "spark.driver.memory": "4g",
    "spark.sql.adaptive.enabled": "false",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""For a Spark that is started here."""

_CONNECT_SERVER = "org.apache.spark.sql.connect.service.SparkConnectServer"


def start_spark(settings: Settings) -> SparkSession:
    """Start a Spark session: a client of the Spark Connect server that the settings name, or Spark in this process."""
    # For every failing query, caught or not, PySpark 4.3 logs kilobytes of JSON beside raising the error.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    from dagster_pyspark import LazyPySparkResource

    if not settings.spark_remote:
        # Spark would take whatever python3 is on the PATH, which need not have the packages of this one.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        return LazyPySparkResource(spark_config=driver_properties(settings)).spark_session
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


def driver_properties(settings: Settings) -> dict[str, str]:
    """Properties of a Spark that is started here; in the end those that the user set."""
    java = f"-XX:+UseParallelGC {class_archive()}"
    where = {"spark.master": settings.spark_master, "spark.driver.extraJavaOptions": java}
    if settings.lake_bucket:
        where |= Bucket(settings.lake_bucket).spark_properties()
    return {**where, **_DRIVER, **_SESSION, **settings.spark_properties}


def connect_server(settings: Settings, port: int) -> list[str]:
    """The command that starts a Spark Connect server with all that the settings ask for, open to this machine alone."""
    binding = {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": str(port)}
    properties = {**binding, **driver_properties(settings)}
    options = (option for name, value in properties.items() for option in ("--conf", f"{name}={value}"))
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    return [str(submit), "--class", _CONNECT_SERVER, *options, "spark-internal"]


def lost_server(error: PySparkException) -> str | None:
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


def require_java(environment: Mapping[str, str] = os.environ) -> None:
    """Make sure that the Java that Spark would start is recent enough.

    Raises:
        SettingsError: saying what to install.
    """
    version = _java_version(environment)
    if version is None or version < JAVA_MINIMUM:
        found = "none was found" if version is None else f"version {version} was found"
        raise SettingsError(
            f"Spark needs Java {JAVA_MINIMUM} or later, but {found}: install it (on Debian or Ubuntu: apt install "
            f"openjdk-{JAVA_MINIMUM}-jre-headless; on macOS: brew install openjdk@{JAVA_MINIMUM}) and, if it is not on "
            "the PATH, set JAVA_HOME to its folder."
        )


def require_connect() -> None:
    """Make sure that what a client of Spark Connect needs is installed.

    Raises:
        SettingsError: saying what to install.
    """
    if not find_spec("grpc_status"):
        raise SettingsError("FITNESS_SPARK_REMOTE needs further packages: pip install 'fitness-assets[connect]'.")


def class_archive(folder: Path = Path(sys.prefix), environment: Mapping[str, str] = os.environ) -> str:
    """Java options that take Spark's classes from an archive, or that have one written when Java ends.

    Finding, reading and verifying some 20,000 classes takes seconds of every start. The archive (some 190 MB) lies in
    the Python environment that it belongs to and goes with it; another Java or PySpark gets another one. Java writes
    its first bytes last, so one that was left unfinished is known by them.

    Args:
        folder: the Python environment; where it cannot be written to, there is no archive.
        environment: tells where Java is.
    """
    release = _java_release(environment)
    if not release or not os.access(folder, os.W_OK):
        return ""
    made_for = hashlib.sha256(f"{release}{pyspark.__version__}{pyspark.__file__}".encode()).hexdigest()[:16]
    archive = folder / "var" / "fitness-assets" / f"spark-classes-{made_for}.jsa"
    archive.parent.mkdir(parents=True, exist_ok=True)
    if archive.exists() and archive.open("rb").read(len(_ARCHIVE_MAGIC)) == _ARCHIVE_MAGIC:
        return f'"-XX:SharedArchiveFile={archive}" {_QUIET}'  # quoted, because a path may have blanks
    return f'"-XX:ArchiveClassesAtExit={archive}" {_QUIET}'


def _java(environment: Mapping[str, str]) -> Path | None:
    """The Java that Spark would start."""
    home = environment.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environment.get("PATH"))
    return Path(java) if java and Path(java).exists() else None


def _java_release(environment: Mapping[str, str]) -> str:
    """What a JDK keeps about itself in a file; empty if there is none."""
    java = _java(environment)
    about = java.resolve().parent.parent / "release" if java else None
    return about.read_text() if about and about.is_file() else ""


def _java_version(environment: Mapping[str, str]) -> int | None:
    """The major version of Java, from what it keeps about itself or, failing that, from Java."""
    java = _java(environment)
    if java is None:
        return None
    text = _java_release(environment)
    if not text:
        text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    # Java 8 and older call themselves 1.8 and so on.
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None
