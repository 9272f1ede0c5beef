"""Measure a large Apple export: `python -m fitness_assets_tests.tools.apple_export --days 3650 --folder /tmp/apple`.

It writes ten years of a watch and a phone, some 2 GB of XML, and runs bronze and silver on them in a process of its
own; then it adds a month and runs again. It prints seconds, records a second and the peak of memory.
"""

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import click
import pyarrow.parquet as pq

from fitness_assets.sample import apple_health
from fitness_assets.sample.life import LivedDay, lived
from fitness_assets_tests.conftest import materialize_command

_FIRST = date(2014, 1, 1)
_PULSES = 4
"""So many times as many heart rates as the sample has; a watch of today writes some 1,500 a day."""


@click.command(help=__doc__)
@click.option("--days", default=3_650, show_default=True)
@click.option("--more", default=30, show_default=True, help="Days of the second export beyond those of the first.")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(days: int, more: int, folder: Path) -> None:
    """Write, run, add a month, run again."""
    export = folder / "raw" / "people" / "anna" / "export.zip"
    export.parent.mkdir(parents=True, exist_ok=True)
    (export.parent / "profile.toml").write_text('time_zone = "Europe/Berlin"\nheight_cm = 168\n')
    lived_days = [_denser(day) for day in lived(days + more, first=_FIRST)]
    for count in (days, days + more):
        _write(export, lived_days[:count])
        started = time.monotonic()
        environment = {**os.environ, "FITNESS_LOCAL_ROOT": str(folder), "DAGSTER_HOME": str(folder)}
        subprocess.run(
            materialize_command("group:bronze or group:silver"), env=environment, check=True, capture_output=True
        )
        seconds = time.monotonic() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
        ledger = pq.read_table(folder / "bronze" / "uploads").to_pylist()
        records = max(row["records_seen"] or 0 for row in ledger)
        click.echo(
            f"{count} days: {records:,} records, {seconds:.0f} s, {records / seconds:,.0f} records/s, {peak:,} MiB"
        )
        steps = {row["date"]: row["steps"] for row in pq.read_table(folder / "silver" / "clean_days").to_pylist()}
        wrong = [day.date for day in lived_days[:count] if steps.get(day.date) != day.steps]
        click.echo(f"days whose steps differ from what happened: {len(wrong)} {wrong[:5]}")


def _write(path: Path, days: Sequence[LivedDay]) -> None:
    draft = path.with_name(".draft")
    apple_health.write(draft, days)
    draft.replace(path)


def _denser(day: LivedDay) -> LivedDay:
    pulse = tuple((at + timedelta(seconds=13 * n), bpm + n) for at, bpm in day.pulse for n in range(_PULSES))
    return replace(day, pulse=pulse)


if __name__ == "__main__":
    main()
