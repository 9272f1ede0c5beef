"""Where tables live, and how a version is numbered, published, read and rolled back.

Layout below the root of a local lake::

    <layer>/<table>                            link to the current version: Parquet files and nothing else
    _versions/<layer>/<table>/<version>/       one folder for each version, written once
    _versions/<layer>/<table>/<version>.json   its audit: rows, verdict of every rule, what it was made from
    _versions/<layer>/<table>/<version>.*      what else belongs to it: a fitted model, its card
    _versions/.staging/                        where Spark writes; nobody reads there
    _versions/.lock                            held for the moment of numbering or publishing

A version becomes visible by the atomic renaming of one link, so a reader finds the old files or the new ones, and a
process that is killed leaves at most files that nobody points to. Tables written by one step share a version number and
are published together, the last one of them sealing the step. Here belongs no rule (``checks.py``) and no Dagster;
how a version is written stands in ``staging.py``.
"""

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from pyspark.sql import DataFrame, SparkSession

from fitness_assets.dictionary import Table
from fitness_assets.staging import Staging
from fitness_assets.versions import Audit, LakeError, TableMissingError, Verdict, VersionConflictError

KEEP_VERSIONS = 5
"""So many good versions of a table stay, and so many of those that came last, good or not."""

KEEP_SECONDS = 3_600
"""Nothing younger is removed: somebody may still read it."""

KEEP_UNFINISHED_SECONDS = 86_400
"""What was never finished is removed at this age: whoever was writing it is dead by then."""


