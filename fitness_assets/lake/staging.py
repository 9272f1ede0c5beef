"""A version that is being written: its files, its sidecar files and its metadata. `Lake.publish` makes it current."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from fitness_assets.lake.store import METADATA_SUFFIX, REQUESTS, Store
from fitness_assets.lake.version import LakeError, VersionMetadata
from fitness_assets.schema.months import MONTH, WHOLE, month_in, month_sql, third_sql
from fitness_assets.schema.table import Table


class Staging:
    """A version of one publish group that is being written: table by table, then checked, then committed.

    Attributes:
        store: where it is written.
        tables: the publish group; the last table is published first.
        version: its number.
        metadata: version metadata by table key.
        run_inputs: what the run itself found, by key, for rules that ask about it.
        is_published: whether `Lake.publish` has finished.
    """

    def __init__(
        self, store: Store, tables: Sequence[Table], version: str, all_metadata: dict[str, VersionMetadata]
    ) -> None:
        self.store = store
        self.tables = tables
        self.version = version
        self.metadata = all_metadata
        self.run_inputs: dict[str, pa.Table] = {}
        self._written: set[str] = set()
        self._is_committed = self.is_published = False

    @cached_property
    def scratch(self) -> Path:
        """A folder for files that are needed only while the version is written."""
        return self.store.scratch(f"{self.tables[-1].key.replace('/', '-')}-{self.version}-{uuid4().hex}")

    @property
    def parent(self) -> str | None:
        """The version that was current when this one was staged; a reopened version is its own parent."""
        return self.metadata[self.tables[-1].key].parent

    def write(self, table: Table, frame: DataFrame | None, replaced: Collection[str] | None = None) -> None:
        """Have the engine write the rows of one table.

        Args:
            table: one of the staged tables.
            frame: the rows, with the columns of the table's schema; None for no rows.
            replaced: None: the rows are the whole table. Else months: the rows replace the parent's files of these
                months, and the version takes over the parent's other files; without months, it takes over all of them.

        Raises:
            LakeError: if this version of the table was written before; so no job can overwrite what it reads.
        """
        self._begin(table)
        target = None
        if frame is not None:
            target = self.store.target(table, self.version, self.scratch)
            writer = frame.write
            if table.by_month:  # one task writes all rows of a month, so that a month has one file
                label = (third_sql if replaced else month_sql)([column.name for column in table.columns])
                frame = frame.withColumn(MONTH, F.expr(label)).repartition(MONTH)
                if replaced:  # sorted, so that the same rows give the same bytes: then `finish` keeps the parent's file
                    frame = frame.sortWithinPartitions(*table.primary_key)
                writer = frame.write.partitionBy(MONTH)
            writer.parquet(target)
        self._finish(table, replaced, target)

    def write_rows(
        self, table: Table, rows: Sequence[Mapping[str, Any]] | pa.Table, replaced: Collection[str] | None = None
    ) -> None:
        """Write rows that were made in Python, or an Arrow table with the table's schema. Otherwise like `write`."""
        self._begin(table)
        made = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist([*rows], table.arrow_schema)
        self._finish(table, replaced, rows=made)

    def _begin(self, table: Table) -> None:
        if table.key in self._written:
            raise LakeError(f"{table.key} version {self.version} is written already, and a version is written once.")
        self._written.add(table.key)

    def _finish(
        self, table: Table, replaced: Collection[str] | None, target: str | None = None, rows: pa.Table | None = None
    ) -> None:
        metadata, parts = self.metadata[table.key], dict[str, list[int]]()
        files = self.store.files(table, self.parent) if self.parent and replaced is not None else []
        kept = [path for path in files if month_in(path) not in (replaced or ())]
        old = [path for path in files if month_in(path) in (replaced or ())]
        if self.parent and replaced is not None and files:  # none, if the table was added to its group since
            before = self.store.metadata(table, self.parent)
            # Versions before 2026-12 say only how many rows and bytes there are.
            parts_before = before.parts or {WHOLE: [before.rows, before.size_bytes]}
            parts = {month: [*part] for month, part in parts_before.items() if month not in replaced}
        added = self.store.finish(table, self.version, target, kept, rows, old)
        fragments = self.store.dataset_of(table, [*added]).get_fragments() if added else ()
        with ThreadPoolExecutor(REQUESTS) as pool:  # each file is a request, where files are objects
            counts = pool.map(lambda fragment: fragment.count_rows(), fragments)
            for (path, size_bytes), count in zip(added.items(), counts, strict=True):
                part = parts.setdefault(month_in(path), [0, 0])
                part[:] = [part[0] + count, part[1] + size_bytes]
        metadata.parts = dict(sorted(parts.items()))
        metadata.rows, metadata.size_bytes = (sum(part[at] for part in parts.values()) for at in (0, 1))
        metadata.months_made = sorted({*map(month_in, added), *(replaced or ())} - {WHOLE})

    def attach(self, table: Table, name: str, content: bytes) -> None:
        """Write a sidecar file; it is removed together with the version."""
        self.store.write_sidecar(table, f"{self.version}.{name}", content)

    def share(self, path: Path) -> str:
        """Make a file of the scratch folder readable for the engine, on whatever machine; returns its path or URI."""
        return self.store.share(self.scratch, path)

    def written_bytes(self) -> int:
        """Bytes of the files on this machine that were written for this version; files taken over are links."""
        folders = (Path(self.store.location(table, self.version)).parent for table in self.tables)
        made = [self.scratch, *(path for folder in folders for path in folder.glob(f"{self.version}*"))]
        size = 0
        with suppress(OSError):  # an engine may still be removing what it could not complete
            for path in (path for first in made for path in (first, *first.rglob("*"))):
                status = path.lstat()
                size += status.st_size if S_ISREG(status.st_mode) and status.st_nlink == 1 else 0
        return size

    def commit(self) -> None:
        """Store the metadata; from then on the version is complete: it can be looked at and published."""
        for table in self.tables:
            content = self.metadata[table.key].to_json().encode()
            self.store.write_sidecar(table, f"{self.version}{METADATA_SUFFIX}", content)
        self._is_committed = True

    def clean_up(self) -> None:
        """Remove the scratch folder, and the version if it was not committed."""
        self.store.discard(self.scratch)
        if not self._is_committed:
            for table in self.tables:
                self.store.remove(table, [self.version])
