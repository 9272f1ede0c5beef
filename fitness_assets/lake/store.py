"""The interface between the lake and the storage below it; the backends are in ``local.py`` and ``s3.py``.

A version of a table is a set of Parquet files under one number (``000001``). Sidecar files belong to a version; their
names begin with its number. The sidecar ``<version>.json`` holds the version metadata and is written last, so a version
that has one is complete. The sidecar ``<version>.expired`` marks a version that nobody may make current again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from fitness_assets.lake.version import LakeError, VersionMetadata
from fitness_assets.schema.months import in_months, month_in
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    from pyarrow.dataset import FileSystemDataset

METADATA_SUFFIX = ".json"
"""Ending of the sidecar file that holds the version metadata."""

EXPIRED_SUFFIX = ".expired"
"""Ending of the sidecar file that marks a version as expired; only the last table of a publish group has it."""

ROLLED_BACK_SUFFIX = ".rolled_back"
"""Ending of the sidecar file that marks a version that a person rolled back; only the last table of a group has it."""

MARKS = (METADATA_SUFFIX, EXPIRED_SUFFIX, ROLLED_BACK_SUFFIX)
"""Endings of the sidecar files that the lake itself writes."""

REQUESTS = 16
"""So many requests at once, where files are objects."""

Point = Callable[[Table, str], None]
"""Makes a version of a table the one that readers see."""


class Store(ABC):
    """Keeps the versions of tables, and the pointers that readers follow."""

    def versions(self, table: Table) -> list[str]:
        """All complete versions that are not expired, oldest first; the current one is among them."""
        return complete_versions(self.names(table))

    def metadata(self, table: Table, version: str) -> VersionMetadata:
        """The metadata of one version.

        Raises:
            LakeError: if there is no such version.
        """
        try:
            return VersionMetadata.from_json(self.read_sidecar(table, f"{version}{METADATA_SUFFIX}"))
        except FileNotFoundError:
            raise self.no_version(table, version) from None

    def paths(self, table: Table, version: str, months: Collection[str] | None = None) -> list[str]:
        """The files of a version that may hold rows of some months, None meaning all; empty if its files are gone."""
        return in_months(self.files(table, version), months)

    def dataset(self, table: Table, version: str) -> "FileSystemDataset":
        """A version as a pyarrow dataset with the columns of the table's schema."""
        return self.dataset_of(table, self.files(table, version))

    def changed_months(self, table: Table, before: str, now: str) -> set[str] | None:
        """The months in which two versions of a table have different files; None if those of ``before`` are gone."""
        # A local version has its own folder with links to the same files; an object has one URI for all versions.
        old, new = (
            {path if "://" in path else Path(path).name: month_in(path) for path in self.files(table, version)}
            for version in (before, now)
        )
        return {month for name, month in (old | new).items() if (name in old) != (name in new)} if old else None

    def no_version(self, table: Table, version: str) -> LakeError:
        """The error for a version that does not exist; it lists those that do."""
        return LakeError(f"{table.key} has no version {version}; it has {', '.join(self.versions(table)) or 'none'}.")

    @property
    @abstractmethod
    def disk(self) -> Path:
        """A local folder on the disk that writing needs."""

    @abstractmethod
    def current(self, key: str) -> str | None:
        """The version of a table that readers see, or None if nothing was published yet."""

    @abstractmethod
    def pointer(self, key: str) -> str:
        """A text that changes whenever the pointer of a table is switched; empty if nothing was published yet."""

    @abstractmethod
    def publishing(self, tables: Sequence[Table]) -> AbstractContextManager[Point]:
        """Guard one publication; the context gives a function that switches pointers.

        Raises:
            VersionConflictError: when a pointer is switched that another run switched after the context was entered.
        """

    @abstractmethod
    def claim(self, tables: Sequence[Table]) -> str:
        """Reserve a version number for some tables; it is higher than all numbers before and nobody else gets it."""

    @abstractmethod
    def names(self, table: Table) -> dict[str, float]:
        """Names of versions (``000001``) and sidecar files (``000001.json``) with the time of change in seconds."""

    @abstractmethod
    def files(self, table: Table, version: str) -> list[str]:
        """Paths or URIs of the files of a version, in order; empty if they are gone."""

    @abstractmethod
    def dataset_of(self, table: Table, files: Sequence[str]) -> "FileSystemDataset":
        """Some files of a table as a pyarrow dataset with the columns of the table's schema."""

    @abstractmethod
    def read_sidecar(self, table: Table, name: str) -> bytes:
        """Read a sidecar file.

        Raises:
            FileNotFoundError: if there is none.
        """

    @abstractmethod
    def write_sidecar(self, table: Table, name: str, content: bytes) -> None:
        """Write a sidecar file atomically."""

    @abstractmethod
    def publish_artifact(self, table: Table, version: str, name: str) -> None:
        """Show a sidecar file of the current version beside the table, under that name."""

    @abstractmethod
    def artifact_version(self, table: Table, name: str) -> str | None:
        """The version that a published artifact belongs to, or None if there is no such artifact."""

    @abstractmethod
    def artifact_location(self, table: Table, name: str) -> str:
        """Where a person finds a published artifact: the same place for every version."""

    @abstractmethod
    def remove(self, table: Table, versions: Iterable[str]) -> None:
        """Remove versions with their sidecar files; files that other versions refer to stay."""

    @abstractmethod
    def location(self, table: Table, name: str | None = None) -> str:
        """Where a person finds a table, or its version or sidecar file of that name."""

    @abstractmethod
    def scratch(self, name: str) -> Path:
        """The path of a local scratch folder for one version; the folder may not exist yet."""

    @abstractmethod
    def target(self, table: Table, version: str, scratch: Path) -> str:
        """Where the engine writes a table; no other writer uses the same place."""

    @abstractmethod
    def share(self, scratch: Path, path: Path) -> str:
        """Make a file of a scratch folder readable for the engine, on whatever machine; returns its path or URI."""

    @abstractmethod
    def finish(
        self,
        table: Table,
        version: str,
        target: str | None,
        kept: Sequence[str] = (),
        rows: pa.Table | None = None,
        replaced: Sequence[str] = (),
    ) -> dict[str, int]:
        """Build one version from the files that were written and files of its parent.

        On return everything is on durable storage.

        Args:
            table: the table.
            version: the version that is being written.
            target: where the engine wrote, as `target` gave it; None if it wrote nothing.
            kept: files of the parent that are taken over unchanged, as `files` gave them.
            rows: rows to write now, or None.
            replaced: files of the parent that the written files replace. If a written file has the same bytes as one of
                them, the version takes over the parent's file, so that these bytes are stored once.

        Returns:
            The files beside ``kept``, with their bytes.
        """

    @abstractmethod
    def discard(self, scratch: Path) -> None:
        """Remove a scratch folder."""

    @abstractmethod
    def discard_older(self, then: float) -> list[str]:
        """Remove scratch folders that were last changed before ``then`` (seconds since 1970); returns their names."""

    @abstractmethod
    def forget_old_objects(self, tables: Sequence[Table]) -> None:
        """Remove what the storage itself keeps of files that were removed or replaced."""


def complete_versions(names: Mapping[str, float]) -> list[str]:
    """The complete versions among the names of a table that are not expired, oldest first."""
    versions = (name.removesuffix(METADATA_SUFFIX) for name in names if name.endswith(METADATA_SUFFIX))
    return sorted(version for version in versions if version.isdecimal() and f"{version}{EXPIRED_SUFFIX}" not in names)


def as_parquet(rows: pa.Table) -> bytes:
    """A few rows as a Parquet file; timestamps are stored as the engine stores them."""
    content = pa.BufferOutputStream()
    pq.write_table(rows, content)
    return content.getvalue().to_pybytes()


def is_ours(name: str) -> bool:
    """Whether this is the name of a version or sidecar file, and not a manual copy or a file of another tool."""
    return name.split(".")[0].isdecimal()
