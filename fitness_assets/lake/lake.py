"""Numbers, publishes, reads and rolls back versions of tables.

The tables of one publish group share a version number and are published together. The pointer of the last table is
switched first, and the version counts as published from then on. If the process is killed before it has switched the
other pointers, every table is still complete, and `Lake.recover` switches the remaining pointers.

Other modules write versions (``staging.py``), store them and switch pointers (``local.py``, ``s3.py``), and remove them
(``garbage.py``).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from logging import getLogger
from threading import Lock, Thread
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from fitness_assets.lake import garbage
from fitness_assets.lake.staging import Staging
from fitness_assets.lake.store import MARKS, ROLLED_BACK_SUFFIX, Point, Store
from fitness_assets.lake.version import LakeError, TableMissingError, VersionConflictError, VersionMetadata
from fitness_assets.schema.months import in_months
from fitness_assets.schema.table import Table

_LOG = getLogger(__name__)

_BUFFER_BYTES = 65_536  # of one column, read at once for a preview


class Lake:
    """The tables of a store, version by version.

    Args:
        store: where they are kept.
        spark: gives the Spark session; called only when a table is read or written.
        keep_versions: how many versions of each table stay.
    """

    def __init__(
        self, store: Store, spark: Callable[[], SparkSession], keep_versions: int = garbage.KEEP_VERSIONS
    ) -> None:
        self.store = store
        self._keep_versions = keep_versions
        self._spark = spark
        self._starting = Lock()

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started at the first use."""
        with self._starting:
            return self._spark()

    def start_spark(self) -> None:
        """Start the session in the background; this takes seconds, in which files can be read."""

        def start() -> None:
            with suppress(Exception):  # the first caller of `spark` gets the error
                _ = self.spark

        Thread(target=start, daemon=True).start()

    def current(self, table: Table) -> str | None:
        """The version that readers see, or None if nothing was published yet."""
        return self.store.current(table.key)

    def published(self, table: Table) -> str:
        """The version that readers see.

        Raises:
            TableMissingError: if nothing was published yet.
        """
        version = self.current(table)
        if version is None:
            raise TableMissingError(f"{table.key} does not exist yet: materialize {table.key} first.")
        return version

    def read(self, table: Table, version: str | None = None, months: Collection[str] | None = None) -> DataFrame:
        """A table as a frame; the frame stays bound to one version.

        Args:
            table: the table.
            version: one of its versions; None: the current one.
            months: of a table by month, read only the files of these months; None: all of them.

        Raises:
            TableMissingError: if nothing was published yet.
        """
        version = version or self.published(table)
        paths = self.store.files(table, version)
        if not paths:
            raise TableMissingError(
                f"{table.key} version {version} has no files any more: materialize {table.key} again."
            )
        paths = in_months(paths, months)
        if not paths:
            return self.spark.createDataFrame([], table.spark_schema)
        return self.spark.read.schema(table.spark_schema).parquet(*paths)

    def metadata(self, table: Table, version: str) -> VersionMetadata:
        """The metadata of one version.

        Raises:
            LakeError: if there is no such version.
        """
        return self.store.metadata(table, version)

    def attachments(self, table: Table, version: str) -> list[str]:
        """Names of the sidecar files that were attached to a version."""
        own = {f"{version}{mark}" for mark in MARKS}
        return sorted(name for name in {*self.store.names(table)} - own if name.startswith(f"{version}."))

    def versions(self, table: Table) -> list[str]:
        """All complete versions that are not expired, oldest first; the current one is among them."""
        return self.store.versions(table)

    def stage(
        self,
        tables: Sequence[Table],
        inputs: Mapping[str, str],
        run_id: str,
        code_version: str = "",
        made_because: str = "",
    ) -> Staging:
        """Open a new version of one publish group.

        Args:
            tables: the tables that will be written.
            inputs: versions of the tables that they are made from, by key.
            run_id: the run that writes; kept in the version metadata, like what follows.
            code_version: of the code that writes.
            made_because: why the version is made.
        """
        version, parent = self.store.claim(tables), self.current(tables[-1])
        now = datetime.now(UTC).isoformat(timespec="seconds")
        all_metadata = {
            table.key: VersionMetadata(
                table.key, version, parent, dict(inputs), run_id, now, code_version, made_because
            )
            for table in tables
        }
        return Staging(self.store, tables, version, all_metadata)

    def reopen(self, tables: Sequence[Table]) -> Staging:
        """The current version of some tables with its stored metadata, to report on it again.

        Raises:
            TableMissingError: if nothing was published yet.
        """
        version = self.published(tables[-1])
        # It is its own parent: it will never be published over another version.
        all_metadata = {table.key: replace(self.metadata(table, version), parent=version) for table in tables}
        return Staging(self.store, tables, version, all_metadata)

    def publish(self, staging: Staging) -> bool:
        """Make a committed version the current one. To publish it twice does no more than to publish it once.

        A reopened version was published before. It may have been rolled back since, and that stays so.

        Returns:
            Whether a pointer was switched.

        Raises:
            VersionConflictError: if another run published on the same parent, or from newer inputs.
            LakeError: if a blocking rule failed, or the version has expired.
        """
        tables, last = staging.tables, staging.tables[-1]
        if staging.is_published:
            return False
        if staging.parent == staging.version:
            return self.recover(tables)
        failed = [f"{table.key} {rule}" for table in tables for rule in staging.metadata[table.key].blocking_rules]
        if failed:
            raise LakeError(f"not published, because a blocking rule failed: {', '.join(failed)}.")
        with self.store.publishing(tables) as point:
            if staging.version not in self.versions(last):  # it expired: many others were committed meanwhile
                raise self.store.no_version(last, staging.version)
            self._require_unmoved(last, staging.metadata[last.key], self.current(last))
            self._point_all(point, tables, staging.version)
        staging.is_published = True
        try:
            self.collect_garbage(tables)
        except (LakeError, OSError) as error:  # the tables are published; the next run collects again
            _LOG.warning(f"{last.key}: old versions could not be removed: {error}")
        return True

    def recover(self, tables: Sequence[Table]) -> bool:
        """Finish a publication that a killed process began: all tables follow the last table of their group.

        Returns:
            Whether a pointer had to be switched.
        """
        decided, behind = self.current(tables[-1]), False
        if decided is None or all(self._follows(table, decided) for table in tables):
            return False
        with self.store.publishing(tables) as point:
            decided = self.current(tables[-1]) or decided
            for table in tables:
                # A table that was added to its group since has no such version.
                if not self._follows(table, decided) and self.store.paths(table, decided):
                    self._point(point, table, decided)
                    behind = True
        return behind

    def rollback(self, tables: Sequence[Table], version: str) -> None:
        """Make an earlier version of one publish group current again.

        Raises:
            LakeError: if one of the tables has no such version, or its version failed a blocking rule.
        """
        with self.store.publishing(tables) as point:
            if version not in self.versions(tables[-1]):
                raise self.store.no_version(tables[-1], version)
            for table in tables:
                if failed := self.metadata(table, version).blocking_rules:
                    raise LakeError(
                        f"{table.key} version {version} failed {', '.join(failed)}; it cannot be made current."
                    )
            current = self.current(tables[-1])
            if current and current > version:
                self.store.write_sidecar(tables[-1], f"{current}{ROLLED_BACK_SUFFIX}", b"")
            self._point_all(point, tables, version)

    def rolled_back(self, table: Table) -> list[str]:
        """The versions of the last table of a group that a person rolled back, and that no later version replaced."""
        current = self.current(table) or ""
        marks = (name for name in self.store.names(table) if name.endswith(ROLLED_BACK_SUFFIX))
        return sorted(version for mark in marks if (version := mark.removesuffix(ROLLED_BACK_SUFFIX)) > current)

    def collect_garbage(self, tables: Sequence[Table]) -> list[str]:
        """Remove old versions of one publish group, and what killed runs left behind; returns what was removed."""
        return garbage.collect_garbage(self.store, tables, self._keep_versions)

    def preview(self, table: Table, version: str, rows: int = 5) -> list[dict[str, Any]]:
        """The first rows of a version, without a Spark job."""
        found: list[dict[str, Any]] = []
        for fragment in self.store.dataset(table, version).get_fragments():
            if len(found) == rows:
                break
            # Dataset.head would decode millions of rows and fetch their files before it returns the first one.
            with fragment.open() as file:
                batches = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES).iter_batches(rows - len(found))
                for batch in islice(batches, 1):
                    fields = [field for field in table.arrow_schema if field.name in batch.schema.names]
                    found += pa.table({field.name: batch[field.name].cast(field.type) for field in fields}).to_pylist()
        return found

    def rows(self, table: Table, version: str | None = None) -> list[dict[str, Any]]:
        """The rows of a small table, without Spark; empty if nothing was published yet."""
        version = version or self.current(table)
        return self.store.dataset(table, version).to_table().to_pylist() if version else []

    def _require_unmoved(self, last: Table, metadata: VersionMetadata, current: str | None) -> None:
        """Raise a conflict if another run published since the version was staged."""
        used_by_current = self.metadata(last, current).inputs if current else {}
        moved = [
            key
            for key, used in metadata.inputs.items()
            if used not in (self.store.current(key), used_by_current.get(key, used))
        ]
        if current not in (metadata.parent, metadata.version):
            moved.append(last.key)
        if moved:
            raise VersionConflictError(
                f"{last.key} version {metadata.version} was not published: "
                f"another run published {' and '.join(moved)} meanwhile."
            )

    def _point_all(self, point: Point, tables: Sequence[Table], version: str) -> None:
        """Switch all pointers; the last table comes first, because its pointer decides."""
        for table in (tables[-1], *tables[:-1]):
            self._point(point, table, version)

    def _point(self, point: Point, table: Table, version: str) -> None:
        point(table, version)
        for name in table.artifacts:
            self.store.publish_artifact(table, version, name)

    def _follows(self, table: Table, version: str) -> bool:
        """Whether readers of a table, and of its published artifacts, see a version."""
        seen = [self.current(table), *(self.store.artifact_version(table, name) for name in table.artifacts)]
        return all(found == version for found in seen)
