"""What a lake needs of the place that it lies in, and that place as a local folder; a bucket is in ``s3_store.py``.

Layout below the root of a local lake::

    <layer>/<table>                            link to the current version: Parquet files and nothing else
    <layer>/report.html                        link to a sidecar of a current version that people open
    _versions/<layer>/<table>/<version>/       one folder for each version, written once
    _versions/<layer>/<table>/<version>.*      sidecars: metadata, a fitted model, its card
    _versions/.staging/                        where Spark writes; nobody reads there
    _versions/.lock                            held for the moment of numbering or publishing

A version becomes visible by the atomic renaming of one link, so a reader finds the old files or the new ones, and a
process that is killed leaves at most files that nobody points to.
"""

import fcntl
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from fitness_assets.lake.version import LakeError
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    from pyarrow.dataset import FileSystemDataset

Point = Callable[[Table, str], None]
"""Makes a version of a table the one that readers see."""


class Store(ABC):
    """Where the versions of tables lie, and the pointers that readers follow.

    Notes are small files that belong to a version and whose names begin with its number.
    """

    @abstractmethod
    def current(self, key: str) -> str | None:
        """The version of a table that readers see, or None if there is none yet."""

    @abstractmethod
    def publishing(self, tables: Sequence[Table]) -> AbstractContextManager[Point]:
        """For the moment of publishing: whatever is pointed to within was not pointed elsewhere by others meanwhile.

        Raises:
            VersionConflictError: when pointing, if somebody else did.
        """

    @abstractmethod
    def claim(self, tables: Sequence[Table]) -> str:
        """A version number that nobody else gets for these tables, later than all before."""

    @abstractmethod
    def names(self, table: Table) -> dict[str, float]:
        """Names of versions (``000001``) and sidecars (``000001.json``) with the time of change in seconds."""

    @abstractmethod
    def paths(self, table: Table, version: str) -> list[str]:
        """What Spark has to read for a version; empty if it has no files any more."""

    @abstractmethod
    def dataset(self, table: Table, version: str) -> "FileSystemDataset":
        """A version as pyarrow reads it, with the columns of the dictionary."""

    @abstractmethod
    def read_sidecar(self, table: Table, name: str) -> bytes:
        """A sidecar.

        Raises:
            FileNotFoundError: if there is none.
        """

    @abstractmethod
    def write_sidecar(self, table: Table, name: str, content: bytes) -> None:
        """Keep a sidecar, as a whole or not at all."""

    @abstractmethod
    def publish_artifact(self, table: Table, version: str, name: str) -> None:
        """Have a sidecar of the current version lie beside the table, in place of what lies there under that name."""

    @abstractmethod
    def artifact_version(self, table: Table, name: str) -> str | None:
        """The version whose sidecar of that name lies beside the table, or None if there is none."""

    @abstractmethod
    def remove(self, table: Table, versions: Iterable[str]) -> None:
        """Remove versions with their sidecars, but for files that other versions took over."""

    @abstractmethod
    def location(self, table: Table, name: str | None = None) -> str:
        """Where a person finds a table, or the version or sidecar of that name."""

    @abstractmethod
    def scratch(self, name: str) -> Path:
        """A local folder for one version in the making; it need not be there yet."""

    @abstractmethod
    def target(self, table: Table, version: str, scratch: Path) -> str:
        """Where Spark writes a table."""

    @abstractmethod
    def share(self, scratch: Path, path: Path) -> str:
        """Where Spark, on whatever machine, reads a file of a scratch folder."""

    @abstractmethod
    def finish(
        self, table: Table, version: str, target: str | None, parent: str | None, rows: pa.Table | None = None
    ) -> int:
        """Make one version of what was written and of the files of its parent.

        Args:
            table: the table.
            version: the version in the making.
            target: where Spark wrote; None: nowhere.
            parent: the version whose files are taken over as they are, or None.
            rows: written here and now.

        Returns:
            Bytes that were added to the parent's.
        """

    @abstractmethod
    def discard(self, scratch: Path) -> None:
        """Remove a scratch folder."""

    @abstractmethod
    def discard_older(self, then: float) -> list[str]:
        """Remove scratch folders that were last changed before ``then``, in seconds since 1970; returns their names."""


