"""A version in the making: written, committed with its metadata, handed to the lake for publishing.

Here belongs what is done before a version can be seen. Where versions live and which one is current: ``lake.py``.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import DataFrame

from fitness_assets.lake.version import LakeError, VersionMetadata
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    from fitness_assets.lake.lake import Lake

_LOG = getLogger(__name__)

METADATA_SUFFIX = ".json"
"""Ending of the sidecar that holds a version's metadata; a version that has one was written to its end."""


class Staging:
    """A version in the making. Written table by table, then audited, then published as one."""

    def __init__(
        self, lake: "Lake", tables: Sequence[Table], version: str, all_metadata: dict[str, VersionMetadata]
    ) -> None:
        self.lake = lake
        self.tables = tables
        self.version = version
        self.metadata = all_metadata
        self.run_inputs: dict[str, pa.Table] = {}
        """What its run met, by key, for rules that ask of that."""
        self._written: set[str] = set()
        self._is_committed = self._is_published = False

    @cached_property
    def scratch(self) -> Path:
        """A folder for what is needed only for writing."""
        return self.lake.store.scratch(f"{self.tables[-1].key.replace('/', '-')}-{self.version}-{uuid4().hex}")

    @property
    def parent(self) -> str | None:
        """The version that was current when this one was begun; of one that was reopened, itself."""
        return self.metadata[self.tables[-1].key].parent

    def write(self, table: Table, frame: DataFrame | None, append: bool = False) -> None:
        """Have Spark write the rows of one table.

        Args:
            table: one of those that were staged.
            frame: the rows, with the columns of the dictionary; None for no rows.
            append: take over the files of the parent version as they are and add to them.

        Raises:
            LakeError: if this version of the table has been written before, so that no job can write what it reads.
        """
        self._begin(table)
        target = None
        if frame is not None:
            target = self.lake.store.target(table, self.version, self.scratch)
            frame.write.parquet(target)
        self._finish(table, append, target)

    def write_rows(self, table: Table, rows: Sequence[Mapping[str, Any]], append: bool = False) -> None:
        """Write rows that were made in Python: they are few. Otherwise as `write`."""
        self._begin(table)
        self._finish(table, append, rows=pa.Table.from_pylist([*rows], table.arrow_schema))

    def _begin(self, table: Table) -> None:
        if table.key in self._written:
            raise LakeError(f"{table.key} version {self.version} is written already, and a version is written once.")
        self._written.add(table.key)

    def _finish(self, table: Table, append: bool, target: str | None = None, rows: pa.Table | None = None) -> None:
        metadata, store, parent = self.metadata[table.key], self.lake.store, self.parent if append else None
        before = self.lake.metadata(table, parent).size_bytes if parent else 0
        metadata.size_bytes = before + store.finish(table, self.version, target, parent, rows)
        metadata.rows = store.dataset(table, self.version).count_rows()

    def attach(self, table: Table, name: str, content: bytes) -> None:
        """Keep a file beside the version, not in its folder, where only Parquet files lie; gone when the version is."""
        self.lake.store.write_sidecar(table, f"{self.version}.{name}", content)

    def share(self, path: Path) -> str:
        """Where Spark, on whatever machine, reads a file of the scratch folder."""
        return self.lake.store.share(self.scratch, path)

    def commit(self) -> None:
        """Store the metadata; from here on the version can be looked at and published."""
        for table in self.tables:
            self.lake.store.write_sidecar(
                table, f"{self.version}{METADATA_SUFFIX}", self.metadata[table.key].to_json().encode()
            )
        self._is_committed = True

    def clean_up(self) -> None:
        """Remove what was needed only for writing; and, if the version was not committed, the version."""
        self.lake.store.discard(self.scratch)
        if not self._is_committed:
            for table in self.tables:
                self.lake.store.remove(table, [self.version])

    def publish(self) -> bool:
        """Make this version the current one; see `Lake.publish`. Publishing twice is publishing once.

        One that was reopened is published already; it may have been rolled back meanwhile, and stays so.

        Returns:
            Whether it was not the current one before.
        """
        if self._is_published:
            return False
        if self.parent == self.version:
            return self.lake.recover(self.tables)
        self.lake.publish([(table, self.metadata[table.key]) for table in self.tables])
        self._is_published = True
        try:
            self.lake.collect_garbage(self.tables)
        except (LakeError, OSError) as error:  # the tables are current all the same, and the next run collects again
            _LOG.warning(f"{self.tables[-1].key}: old versions could not be removed: {error}")
        return True
