"""A lake in a local folder.

Layout below its root::

    <layer>/<table>                            link to the current version: Parquet files and nothing else
    <layer>/report.html                        link to a sidecar file of a current version, for people to open
    _versions/<layer>/<table>/<version>/       one folder for each version, written once
    _versions/<layer>/<table>/<version>.*      sidecar files: metadata, a fitted model, its card
    _versions/.staging/                        where the engine writes; nobody reads there
    _versions/.lock                            held while a version is numbered or published

A version becomes visible when one link is renamed, which is atomic. So a reader finds the old files or the new ones,
and a process that is killed leaves at most files that no link refers to.
"""

import fcntl
import filecmp
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa

from fitness_assets.lake.store import EXPIRED_SUFFIX, Point, Store, as_parquet, is_ours
from fitness_assets.lake.version import LakeError
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    from pyarrow.dataset import FileSystemDataset


class LocalStore(Store):
    """A lake in a local folder.

    Args:
        root: its root folder; it is created by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._staging = self.root / "_versions" / ".staging"

    @property
    def disk(self) -> Path:
        """The root folder."""
        return self.root

    def current(self, key: str) -> str | None:
        """The version that the table's link refers to."""
        link = self.root / key
        if link.is_symlink():
            return link.readlink().name
        if link.exists():
            raise LakeError(
                f"{link} is a folder, not a link to a version: a lake cannot be copied without its links; move it away."
            )
        return None

    def pointer(self, key: str) -> str:
        """The link's target, and when the link was made."""
        link = self.root / key
        return f"{link.readlink().name} {link.lstat().st_mtime_ns}" if link.is_symlink() else ""

    @contextmanager
    def publishing(self, tables: Sequence[Table]) -> Iterator[Point]:
        """Lock the lake; the kernel releases the lock if this process dies."""
        with self._locked():
            yield self._point

    def claim(self, tables: Sequence[Table]) -> str:
        """Create the folders of the next version."""
        with self._locked():
            numbers = [int(name.split(".")[0]) for table in tables for name in self.names(table)]
            version = f"{max(numbers, default=0) + 1:06}"
            for table in tables:
                self._path(table, version).mkdir(parents=True)
        return version

    def names(self, table: Table) -> dict[str, float]:
        """Names in the table's folder of versions, without drafts."""
        return {path.name: path.stat().st_mtime for path in self._path(table, "").glob("*") if is_ours(path.name)}

    def files(self, table: Table, version: str) -> list[str]:
        """The files in the folder of the version."""
        return sorted(str(path) for path in self._path(table, version).glob("*.parquet"))

    def dataset_of(self, table: Table, files: Sequence[str]) -> "FileSystemDataset":
        """The files."""
        from pyarrow.dataset import dataset  # brings pandas along, which loading the code location can do without

        return dataset([*files], schema=table.arrow_schema, format="parquet")

    def read_sidecar(self, table: Table, name: str) -> bytes:
        """The bytes of the file."""
        return self._path(table, name).read_bytes()

    def write_sidecar(self, table: Table, name: str, content: bytes) -> None:
        """Write a draft and rename it."""
        path = self._path(table, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{name}")
        draft.write_bytes(content)
        _flush(draft)
        draft.replace(path)
        _flush(path.parent)

    def publish_artifact(self, table: Table, version: str, name: str) -> None:
        """Link to the file."""
        self._link(self._beside(table, name), self._path(table, f"{version}.{name}"))

    def artifact_version(self, table: Table, name: str) -> str | None:
        """The version that the link refers to."""
        link = self._beside(table, name)
        return link.readlink().name.split(".")[0] if link.is_symlink() else None

    def artifact_location(self, table: Table, name: str) -> str:
        """A path."""
        return str(self._beside(table, name))

    def remove(self, table: Table, versions: Iterable[str]) -> None:
        """Remove folders and sidecar files; files that other versions took over are hard links and stay there."""
        for version in versions:
            # With drafts: a full disk or a killed run may have left some.
            sidecars = [path for start in ("", ".") for path in self._path(table, "").glob(f"{start}{version}.*")]
            # The mark that the version is expired goes last: nobody may make a half-removed version current.
            for sidecar in sorted(sidecars, key=lambda path: path.name.endswith(EXPIRED_SUFFIX)):
                sidecar.unlink()
            shutil.rmtree(self._path(table, version), ignore_errors=True)

    def location(self, table: Table, name: str | None = None) -> str:
        """A path."""
        return str(self.root / table.key if name is None else self._path(table, name))

    def scratch(self, name: str) -> Path:
        """A folder on the same file system as the lake, so that files are renamed and not copied."""
        return self._staging / name

    def target(self, table: Table, version: str, scratch: Path) -> str:
        """A folder in the scratch folder, because Spark leaves more than Parquet files there."""
        return str(scratch / table.name)

    def share(self, scratch: Path, path: Path) -> str:
        """The path itself."""
        return str(path)

    def finish(
        self,
        table: Table,
        version: str,
        target: str | None,
        kept: Sequence[str] = (),
        rows: pa.Table | None = None,
        replaced: Sequence[str] = (),
    ) -> dict[str, int]:
        """Fill the folder of the version with hard links and with what was written."""
        folder, added = self._path(table, version), list[Path]()
        for path in map(Path, kept):
            (folder / path.name).hardlink_to(path)
        before = defaultdict[int, list[Path]](list)
        for path in map(Path, replaced):
            before[path.stat().st_size].append(path)
        for path in sorted(Path(target).rglob("*.parquet")) if target else ():
            candidates = before[path.stat().st_size]
            if same := next((old for old in candidates if filecmp.cmp(old, path, shallow=False)), None):
                added.append(folder / same.name)
                added[-1].hardlink_to(same)
                continue
            _flush(path)
            label = path.parent.relative_to(target or "").name.partition("=")[2]
            # Engines give files of different months the same name.
            added.append(path.rename(folder / (f"{label}.{path.name}" if label else path.name)))
        if rows or not any(folder.iterdir()):  # a table without rows needs a file too: readers take the schema from it
            added.append(folder / f"part-{uuid4().hex}.parquet")
            added[-1].write_bytes(as_parquet(rows or table.arrow_schema.empty_table()))
            _flush(added[-1])
        for path in (folder, *folder.parents):  # folders too, or a power cut may take the names of files
            _flush(path)
            if path == self.root:
                break
        return {str(path): path.stat().st_size for path in added}

    def discard(self, scratch: Path) -> None:
        """Remove the folder."""
        shutil.rmtree(scratch, ignore_errors=True)

    def discard_older(self, then: float) -> list[str]:
        """Remove old folders of killed runs."""
        old = [path for path in self._staging.glob("*") if path.stat().st_mtime < then]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)  # another run may be at it too
        return [path.name for path in old]

    def forget_old_objects(self, tables: Sequence[Table]) -> None:
        """A file system keeps nothing."""

    def _path(self, table: Table, name: str) -> Path:
        return self.root / "_versions" / table.key / name

    def _beside(self, table: Table, name: str) -> Path:
        return (self.root / table.key).with_name(name)

    def _point(self, table: Table, version: str) -> None:
        self._link(self.root / table.key, self._path(table, version))

    def _link(self, link: Path, to: Path) -> None:
        link.parent.mkdir(parents=True, exist_ok=True)
        new = link.with_name(f".{link.name}.{uuid4().hex}")
        new.symlink_to(Path("..") / to.relative_to(self.root))
        new.replace(link)
        _flush(link.parent)
        _flush(link.parent.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.root / "_versions" / ".lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _flush(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk, so that a power cut after publishing loses nothing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
