"""A lake in a bucket.

Layout, for each table below the prefix of its layer::

    <prefix>/<table>/_symlink_format_manifest/manifest    URIs of the files of the current version, one a line
    <prefix>/<table>/_versions/<version>/<writer>/        files that one writer wrote for this version
    <prefix>/<table>/_versions/<version>/_manifest        URIs of all files of the version, from earlier versions too
    <prefix>/<table>/_versions/<version>.*                sidecar files
    <prefix>/<table>/_claims/<version>                    reserves a version number; the highest one is never removed
    <prefix of bronze>/_scratch/                          rows that were made in Python, on their way to the engine

A version becomes visible by one PUT of its manifest. S3 accepts that PUT only if the manifest has not
changed since this run read it. So no lock is needed, and no run undoes the publication of another one.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa

from fitness_assets.aws.s3 import Bucket, Object, ObjectChangedError, ObjectMissingError
from fitness_assets.lake.scratch import new_folder, remove_left_folders
from fitness_assets.lake.store import EXPIRED_SUFFIX, REQUESTS, Point, Store, as_parquet, is_ours
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    from pyarrow.dataset import FileSystemDataset

_VERSION = "version"  # metadata of a current manifest, and of published artifacts
_MANIFEST = "_manifest"
_TRIES = 20


class S3Store(Store):
    """A lake in a bucket.

    Args:
        bucket: the bucket that holds its objects.
        prefixes: prefixes of layers that are not stored under their own names.
    """

    def __init__(self, bucket: Bucket, prefixes: Mapping[str, str]) -> None:
        self.bucket = bucket
        self._prefixes = prefixes
        self._shared = f"{prefixes.get('bronze', 'bronze')}/_scratch/"

    @property
    def disk(self) -> Path:
        """The folder for scratch folders."""
        return Path(tempfile.gettempdir())

    def current(self, key: str) -> str | None:
        """The version of the current manifest."""
        manifest = self._pointer(key)
        if manifest and _VERSION not in manifest.metadata:
            raise LakeError(
                f"{self.bucket.uri(manifest.key)} does not say its version: a lake cannot be copied; move it away."
            )
        return manifest.metadata[_VERSION] if manifest else None

    def pointer(self, key: str) -> str:
        """The ETag and the time of the current manifest."""
        manifest = self._pointer(key)
        return f"{manifest.etag} {manifest.modified_at.isoformat()}" if manifest else ""

    @contextmanager
    def publishing(self, tables: Sequence[Table]) -> Iterator[Point]:
        """Remember the ETags of the manifests; only these manifests are replaced."""
        seen = {table.key: self._pointer(table.key) for table in tables}

        def point(table: Table, version: str) -> None:
            manifest = self.bucket.get(self._key(table.key, version, _MANIFEST))
            try:
                self.bucket.put_if_unchanged(self._manifest(table.key), manifest, seen[table.key], {_VERSION: version})
            except ObjectChangedError as error:
                # The new manifest is ours if the answer to our request was lost and boto3 sent it again.
                if self.current(table.key) != version:
                    raise VersionConflictError(
                        f"{table.key} version {version} was not published: another run published it meanwhile."
                    ) from error

        yield point

    def claim(self, tables: Sequence[Table]) -> str:
        """Put an object for the next number of the last table, unless another run did."""
        mine = uuid4().hex.encode()
        for _ in range(_TRIES):
            names = [name for table in tables for name in self.names(table)]
            numbers = [int(name.split(".")[0]) for name in (*names, *self._claims(tables[-1]))]
            version = f"{max(numbers, default=0) + 1:06}"
            claim = self._claim(tables[-1].key, version)
            try:
                self.bucket.put_if_unchanged(claim, mine, before=None)
            except ObjectChangedError:
                # It is ours if the answer to our request was lost. S3 may also refuse both of two requests at once.
                if not self._find(claim) or self.bucket.get(claim) != mine:
                    continue
            return version
        raise VersionConflictError(f"{tables[-1].key}: {_TRIES} version numbers were all taken by other runs.")

    def names(self, table: Table) -> dict[str, float]:
        """The first part of every key below the table's versions, with the time of the last change below it."""
        prefix, names = self._key(table.key, ""), dict[str, float]()
        for found in self.bucket.list(prefix):
            name = found.key.removeprefix(prefix).split("/")[0]
            if is_ours(name):
                names[name] = max(found.modified_at.timestamp(), names.get(name, 0))
        return names

    def files(self, table: Table, version: str) -> list[str]:
        """The lines of the version's manifest."""
        try:
            return self.bucket.get(self._key(table.key, version, _MANIFEST)).decode().splitlines()
        except ObjectMissingError:
            return []

    def dataset_of(self, table: Table, files: Sequence[str]) -> "FileSystemDataset":
        """The objects."""
        from pyarrow.dataset import dataset

        paths = [path.removeprefix("s3://") for path in files]
        return dataset(paths, schema=table.arrow_schema, filesystem=self.bucket.filesystem(), format="parquet")

    def read_sidecar(self, table: Table, name: str) -> bytes:
        """The bytes of the object."""
        return self.bucket.get(self._key(table.key, name))

    def write_sidecar(self, table: Table, name: str, content: bytes) -> None:
        """One PUT."""
        self.bucket.put(self._key(table.key, name), content)

    def publish_artifact(self, table: Table, version: str, name: str) -> None:
        """Put a copy, unless another run published meanwhile: then its artifact stays."""
        key, sidecar = self._beside(table, name), self.read_sidecar(table, f"{version}.{name}")
        before = self._find(key)
        if self.current(table.key) == version:
            with suppress(ObjectChangedError):
                self.bucket.put_if_unchanged(key, sidecar, before, {_VERSION: version})

    def artifact_version(self, table: Table, name: str) -> str | None:
        """The version that is stored as metadata of the copy."""
        copy = self._find(self._beside(table, name))
        return copy.metadata.get(_VERSION) if copy else None

    def artifact_location(self, table: Table, name: str) -> str:
        """A URI."""
        return self.bucket.uri(self._beside(table, name))

    def remove(self, table: Table, versions: Iterable[str]) -> None:
        """Remove sidecar files and manifests first, then the files that no other manifest lists."""
        gone, prefix = set(versions), self._key(table.key, "")
        keys = {found.key: found.key.removeprefix(prefix) for found in self.bucket.list(prefix)}
        manifests = {name.split("/")[0] for name in keys.values() if name.endswith(f"/{_MANIFEST}")}
        kept = {path for version in manifests - gone for path in self.files(table, version)}
        old = [key for key, name in keys.items() if name.split("/")[0].split(".")[0] in gone]
        files = [key for key in old if key.endswith(".parquet")]
        # The mark that the version is expired goes last: nobody may make a half-removed version current.
        marks = [key for key in old if key.endswith(EXPIRED_SUFFIX)]
        self.bucket.delete(key for key in old if key not in {*files, *marks})
        self.bucket.delete(key for key in files if self.bucket.uri(key) not in kept)
        self.bucket.delete(marks)
        # The highest number stays reserved: a writer of a removed version may still be at work under it.
        self.bucket.delete(self._claim(table.key, name) for name in self._claims(table)[:-1])

    def location(self, table: Table, name: str | None = None) -> str:
        """A URI."""
        return self.bucket.uri(self._manifest(table.key) if name is None else self._key(table.key, name))

    def scratch(self, name: str) -> Path:
        """A folder on this machine that no other user can read."""
        return new_folder() / name

    def target(self, table: Table, version: str, scratch: Path) -> str:
        """A prefix below the version for this writer alone; a task that ends late adds nothing to other writers."""
        return self.bucket.uri(self._key(table.key, version, uuid4().hex))

    def share(self, scratch: Path, path: Path) -> str:
        """Upload the file."""
        key = f"{self._shared}{scratch.name}/{path.relative_to(scratch)}"
        self.bucket.upload(path, key)
        return self.bucket.uri(key)

    def finish(
        self,
        table: Table,
        version: str,
        target: str | None,
        kept: Sequence[str] = (),
        rows: pa.Table | None = None,
        replaced: Sequence[str] = (),
    ) -> dict[str, int]:
        """Write the manifest of the version."""
        folder = self._key(table.key, version, "")
        below = self.bucket.list(f"{self.bucket.key(target)}/") if target else ()
        written = [found for found in below if found.key.endswith(".parquet")]
        if rows or not (kept or written):  # a table without rows needs a file too: readers take the schema from it
            key = f"{folder}part-{uuid4().hex}.parquet"
            self.bucket.put(key, as_parquet(rows or table.arrow_schema.empty_table()))
            written.append(self.bucket.head(key))
        with ThreadPoolExecutor(REQUESTS) as pool:
            found = pool.map(self._find, map(self.bucket.key, replaced if written else ()))
            before = {(old.etag, old.size_bytes): old for old in found if old}
        again = {new.key: before[new.etag, new.size_bytes] for new in written if (new.etag, new.size_bytes) in before}
        added = {self.bucket.uri(again.get(new.key, new).key): new.size_bytes for new in written}
        self.bucket.put(f"{folder}{_MANIFEST}", "".join(f"{uri}\n" for uri in (*kept, *added)).encode())
        self.bucket.delete(again)
        return added

    def discard(self, scratch: Path) -> None:
        """Remove the folder and what was uploaded from it."""
        shutil.rmtree(scratch.parent, ignore_errors=True)
        self.bucket.delete([found.key for found in self.bucket.list(f"{self._shared}{scratch.name}/")])

    def discard_older(self, then: float) -> list[str]:
        """Remove what killed runs uploaded, and their folders on this machine."""
        remove_left_folders()
        old = [found.key for found in self.bucket.list(self._shared) if found.modified_at.timestamp() < then]
        self.bucket.delete(old)
        return sorted({key.removeprefix(self._shared).split("/")[0] for key in old})

    def forget_old_objects(self, tables: Sequence[Table]) -> None:
        """Remove older versions of objects."""
        for prefix in {self._table(table.key).rpartition("/")[0] for table in tables}:
            self.bucket.delete_old_versions(f"{prefix}/")

    def _table(self, key: str) -> str:
        layer, name = key.split("/")
        return f"{self._prefixes.get(layer, layer)}/{name}"

    def _key(self, key: str, *names: str) -> str:
        return "/".join([self._table(key), "_versions", *names])

    def _manifest(self, key: str) -> str:
        return f"{self._table(key)}/_symlink_format_manifest/manifest"

    def _claim(self, key: str, version: str) -> str:
        return f"{self._table(key)}/_claims/{version}"

    def _claims(self, table: Table) -> list[str]:
        """The reserved version numbers of a table, lowest first."""
        prefix = self._claim(table.key, "")
        return sorted(
            (name for found in self.bucket.list(prefix) if is_ours(name := found.key.removeprefix(prefix))), key=int
        )

    def _beside(self, table: Table, name: str) -> str:
        return f"{self._table(table.key).rpartition('/')[0]}/{name}"

    def _pointer(self, key: str) -> Object | None:
        return self._find(self._manifest(key))

    def _find(self, key: str) -> Object | None:
        try:
            return self.bucket.head(key)
        except ObjectMissingError:
            return None
