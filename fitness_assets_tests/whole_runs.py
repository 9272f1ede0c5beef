"""Helpers for tests that run the whole graph in separate processes, with their own servers on loopback."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fitness_assets.lake.lake import Lake
from fitness_assets_tests.conftest import content, materialize_command

JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
"""For small data: Java neither compiles its best code nor verifies the classes of Spark."""

SPARK_CONF = (
    "spark.sql.shuffle.partitions=2;spark.driver.memory=2g;"
    f"spark.driver.extraJavaOptions={JAVA_OPTIONS};spark.executor.extraJavaOptions={JAVA_OPTIONS}"
)
"""Properties of the Spark that tests start."""

SECONDS = 600  # timeout: three such runs may share two slow cores


def environment(**more: str) -> dict[str, str]:
    """This process's variables without settings of the project, plus ``more``.

    Spark must not need a Python worker. A webserver or a daemon sends no telemetry: to do so, it moves the folder
    ``~/.dagster/logs`` away, and a run of another test that opens its file there at that moment ends with an error.
    Dagster kills the process that copies what steps print half a second after the last step, not at once.
    """
    others = ("FITNESS_", "DAGSTER_", "SPARK_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    ours = {
        "SPARK_LOCAL_IP": "127.0.0.1",
        "FITNESS_SPARK_CONF": SPARK_CONF,
        "PYSPARK_PYTHON": "/nowhere",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_COMPUTE_LOG_TAIL_WAIT_AFTER_FINISH": "0.5",
    }
    return kept | ours | more


def free_port() -> int:
    """A free port of the loopback interface."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@dataclass
class Server:
    """A process that runs until it is killed together with its child processes."""

    command: Sequence[str]
    folder: Path
    variables: dict[str, str]
    process: subprocess.Popen | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """The file with its output."""
        return self.folder / "log"

    def start(self, is_ready: Callable[[], Any]) -> None:
        """Start the process and wait until ``is_ready`` returns something true."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.variables, stdout=log, stderr=log, start_new_session=True
            )
        self.wait_for(is_ready)

    def wait_for(self, what: Callable[[], Any]) -> None:
        """Wait until ``what`` returns something true."""
        assert self.process
        wait_for(what, self.process, self.log)

    def kill(self) -> None:
        """Kill the process and its child processes."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def listens(port: int) -> bool:
    """Whether a process listens on a port of the loopback interface."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what: Callable[[], Any], process: subprocess.Popen, log: Path) -> Any:
    """Call ``what`` until it returns something true, and return that; fail if the process ends or the time is up."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if found := what():
            return found
        assert process.poll() is None, f"the process ended: {log.read_text()[-3000:]}"
        time.sleep(0.5)
    raise AssertionError(f"timeout after {SECONDS} s: {log.read_text()[-3000:]}")


def materialize(folder: Path, select: str = "*", **variables: str) -> tuple[subprocess.Popen, Path]:
    """Start the main job, or a selection of it, in a folder; returns the process and the file with its output."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "run.log"
    with log.open("wb") as out:
        run = subprocess.Popen(
            materialize_command(select), cwd=folder, env=environment(**variables), stdout=out, stderr=out
        )
    return run, log


NEITHER_DEVICES_NOR_GOALS = (
    "bronze/measurements",
    "silver/device_days",
    "coach/goals",
    "coach/plans",
    "coach/progress",
)
"""Tables that are empty in these runs."""


def assert_same(lake: Lake, reference: dict[str, list[tuple]]) -> None:
    """Assert that every table of a lake has the rows of the reference run."""
    for key, rows in reference.items():
        found = content(lake, key)
        assert found or key in NEITHER_DEVICES_NOR_GOALS, f"{key} is empty"
        assert found == rows, f"{key} differs"
