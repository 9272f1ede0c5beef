"""A version in the making: written, counted, sealed with its audit, handed to the lake for publishing.

Here belongs what is done before a version can be seen. Where versions live and which one is current: ``lake.py``.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, Observation

from fitness_assets.dictionary import Table
from fitness_assets.versions import Audit, LakeError

if TYPE_CHECKING:
    from fitness_assets.lake import Lake


class Staging:
    """A version in the making. Written table by table, then audited, then published as one."""

    def __init__(self, lake: "Lake", tables: Sequence[Table], version: str, audits: dict[str, Audit]) -> None:
        self.lake = lake
        self.tables = tables
        self.version = version
        self.audits = audits
        self.scratch = lake.staging / f"{tables[-1].key.replace('/', '-')}-{version}-{uuid4().hex}"

    @property
    def parent(self) -> str | None:
        """The version that was current when this one was begun."""
        return self.audits[self.tables[-1].key].parent

    def write(self, table: Table, frame: DataFrame | None, append: bool = False) -> DataFrame:
        """Write the rows of one table, counting rows and failures of its row rules in the same pass.

        Args:
            table: one of those that were staged.
            frame: the rows, with the columns of the dictionary; None for no rows (only with ``append``).
            append: take over the files of the parent version as they are and add to them.

        Returns:
            The version as written.

        Raises:
            LakeError: if this version of the table has been written before, so that no job can write what it reads.
        """
        audit, folder = self.audits[table.key], self.lake.folder(table, self.version)
        if any(folder.iterdir()):
            raise LakeError(f"{table.key} version {self.version} is written already, and a version is written once.")
        counts = Counter(rows=0)
        if append and self.parent:
            for path in self.lake.folder(table, self.parent).iterdir():
                (folder / path.name).hardlink_to(path)
            parent = self.lake.audit(table, self.parent)
            counts.update(parent.failed_rows | {"rows": parent.rows})
        if frame is None and not any(folder.iterdir()):  # a table without rows is a table all the same
            pq.write_table(table.arrow_schema.empty_table(), folder / "part-00000.parquet")
        if frame is not None:
            counts.update(self._write_and_count(table, frame, folder))
        audit.rows = counts["rows"]
        audit.failed_rows = {rule.name: counts[rule.name] for rule in table.rules}
        audit.size_bytes = sum(path.stat().st_size for path in folder.iterdir())
        return self.lake.read(table, self.version)

    def attach(self, table: Table, name: str, content: bytes) -> None:
        """Keep a file beside the version, not in its folder, where only Parquet files lie; gone when the version is."""
        path = self.lake.folder(table, f"{self.version}.{name}")
        path.write_bytes(content)
        _flush(path)

    def frame(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
        """Rows that were made in Python as a frame with the columns of the dictionary."""
        path = self.scratch / f"{table.name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist([*rows], table.arrow_schema), path)
        return self.lake.spark.read.schema(table.spark_schema).parquet(str(path))

    def _write_and_count(self, table: Table, frame: DataFrame, folder: Path) -> dict[str, int]:
        observation, written = Observation(), str(self.scratch / table.name)
        frame.observe(observation, *table.pass_counts()).write.parquet(written)
        counts = observation.get
        if counts["blocking"]:
            again = self.lake.spark.read.schema(table.spark_schema).parquet(written)
            counts |= again.select(*table.blocking_counts()).collect()[0].asDict()
        for path in Path(written).glob("*.parquet"):
            _flush(path)
            path.rename(folder / path.name)
        return counts

    def seal(self) -> None:
        """Store the audits; from here on the version can be looked at and published."""
        for table in self.tables:
            path = self.lake.audit_path(table, self.version)
            draft = path.with_name(f".{path.name}")
            draft.write_text(json.dumps(asdict(self.audits[table.key]), indent=1, default=str))
            _flush(draft)
            draft.replace(path)

    def clean_up(self) -> None:
        """Remove what was needed only for writing; and, if the version was not sealed, the version."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        for table in self.tables:
            if self.version not in self.lake.versions(table):
                for path in self.lake.attachments(table, self.version):
                    path.unlink()
                shutil.rmtree(self.lake.folder(table, self.version), ignore_errors=True)

    def publish(self) -> None:
        """Make this version the current one; see `Lake.publish`. Publishing twice is publishing once."""
        if any(self.lake.current(table) != self.version for table in self.tables):
            self.lake.publish([(table, self.audits[table.key]) for table in self.tables])
            self.lake.collect_garbage(self.tables)


def _flush(path: Path) -> None:
    """Put a file on the disk itself, so that a power cut after publishing cannot empty it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
