"""Measure cold runs beside bare scripts that do less: `python -m fitness_assets_tests.tools.benchmark --help`.

Each command is a separate process with its own lake. The commands run in turn, so that other load on the machine
affects all of them. Compare the ratios within one table; do not compare seconds of different tables.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

from fitness_assets_tests.conftest import materialize_command
from fitness_assets_tests.tools.bare import ENGINES
from fitness_assets_tests.whole_runs import Server, free_port, listens

ETL = "group:bronze or group:silver or (group:gold and not key:gold/fact_predictions)"
SELECTIONS = {
    "ETL with its checks": ETL,
    "ETL and predictions": f"{ETL} or group:predictions or key:gold/fact_predictions",
    "whole graph": "*",
}
_POLL_SECONDS = 0.2
_PROJECT = Path(__file__).parents[2]


@dataclass
class Measured:
    """The measurements of one command, by run: wall and CPU seconds, peak memory of all its processes in bytes."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def measure(command: list[str], environment: dict[str, str], measured: Measured) -> None:
    """Run a command and add its measurements.

    Raises:
        click.ClickException: if the command fails; it has the end of the output.
    """
    began, peak, cpu = time.monotonic(), 0, {}
    with tempfile.TemporaryFile("w+") as log:
        # In the project folder, as in the README: Dagster reads dagster.yaml there.
        process = psutil.Popen(command, env=os.environ | environment, stdout=log, stderr=log, cwd=_PROJECT)
        while process.poll() is None:
            memory, commands = 0, {}
            for one in (process, *process.children(recursive=True)):
                try:
                    commands[one.pid] = one.cmdline()
                    # A process that was just forked shares its memory with its parent.
                    if commands[one.pid] != commands.get(one.ppid()):
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
@click.option("--users", default=1_000, show_default=True, help="The people in a file of one year.")
@click.option("--scale", multiple=True, default=[1], show_default=True, help="Factor for the people; may be repeated.")
@click.option(
    "--file",
    type=click.Path(exists=True, path_type=Path, resolve_path=True),
    help="A CSV to use instead of generated ones.",
)
@click.option("--times", default=3, show_default=True, help="The number of runs of each command.")
@click.option(
    "--peer",
    multiple=True,
    type=click.Path(exists=True, path_type=Path, resolve_path=True),
    help="A further script that takes the CSV and an output folder.",
)
@click.option("--elsewhere", is_flag=True, help="The whole graph also on Spark, on a Spark Connect server and as jobs.")
def main(
    users: int, scale: tuple[int, ...], file: Path | None, times: int, peer: tuple[Path, ...], elsewhere: bool
) -> None:
    """Measure and print a table for each size."""
    memory = psutil.virtual_memory().total / 2**30
    click.echo(f"{os.cpu_count()} cores, {memory:.0f} GiB; {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        for factor in scale if file is None else [1]:
            source = file or generated(Path(folder) / f"{factor}.csv", users * factor)
            with connect_server(Path(folder) / f"server{factor}") if elsewhere else nullcontext({}) as variants:
                compare(source, times, peer, variants)


def generated(file: Path, users: int) -> Path:
    """Generate a file with one year of some people."""
    make = ["--users", str(users), "--days", "365", "--seed", "1", "--out", str(file)]
    subprocess.run([sys.executable, "-m", "fitness_assets.sample", *make], check=True)
    return file


@contextmanager
def connect_server(folder: Path) -> Iterator[dict[str, dict[str, str]]]:
    """Variables for runs on Spark, on a Spark Connect server (cold in the first run), and in jobs.

    The measurements do not include the server.
    """
    port = free_port()
    command = [sys.executable, "-m", "fitness_assets", "spark-server", "--port", str(port)]
    server = Server(command, folder, dict(os.environ))
    server.start(lambda: listens(port))
    yield {
        "whole graph, Spark": {"FITNESS_SPARK": "local[*]"},
        "whole graph, Spark Connect": {"FITNESS_SPARK": f"sc://127.0.0.1:{port}"},
        "whole graph, as jobs": {"FITNESS_SPARK": "process"},
    }
    server.kill()


def compare(file: Path, times: int, peers: Sequence[Path], variants: dict[str, dict[str, str]]) -> None:
    """Run all commands in turn on one file and print their measurements.

    Args:
        file: a CSV.
        times: the number of runs of each command.
        peers: further scripts.
        variants: variables of further runs of the whole graph, by name.
    """
    module = [sys.executable, "-m", "fitness_assets_tests.tools.bare"]
    others = {f"bare, {engine}": [*module, engine, str(file)] for engine in ENGINES}
    others |= {script.name: [sys.executable, str(script), str(file)] for script in peers}
    ours = {name: materialize_command(selection) for name, selection in SELECTIONS.items()}
    ours |= {name: materialize_command("*") for name in variants}
    results = {name: Measured() for name in (*others, *ours)}
    layers: list[list[dict[str, float]]] = []
    for turn in range(times):
        for name, measured in results.items():
            click.echo(f"{turn + 1} of {times}: {name}", err=True)
            with tempfile.TemporaryDirectory() as place:
                environment = {"FITNESS_LOCAL_ROOT": place, "FITNESS_RAW_PATH": str(file), **variants.get(name, {})}
                measure(ours.get(name) or [*others[name], place], environment, measured)
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-m", "fitness_assets_tests.tools.layers", str(file), place]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            layers.append([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])
    with file.open("rb") as lines:
        click.echo(f"\n{sum(1 for _ in lines) - 1:,} rows\n")
    first, etl = next(iter(results)), "ETL with its checks"
    columns = ("command", "wall s, median", "of", f"ratio to {first}", f"ratio to {etl}", "CPU s", "peak GiB")
    click.echo(f"| {' | '.join(columns)} |\n" + "|---" * len(columns) + "|")
    for name, taken in results.items():
        ratios = [
            statistics.median(mine / its for mine, its in zip(taken.wall, results[other].wall, strict=True))
            for other in (first, etl)
        ]
        click.echo(
            f"| {name} | {statistics.median(taken.wall):.1f} | {', '.join(f'{wall:.1f}' for wall in taken.wall)} "
            f"| {ratios[0]:.2f} | {ratios[1]:.2f} | {statistics.median(taken.cpu):.0f} "
            f"| {max(taken.memory) / 2**30:.1f} |"
        )
    click.echo("\n| layer | cold s, median | warm s, median |\n|---|---|---|")
    for layer in layers[0][0]:
        cold, warm = (statistics.median(turns[position][layer] for turns in layers) for position in (0, 1))
        click.echo(f"| {layer} | {cold:.1f} | {warm:.1f} |")


def machine() -> str:
    """Versions of Python, Java and the operating system."""
    java = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr.splitlines()[0]
    return f"Python {platform.python_version()}, {java}, {platform.system()}"


if __name__ == "__main__":
    main(prog_name="python -m fitness_assets_tests.tools.benchmark")
