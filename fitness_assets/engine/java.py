"""Checks that Java is recent enough, where `FITNESS_SPARK` needs Java at all."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fitness_assets.settings import SettingsError

JAVA_MINIMUM = 17


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
            "is not on the PATH, set JAVA_HOME to its folder. FITNESS_SPARK=sail needs no Java."
        )


def _java(environment: Mapping[str, str]) -> Path | None:
    """The Java that Spark would start."""
    home = environment.get("JAVA_HOME")
    java = str(Path(home, "bin", "java")) if home else shutil.which("java", path=environment.get("PATH"))
    return Path(java) if java and Path(java).exists() else None


def _java_version(environment: Mapping[str, str]) -> int | None:
    """The major version of Java: from the file ``release`` of its folder, else from `java -version`."""
    java = _java(environment)
    if java is None:
        return None
    release = java.resolve().parent.parent / "release"
    text = release.read_text() if release.is_file() else ""
    if not text:
        with suppress(OSError):  # a folder, or a file that cannot be run
            text = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S603
    # Java 8 and older call themselves 1.8 and so on.
    match = re.search(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)', text)
    return int(match[1]) if match else None
