"""Kill erasures at many moments: `python -m fitness_assets_tests.tools.kill_erasures --times 20`.

Every round starts from the same lake with one person too many, starts the real command `erase`, kills it and its child
processes with SIGKILL at a moment of its own, checks that each table is whole, and lets the next run finish. Then
nothing of the person may be in any file or object, and the tables have to be those of an erasure that nobody
interrupted. At a fault it ends with an error. With ``--bucket`` the lake is in a bucket of a server of its own, on
loopback; the bucket keeps older versions of objects.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.erasures import Erasures
from fitness_assets.engine.session import store_of
from fitness_assets.lake.lake import Lake
from fitness_assets.registry import TABLES
from fitness_assets.settings import Settings
from fitness_assets_tests.cloud import Cloud
from fitness_assets_tests.conftest import materialize_command, versioned_bucket
from fitness_assets_tests.privacy.planted import NEEDLES, PERSON, uploads
from fitness_assets_tests.search import holders, holders_in
from fitness_assets_tests.tools.kill_runs import check_whole

ERASE = [sys.executable, "-m", "fitness_assets", "erase", PERSON, "--yes"]
NEXT_RUN = materialize_command('key:"bronze/uploads"')


@dataclass
class Place:
    """A lake with its uploads, and Dagster's storage beside it.

    Attributes:
        folder: with Dagster's storage and, without a bucket, the lake.
        bucket: of the lake.
    """

    folder: Path
    bucket: Bucket | None

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that lead a process to the lake."""
        if self.bucket:
            where = {"FITNESS_STORAGE_MODE": "s3", "FITNESS_S3_BUCKET": self.bucket.name}
        else:
            where = {"FITNESS_LOCAL_ROOT": str(self.folder / "lake")}
        return {**where, "DAGSTER_HOME": str(self.folder / "dagster")}

    @property
    def lake(self) -> Lake:
        """The lake, to be looked at without Spark."""

        def no_spark() -> Any:
            raise AssertionError("the lake is looked at without Spark")

        if self.bucket:
            return Lake(store_of(Settings(storage_mode="s3", s3_bucket=self.bucket.name)), no_spark)
        return Lake(store_of(Settings(local_root=self.folder / "lake")), no_spark)

    def put(self, name: str, content: bytes) -> None:
        """Put an upload."""
        if self.bucket:
            self.bucket.put(f"raw/{name}", content)
        else:
            path = self.folder / "lake" / "raw" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def copy_to(self, copy: "Place") -> None:
        """Give another place what this one has, and no more."""
        shutil.rmtree(copy.folder, ignore_errors=True)
        shutil.copytree(self.folder, copy.folder, symlinks=True)
        if self.bucket and copy.bucket:
            copy_objects(self.bucket, copy.bucket)

    def start(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a command, in a process group of its own."""
        with (self.folder.parent / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **self.variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def finish(self, command: list[str]) -> float:
        """Run a command to its end; returns the seconds it took."""
        begin = time.monotonic()
        status = self.start(command).wait()
        assert status == 0, f"{' '.join(command)} ended with status {status}: see {self.folder.parent / 'log'}"
        return time.monotonic() - begin

    def holders(self) -> dict[str, set[str]]:
        """Where something of the person is."""
        in_bucket = holders_in(NEEDLES, self.bucket) if self.bucket else {}
        return holders(NEEDLES, self.folder) | in_bucket


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


def copy_objects(source: Bucket, target: Bucket) -> None:
    """Give a bucket the objects of another one, with their older versions, and no more."""
    target.delete({found.key for found in target.list("")})
    target.delete_old_versions("")
    pages = [*source.client.get_paginator("list_object_versions").paginate(Bucket=source.name)]
    versions = [version for page in pages for version in page.get("Versions", [])]
    for version in sorted(versions, key=lambda each: each["IsLatest"]):
        where = {"Bucket": source.name, "Key": version["Key"], "VersionId": version["VersionId"]}
        target.client.copy_object(Bucket=target.name, Key=version["Key"], CopySource=where)
    target.delete({version["Key"] for version in versions} - {found.key for found in source.list("")})


def kill_erasures(parent: Path, times: int, seed: int, bucket: Bucket | None = None) -> None:
    """Prepare a lake, erase the person once, then kill as many erasures as asked.

    Args:
        parent: an empty folder.
        times: how many erasures to kill.
        seed: same seed, same moments.
        bucket: where the lake is; None: on disk.
    """
    moments, place = random.Random(seed), Place(parent / "lake", bucket)
    (place.folder / "dagster").mkdir(parents=True)
    for name, content in uploads(with_person=True).items():
        place.put(name, content)
    place.finish(materialize_command("*"))
    assert {*place.holders()} == {*NEEDLES}
    # A lake knows its paths and the name of its bucket; so what was saved always comes back to the same place.
    saved = Place(parent / "saved", versioned_bucket() if bucket else None)
    place.copy_to(saved)
    seconds = place.finish(ERASE)
    expected = rows_of(place.lake)
    assert place.holders() == {}
    click.echo(f"a whole erasure takes {seconds:.0f} s")
    for round_ in range(1, times + 1):
        saved.copy_to(place)
        process = place.start(ERASE)
        # One moment in each slice of an erasure, so that all of it is covered.
        moment = seconds * (round_ - 1 + moments.random()) / times
        begin, before_end = time.monotonic(), False
        try:
            process.wait(moment)
            seconds = min(seconds, time.monotonic() - begin)  # the first erasure may have met a busier machine
        except subprocess.TimeoutExpired:
            before_end = True
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        lake = place.lake
        check_whole(lake)
        journal = Erasures.read(lake)
        state = "in the middle" if journal.open else "at its end" if journal.erased else "before it began"
        place.finish(NEXT_RUN if journal.open or journal.erased else ERASE)
        check_whole(lake)
        assert place.holders() == {}, f"killed after {moment:.1f} s: {place.holders()}"
        assert rows_of(lake) == expected, f"killed after {moment:.1f} s: tables differ"
        assert not Erasures.read(lake).open
        how = f"killed after {moment:.1f} s, {state}" if before_end else "had ended"
        click.echo(f"{round_:3}/{times} {how}: the next run finished it")


@click.command(help=__doc__)
@click.option("--times", default=20, show_default=True, help="How many erasures to kill.")
@click.option("--seed", default=1, show_default=True, help="Same seed, same moments.")
@click.option("--bucket", is_flag=True, help="The lake is in a bucket.")
def main(times: int, seed: int, bucket: bool) -> None:
    """Kill, look, finish, look; as often as asked."""
    if bucket:
        os.environ |= Cloud().environment
    with tempfile.TemporaryDirectory() as name:
        kill_erasures(Path(name), times, seed, versioned_bucket() if bucket else None)


if __name__ == "__main__":
    main()
