"""When and where bronze is made: one step takes in every upload that the ledger does not know yet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.bronze import transforms
from fitness_assets.bronze.tables import FOUND, LOGGED_DAYS, QUARANTINE, TABLES, UPLOADS
from fitness_assets.bronze.uploads import Layout, RefusedError, Row, Upload, find_uploads, identify, read_rows
from fitness_assets.checks import audit
from fitness_assets.dictionary import Frames, Table
from fitness_assets.io_managers import keep_contract, plain_failures, report, run_step, step_definition
from fitness_assets.lake import Lake, LakeError, Staging, VersionConflictError

_BATCH = 50_000
_ROWS_SCHEMA = pa.schema(
    [
        ("upload_id", pa.string()),
        ("row_number", pa.int64()),
        ("line_number", pa.int64()),
        ("text", pa.string()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
    ]
)


class BronzeConfig(dg.Config):
    """What one run may be told."""

    uploads: list[str] = Field(
        default=[], description="Files or folders to read, instead of all of raw/ or FITNESS_RAW_PATH."
    )


_LEDGER_SCHEMA = pa.schema(
    [
        ("upload_id", pa.string()),
        ("content_sha256", pa.string()),
        ("uri", pa.string()),
        ("size_bytes", pa.int64()),
        ("modified_at", pa.timestamp("us", tz="UTC")),
        ("status", pa.string()),
        ("refusal", pa.string()),
        ("rows_read", pa.int64()),
        ("rows_typed", pa.int64()),
        ("rows_quarantined", pa.int64()),
        ("ingested_at", pa.timestamp("us", tz="UTC")),
    ]
)
_STORED = "upload_id STRING, row_number BIGINT, line_number BIGINT, text STRING, ingested_at TIMESTAMP"


@dataclass
class _Taken:
    """What became of one new upload."""

    upload: Upload
    ingested_at: datetime
    rows_read: int = 0
    rows_quarantined: int = 0
    refusal: str | None = None

    def ledger_row(self) -> dict[str, Any]:
        """The upload's row of the ledger."""
        return {
            "upload_id": self.upload.upload_id,
            "content_sha256": self.upload.content_sha256,
            "uri": self.upload.uri,
            "size_bytes": self.upload.size_bytes,
            "modified_at": self.upload.modified_at,
            "status": "refused" if self.refusal else "ingested",
            "refusal": self.refusal,
            "rows_read": self.rows_read,
            "rows_typed": self.rows_read - self.rows_quarantined,
            "rows_quarantined": self.rows_quarantined,
            "ingested_at": self.ingested_at,
        }


def bronze_assets(raw: Path) -> dg.AssetsDefinition:
    """The assets of this layer.

    Args:
        raw: a file or a folder; where uploads are looked for unless a run's config names others.
    """

    @dg.multi_asset(**step_definition(TABLES))
    def step(context: dg.AssetExecutionContext, config: BronzeConfig, lake: dg.ResourceParam[Lake]) -> Iterator[Any]:
        with plain_failures():
            if not context.selected_asset_keys:
                yield from report(context, lake.reopen(TABLES))
                return
            lake.start_spark()
            places = [Path(place) for place in config.uploads] or [raw]
            found = identify([path for place in places for path in find_uploads(place)])
            version = lake.current(UPLOADS)
            if version is None and not found:
                raise LakeError(f"There is no upload in {', '.join(map(str, places))}: put a CSV file there.")
            known, last_ingested = _ledger(lake, version)
            new = [upload for upload in found if upload.content_sha256 not in known]
            context.log.info(f"{len(found)} uploads found, {len(new)} of them new")
            if version and not new:
                yield from _report_again(context, lake, found)
                return

        def write(staging: Staging) -> Frames:
            if staging.parent != version:
                raise VersionConflictError(f"another run published {UPLOADS.key} meanwhile.")
            return _ingest(context, staging, found, new, last_ingested)

        yield from run_step(context, lake, TABLES, {}, write)

    return step


def _ledger(lake: Lake, version: str | None) -> tuple[set[str], datetime]:
    """The contents that a version of the ledger knows, and the moment of the last one."""
    start = datetime(1970, 1, 1, tzinfo=UTC)
    if version is None:
        return set(), start
    rows = lake.read(UPLOADS, version).select("content_sha256", F.unix_micros("ingested_at").alias("micros")).collect()
    last = max((row["micros"] for row in rows), default=0)
    return {row["content_sha256"] for row in rows}, start + timedelta(microseconds=last)


def _report_again(context: dg.AssetExecutionContext, lake: Lake, found: Sequence[Upload]) -> Iterator[Any]:
    """Nothing is new: the current version stays, and its rules are asked again."""
    staging = lake.reopen(TABLES)
    frames = {table.key: lake.read(table, staging.version) for table in TABLES}
    audit(staging, frames | {FOUND: _of(frames[UPLOADS.key], found)})
    yield from report(context, staging)


