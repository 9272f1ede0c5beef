"""How versions of tables are numbered, published, read, rolled back and removed.

Tables written by one step share a version number and are published together: the last one of them seals the step, its
pointer is moved first, and the others follow it. A process that is killed in between leaves tables that are each whole;
`Lake.mend` has them follow. Here belongs no rule (``checks.py``) and no Dagster. How a version is written stands in
``staging.py``; where it lies, and what makes it visible, in ``stores.py`` and ``s3_store.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from threading import Lock, Thread
from time import time
from typing import Any
from weakref import WeakKeyDictionary

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from fitness_assets.lake.local import Point, Store
from fitness_assets.lake.staging import METADATA_SUFFIX, Staging
from fitness_assets.lake.version import LakeError, TableMissingError, VersionConflictError, VersionMetadata
from fitness_assets.schema.table import Table

KEEP_VERSIONS = 5
"""So many stay of the versions that were current, of the good ones, and of all; those that came last."""

KEEP_SECONDS = 3_600
"""So long a version that was given up stays: somebody may still read it."""

KEEP_UNFINISHED_SECONDS = 86_400
"""What was never finished is removed at this age: whoever was writing it is dead by then."""

_EXPIRED = ".expired"  # sidecar of a version of a group's last table: it is given up, nobody makes it current again

_BUFFER_BYTES = 65_536  # of a column, that a preview reads at once


class Lake:
    """The tables of a store, version by version.

    Args:
        store: where they lie.
        spark: gives the session; asked for only when a table is read or written.
    """

    def __init__(self, store: Store, spark: Callable[[], SparkSession]) -> None:
        self.store = store
        self._spark = spark
        self._starting = Lock()
        self._version_read: WeakKeyDictionary[DataFrame, tuple[str, str]] = WeakKeyDictionary()

    @property
    def spark(self) -> SparkSession:
        """The Spark session, started at the first use."""
        with self._starting:
            return self._spark()

    def start_spark(self) -> None:
        """Start the session in the background; it takes seconds in which files can be read."""

        def start() -> None:
            with suppress(Exception):  # the first who needs it is told
                _ = self.spark

        Thread(target=start, daemon=True).start()

    def current(self, table: Table) -> str | None:
        """The version that readers see, or None if there is none yet."""
        return self.store.current(table.key)

    def read(self, table: Table, version: str | None = None) -> DataFrame:
        """A table as a frame, bound to one version from now on.

        Raises:
            TableMissingError: if nothing was published yet.
        """
        version = version or self.current(table)
        if version is None:
            raise TableMissingError(f"{table.key} does not exist yet: materialize {table.key} first.")
        paths = self.store.paths(table, version)
        if not paths:
            raise TableMissingError(
                f"{table.key} version {version} has no files any more: materialize {table.key} again."
            )
        frame = self.spark.read.schema(table.spark_schema).parquet(*paths)
        self._version_read[frame] = (table.key, version)
        return frame

    def versions_of(self, frames: Sequence[DataFrame]) -> dict[str, str]:
        """Which version of which table each of these frames was read from."""
        return dict(self._version_read[frame] for frame in frames)

    def metadata(self, table: Table, version: str) -> VersionMetadata:
        """The metadata of one version.

        Raises:
            LakeError: if there is no such version.
        """
        try:
            return VersionMetadata.from_json(self.store.read_sidecar(table, f"{version}{METADATA_SUFFIX}"))
        except FileNotFoundError:
            raise self._no_version(table, version) from None

    def attachments(self, table: Table, version: str) -> list[str]:
        """Names of what was attached to a version."""
        own = {f"{version}{METADATA_SUFFIX}", f"{version}{_EXPIRED}"}
        return sorted(name for name in {*self.store.names(table)} - own if name.startswith(f"{version}."))

    def versions(self, table: Table) -> list[str]:
        """All versions that were written to their end and not given up, oldest first; the current one among them."""
        return _finished(self.store.names(table))

    def stage(self, tables: Sequence[Table], inputs: Mapping[str, str], run_id: str) -> Staging:
        """Open a new version of some tables that are published together, the last one last_table them.

        Args:
            tables: those that will be written.
            inputs: versions of the tables that they are made from, by key.
            run_id: who writes; kept in the audit.
        """
        version, parent = self.store.claim(tables), self.current(tables[-1])
        now = datetime.now(UTC).isoformat(timespec="seconds")
        all_metadata = {
            table.key: VersionMetadata(table.key, version, parent, dict(inputs), run_id, now) for table in tables
        }
        return Staging(self, tables, version, all_metadata)

    def publish(self, all_metadata: Sequence[tuple[Table, VersionMetadata]]) -> None:
        """Make staged versions the current ones.

        Raises:
            VersionConflictError: if another run published on the same parent, or from newer inputs.
            LakeError: if a blocking rule failed.
        """
        failed = [
            f"{metadata.table} {result.rule}"
            for _, metadata in all_metadata
            for result in metadata.check_results
            if result.blocks
        ]
        if failed:
            raise LakeError(f"not published, because a blocking rule failed: {', '.join(failed)}.")
        last, metadata = all_metadata[-1]
        tables = [table for table, _ in all_metadata]
        with self.store.publishing(tables) as point:
            current = self.current(last)
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
            self._point_all(point, tables, metadata.version)

    def recover(self, tables: Sequence[Table]) -> bool:
        """Have tables that are published together follow the last one, as their publisher would have.

        Returns:
            Whether one of them had been left behind by a process that was killed.
        """
        decided, behind = self.current(tables[-1]), False
        if decided is None or all(self._follows(table, decided) for table in tables):
            return False
        with self.store.publishing(tables) as point:
            decided = self.current(tables[-1]) or decided
            for table in tables:
                if not self._follows(table, decided):
                    self._point(point, table, decided)
                    behind = True
        return behind

    def rollback(self, tables: Sequence[Table], version: str) -> None:
        """Make an earlier version of tables that are published together current again.

        Raises:
            LakeError: if one of them has no such version, or it failed a blocking rule.
        """
        with self.store.publishing(tables) as point:
            if version not in self.versions(tables[-1]):
                raise self._no_version(tables[-1], version)
            for table in tables:
                if failed := [result.rule for result in self.metadata(table, version).check_results if result.blocks]:
                    raise LakeError(
                        f"{table.key} version {version} failed {', '.join(failed)}; it cannot be made current."
                    )
            self._point_all(point, tables, version)

    def collect_garbage(self, tables: Sequence[Table]) -> list[str]:
        """Remove old versions of tables that are published together, and what killed runs left behind.

        Returns:
            Names of what was removed.
        """
        now = time()
        removed = self.store.discard_older(now - KEEP_UNFINISHED_SECONDS)
        with self.store.publishing(tables):
            current, last_table = {self.current(table) for table in tables}, tables[-1]
            names = {table.key: self.store.names(table) for table in tables}
            versions = sorted(set.intersection(*(set(_finished(found)) for found in names.values())))
            keep = current | self._kept(tables, versions)
            # In a bucket nothing is locked; whoever is about to make a version current needs less than the hour.
            for version in versions:
                if version not in keep:
                    self.store.write_sidecar(last_table, f"{version}{_EXPIRED}", b"")
            expired = {
                name.removesuffix(_EXPIRED): at for name, at in names[last_table.key].items() if name.endswith(_EXPIRED)
            }
            old = {version for version, at in expired.items() if at < now - KEEP_SECONDS} - current
            committed = {*versions, *expired, *current}
            for table in tables:  # the last one last: its sidecar says to the end that the version is given up
                gone = [
                    name
                    for name, changed in names[table.key].items()
                    if name.isdecimal()
                    and (name in old or (name not in committed and changed < now - KEEP_UNFINISHED_SECONDS))
                ]
                if gone:
                    self.store.remove(table, gone)
                removed += gone
        return removed

    def preview(self, table: Table, version: str, rows: int = 5) -> list[dict[str, Any]]:
        """The first rows of a version, without starting a Spark job."""
        found: list[dict[str, Any]] = []
        for fragment in self.store.dataset(table, version).get_fragments():
            if len(found) == rows:
                break
            # A dataset's own head decodes millions of rows, and fetches the files that hold them, before it gives one.
            with fragment.open() as file:
                batches = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES).iter_batches(rows - len(found))
                for batch in islice(batches, 1):
                    fields = [field for field in table.arrow_schema if field.name in batch.schema.names]
                    found += pa.table({field.name: batch[field.name].cast(field.type) for field in fields}).to_pylist()
        return found

    def rows(self, table: Table, version: str | None = None) -> list[dict[str, Any]]:
        """The rows of a small table, without Spark; none if there is no version yet."""
        version = version or self.current(table)
        return self.store.dataset(table, version).to_table().to_pylist() if version else []

    def reopen(self, tables: Sequence[Table]) -> Staging:
        """The current version of some tables with the metadata that was stored, to report on it again.

        Raises:
            TableMissingError: if there is none.
        """
        version = self.current(tables[-1])
        if version is None:
            raise TableMissingError(f"{tables[-1].key} does not exist yet: materialize {tables[-1].key} first.")
        # Its own parent: it is never again published over another one.
        all_metadata = {table.key: replace(self.metadata(table, version), parent=version) for table in tables}
        return Staging(self, tables, version, all_metadata)

    def _kept(self, tables: Sequence[Table], versions: Sequence[str]) -> set[str | None]:
        """Those that were current last; of the good ones, and of all, those that came last."""
        all_metadata = {version: [self.metadata(table, version) for table in tables] for version in versions}
        good = [
            v
            for v, each in all_metadata.items()
            if not any(result.blocks for metadata in each for result in metadata.check_results)
        ]
        published = [self.current(tables[-1])]
        while published[-1] in all_metadata and len(published) < KEEP_VERSIONS:
            published.append(all_metadata[published[-1]][-1].parent)
        return {*published, *good[-KEEP_VERSIONS:], *versions[-KEEP_VERSIONS:]}

    def _no_version(self, table: Table, version: str) -> LakeError:
        return LakeError(f"{table.key} has no version {version}; it has {', '.join(self.versions(table)) or 'none'}.")

    def _point_all(self, point: Point, tables: Sequence[Table], version: str) -> None:
        """The last one first: it is what decides."""
        for table in (tables[-1], *tables[:-1]):
            self._point(point, table, version)

    def _point(self, point: Point, table: Table, version: str) -> None:
        point(table, version)
        for name in table.artifacts:
            self.store.publish_artifact(table, version, name)

    def _follows(self, table: Table, version: str) -> bool:
        """Whether readers of a table, and of what is shown beside it, see a version."""
        seen = [self.current(table), *(self.store.artifact_version(table, name) for name in table.artifacts)]
        return all(found == version for found in seen)


def _finished(names: Mapping[str, float]) -> list[str]:
    versions = (name.removesuffix(METADATA_SUFFIX) for name in names if name.endswith(METADATA_SUFFIX))
    return sorted(version for version in versions if version.isdecimal() and f"{version}{_EXPIRED}" not in names)
