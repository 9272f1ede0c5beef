"""Kill erasures at many moments: `python -m fitness_assets_tests.tools.kill_erasures --times 20`.

Every round starts from the same lake with one person too many, starts the real command `erase`, kills it and its child
processes with SIGKILL at a moment of its own, checks that each table is whole, and lets the next run finish. Then
nothing of the person may be in any file, and the tables have to be those of an erasure that nobody interrupted. At a
fault it ends with an error.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click

from fitness_assets.bronze.erasures import Erasures
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.local import LocalStore
from fitness_assets.registry import TABLES
from fitness_assets_tests.conftest import materialize_command
from fitness_assets_tests.privacy.planted import NEEDLES, PERSON, uploads
from fitness_assets_tests.search import holders
from fitness_assets_tests.tools.kill_runs import check_whole

ERASE = [sys.executable, "-m", "fitness_assets", "erase", PERSON, "--yes"]
NEXT_RUN = materialize_command('key:"bronze/uploads"')


def start(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a command on the lake of a folder, in a process group of its own."""
    variables = {**os.environ, "FITNESS_LOCAL_ROOT": str(folder / "lake"), "DAGSTER_HOME": str(folder / "dagster")}
    with (folder.parent / "log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=folder, env=variables, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def finish(folder: Path, command: list[str]) -> float:
    """Run a command to its end; returns the seconds it took."""
    begin = time.monotonic()
    status = start(folder, command).wait()
    assert status == 0, f"{' '.join(command)} ended with status {status}: see {folder.parent / 'log'}"
    return time.monotonic() - begin


def lake_of(folder: Path) -> Lake:
    """The lake of a folder, to be looked at without Spark."""

    def no_spark() -> Any:
        raise AssertionError("the lake is looked at without Spark")

    return Lake(LocalStore(folder / "lake"), no_spark)


def rows_of(lake: Lake) -> dict[str, list[str]]:
    """The rows of every table, without names and times of files and numbers of versions."""
    differs = ("uri", "fingerprint", "modified_at")
    return {
        table.key: sorted(
            repr({n: c for n, c in row.items() if n not in differs and not n.endswith("_model_version")})
            for row in lake.rows(table)
        )
        for table in TABLES
    }


def kill_erasures(parent: Path, times: int, seed: int) -> None:
    """Prepare a lake, erase the person once, then kill as many erasures as asked.

    Args:
        parent: an empty folder.
        times: how many erasures to kill.
        seed: same seed, same moments.
    """
    moments, had = random.Random(seed), parent / "had"
    (had / "lake" / "raw" / "goals").mkdir(parents=True)
    (had / "dagster").mkdir()
    for name, content in uploads(with_person=True).items():
        (had / "lake" / "raw" / name).write_bytes(content)
    finish(had, materialize_command("*"))
    assert {*holders(NEEDLES, had)} == {*NEEDLES}
    whole = parent / "whole"
    shutil.copytree(had, whole, symlinks=True)
    seconds = finish(whole, ERASE)
    expected = rows_of(lake_of(whole))
    assert holders(NEEDLES, whole) == {}
    click.echo(f"a whole erasure takes {seconds:.0f} s")
    for round_ in range(1, times + 1):
        folder = parent / "killed"
        shutil.copytree(had, folder, symlinks=True)
        process = start(folder, ERASE)
        # One moment in each slice of an erasure, so that all of it is covered.
        moment = seconds * (round_ - 1 + moments.random()) / times
        time.sleep(moment)
        before_end = process.poll() is None
        if before_end:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        lake = lake_of(folder)
        check_whole(lake)
        journal = Erasures.read(lake)
        state = "in the middle" if journal.open else "at its end" if journal.erased else "before it began"
        finish(folder, NEXT_RUN if journal.open or journal.erased else ERASE)
        check_whole(lake)
        assert holders(NEEDLES, folder) == {}, f"killed after {moment:.1f} s: {holders(NEEDLES, folder)}"
        assert rows_of(lake) == expected, f"killed after {moment:.1f} s: tables differ"
        assert not Erasures.read(lake).open
        shutil.rmtree(folder)
        how = f"killed after {moment:.1f} s, {state}" if before_end else "had ended"
        click.echo(f"{round_:3}/{times} {how}: the next run finished it")


@click.command(help=__doc__)
@click.option("--times", default=20, show_default=True, help="How many erasures to kill.")
@click.option("--seed", default=1, show_default=True, help="Same seed, same moments.")
def main(times: int, seed: int) -> None:
    """Kill, look, finish, look; as often as asked."""
    with tempfile.TemporaryDirectory() as name:
        kill_erasures(Path(name), times, seed)


if __name__ == "__main__":
    main()