def _ingest(
    context: dg.AssetExecutionContext,
    staging: Staging,
    found: Sequence[Upload],
    new: Sequence[Upload],
    last_ingested: datetime,
) -> Frames:
    """Read the new uploads and write the three tables; what the parent version holds is taken over as it is."""
    # No two uploads share a moment, so that of two rows for one day it is always known which was ingested last.
    first = max(datetime.now(UTC), last_ingested + timedelta(microseconds=1))
    taken: list[_Taken] = []
    places: dict[Layout, Path] = {}
    for position, upload in enumerate(new):
        context.log.info(f"upload {position + 1} of {len(new)}: {upload.uri} ({upload.size_bytes:,} bytes)")
        entry = _Taken(upload, first + timedelta(microseconds=position))
        try:
            layout, rows = read_rows(upload.path)
        except RefusedError as refused:
            entry.refusal = str(refused)
            context.log.warning(f"{upload.uri} was refused: {refused}.")
        else:
            place = places.setdefault(layout, staging.scratch / "rows" / str(len(places)))
            place.mkdir(parents=True, exist_ok=True)
            entry.rows_read = _write_rows(place / f"{position}.parquet", entry, rows)
        if upload.is_unchanged():
            taken.append(entry)
        else:
            context.log.warning(f"{upload.uri} changed while it was read; a later run takes it in.")
            for path in (staging.scratch / "rows").glob(f"*/{position}.parquet"):
                path.unlink()

    cells = _cells(staging.lake, {layout: place for layout, place in places.items() if any(place.iterdir())})
    frames = {LOGGED_DAYS.key: _write(staging, LOGGED_DAYS, transforms.logged_days(cells) if cells else None)}
    rows_read, before = sum(entry.rows_read for entry in taken), _rows_of_parent(staging)
    misfits = rows_read - (staging.audits[LOGGED_DAYS.key].rows - before)
    frames[QUARANTINE.key] = _write(staging, QUARANTINE, transforms.quarantine(cells) if cells and misfits else None)
    if misfits:
        counts = _of(frames[QUARANTINE.key], new).groupBy("upload_id").count().collect()
        quarantined = {row["upload_id"]: row["count"] for row in counts}
        for entry in taken:
            entry.rows_quarantined = quarantined.get(entry.upload.upload_id, 0)
    for entry in taken:
        context.log.info(f"{entry.upload.uri}: {entry.rows_read:,} rows read, {entry.rows_quarantined:,} quarantined")
    ledger = staging.scratch / "ledger.parquet"
    ledger.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([entry.ledger_row() for entry in taken], _LEDGER_SCHEMA), ledger)
    rows = staging.lake.spark.read.schema(UPLOADS.spark_schema).parquet(str(ledger))
    frames[UPLOADS.key] = _write(staging, UPLOADS, rows)
    return frames | {FOUND: _of(frames[UPLOADS.key], found)}


def _write_rows(path: Path, entry: _Taken, rows: Iterator[Row]) -> int:
    """Store the rows of an upload as text for Spark, in batches; returns how many there were."""
    count = 0
    with pq.ParquetWriter(path, _ROWS_SCHEMA) as writer:
        while batch := list(islice(rows, _BATCH)):
            columns = [
                pa.repeat(entry.upload.upload_id, len(batch)),
                [row.row_number for row in batch],
                [row.line_number for row in batch],
                [row.text for row in batch],
                pa.repeat(pa.scalar(entry.ingested_at, _ROWS_SCHEMA.field("ingested_at").type), len(batch)),
            ]
            writer.write_table(pa.table(columns, schema=_ROWS_SCHEMA))
            count += len(batch)
    return count


def _cells(lake: Lake, places: dict[Layout, Path]) -> DataFrame | None:
    """The stored rows of all uploads as cells; uploads of one layout are read as one."""
    parsed = [
        transforms.typed(transforms.parse(lake.spark.read.schema(_STORED).parquet(str(place)), layout))
        for layout, place in places.items()
    ]
    return reduce(DataFrame.unionByName, parsed) if parsed else None


def _write(staging: Staging, table: Table, frame: DataFrame | None) -> DataFrame:
    if frame is not None:
        keep_contract(table, frame)
    return staging.write(table, frame, append=True)


def _of(frame: DataFrame, uploads: Sequence[Upload]) -> DataFrame:
    return frame.where(F.col("upload_id").isin([upload.upload_id for upload in uploads]))


def _rows_of_parent(staging: Staging) -> int:
    return staging.lake.audit(LOGGED_DAYS, staging.parent).rows if staging.parent else 0
