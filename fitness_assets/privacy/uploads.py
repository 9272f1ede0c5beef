"""Rewrites uploads in ``raw/`` without the rows of a person, and deletes uploads after a time.

A rewritten upload has the same header and the same other rows, in the encoding that it had. It replaces the old one
atomically: a file by a rename, an object by one PUT.
"""

import codecs
import gzip
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import TextIOWrapper
from logging import Logger
from pathlib import Path
from typing import IO, Any, cast
from uuid import uuid4

import numpy as np
import pyarrow as pa

from fitness_assets.aws.s3 import Bucket
from fitness_assets.bronze.erasures import People
from fitness_assets.bronze.readers.csv import Dialect, read_rows, tell_dialect
from fitness_assets.bronze.readers.files import tell_encoding
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.kinds import has_records
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.sources import Folder, Found, Source
from fitness_assets.lake.version import LakeError

_DRAFT = ".erasing"  # ending of a rewritten file that is not in place yet; sources do not list hidden files


class LeftError(Exception):
    """A file is left as it is, and a person has to look; the message says why."""


@dataclass
class Rewritten:
    """An upload without the rows of a person.

    Attributes:
        found: the upload.
        old_sha256: of its bytes.
        draft: the file that takes its place; None where nothing but the person's rows is in it, so that it is deleted.
        new_sha256: of the draft; empty without one.
        removed: numbers of the rows that were removed; the first row below the header is 1.
        lines: for each row that stays: the line on which it started.
        new_lines: the line on which it starts in the draft.
    """

    found: Found
    old_sha256: str
    draft: Path | None
    new_sha256: str = ""
    removed: np.ndarray = field(default_factory=lambda: np.array([], np.int64))
    lines: np.ndarray = field(default_factory=lambda: np.array([], np.int64))
    new_lines: np.ndarray = field(default_factory=lambda: np.array([], np.int64))

    @property
    def size_bytes(self) -> int:
        """The size of the draft."""
        return self.draft.stat().st_size if self.draft else 0


Copy = Callable[[Rewritten, Path, People], tuple[bool, bool]]
"""Writes what is left of a file into its draft; returns whether anything is left, and whether anything was removed."""


def copy_upload(one: Rewritten, path: Path, people: People) -> tuple[bool, bool]:
    """What is left of an upload of logged days, or of another file beside such uploads.

    Nothing, if it lies in the folder of the person; all of it, if it is an archive, or a text in another folder.

    Raises:
        LeftError: if nobody can tell whether it has data of the people, or if it is not theirs and has an id of theirs.
    """
    found = one.found
    if people.have(found.person):
        return False, True
    if found.is_profile or not found.size_bytes:
        return True, False
    if has_records(path, cast(Path, one.draft).parent):
        if found.person is None:
            raise LeftError("it is data of a device and in nobody's folder")
        return True, False
    try:
        return _copy_rows(one, path, tell_dialect(path, found.text), people)
    except RefusedError:
        if found.person is None:
            return copy_lines(one, path, people)
    try:
        has_theirs = copy_lines(one, path, people)[1]
    except LeftError:  # no text: it is that person's own
        return True, False
    if has_theirs:
        raise LeftError("it is in the folder of another person and has the id in a cell")
    return True, False


@contextmanager
def rewritten(
    source: Source, people: People, scratch: Path, copy: Copy = copy_upload, left: list[str] | None = None
) -> Iterator[list[Rewritten]]:
    """Make drafts of the files that hold data of some people; in the end, remove drafts that were not put in place.

    Args:
        source: where the files are.
        people: whose rows or goals are removed.
        scratch: a folder for copies of objects.
        copy: copies what is left of a file.
        left: gets a line for each file or folder that is left as it is, and that a person has to look at.

    Raises:
        OSError: if an upload cannot be read or changes meanwhile.
    """
    made, left = list[Rewritten](), [] if left is None else left
    try:
        there = source.find()
    except FileNotFoundError:  # the folder was removed; tables may still have rows of theirs
        there = []
    ignored, folders = source.ignored()
    left += [f"{folder}/: it is hidden, so it was not looked into" for folder in folders]
    try:
        for found in (*there, *ignored):
            with source.local_copy(found, scratch) as path:
                draft = _draft_path(found, scratch)
                try:
                    made += [one] if (one := _without(found, path, draft, people, copy)) else []
                except LeftError as error:
                    draft.unlink(missing_ok=True)
                    left.append(f"{people.pseudonyms.shown(found)}: {error}")
            if source.stat(found.uri) != found:
                raise LakeError(f"{people.pseudonyms.shown(found)} changed while it was read: try again.")
        yield made
    finally:
        for one in made:
            if one.draft:
                one.draft.unlink(missing_ok=True)


def replace(one: Rewritten, source: Source) -> None:
    """Put a rewritten upload in place, or delete the upload if nothing is left of it.

    Raises:
        LakeError: if the upload changed since it was read.
    """
    if source.stat(one.found.uri) != one.found:
        name = one.found.text.rpartition("/")[2]  # its folder may be named by an id
        raise LakeError(f"{name} changed while a person was erased from it: try again.")
    if one.draft is None:
        delete(one.found.uri)
    elif bucket := _bucket(one.found.uri):
        bucket.upload(one.draft, bucket.key(one.found.uri))
    else:
        path = Path(one.found.uri)
        os.utime(one.draft, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))  # the order of ingestion stays
        shutil.copymode(path, one.draft)
        with one.draft.open("rb") as file:
            os.fsync(file.fileno())
        one.draft.replace(path)


