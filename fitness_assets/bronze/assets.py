"""When and where bronze is made: one step takes in every upload that the ledger does not know yet."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from fitness_assets.bronze import transforms
from fitness_assets.bronze.readers.csv import (
    IrregularError,
    Layout,
    RefusedError,
    read_cells,
    read_rows,
    require_name,
    tell_dialect,
)
from fitness_assets.bronze.sources import Upload, identify, source_of
from fitness_assets.bronze.tables import FOUND, LOGGED_DAYS, QUARANTINE, TABLES, UNREAD, UPLOADS
from fitness_assets.engine.duckdb_reader import reader
from fitness_assets.engine.layer_step import Frames, LayerStep, StepRun, stage, write
from fitness_assets.engine.rule_checks import check_version
from fitness_assets.lake.lake import Lake
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.version import LakeError, VersionConflictError

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = pa.timestamp("us", tz="UTC")
_FEW = 1_000
"""So many malformed_rows are looked up by their numbers; where there are more, Spark looks for them in all rows."""
_STORED = "upload_id STRING, row_number BIGINT, line_number BIGINT, ingested_at TIMESTAMP"


@dataclass
class _Taken:
    """What became of one new upload, and where its rows lie for Spark."""

    upload: Upload
    ingested_at: datetime
    rows_read: int = 0
    rows_quarantined: int = 0
    refusal: str | None = None
    layout: Layout | None = None
    is_regular: bool = True
    stored: Path | None = None

    def store(self, path: Path) -> None:
        """Stream the upload into a Parquet file: as cells where every line is a plain row, else as rows of text."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with self.upload.source.local_copy(self.upload.found, path.parent) as source:
            try:
                require_name(self.upload.found.uri)
                dialect = tell_dialect(source)
            except RefusedError as refused:
                self.refusal = str(refused)
                return
            self.layout, self.stored = dialect.layout, path
            try:
                self.rows_read = self._write(path, read_cells(source, dialect), dialect.header_line)
            except IrregularError:
                self.is_regular = False
                self.rows_read = self._write(path, read_rows(source, dialect))

    def _write(self, path: Path, batches: Iterator[pa.RecordBatch], header_line: int | None = None) -> int:
        """Write batches with what names each row; returns how many rows there were."""
        count, writer = 0, None
        try:
            for batch in batches:
                numbers = range(count + 1, count + len(batch) + 1)
                columns = {
                    "upload_id": pa.repeat(self.upload.upload_id, len(batch)),
                    "row_number": pa.array(numbers, pa.int64()),
                    "ingested_at": pa.repeat(pa.scalar(self.ingested_at, _MOMENT), len(batch)),
                }
                if header_line is not None:
                    columns["line_number"] = pa.array([header_line + number for number in numbers], pa.int64())
                columns |= dict(zip(batch.schema.names, batch.columns, strict=True))
                table = pa.table(columns)
                writer = writer or pq.ParquetWriter(path, table.schema)
                writer.write_table(table)
                count += len(batch)
        finally:
            if writer:
                writer.close()
        return count

    def ledger_row(self) -> dict[str, Any]:
        """The upload's row of the ledger."""
        return {
            "upload_id": self.upload.upload_id,
            "content_sha256": self.upload.content_sha256,
            **asdict(self.upload.found),
            "uri": self.upload.found.text,
            "status": "refused" if self.refusal else "ingested",
            "refusal": self.refusal,
            "rows_read": self.rows_read,
            "rows_typed": self.rows_read - self.rows_quarantined,
            "rows_quarantined": self.rows_quarantined,
            "ingested_at": self.ingested_at,
        }


def bronze_step(raw: str) -> LayerStep:
    """The step that makes this layer.

    Args:
        raw: a file, a folder or an S3 prefix; where uploads are looked for unless a run names other sources.
    """

    def make(step_run: StepRun, _: Frames) -> Staging:
        lake, sources = step_run.lake, step_run.uploads or [raw]
        lake.start_spark()
        version = lake.current(UPLOADS)
        ledger = lake.rows(UPLOADS, version) if version else []
        fingerprints = {(row["uri"], row["fingerprint"]): row["content_sha256"] for row in ledger}
        unread: dict[str, str] = {}
        found = identify(
            [source_of(source, must_exist=bool(step_run.uploads)) for source in sources], fingerprints, unread
        )
        if version is None and not found:
            missing = f"There is no upload in {', '.join(sources)}: put a CSV file there."
            raise LakeError(next(iter(unread.values()), missing))
        for uri, reason in unread.items():
            step_run.log.warning(f"{uri} cannot be read and is left out: {reason}")
        known = {row["upload_id"] for row in ledger}
        new = [upload for upload in found if upload.upload_id not in known]
        step_run.log.info(f"uploads found: {len(found)}, new: {len(new)}")
        if version and not new:
            return _audit_again(lake, found, unread)

        def write_all(staging: Staging) -> None:
            if staging.parent != version:
                raise VersionConflictError(f"another run published {UPLOADS.key} meanwhile.")
            last_ingested = max((row["ingested_at"] for row in ledger), default=_START)
            _ingest(step_run, staging, found, new, unread, last_ingested)

        return stage(step_run, TABLES, {}, write_all)

    return LayerStep(TABLES, [], make)


