"""Kill runs at many moments and look at the lake: `python -m fitness_assets_tests.tools.kill_runs --times 20`.

Every round puts a new upload into ``raw/``, starts the real command line, kills it with SIGKILL at a moment of its own
(every other time together with its child processes), and checks that each table is whole. After every third round, the
next run is left to finish, and every upload has to be in bronze exactly once; so most runs start on what two or three
killed ones left. Not a test: it takes some minutes. At a fault it ends with status 1.
With ``--bucket`` the lake is in a bucket of a server of its own, on loopback. With ``--faults`` nothing is killed: from
the moment on S3 answers with an error, breaks connections before or after it did what was asked, or is slow. It does so
for one request of five, or for every request until the run has ended.
"""

import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import pandas as pd

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.tables import UPLOADS
from fitness_assets.engine.session import store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.s3 import S3Store
from fitness_assets.registry import TABLES
from fitness_assets.sample import FIRST_DAY
from fitness_assets.sample import rows as sample_rows
from fitness_assets.schema.table import Table
from fitness_assets.settings import Settings
from fitness_assets_tests.cloud import Cloud, Fault
from fitness_assets_tests.conftest import HEADER, materialize_command, new_bucket, path_of, published

FAULTS: list[Fault] = [503, "cut", "lost", 500, "slow"]
_FINISH_EACH = 3  # rounds


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the main job, in a process group of its own."""
    with (folder / "run.log").open("wb") as log:
        return subprocess.Popen(
            materialize_command("*"), cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def upload(settings: Settings, seed: int) -> int:
    """Put a new file into raw/; returns its rows."""
    last = 3 * seed % 300  # every other file is a single day, early or late, so that runs replace some months of many
    days = [cells for user in sample_rows(5, 330, seed) for cells in user]
    first = FIRST_DAY + timedelta(last)
    until = first + timedelta(1 if seed % 2 else 40)
    lines = [",".join(cells) for cells in days if str(first) <= cells[3] < str(until)]
    name, text = f"{seed:03}.csv", "\n".join([HEADER, *lines]) + "\n"
    if settings.lake_bucket:
        Bucket(settings.lake_bucket).put(f"raw/{name}", text.encode())
    else:
        raw = Path(settings.raw)
        raw.mkdir(exist_ok=True)
        (raw / name).write_text(text)
    return len(lines)


def files_of(lake: Lake, table: Table) -> Mapping[str, Path | BytesIO]:
    """The published files of a table by name, found by what is published alone."""
    if isinstance(lake.store, S3Store):
        return published(lake.store.bucket, lake.store.location(table))
    return {path.name: path for path in path_of(lake, table).iterdir()}


def check_whole(lake: Lake) -> dict[str, int]:
    """Read every published table as anybody does; its rows have to be those of its metadata, its files Parquet alone.

    Returns:
        Rows by table.
    """
    counts = {}
    for table in TABLES:
        version = lake.current(table)
        if version is None:
            continue
        files = files_of(lake, table)
        assert all(name.endswith(".parquet") for name in files), f"{table.key}: {[*files]}"
        counts[table.key] = sum(len(pd.read_parquet(file)) for file in files.values())
        assert counts[table.key] == lake.metadata(table, version).rows, (
            f"{table.key} {version}: {counts[table.key]} rows"
        )
        if table.layer == "predictions":
            assert "md" in {name.rpartition(".")[2] for name in lake.attachments(table, version)}, (
                f"{table.key}: no card"
            )
    return counts


def check_complete(lake: Lake, rows: int, uploads: int) -> None:
    """After a run that ended well, every upload is in bronze once and every row is accounted for."""
    counts = check_whole(lake)
    ledger = lake.rows(UPLOADS)
    assert len(ledger) == uploads, f"{len(ledger)} uploads in the ledger of {uploads}"
    read = sum(row["rows_read"] for row in ledger)
    assert counts["bronze/logged_days"] + counts["bronze/quarantine"] == rows == read
    assert counts["silver/clean_days"] + counts["silver/rejected_days"] == counts["bronze/logged_days"]
    assert counts["gold/fact_daily"] == counts["gold/fact_predictions"] == counts["silver/clean_days"]
    assert set(counts) == {table.key for table in TABLES}


def finish(folder: Path) -> float:
    """Run to the end; returns the seconds it took."""
    begin = time.monotonic()
    status = start(folder).wait()
    assert status == 0, f"a run after a kill failed with status {status}: see {folder / 'run.log'}"
    return time.monotonic() - begin


def kill(process: subprocess.Popen[bytes], round_: int) -> str:
    """Kill a run, every other time with its child processes; returns what was done."""
    (os.killpg if round_ % 2 else os.kill)(process.pid, signal.SIGKILL)
    return f"killed{' with its child processes' if round_ % 2 else ''}"


def disturb(cloud: Cloud, process: subprocess.Popen[bytes], round_: int) -> str:
    """Inject faults until a run has ended; returns what was done."""
    fault, share = FAULTS[round_ % len(FAULTS)], 0.2 if round_ % 2 else 1.0
    with cloud.faults(lambda _: fault if random.random() < share else None):
        status = process.wait()
    return f"{fault} for {share:.0%} of the requests, the run ended with status {status}"


@click.command(help=__doc__)
@click.option("--times", default=20, show_default=True, help="How many runs to kill.")
@click.option("--seed", default=1, show_default=True, help="Same seed, same moments.")
@click.option("--bucket", is_flag=True, help="The lake is in a bucket.")
@click.option("--faults", is_flag=True, help="The lake is in a bucket, and S3 fails instead of the run.")
def main(times: int, seed: int, bucket: bool, faults: bool) -> None:
    """Interfere, look, finish, look; as often as asked."""
    moments = random.Random(seed)
    interfere: Callable[[subprocess.Popen[bytes], int], str] = kill

    def no_spark() -> Any:
        raise AssertionError("the lake is looked at without Spark")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["FITNESS_LOCAL_ROOT"] = name
        if bucket or faults:
            cloud = Cloud()
            interfere = partial(disturb, cloud) if faults else kill
            os.environ |= cloud.environment
            os.environ |= {"FITNESS_STORAGE_MODE": "s3", "FITNESS_S3_BUCKET": new_bucket().name}
        settings = Settings()
        lake = Lake(store_of(settings), no_spark)
        rows = upload(settings, 0)
        whole = finish(folder)
        check_complete(lake, rows, uploads=1)
        click.echo(f"a whole run takes {whole:.0f} s")
        for round_ in range(1, times + 1):
            rows += upload(settings, round_)
            process = start(folder)
            # One moment in each slice of a run, so that all of it is covered.
            moment = whole * (round_ - 1 + moments.random()) / times
            time.sleep(moment)
            how = f"after {moment:.1f} s: {interfere(process, round_)}" if process.poll() is None else "had ended"
            process.wait()
            seen = check_whole(lake)
            click.echo(f"{round_:3}/{times} {how}: {len(seen)} tables whole")
            if round_ % _FINISH_EACH == 0 or round_ == times:
                whole = min(whole, finish(folder))  # the first run may have met a busier machine
                check_complete(lake, rows, uploads=round_ + 1)
    click.echo("every table was whole every time, and no upload was lost or doubled")


if __name__ == "__main__":
    main()
