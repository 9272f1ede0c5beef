"""Finds uploads in a folder of this machine, or below a prefix of a bucket.

This module finds uploads and provides each as a local file; ``identity.py`` identifies them, and ``readers/`` reads
them. A file name or a key is only a label: no path on this machine is made from a key.
"""

import hashlib
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from fitness_assets.aws.s3 import Bucket, Object, ObjectMissingError
from fitness_assets.bronze.readers.cells import trimmed

_UNFINISHED = re.compile(
    r"^[._~]|\.(tmp|temp|part|partial|filepart|crdownload|download|opdownload|aria2|swp|swx|bak~)$|~$", re.IGNORECASE
)
_PEOPLE, _PROFILE = "people", "profile.toml"
_VERSIONS = "_versions"  # the folder of a lake for its files
GOALS = "goals"
"""The folder of a source that holds goals; they are for the coach, and no uploads of logged days."""
_S3 = re.compile(r"s3://([^/]+)(?:/(.*?))?/*\Z", re.DOTALL)


@dataclass(frozen=True)
class Found:
    """One file or object that may be an upload.

    Attributes:
        uri: its path or S3 URI.
        size_bytes: its size.
        modified_at: when it was last modified, UTC; the writer of a file can set this.
        fingerprint: text that changes whenever its bytes do: the ETag of an object; size, times and inode of a file.
        changed_at: when the file system last changed anything of a file, in seconds since 1970; None if the fingerprint
            alone proves the content.
        person: whose it is, if it lies below ``people/<user_id>/``.
    """

    uri: str
    size_bytes: int
    modified_at: datetime
    fingerprint: str
    changed_at: float | None = None
    person: str | None = None

    @property
    def is_profile(self) -> bool:
        """Whether this is the profile of a person, and not an export."""
        return self.uri.rpartition("/")[2] == _PROFILE

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

    def ignored(self) -> tuple[list[Found], list[str]]:
        """What `find` leaves out, because its name is that of something hidden or unfinished: files, and folders.

        Files below such a folder are not listed, except those in the folder of a person.
        """
        files, folders = list[Found](), dict[str, None]()
        for found, names in self._below(_is_ignored):
            at = next((at for at, name in enumerate(names[:-1]) if _is_ignored([name])), None)
            if at is None or found.person:
                files.append(found)
            elif names[at] != _VERSIONS:
                folders["/".join(names[: at + 1])] = None
        return files, [*folders]

    @abstractmethod
    def _below(self, is_wanted: Callable[[Sequence[str]], bool]) -> Iterator[tuple[Found, Sequence[str]]]:
        """What lies below this place and has the wanted names (those of folders, and its own), in their order."""

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


def source_of(text: str, must_exist: bool = False, raw: str = "") -> Source:
    """The source that a path or an ``s3://bucket/prefix`` names.

    Folders above a source may have any name, so the folders below it say whose an upload is. Where a run names a place
    to read from, it is the folders below ``raw``, if the place lies there, else the whole path.

    Args:
        text: the name.
        must_exist: whether a run names it; then a prefix without any upload is an error, as a missing folder always is.
        raw: where uploads are looked for if no run names a place.
    """
    if s3 := _S3.match(text):
        bucket, prefix, top = s3[1], s3[2] or "", _S3.match(raw)
        is_part = top is not None and top[1] == bucket and f"{prefix}/".startswith(f"{top[2] or ''}/")
        named = (top[2] or "") if top and is_part else ""
        return Prefix(Bucket(bucket), prefix, must_exist, named if must_exist else None)
    path, top = Path(text), Path(raw).absolute()
    named = top if raw and path.absolute().is_relative_to(top) else Path(path.absolute().anchor)
    return Folder(path, named if must_exist else None)


