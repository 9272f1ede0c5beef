"""How long a run takes, cold, beside bare scripts that do less: `python -m fitness_assets_tests.benchmark --help`.

Every command is a process of its own on a lake of its own, and all take turns, so that what else the machine does hits
each alike. Compare ratios within one table, never seconds between two.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

from fitness_assets_tests.conftest import materialize_command

ETL = "group:bronze or group:silver or (group:gold and not key:gold/fact_predictions)"
SELECTIONS = {
    "ETL with its checks": ETL,
    "ETL and audit": f"{ETL} or group:quality",
    "ETL and predictions": f"{ETL} or group:predictions or key:gold/fact_predictions",
    "whole graph": "*",
}
_POLL_SECONDS = 0.2


@dataclass
class Measured:
    """What one command took, run by run: wall and CPU seconds, peak memory of all its processes in bytes."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def measure(command: list[str], environment: dict[str, str], measured: Measured) -> None:
    """Run a command to its end and add what it took.

    Raises:
        click.ClickException: if the command fails, with the end of what it printed.
    """
    began, peak, cpu = time.monotonic(), 0, {}
    with tempfile.TemporaryFile("w+") as log:
        process = psutil.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
        while process.poll() is None:
            memory = 0
            for one in (process, *process.children(recursive=True)):
                try:
                    memory += one.memory_info().rss
                    cpu[one.pid] = sum(one.cpu_times()[:2])
                except psutil.NoSuchProcess:
                    continue
            peak = max(peak, memory)
            time.sleep(_POLL_SECONDS)
        measured.wall.append(time.monotonic() - began)
        if process.returncode:
            log.seek(0)
            raise click.ClickException(f"{' '.join(command)} failed:\n{log.read()[-2_000:]}")
    measured.cpu.append(sum(cpu.values()))
    measured.memory.append(peak)


@click.command(help=__doc__)
@click.option("--users", default=1_000, show_default=True, help="People in the file, with 365 days each.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="A CSV to use instead of a generated one.")
@click.option("--times", default=3, show_default=True, help="How often each command runs.")
@click.option(
    "--peer",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A script that takes the CSV and an output folder.",
)
def main(users: int, file: Path | None, times: int, peer: tuple[Path, ...]) -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder) / "year.csv"
            make = ["--users", str(users), "--days", "365", "--seed", "1", "--out", str(file)]
            subprocess.run([sys.executable, "-m", "fitness_assets.sample", *make], check=True)
        with file.open("rb") as lines:
            rows = sum(1 for _ in lines) - 1
        commands = {script.name: [sys.executable, str(script), str(file)] for script in peer}
        commands |= {name: materialize_command(selection) for name, selection in SELECTIONS.items()}
        results = {name: Measured() for name in commands}
        for turn in range(times):
            for name, command in commands.items():
                click.echo(f"{turn + 1} of {times}: {name}", err=True)
                with tempfile.TemporaryDirectory() as place:
                    environment = {"FITNESS_LOCAL_ROOT": place, "FITNESS_RAW_PATH": str(file)}
                    measure(
                        [*command, place] if name in {p.name for p in peer} else command, environment, results[name]
                    )
    click.echo(
        f"\n{rows:,} rows; {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB; {machine()}\n"
    )
    first = next(iter(results))
    click.echo(
        f"| command | wall s, median | of | ratio to {first}, median | CPU s, median | peak GiB |\n" + "|---" * 6 + "|"
    )
    for name, taken in results.items():
        ratios = [mine / its for mine, its in zip(taken.wall, results[first].wall, strict=True)]
        click.echo(
            f"| {name} | {statistics.median(taken.wall):.1f} | {', '.join(f'{wall:.1f}' for wall in taken.wall)} "
            f"| {statistics.median(ratios):.2f} | {statistics.median(taken.cpu):.0f} "
            f"| {max(taken.memory) / 2**30:.1f} |"
        )


def machine() -> str:
    """What else there is to know of it."""
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
    return f"Python {platform.python_version()}, {java}, {platform.system()}"


if __name__ == "__main__":
    main(prog_name="python -m fitness_assets_tests.benchmark")
