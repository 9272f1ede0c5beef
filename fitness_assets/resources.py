"""What a run needs from outside: Java and a Spark session. Both are plain functions of the settings."""

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dagster_pyspark import LazyPySparkResource

from fitness_assets.settings import Settings, SettingsError

JAVA_MINIMUM = 17

_SESSION = {"spark.sql.session.timeZone": "UTC", "spark.sql.ansi.enabled": "true"}
_EMBEDDED = {
    "spark.app.name": "fitness-assets",
    "spark.driver.memory": "4g",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.sql.adaptive.enabled": "false",
    "spark.log.level": "ERROR",
    "spark.sql.shuffle.partitions": "4",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""For a session inside this process."""


def spark_resource(settings: Settings) -> LazyPySparkResource:
    """A Spark session that starts when it is first asked for.

    Where the settings name a Spark Connect server it is a client of that; otherwise it runs in this process.
    """
    # For every failing query, caught or not, PySpark 4.3 logs kilobytes of JSON beside raising the error.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if settings.spark_remote:
        where = {"spark.remote": settings.spark_remote}
    else:
        where = {"spark.master": settings.spark_master, **_EMBEDDED}
    return LazyPySparkResource(spark_config={**where, **_SESSION, **settings.spark_properties})


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


def _java_version(environment: Mapping[str, str]) -> int | None:
    """The major version of Java, from the file that a JDK keeps about itself or, failing that, from Java."""
    home = environment.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environment.get("PATH"))
    if not java or not Path(java).exists():
        return None
    about = Path(java).resolve().parent.parent / "release"
    if about.is_file():
        text = about.read_text()
    else:
        text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    # Java 8 and older call themselves 1.8 and so on.
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None
