"""A lake in a bucket.

Layout, for each table below the prefix of its layer::

    <prefix>/<table>/_symlink_format_manifest/manifest    URIs of the files of the current version, one a line
    <prefix>/<table>/_versions/<version>/                 what was written for this version
    <prefix>/<table>/_versions/<version>/_manifest        URIs of all its files, those taken over from others among them
    <prefix>/<table>/_versions/<version>.*                sidecars
    <prefix>/<table>/_claims/<version>                    who put this object may write that version
    <prefix of bronze>/_scratch/                          rows that were made in Python, on their way to Spark

A version becomes visible by one PUT of its manifest, and S3 makes that PUT only if the manifest that is there is still
the one that was seen before; so nobody needs a lock, and no publication is ever undone by another one.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa

from fitness_assets.aws.s3 import Bucket, Object, ObjectChangedError, ObjectMissingError
from fitness_assets.lake.local import Point, Store, as_parquet, is_ours
from fitness_assets.lake.version import LakeError, VersionConflictError
from fitness_assets.schema.table import Table

if TYPE_CHECKING:
    from pyarrow.dataset import FileSystemDataset

_VERSION = "version"  # metadata of a current manifest, and of what is shown beside a table
_MANIFEST = "_manifest"
_TRIES = 20


class S3Store(Store):
    """A lake in a bucket.

    Args:
        bucket: where its objects lie.
        prefixes: of layers that do not lie under their own names.
    """

    def __init__(self, bucket: Bucket, prefixes: Mapping[str, str]) -> None:
        self.bucket = bucket
        self._prefixes = prefixes
        self._shared = f"{prefixes.get('bronze', 'bronze')}/_scratch/"

    def current(self, key: str) -> str | None:
        """The version of the current manifest."""
        manifest = self._pointer(key)
        if manifest and _VERSION not in manifest.metadata:
            raise LakeError(
                f"{self.bucket.uri(manifest.key)} does not say its version: a lake cannot be copied; move it away."
            )
        return manifest.metadata[_VERSION] if manifest else None

    @contextmanager
    def publishing(self, tables: Sequence[Table]) -> Iterator[Point]:
        """Remember which manifests are there, so that none but these is replaced."""
        seen = {table.key: self._pointer(table.key) for table in tables}

        def point(table: Table, version: str) -> None:
            manifest = self.bucket.get(self._key(table.key, version, _MANIFEST))
            before = seen[table.key]
            try:
                self.bucket.put(
                    self._manifest(table.key), manifest, {_VERSION: version}, replacing=before.etag if before else None
                )
            except ObjectChangedError as error:
                # It may be our own: put there by a request whose answer was lost, and which was then sent again.
                if self.current(table.key) != version:
                    raise VersionConflictError(
                        f"{table.key} version {version} was not published: another run published it meanwhile."
                    ) from error

        yield point

    def claim(self, tables: Sequence[Table]) -> str:
        """Put an object of the next number for the last table, unless somebody else did."""
        mine = uuid4().hex.encode()
        for _ in range(_TRIES):
            claims = self.bucket.list(self._claim(tables[-1].key, ""))
            claimed = [found.key.rpartition("/")[2] for found in claims]
            numbers = [int(name.split(".")[0]) for name in claimed if is_ours(name)]
            numbers += [int(name.split(".")[0]) for table in tables for name in self.names(table)]
            version = f"{max(numbers, default=0) + 1:06}"
            claim = self._claim(tables[-1].key, version)
            try:
                self.bucket.put(claim, mine, replacing=None)
            except ObjectChangedError:
                # Ours, if the answer to our own request was lost; none, if S3 could not decide between two at once.
                if not self._find(claim) or self.bucket.get(claim) != mine:
                    continue
            return version
        raise VersionConflictError(f"{tables[-1].key}: {_TRIES} version numbers were all taken by other runs.")

    def names(self, table: Table) -> dict[str, float]:
        """First parts of all keys below the table's versions, each with the last change of what lies there."""
        prefix, names = self._key(table.key, ""), dict[str, float]()
        for found in self.bucket.list(prefix):
            name = found.key.removeprefix(prefix).split("/")[0]
            if is_ours(name):
                names[name] = max(found.modified_at.timestamp(), names.get(name, 0))
        return names

    def paths(self, table: Table, version: str) -> list[str]:
        """The lines of the version's manifest."""
        try:
            return self.bucket.get(self._key(table.key, version, _MANIFEST)).decode().splitlines()
        except ObjectMissingError:
            return []

    def dataset(self, table: Table, version: str) -> "FileSystemDataset":
        """The files of the version's manifest."""
        from pyarrow.dataset import dataset

        paths = [path.removeprefix("s3://") for path in self.paths(table, version)]
        return dataset(paths, schema=table.arrow_schema, filesystem=self.bucket.filesystem(), format="parquet")

    def read_sidecar(self, table: Table, name: str) -> bytes:
        """The bytes of the object."""
        return self.bucket.get(self._key(table.key, name))

    def write_sidecar(self, table: Table, name: str, content: bytes) -> None:
        """One PUT."""
        self.bucket.put(self._key(table.key, name), content)

    def publish_artifact(self, table: Table, version: str, name: str) -> None:
        """Put a copy, unless somebody published since: then theirs is shown."""
        key, sidecar = self._beside(table, name), self.read_sidecar(table, f"{version}.{name}")
        before = self._find(key)
        if self.current(table.key) == version:
            with suppress(ObjectChangedError):
                self.bucket.put(key, sidecar, {_VERSION: version}, replacing=before.etag if before else None)

    def artifact_version(self, table: Table, name: str) -> str | None:
        """The version that the copy was made of."""
        copy = self._find(self._beside(table, name))
        return copy.metadata.get(_VERSION) if copy else None

    def remove(self, table: Table, versions: Iterable[str]) -> None:
        """Remove sidecars and manifests first, then the files that no other manifest names."""
        gone, prefix = set(versions), self._key(table.key, "")
        keys = {found.key: found.key.removeprefix(prefix) for found in self.bucket.list(prefix)}
        manifests = {name.split("/")[0] for name in keys.values() if name.endswith(f"/{_MANIFEST}")}
        kept = {path for version in manifests - gone for path in self.paths(table, version)}
        old = [key for key, name in keys.items() if name.split("/")[0].split(".")[0] in gone]
        files = [key for key in old if key.endswith(".parquet")]
        self.bucket.delete([key for key in old if key not in files] + [self._claim(table.key, v) for v in gone])
        self.bucket.delete(key for key in files if self.bucket.uri(key) not in kept)

    def location(self, table: Table, name: str | None = None) -> str:
        """A URI."""
        return self.bucket.uri(self._manifest(table.key) if name is None else self._key(table.key, name))

    def scratch(self, name: str) -> Path:
        """A folder of this machine that nobody else can read."""
        return Path(tempfile.mkdtemp(prefix="fitness-assets-")) / name

    def target(self, table: Table, version: str, scratch: Path) -> str:
        """The folder of the version itself: nobody reads there before there is a manifest."""
        return self.bucket.uri(self._key(table.key, version))

    def share(self, scratch: Path, path: Path) -> str:
        """Upload the file."""
        key = f"{self._shared}{scratch.name}/{path.relative_to(scratch)}"
        self.bucket.upload(path, key)
        return self.bucket.uri(key)

    def finish(
        self, table: Table, version: str, target: str | None, parent: str | None, rows: pa.Table | None = None
    ) -> int:
        """Write the manifest of the version."""
        folder = self._key(table.key, version, "")
        written = [found for found in self.bucket.list(folder) if found.key.endswith(".parquet")] if target else []
        files = self.paths(table, parent) if parent else []
        if rows or not (files or written):  # a table without rows is a table all the same
            key = f"{folder}part-{uuid4().hex}.parquet"
            self.bucket.put(key, as_parquet(rows or table.arrow_schema.empty_table()))
            written.append(self.bucket.head(key))
        files += [self.bucket.uri(found.key) for found in written]
        self.bucket.put(f"{folder}{_MANIFEST}", "".join(f"{uri}\n" for uri in files).encode())
        return sum(found.size_bytes for found in written)

    def discard(self, scratch: Path) -> None:
        """Remove the folder and what was uploaded from it."""
        shutil.rmtree(scratch.parent, ignore_errors=True)
        self.bucket.delete([found.key for found in self.bucket.list(f"{self._shared}{scratch.name}/")])

    def discard_older(self, then: float) -> list[str]:
        """Remove what killed runs uploaded; their folders here are the business of whoever cleans this machine."""
        old = [found.key for found in self.bucket.list(self._shared) if found.modified_at.timestamp() < then]
        self.bucket.delete(old)
        return sorted({key.removeprefix(self._shared).split("/")[0] for key in old})

    def _table(self, key: str) -> str:
        layer, name = key.split("/")
        return f"{self._prefixes.get(layer, layer)}/{name}"

    def _key(self, key: str, *names: str) -> str:
        return "/".join([self._table(key), "_versions", *names])

    def _manifest(self, key: str) -> str:
        return f"{self._table(key)}/_symlink_format_manifest/manifest"

    def _claim(self, key: str, version: str) -> str:
        return f"{self._table(key)}/_claims/{version}"

    def _beside(self, table: Table, name: str) -> str:
        return f"{self._table(table.key).rpartition('/')[0]}/{name}"

    def _pointer(self, key: str) -> Object | None:
        return self._find(self._manifest(key))

    def _find(self, key: str) -> Object | None:
        try:
            return self.bucket.head(key)
        except ObjectMissingError:
            return None
