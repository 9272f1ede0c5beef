"""Measure what a day costs: `python -m fitness_assets_tests.tools.daily_uploads --users 1000 --days 365 --uploads 3`.

A lake gets a long history in one file, then one file for each further day. Each run is a command of its own, as in the
README, on one machine and in turn; compare the ratios. With ``--check``, at the end every table has to be the one that
a build of everything gives, cell for cell.
"""

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import click

from fitness_assets.engine.session import store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.registry import PUBLISH_GROUPS, TABLES
from fitness_assets.sample import FIRST_DAY
from fitness_assets.sample import rows as sample_rows
from fitness_assets.settings import Settings
from fitness_assets_tests.conftest import HEADER, content, materialize_command

_PROJECT = Path(__file__).parents[2]
_LATEST = 2 * 365


@click.command(help=__doc__)
@click.option("--users", default=1_000, show_default=True, help="The people.")
@click.option("--days", default=365, show_default=True, help="The days of the first file.")
@click.option("--uploads", default=3, show_default=True, help="The files of one day each that follow.")
@click.option("--check", is_flag=True, help="Compare the tables with one build at the end.")
def main(users: int, days: int, uploads: int, check: bool) -> None:
    """Measure, print, and compare if asked to."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        raw = root / "raw"
        raw.mkdir()
        history, *later = files(users, days, uploads)
        put(raw / "history.csv", history)
        full = run(root)
        click.echo(f"{users:,} people, {days} days: {full:.1f} s; {size(root) / 1e6:.1f} MB of tables")
        before, taken = size(root), list[float]()
        for number, lines in enumerate(later):
            put(raw / f"day-{number:03}.csv", lines)
            taken.append(run(root))
        collect_garbage(root)
        idle = [run(root) for _ in range(3)]
        day, nothing = statistics.median(taken), statistics.median(idle)
        click.echo(f"one day: {day:.1f} s (of {', '.join(f'{t:.1f}' for t in taken)}); ratio to all: {day / full:.2f}")
        click.echo(f"nothing new: {nothing:.1f} s (of {', '.join(f'{t:.1f}' for t in idle)})")
        added = size(root) / before - 1
        click.echo(f"after {uploads} days, with the versions that are kept: {added:+.0%} of the tables' size")
        if check:
            compare(root)


def files(users: int, days: int, uploads: int) -> Iterator[list[str]]:
    """The rows of each file; the last day is no later than that of a log of `_LATEST` days from the sample's first."""
    earlier = timedelta(max(days + uploads - _LATEST, 0))  # days of the future would be rejected
    found: list[list[str]] = [[] for _ in range(uploads + 1)]
    for user in sample_rows(users, days + uploads, 1):
        for cells in user:
            day = date.fromisoformat(cells[3])
            cells[3] = str(day - earlier)
            found[max((day - FIRST_DAY).days - days + 1, 0)].append(",".join(cells))
    yield from found


def put(path: Path, lines: Sequence[str]) -> None:
    """Write a file."""
    path.write_text("\n".join([HEADER, *lines]) + "\n")


def run(root: Path, config: str = "") -> float:
    """Run the whole graph; returns its seconds."""
    command = [*materialize_command("*"), *(["--config-json", config] if config else [])]
    began = time.monotonic()
    done = subprocess.run(
        command, env=os.environ | {"FITNESS_LOCAL_ROOT": str(root)}, cwd=_PROJECT, capture_output=True, text=True
    )
    if done.returncode:
        raise click.ClickException(done.stderr[-2_000:])
    return time.monotonic() - began


def size(root: Path) -> int:
    """Bytes below the lake's versions, each file once, however many versions have a link to it."""
    stats = (path.stat() for path in (root / "_versions").rglob("*") if path.is_file())
    return sum({stat.st_ino: stat.st_size for stat in stats}.values())


def lake_of(root: Path) -> Lake:
    """The lake, to look at."""
    return Lake(store_of(Settings(local_root=root)), lambda: None)  # type: ignore[arg-type, return-value]


def collect_garbage(root: Path) -> None:
    """Remove expired versions now; otherwise they stay for an hour."""
    with patch("fitness_assets.lake.garbage.KEEP_SECONDS", -1):
        for group in PUBLISH_GROUPS:
            for _ in range(2):  # first they expire, then they go
                lake_of(root).collect_garbage(group)


def compare(root: Path) -> None:
    """Build everything again, and compare; what names the version of a model is left out.

    Raises:
        click.ClickException: if a table differs.
    """
    tables = [table for table in TABLES if table.layer in ("silver", "gold", "predictions")]
    incremental = {table.key: snapshot(root, table.key) for table in tables}
    rebuilt = {name: {"config": {"rebuild": True}} for name in ("silver", "gold", "predictions")}
    run(root, json.dumps({"ops": rebuilt}))
    different = [table.key for table in tables if snapshot(root, table.key) != incremental[table.key]]
    if different:
        raise click.ClickException(f"other than one build gives: {', '.join(different)}")
    click.echo(f"{len(tables)} tables are those of one build, cell for cell")


def snapshot(root: Path, key: str) -> list[tuple]:
    """The cells of a table, without the version in which its models were fitted."""
    names = [column.name for table in TABLES if table.key == key for column in table.columns]
    keep = [at for at, name in enumerate(names) if not name.endswith("model_version")]
    return [tuple(row[at] for at in keep) for row in content(lake_of(root), key)]


if __name__ == "__main__":
    main(prog_name="python -m fitness_assets_tests.tools.daily_uploads")
