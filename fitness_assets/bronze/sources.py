"""Where uploads are: in a folder of this machine, or below a prefix of a bucket; and which of them are new.

Here belongs finding uploads, telling by their content which ones they are, and providing one of them as a local file;
not what is in them (``readers/``). A file name or a key is only a label: no path on this machine is made from a key.
"""

import hashlib
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from fitness_assets.aws.s3 import Bucket, Object, ObjectMissingError
from fitness_assets.bronze.readers.csv import require_name
from fitness_assets.bronze.readers.header import RefusedError

_UNFINISHED = re.compile(
    r"^[._~]|\.(tmp|temp|part|partial|filepart|crdownload|download|opdownload|aria2|swp|swx|bak~)$|~$", re.IGNORECASE
)
_HASH_AGAIN_SECONDS = 30 * 86_400
"""A file on disk is hashed again after so long, whatever the file system says of it."""
_CLOCK_TICK_SECONDS = 2.0
"""Two changes within this time may get the same time of change: a hash of that moment proves nothing later."""
_S3 = re.compile(r"s3://([^/]+)(?:/(.*?))?/*\Z", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """One file or object that may be an upload.

    Attributes:
        uri: its path or S3 URI.
        size_bytes: its size.
        modified_at: when it was last modified, UTC; whoever writes a file can set this.
        fingerprint: text that changes whenever its bytes do: the ETag of an object; size, times and inode of a file.
        changed_at: when the file system last changed anything of a file, in seconds since 1970; None if the fingerprint
            alone proves the content.
    """

    uri: str
    size_bytes: int
    modified_at: datetime
    fingerprint: str
    changed_at: float | None = None

    @property
    def text(self) -> str:
        """The URI as any table and log can hold it; a file's name may be bytes that are no UTF-8."""
        return self.uri.encode(errors="surrogateescape").decode(errors="backslashreplace")


class Source(ABC):
    """Where uploads lie."""

    @abstractmethod
    def find(self) -> list[Found]:
        """All uploads at any depth, in the order of their names; hidden and unfinished ones left out.

        Raises:
            OSError: if nobody can look there; the message is one sentence for a person.
        """

    @abstractmethod
    def stat(self, uri: str) -> Found | None:
        """The upload of that name as it is now; None if it is gone."""

    @abstractmethod
    def content_sha256(self, found: Found) -> str:
        """SHA-256 of the bytes of an upload, in hexadecimal digits."""

    @abstractmethod
    def local_copy(self, found: Found, scratch: Path) -> AbstractContextManager[Path]:
        """The upload as a file of this machine.

        Args:
            found: which.
            scratch: a folder for a copy, if one is needed; removed again afterwards.
        """


@dataclass(frozen=True)
class Upload:
    """One upload that no other one of its run equals.

    Attributes:
        source: where it is.
        found: as it was found there.
        content_sha256: SHA-256 of its bytes, in hexadecimal digits.
        upload_id: the name under which rows refer to their upload.
    """

    source: Source
    found: Found
    content_sha256: str
    upload_id: str

    def is_unchanged(self) -> bool:
        """Whether it is still the one that was hashed, and not one that is being copied in right now."""
        return self.source.stat(self.found.uri) == self.found


@dataclass
class Hashes:
    """Content hashes by URI, so that files that did not change are not read again.

    Attributes:
        entries: by URI (as text): fingerprint, SHA-256, and when it was computed, in seconds since 1970.
    """

    entries: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    _started: frozenset[tuple[str, tuple[str, str, float]]] = frozenset()

    @classmethod
    def of(cls, ledger: Sequence[Mapping[str, Any]], kept: str | bytes = "{}") -> "Hashes":
        """What the ledger says, oldest row first, and what earlier runs found beside it."""
        rows = {
            row["uri"]: (row["fingerprint"], row["content_sha256"], row["ingested_at"].timestamp()) for row in ledger
        }
        entries = rows | {uri: (entry[0], entry[1], entry[2]) for uri, entry in json.loads(kept).items()}
        return cls(entries, frozenset(entries.items()))

    @property
    def have_changed(self) -> bool:
        """Whether there is something to keep for the next run."""
        return frozenset(self.entries.items()) != self._started

    def to_json(self) -> str:
        """The entries as text, for a sidecar."""
        return json.dumps(self.entries)

    def content_sha256(self, source: Source, found: Found) -> str:
        """The hash of an upload, computed if nothing proves the known one."""
        entry, now = self.entries.get(found.text), time.time()
        if entry and entry[0] == found.fingerprint:
            if found.changed_at is None:
                return entry[1]
            is_sure = found.changed_at + _CLOCK_TICK_SECONDS < entry[2]
            if is_sure and now - entry[2] < _HASH_AGAIN_SECONDS:
                return entry[1]
        content_sha256 = source.content_sha256(found)
        self.entries[found.text] = (found.fingerprint, content_sha256, now)
        return content_sha256


def source_of(text: str, must_exist: bool = False) -> Source:
    """The source that a path or an ``s3://bucket/prefix`` names.

    Args:
        text: the name.
        must_exist: whether a prefix without any upload is an error, as a missing folder always is.
    """
    s3 = _S3.match(text)
    return Prefix(Bucket(s3[1]), s3[2] or "", must_exist) if s3 else Folder(Path(text))


def identify(
    sources: Sequence[Source],
    ledger: Sequence[Mapping[str, Any]] = (),
    hashes: Hashes | None = None,
    unread: dict[str, str] | None = None,
) -> list[Upload]:
    """The uploads of some sources in the order of ingestion (last modified, then name), each `upload_id` once.

    The content identifies an upload: the same bytes under a second name are no second upload. Under a name whose last
    upload had other bytes they are a new one, even if they are known: who puts an earlier file back wants it to count.

    Args:
        sources: where to look.
        ledger: rows of ``bronze/uploads``, oldest first.
        hashes: known content hashes; learns those that are computed.
        unread: gets the URIs (as text) of those that cannot be read, each with the reason; None: the first one raises.
    """
    hashes = hashes or Hashes.of(ledger)
    last = {row["uri"]: row for row in ledger}
    known = {row["upload_id"] for row in ledger}
    uploads: dict[str, Upload] = {}
    everything = ((source, found) for source in sources for found in source.find())
    for source, found in sorted(everything, key=lambda item: (item[1].modified_at, item[1].uri)):
        try:
            content_sha256 = hashes.content_sha256(source, found)
        except OSError as error:
            if unread is None:
                raise
            unread[found.text] = str(error)
            continue
        upload_id = upload_id_of(found, content_sha256, last.get(found.text), known)
        uploads.setdefault(upload_id, Upload(source, found, content_sha256, upload_id))
    return list(uploads.values())


def upload_id_of(found: Found, content_sha256: str, last: Mapping[str, Any] | None, known: Collection[str]) -> str:
    """The id of an upload: the first digits of its content hash, with two exceptions.

    Where the name is refused, it counts too: the same content may come, or be there already, under a better one. Where
    known bytes were put back under a name that had other bytes since, the upload before counts too.

    Args:
        found: the upload.
        content_sha256: the hash of its bytes.
        last: the last row of the ledger for its URI, if any.
        known: every upload id of the ledger.
    """
    if last and last["content_sha256"] == content_sha256:
        return last["upload_id"]
    try:
        require_name(found.uri)
        upload_id = content_sha256[:16]
    except RefusedError:
        upload_id = _digest(f"{content_sha256} {found.text}")
    if last and upload_id in known:
        return _digest(f"{content_sha256} {found.text} after {last['upload_id']}")
    return upload_id


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Folder(Source):
    """A folder of this machine, or one file.

    Attributes:
        path: where it is.
    """

    path: Path

    def find(self) -> list[Found]:
        """The files of the folder, or the one file.

        Raises:
            FileNotFoundError: if there is no such file or folder.
        """
        if self.path.is_file():
            return [_file(self.path)]
        if not self.path.is_dir():
            raise FileNotFoundError(
                f"There is no file or folder {self.path}: put CSV files there, or set FITNESS_RAW_PATH."
            )
        paths = sorted(path for path in self.path.rglob("*") if path.is_file())
        there = (self.stat(str(path)) for path in paths if _is_finished(path.relative_to(self.path).parts))
        return [found for found in there if found]  # one may be gone by now

    def stat(self, uri: str) -> Found | None:
        """The file as it is now."""
        try:
            return _file(Path(uri))
        except FileNotFoundError:
            return None

    def content_sha256(self, found: Found) -> str:
        """Read the file."""
        with Path(found.uri).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextmanager
    def local_copy(self, found: Found, scratch: Path) -> Iterator[Path]:
        """The file itself."""
        yield Path(found.uri)


@dataclass(frozen=True)
class Prefix(Source):
    """The objects below a prefix, and the one that is named like it.

    Attributes:
        bucket: where they lie.
        prefix: without slashes at its end; empty for the whole bucket.
        must_exist: whether it is an error if nothing lies there.
    """

    bucket: Bucket
    prefix: str
    must_exist: bool = False

    def find(self) -> list[Found]:
        """The objects below the prefix, and the one that is named like it; markers of folders are none.

        Raises:
            FileNotFoundError: if nothing lies there, but must.
        """
        below = f"{self.prefix}/" if self.prefix else ""
        objects = [
            found
            for found in self.bucket.list(below)
            if not found.key.endswith("/") and _is_finished(found.key.removeprefix(below).split("/"))
        ]
        # What a run names may be an object with others below; where all uploads lie, there may be no right to ask.
        if (self.must_exist or not objects) and (one := self._head(self.prefix)):
            objects.insert(0, one)
        if not objects and self.must_exist:
            raise FileNotFoundError(f"There is no object {self.bucket.uri(self.prefix)}, and none below it.")
        return [self._found(found) for found in objects]

    def stat(self, uri: str) -> Found | None:
        """The object as it is now."""
        one = self._head(self.bucket.key(uri))
        return self._found(one) if one else None

    def content_sha256(self, found: Found) -> str:
        """Stream the object."""
        digest = _Digest()
        self.bucket.download(self.bucket.key(found.uri), cast(BinaryIO, digest))
        return digest.sha256.hexdigest()

    @contextmanager
    def local_copy(self, found: Found, scratch: Path) -> Iterator[Path]:
        """A copy of the object."""
        scratch.mkdir(parents=True, exist_ok=True)
        copy = scratch / "upload"
        try:
            with copy.open("wb") as file:
                self.bucket.download(self.bucket.key(found.uri), file)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def _head(self, key: str) -> Object | None:
        try:
            return self.bucket.head(key) if key else None
        except ObjectMissingError:
            return None

    def _found(self, found: Object) -> Found:
        return Found(self.bucket.uri(found.key), found.size_bytes, found.modified_at, found.etag)


class _Digest:
    """Takes bytes as a file does, and keeps only what they add up to."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)


def _file(path: Path) -> Found:
    """A file as the file system describes it; the time of change is not for whoever writes the file to set."""
    stat = path.stat()
    modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
    fingerprint = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
    return Found(str(path), stat.st_size, modified_at, fingerprint, stat.st_ctime)


def _is_finished(names: Sequence[str]) -> bool:
    return not any(map(_UNFINISHED.search, names))