def _audit_again(lake: Lake, found: Sequence[Upload], unread: Mapping[str, str]) -> Staging:
    """Nothing is new: the current version stays, and its rules are asked again."""
    staging = lake.reopen(TABLES)
    staging.run_inputs = _met(found, unread)
    check_version(staging)
    return staging


def _ingest(
    step_run: StepRun,
    staging: Staging,
    found: Sequence[Upload],
    new: Sequence[Upload],
    unread: dict[str, str],
    last_ingested: datetime,
) -> None:
    """Read the new uploads and write the three tables; what the parent version holds is taken over as it is."""
    # No two uploads share a moment, so that of two rows for one day it is always known which was ingested last.
    first = max(datetime.now(UTC), last_ingested + timedelta(microseconds=1))
    taken: list[_Taken] = []
    for position, upload in enumerate(new):
        step_run.log.info(
            f"upload {position + 1} of {len(new)}: {upload.found.text} ({upload.found.size_bytes:,} bytes)"
        )
        entry = _Taken(upload, first + timedelta(microseconds=position))
        try:
            entry.store(staging.scratch / "rows" / str(position))
            reason = None if upload.is_unchanged() else "it changed while it was read"
        except OSError as error:
            reason = str(error)
        except (UnicodeError, EOFError, zlib.error) as error:  # its dialect was told from all of its bytes
            reason = f"it changed while it was read: {error}"
        if reason:
            unread[upload.found.text] = reason
            step_run.log.warning(f"{upload.found.text} is left out, a later run tries again: {reason}")
            continue
        if entry.refusal:
            step_run.log.warning(f"{upload.found.text} was refused: {entry.refusal}.")
        taken.append(entry)

    LOGGED_DAYS.pandera_schema()  # pandera takes a while to load, and Spark is still starting
    cells = _cells(step_run.lake.spark, staging, taken)
    write(staging, LOGGED_DAYS, transforms.logged_days(cells) if cells else None, append=True)
    rows_read, before = sum(entry.rows_read for entry in taken), _rows_of_parent(staging)
    malformed_rows = rows_read - (staging.metadata[LOGGED_DAYS.key].rows - before)
    quarantined = None
    if cells and malformed_rows:
        counts, numbers = _malformed_rows(staging, taken)
        quarantined = transforms.quarantine(cells.where(F.col("row_number").isin(numbers)) if numbers else cells)
        for entry in taken:
            entry.rows_quarantined = counts.get(entry.upload.upload_id, 0)
    write(staging, QUARANTINE, quarantined, append=True)
    for entry in taken:
        step_run.log.info(
            f"{entry.upload.found.text}: {entry.rows_read:,} rows read, {entry.rows_quarantined:,} quarantined"
        )
    staging.write_rows(UPLOADS, [entry.ledger_row() for entry in taken], append=True)
    staging.run_inputs = _met(found, unread)


def _cells(spark: SparkSession, staging: Staging, taken: Sequence[_Taken]) -> DataFrame | None:
    """The stored rows of all uploads as typed cells; uploads of one kind are read as one."""
    kinds: dict[tuple[Layout, bool], list[str]] = {}
    for entry in taken:
        if entry.layout and entry.stored and entry.rows_read:
            kinds.setdefault((entry.layout, entry.is_regular), []).append(staging.share(entry.stored))
    frames = []
    for (layout, is_regular), paths in kinds.items():
        names = [f"c{position}" for position in range(len(layout.names))] if is_regular else ["text"]
        schema = ", ".join([_STORED, *(f"{name} STRING" for name in names)])
        rows = spark.read.schema(schema).parquet(*paths)
        cells = transforms.assemble(rows, layout) if is_regular else transforms.parse(rows, layout)
        frames.append(transforms.typed(cells))
    return reduce(DataFrame.unionByName, frames) if frames else None


def _malformed_rows(staging: Staging, taken: Sequence[_Taken]) -> tuple[dict[str, int], list[int]]:
    """How many rows of each upload did not become logged days; and their numbers, if they are few, else none."""
    from pyarrow.dataset import dataset

    columns = pa.schema({"upload_id": pa.string(), "row_number": pa.int64()})
    stored = dataset([str(entry.stored) for entry in taken if entry.rows_read], schema=columns)
    with reader(staging.store, {LOGGED_DAYS.key: staging.version}, {"bronze/stored": stored}) as tables:
        tables.execute(
            """
            CREATE TEMP TABLE malformed_rows AS
            FROM stored ANTI JOIN (FROM logged_days WHERE upload_id IN (SELECT upload_id FROM stored))
            USING (upload_id, row_number)
            """
        )
        counts = tables.sql("SELECT upload_id, count(*) FROM malformed_rows GROUP BY upload_id").fetchall()
        numbers = [number for (number,) in tables.execute("SELECT row_number FROM malformed_rows").fetchmany(_FEW + 1)]
    return dict(counts), numbers if len(numbers) <= _FEW else []


def _met(found: Sequence[Upload], unread: Mapping[str, str]) -> dict[str, pa.Table]:
    """What this run met, for the rules that ask of it alone."""
    ids = pa.array([upload.upload_id for upload in found], pa.string())
    uris, reasons = (pa.array(texts, pa.string()) for texts in (unread.keys(), unread.values()))
    return {FOUND: pa.table({"upload_id": ids}), UNREAD: pa.table({"uri": uris, "reason": reasons})}


def _rows_of_parent(staging: Staging) -> int:
    return staging.store.metadata(LOGGED_DAYS, staging.parent).rows if staging.parent else 0