class Lake:
    """A lake in a local folder.

    Args:
        root: its root folder; made when first written to.
        spark: gives the session; asked for only when a table is read or written.
    """

    def __init__(self, root: Path, spark: Callable[[], SparkSession]) -> None:
        self.root = root.absolute()
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
        Thread(target=lambda: self.spark, daemon=True).start()

    def link(self, table: Table) -> Path:
        """The stable path of a table, for every reader."""
        return self.root / table.key

    def folder(self, table: Table, version: str) -> Path:
        """The folder of one version."""
        return self.root / "_versions" / table.key / version

    def current(self, table: Table) -> str | None:
        """The version that readers see, or None if there is none yet."""
        link = self.link(table)
        if link.is_symlink():
            return link.readlink().name
        if link.exists():
            raise LakeError(
                f"{link} is a folder, not a link to a version: a lake cannot be copied without its links; move it away."
            )
        return None

    def read(self, table: Table, version: str | None = None) -> DataFrame:
        """A table as a frame, bound to one version from now on.

        Raises:
            TableMissingError: if nothing was published yet.
        """
        version = version or self.current(table)
        if version is None:
            raise TableMissingError(f"{table.key} does not exist yet: materialize {table.key} first.")
        folder = self.folder(table, version)
        if not folder.is_dir():
            raise TableMissingError(
                f"{table.key} version {version} has no files any more: materialize {table.key} again."
            )
        frame = self.spark.read.schema(table.spark_schema).parquet(str(folder))
        self._version_read[frame] = (table.key, version)
        return frame

    def versions_of(self, frames: Sequence[DataFrame]) -> dict[str, str]:
        """Which version of which table each of these frames was read from."""
        return dict(self._version_read[frame] for frame in frames)

    def audit(self, table: Table, version: str) -> Audit:
        """The audit of one version.

        Raises:
            LakeError: if there is no such version.
        """
        try:
            content = json.loads(self.audit_path(table, version).read_text())
        except FileNotFoundError:
            raise LakeError(
                f"{table.key} has no version {version}; it has {', '.join(self.versions(table)) or 'none'}."
            ) from None
        return Audit(**content | {"verdicts": [Verdict(**verdict) for verdict in content["verdicts"]]})

    def attachments(self, table: Table, version: str) -> list[Path]:
        """What was attached to a version."""
        return sorted(p for p in self.folder(table, "").glob(f"{version}.*") if p != self.audit_path(table, version))

    def versions(self, table: Table) -> list[str]:
        """All versions that were written to their end, oldest first; the current one among them."""
        audits = self.folder(table, "").glob("*.json")  # and drafts of some, which killed runs left behind
        return sorted(path.stem for path in audits if path.stem.isdecimal())

    def stage(self, tables: Sequence[Table], inputs: Mapping[str, str], run_id: str) -> Staging:
        """Open a new version of some tables that are published together, the last one sealing them.

        Args:
            tables: those that will be written.
            inputs: versions of the tables that they are made from, by key.
            run_id: who writes; kept in the audit.
        """
        with self._locked():
            numbers = [
                int(path.name.split(".")[0]) for table in tables for path in self.folder(table, "").glob("[0-9]*")
            ]
            version = f"{max(numbers, default=0) + 1:06}"
            for table in tables:
                self.folder(table, version).mkdir(parents=True)
            parent = self.current(tables[-1])
        now = datetime.now(UTC).isoformat(timespec="seconds")
        audits = {table.key: Audit(table.key, version, parent, dict(inputs), run_id, now) for table in tables}
        return Staging(self, tables, version, audits)

    def publish(self, audits: Sequence[tuple[Table, Audit]]) -> None:
        """Make staged versions the current ones, in the order given.

        Raises:
            VersionConflictError: if another run published on the same parent, or from newer inputs.
            LakeError: if a blocking rule failed.
        """
        failed = [
            f"{audit.table} {verdict.rule}" for _, audit in audits for verdict in audit.verdicts if verdict.blocks
        ]
        if failed:
            raise LakeError(f"not published, because a blocking rule failed: {', '.join(failed)}.")
        last, audit = audits[-1]
        with self._locked():
            current = self.current(last)
            used_by_current = self.audit(last, current).inputs if current else {}
            moved = [
                key
                for key, used in audit.inputs.items()
                if used not in (self._link_target(key), used_by_current.get(key, used))
            ]
            if current not in (audit.parent, audit.version):
                moved.append(last.key)
            if moved:
                raise VersionConflictError(
                    f"{last.key} version {audit.version} was not published: "
                    f"another run published {' and '.join(moved)} meanwhile."
                )
            for table, _ in audits:
                self._point(table, audit.version)

    def rollback(self, tables: Sequence[Table], version: str) -> None:
        """Make an earlier version of tables that are published together current again.

        Raises:
            LakeError: if one of them has no such version, or it failed a blocking rule.
        """
        for table in tables:
            failed = [verdict.rule for verdict in self.audit(table, version).verdicts if verdict.blocks]
            if failed:
                raise LakeError(f"{table.key} version {version} failed {', '.join(failed)}; it cannot be made current.")
        with self._locked():
            for table in tables:
                self._point(table, version)

    def collect_garbage(self, tables: Sequence[Table]) -> list[Path]:
        """Remove old versions of tables that are published together, and what killed runs left behind."""
        now, removed = time.time(), []
        with self._locked():
            current = {self.current(table) for table in tables}
            for table in tables:
                complete = self.versions(table)
                good = [
                    version for version in complete if not any(v.blocks for v in self.audit(table, version).verdicts)
                ]
                keep = {*current, *good[-KEEP_VERSIONS:], *complete[-KEEP_VERSIONS:]}
                for folder in self.folder(table, "").glob("[0-9]*[0-9]/"):
                    patience = KEEP_SECONDS if folder.name in complete else KEEP_UNFINISHED_SECONDS
                    if folder.name not in keep and folder.stat().st_mtime < now - patience:
                        for path in [self.audit_path(table, folder.name), *self.attachments(table, folder.name)]:
                            path.unlink(missing_ok=True)
                        removed.append(folder)
        removed += [path for path in self.staging.glob("*") if path.stat().st_mtime < now - KEEP_UNFINISHED_SECONDS]
        for path in removed:
            shutil.rmtree(path)
        return removed

    def preview(self, table: Table, version: str, rows: int = 5) -> list[dict[str, Any]]:
        """The first rows of a version, without starting a Spark job."""
        from pyarrow.dataset import dataset  # brings pandas along, which loading the code location can do without

        return dataset(self.folder(table, version)).head(rows).to_pylist()

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """The current rows of a small table, without Spark."""
        from pyarrow.dataset import dataset

        version = self.current(table)
        if version is None:
            return []
        return dataset(self.folder(table, version)).to_table().cast(table.arrow_schema).to_pylist()

    def reopen(self, tables: Sequence[Table]) -> Staging:
        """The current version of some tables with its audits as they were stored, to report on it again.

        Raises:
            TableMissingError: if there is none.
        """
        version = self.current(tables[-1])
        if version is None:
            raise TableMissingError(f"{tables[-1].key} does not exist yet: materialize {tables[-1].key} first.")
        return Staging(self, tables, version, {table.key: self.audit(table, version) for table in tables})

    @property
    def staging(self) -> Path:
        """Where unfinished work lies."""
        return self.root / "_versions" / ".staging"

    def audit_path(self, table: Table, version: str) -> Path:
        """Where the audit of a version is kept."""
        return self.folder(table, f"{version}.json")

    def _link_target(self, key: str) -> str:
        return (self.root / key).readlink().name

    def _point(self, table: Table, version: str) -> None:
        link = self.link(table)
        link.parent.mkdir(parents=True, exist_ok=True)
        new = link.with_name(f".{link.name}.{uuid4().hex}")
        new.symlink_to(Path("..") / self.folder(table, version).relative_to(self.root))
        new.replace(link)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lake for a moment; the kernel lets go of it if this process dies."""
        path = self.root / "_versions" / ".lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
