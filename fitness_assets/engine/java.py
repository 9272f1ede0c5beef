"""Java: which one Spark would start, and how it starts and compiles quickly."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pyspark

from fitness_assets.settings import SettingsError

JAVA_MINIMUM = 17

_ARCHIVE_MAGIC = bytes.fromhex("a8ab0bf0")
_QUIET = "-Xlog:disable -Xlog:all=error:stderr"  # Java would list every class that it leaves out of the archive


def require_java(environment: Mapping[str, str] = os.environ) -> None:
    """Make sure that the Java that Spark would start is recent enough.

    Raises:
        SettingsError: saying what to install.
    """
    version = _java_version(environment)
    if version is None or version < JAVA_MINIMUM:
        found = "none was found" if version is None else f"version {version} was found"
        home, java = environment.get("JAVA_HOME"), _java(environment)
        where = f" in JAVA_HOME ({home}): correct or unset that, or" if home else f" at {java}:" if java else ":"
        raise SettingsError(
            f"Spark needs Java {JAVA_MINIMUM} or later, but {found}{where} install it (on Debian or Ubuntu: apt "
            f"install openjdk-{JAVA_MINIMUM}-jre-headless; on macOS: brew install openjdk@{JAVA_MINIMUM}) and, if it "
            "is not on the PATH, set JAVA_HOME to its folder."
        )


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


def short_job_compiler() -> str:
    """Java options that keep its costly compiler for the code that all queries share.

    Of a short job's time that compiler takes a third, most of it for code that Spark generates for one query, or that
    plans queries: that is done before it is compiled. On ten times the year file the same options cost a third.
    """
    directives = Path(__file__).with_name("short_jobs.directives")
    silent = "-XX:-DisplayVMOutput"  # Java would say how many directives it read
    return f'-XX:+UnlockDiagnosticVMOptions {silent} "-XX:CompilerDirectivesFile={directives}"'


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
        with suppress(OSError):  # a folder, or nothing that can be run
            text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    # Java 8 and older call themselves 1.8 and so on.
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None