def folders_of(source: Source, people: People) -> list[Path]:
    """The folders of some people, the deepest first; a bucket has none."""
    return source.folders_of(people.have) if isinstance(source, Folder) else []


def delete(uri: str) -> None:
    """Delete an upload."""
    if bucket := _bucket(uri):
        bucket.delete([bucket.key(uri)])
    else:
        Path(uri).unlink(missing_ok=True)


def remove_drafts(raw: str) -> None:
    """Remove the drafts that a killed process left beside uploads."""
    if not raw.startswith("s3://"):
        folder = Path(raw) if Path(raw).is_dir() else Path(raw).parent
        for draft in folder.rglob(f".*{_DRAFT}"):
            draft.unlink(missing_ok=True)


def delete_old(source: Source, ledger: Iterable[Mapping[str, Any]], days: int, now: datetime, log: Logger) -> None:
    """Delete uploads that bronze ingested so many days ago, if they are still those that it ingested.

    Args:
        source: where the uploads are.
        ledger: rows of ``bronze/uploads``.
        days: how long uploads stay.
        now: the current time, UTC.
        log: gets one line for each.
    """
    old = {
        row["uri"]: row["content_sha256"]
        for row in sorted(ledger, key=lambda row: row["ingested_at"])
        if row["status"] == "ingested"
    }
    ingested_at = {row["uri"]: row["ingested_at"] for row in ledger}
    for found in source.find():
        is_old = found.text in old and ingested_at[found.text] < now - timedelta(days=days)
        if is_old and source.content_sha256(found) == old[found.text]:
            delete(found.uri)
            log.info(f"{found.text} was deleted: it was ingested more than {days} days ago")


def _without(found: Found, path: Path, draft: Path, people: People, copy: Copy) -> Rewritten | None:
    """A file without the data of some people; None if it has none of theirs."""
    with path.open("rb") as file:
        one = Rewritten(found, hashlib.file_digest(file, "sha256").hexdigest(), draft)
    is_kept, is_changed = copy(one, path, people)
    if is_kept and is_changed:
        with draft.open("rb") as file:
            one.new_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return one
    draft.unlink(missing_ok=True)
    one.draft = None
    return one if is_changed else None


def _copy_rows(one: Rewritten, path: Path, dialect: Dialect, people: People) -> tuple[bool, bool]:
    """Write the rows that stay; returns whether there are any, and whether one was removed."""
    encoder = codecs.getincrementalencoder(dialect.encoding.name)()
    removed, lines, new_lines, row, line = list[np.ndarray](), list[np.ndarray](), list[np.ndarray](), 1, 1
    with _writing(cast(Path, one.draft), path) as file:
        header = dialect.header_text.rstrip("\r\n")
        file.write(encoder.encode(header))
        line += _line_ends(header) + 1
        ends_with_line_feed = True
        for rows in read_rows(path, dialect, NumberStyles(dialect.header.delimiter)):
            theirs = people.of_rows(rows)
            removed.append(np.flatnonzero(theirs) + row)
            row += len(rows)
            kept = rows.filter(pa.array(~theirs))
            texts = [text.rstrip("\r\n") for text in kept["text"].to_pylist()]
            heights = np.array([_line_ends(text) + 1 for text in texts], np.int64)
            lines.append(kept["line_number"].to_numpy())
            new_lines.append(line + np.cumsum(heights) - heights)
            line += int(heights.sum())
            file.write(encoder.encode("".join(f"\n{text}" for text in texts)))
            if len(rows):
                ends_with_line_feed = bool(theirs[-1]) or rows["text"][-1].as_py().endswith(("\r", "\n"))
        # A last row without a line end may be cut off; it has to look as it did.
        file.write(encoder.encode("\n" if ends_with_line_feed else "", final=True))
    one.removed, one.lines, one.new_lines = (
        np.concatenate(each) if each else np.array([], np.int64) for each in (removed, lines, new_lines)
    )
    return bool(len(one.lines)), bool(len(one.removed))


def _line_ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def copy_lines(one: Rewritten, path: Path, people: People) -> tuple[bool, bool]:
    """The lines that stay of a text that was refused.

    Raises:
        LeftError: if it is no text.
    """
    try:
        encoding = tell_encoding(path).name
    except RefusedError:
        raise LeftError("it is no text") from None
    kept = removed = 0
    options: dict[str, Any] = {"encoding": encoding, "errors": "surrogateescape", "newline": ""}
    with (
        _writing(cast(Path, one.draft), path) as packed,
        _reading(path) as unpacked,
        TextIOWrapper(unpacked, **options) as file,
        TextIOWrapper(packed, **options) as target,
    ):
        for text in file:
            theirs = people.are_in(text)
            removed += theirs
            kept += not theirs
            target.write("" if theirs else text)
    return bool(kept), bool(removed)


@contextmanager
def _writing(draft: Path, like: Path) -> Iterator[IO[bytes]]:
    """Open a draft for writing, compressed if the upload is; the same rows give the same bytes."""
    draft.parent.mkdir(parents=True, exist_ok=True)
    with draft.open("wb") as file:
        if not _is_gzip(like):
            yield file
            return
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            yield cast(IO[bytes], packed)


def _reading(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if _is_gzip(path) else path.open("rb")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _draft_path(found: Found, scratch: Path) -> Path:
    """A new name for a draft: beside the file, so that it can be renamed; in the scratch folder for an object."""
    folder = scratch if _bucket(found.uri) else Path(found.uri).parent
    return folder / f".{uuid4().hex}{_DRAFT}"


def _bucket(uri: str) -> Bucket | None:
    return Bucket(uri.removeprefix("s3://").partition("/")[0]) if uri.startswith("s3://") else None
