"""Compare a tick of the sensor with a bare S3 listing: `python -m fitness_assets_tests.tools.ticks --help`.

Both run in turn against a simulated S3 on this machine that has only known objects. So only their ratio is meaningful.
"""

import os
import statistics
import time
from collections.abc import Callable

import boto3
import click
import dagster as dg

from fitness_assets.bronze.sources import source_of
from fitness_assets.definitions import build_defs
from fitness_assets.settings import Settings
from fitness_assets_tests.cloud import Cloud
from fitness_assets_tests.conftest import looks


def seconds(what: Callable[[], object]) -> float:
    """The seconds that one call takes."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


@click.command(help=__doc__)
@click.option("--objects", default=10_000, show_default=True, help="The number of objects in the bucket.")
@click.option("--times", default=5, show_default=True, help="The number of measurements.")
def main(objects: int, times: int) -> None:
    """Measure and print."""
    cloud = Cloud()
    os.environ.update(cloud.environment)
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="ticks", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with click.progressbar(range(objects), label="objects") as numbers:
        for number in numbers:
            s3.put_object(Bucket="ticks", Key=f"raw/{number:06}.csv", Body=b"")
    settings = Settings(storage_mode="s3", s3_bucket="ticks")
    graph = build_defs(settings)
    lake = (graph.resources or {})["lake"]

    def listing() -> None:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="ticks", Prefix="raw/")
        assert sum(len(page["Contents"]) for page in pages) == objects

    with dg.DagsterInstance.ephemeral() as instance:
        tick = looks(graph, instance, lake)
        # A ledger that knows all objects, without ten thousand runs.
        lake.rows = lambda _: [
            {
                "uri": found.uri,
                "fingerprint": found.fingerprint,
                "size_bytes": 0,
                "upload_id": found.uri,
                "status": "ingested",
                "ingested_at": found.modified_at,
            }
            for found in source_of(settings.raw).find()
        ]
        assert "all uploads ingested" in str(tick().skip_reason)  # the first one reads the ledger
        turns = [(seconds(listing), seconds(tick)) for _ in range(times)]
    bare, whole = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(tick / listing for listing, tick in turns)
    click.echo(f"{objects:,} known objects: listing {bare:.2f} s, tick {whole:.2f} s, ratio {ratio:.2f} (medians)")


if __name__ == "__main__":
    main()