@dataclass(frozen=True)
class Folder(Source):
    """A folder of this machine, or one file.

    Attributes:
        path: where it is.
        top: the folder, as an absolute path, below which ``people/<user_id>/`` says whose a file is; None: this one.
    """

    path: Path
    top: Path | None = None

    def find(self) -> list[Found]:
        """The files of the folder, or the one file.

        Raises:
            FileNotFoundError: if there is no such file or folder.
        """
        if self.path.is_file():
            return [self._found(self.path)]
        if not self.path.is_dir():
            raise FileNotFoundError(
                f"There is no file or folder {self.path}: put CSV files there, or set FITNESS_RAW_PATH."
            )
        return [found for found, _ in self._below(_is_upload)]

    def folders_of(self, is_theirs: Callable[[str | None], bool]) -> list[Path]:
        """The folders of some people below this one, the deepest first."""
        folders = (path for path in self.path.rglob("*") if path.is_dir() and not path.is_symlink())
        return sorted((path for path in folders if is_theirs(self._person(path / "file"))), reverse=True)

    def stat(self, uri: str) -> Found | None:
        """The file as it is now."""
        try:
            return self._found(Path(uri))
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

    def _found(self, path: Path) -> Found:
        """A file as the file system describes it; a writer cannot set the time of change."""
        stat = path.stat()
        modified_at = datetime.fromtimestamp(stat.st_mtime, UTC)
        fingerprint = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
        return Found(str(path), stat.st_size, modified_at, fingerprint, stat.st_ctime, self._person(path))

    def _person(self, path: Path) -> str | None:
        return _person(path.absolute().relative_to(self.top or self.path.absolute()).parts)

    def _below(self, is_wanted: Callable[[Sequence[str]], bool]) -> Iterator[tuple[Found, Sequence[str]]]:
        for path in sorted(path for path in self.path.rglob("*") if path.is_file() and not _is_published(path)):
            names = path.relative_to(self.path).parts
            if is_wanted(names) and (found := self.stat(str(path))):  # it may be gone by now
                yield found, names


@dataclass(frozen=True)
class Prefix(Source):
    """The objects below a prefix, and the one that is named like it.

    Attributes:
        bucket: where they lie.
        prefix: without slashes at its end; empty for the whole bucket.
        must_exist: whether it is an error if nothing lies there.
        top: the prefix below which ``people/<user_id>/`` says whose an object is; None: this one.
    """

    bucket: Bucket
    prefix: str
    must_exist: bool = False
    top: str | None = None

    def find(self) -> list[Found]:
        """The objects below the prefix, and the one that is named like it; markers of folders are none.

        Raises:
            FileNotFoundError: if nothing lies there, but must.
        """
        objects = [found for found, _ in self._below(_is_upload)]
        # What a run names may be an object with others below; where all uploads lie, there may be no right to ask.
        if (self.must_exist or not objects) and (one := self._head(self.prefix)):
            objects.insert(0, self._found(one))
        if not objects and self.must_exist:
            raise FileNotFoundError(f"There is no object {self.bucket.uri(self.prefix)}, and none below it.")
        return objects

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

    def _below(self, is_wanted: Callable[[Sequence[str]], bool]) -> Iterator[tuple[Found, Sequence[str]]]:
        below = f"{self.prefix}/" if self.prefix else ""
        for found in self.bucket.list(below):
            names = found.key.removeprefix(below).split("/")
            if is_wanted(names):
                yield self._found(found), names

    def _found(self, found: Object) -> Found:
        parts = found.key.removeprefix(self.prefix if self.top is None else self.top).split("/")
        return Found(self.bucket.uri(found.key), found.size_bytes, found.modified_at, found.etag, None, _person(parts))


class _Digest:
    """A file object that keeps only the hash of the bytes that are written to it."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return len(data)


def _is_published(path: Path) -> bool:
    """Whether this is a link to a file of a version of a lake, such as a report."""
    return path.is_symlink() and _VERSIONS in path.resolve().parts


def _person(parts: Sequence[str]) -> str | None:
    """The person whose folder contains the path; None if there is none."""
    for at in range(len(parts) - 3, -1, -1):
        if parts[at] == _PEOPLE:
            name = parts[at + 1].encode(errors="surrogateescape").decode(errors="backslashreplace")
            return unicodedata.normalize("NFC", trimmed(name)) or None
    return None


def _is_upload(names: Sequence[str]) -> bool:
    """Whether a file with this path below its source is an upload of logged days that is complete."""
    return not any(map(_UNFINISHED.search, names)) and not _is_goal(names) and bool(names[-1])


def _is_ignored(names: Sequence[str]) -> bool:
    """Whether a file with this path below its source is hidden or unfinished, or the marker of a folder."""
    return not _is_goal(names) and (not names[-1] or any(map(_UNFINISHED.search, names)))


def _is_goal(names: Sequence[str]) -> bool:
    return len(names) > 1 and names[0] == GOALS