class LocalStore(Store):
    """A lake in a local folder.

    Args:
        root: its root folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._staging = self.root / "_versions" / ".staging"

    def current(self, key: str) -> str | None:
        """The version that the table's link leads to."""
        link = self.root / key
        if link.is_symlink():
            return link.readlink().name
        if link.exists():
            raise LakeError(
                f"{link} is a folder, not a link to a version: a lake cannot be copied without its links; move it away."
            )
        return None

    @contextmanager
    def publishing(self, tables: Sequence[Table]) -> Iterator[Point]:
        """Hold the lake; the kernel lets go of it if this process dies."""
        with self._locked():
            yield self._point

    def claim(self, tables: Sequence[Table]) -> str:
        """Make the folders of the next version."""
        with self._locked():
            numbers = [int(name.split(".")[0]) for table in tables for name in self.names(table)]
            version = f"{max(numbers, default=0) + 1:06}"
            for table in tables:
                self._path(table, version).mkdir(parents=True)
        return version

    def names(self, table: Table) -> dict[str, float]:
        """What lies in the table's folder of versions, but for drafts."""
        return {path.name: path.stat().st_mtime for path in self._path(table, "").glob("*") if is_ours(path.name)}

    def paths(self, table: Table, version: str) -> list[str]:
        """The folder of the version."""
        folder = self._path(table, version)
        return [str(folder)] if folder.is_dir() else []

    def dataset(self, table: Table, version: str) -> "FileSystemDataset":
        """The folder of the version."""
        from pyarrow.dataset import dataset  # brings pandas along, which loading the code location can do without

        return dataset(self._path(table, version), schema=table.arrow_schema)

    def read_sidecar(self, table: Table, name: str) -> bytes:
        """The bytes of the file."""
        return self._path(table, name).read_bytes()

    def write_sidecar(self, table: Table, name: str, content: bytes) -> None:
        """Write a draft and rename it."""
        path = self._path(table, name)
        draft = path.with_name(f".{name}")
        draft.write_bytes(content)
        _flush(draft)
        draft.replace(path)

    def publish_artifact(self, table: Table, version: str, name: str) -> None:
        """Link to the file."""
        self._link((self.root / table.key).with_name(name), self._path(table, f"{version}.{name}"))

    def artifact_version(self, table: Table, name: str) -> str | None:
        """The version that the link leads to."""
        link = (self.root / table.key).with_name(name)
        return link.readlink().name.split(".")[0] if link.is_symlink() else None

    def remove(self, table: Table, versions: Iterable[str]) -> None:
        """Remove folders and sidecars; files that were taken over are hard links."""
        for version in versions:
            for sidecar in sorted(
                self._path(table, "").glob(f"{version}.*")
            ):  # that it is expired goes after its metadata
                sidecar.unlink()
            shutil.rmtree(self._path(table, version), ignore_errors=True)

    def location(self, table: Table, name: str | None = None) -> str:
        """A path."""
        return str(self.root / table.key if name is None else self._path(table, name))

    def scratch(self, name: str) -> Path:
        """A folder on the disk of the lake, so that files are renamed and not copied."""
        return self._staging / name

    def target(self, table: Table, version: str, scratch: Path) -> str:
        """A folder of its own, because Spark leaves more than Parquet files there."""
        return str(scratch / table.name)

    def share(self, scratch: Path, path: Path) -> str:
        """The path itself."""
        return str(path)

    def finish(
        self, table: Table, version: str, target: str | None, parent: str | None, rows: pa.Table | None = None
    ) -> int:
        """Fill the folder of the version with hard links and with what was written."""
        folder, added = self._path(table, version), 0
        for path in self._path(table, parent).iterdir() if parent else ():
            (folder / path.name).hardlink_to(path)
        for path in Path(target).glob("*.parquet") if target else ():
            _flush(path)
            added += path.stat().st_size
            path.rename(folder / path.name)
        if rows or not any(folder.iterdir()):  # a table without rows is a table all the same
            path = folder / f"part-{uuid4().hex}.parquet"
            path.write_bytes(as_parquet(rows or table.arrow_schema.empty_table()))
            _flush(path)
            added += path.stat().st_size
        return added

    def discard(self, scratch: Path) -> None:
        """Remove the folder."""
        shutil.rmtree(scratch, ignore_errors=True)

    def discard_older(self, then: float) -> list[str]:
        """Remove old folders of killed runs."""
        old = [path for path in self._staging.glob("*") if path.stat().st_mtime < then]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)  # another run may be at it too
        return [path.name for path in old]

    def _path(self, table: Table, name: str) -> Path:
        return self.root / "_versions" / table.key / name

    def _point(self, table: Table, version: str) -> None:
        self._link(self.root / table.key, self._path(table, version))

    def _link(self, link: Path, to: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        new = link.with_name(f".{link.name}.{uuid4().hex}")
        new.symlink_to(Path("..") / to.relative_to(self.root))
        new.replace(link)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.root / "_versions" / ".lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def as_parquet(rows: pa.Table) -> bytes:
    """A few rows as a Parquet file whose moments are alike to those that Spark writes."""
    content = pa.BufferOutputStream()
    pq.write_table(rows, content, use_deprecated_int96_timestamps=True)
    return content.getvalue().to_pybytes()


def is_ours(name: str) -> bool:
    """Whether this is the name of a version or sidecar, and not a copy made by hand or a file of another tool."""
    return name.split(".")[0].isdecimal()


def _flush(path: Path) -> None:
    """Put a file on the disk itself, so that a power cut after publishing cannot empty it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
