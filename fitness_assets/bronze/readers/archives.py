"""Opens archives from outside safely: lists their entries and reads them within limits.

No entry is unpacked under its own name: it is streamed, or copied to a scratch file. Names of entries may contain mail
addresses, so no message repeats them.
"""

import gzip
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EINVAL
from pathlib import Path
from typing import IO

from fitness_assets.bronze.readers.header import RefusedError

_CHUNK = 1 << 20
_MOST_ENTRIES = 200_000
_MOST_BYTES, _MOST_TIMES = 64 << 30, 200
"""Bytes of all entries, and how many times the size of the archive they may be once they exceed `_FREE_BYTES`."""
_FREE_BYTES = 256 << 20
_MOST_AT_ONCE = 256 << 20
"""Bytes of an entry that is read as a whole."""
_LONGEST_LINE = 1 << 20  # characters
_OUTSIDE = re.compile(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:")

ZIPS = (b"PK\x03\x04", b"PK\x05\x06")  # with entries, and without any
SQLITE, XML = b"SQLite format 3\0", b"<?xml"
_GZIP = b"\x1f\x8b"
DAMAGED = "the ZIP archive is damaged or cut off"


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    Attributes:
        name: its path inside the archive; a label, never a path of this machine.
        size: bytes, unpacked.
        index: its position.
    """

    name: str
    size: int
    index: int

    @property
    def base(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]


class Archive:
    """A ZIP archive, or one file that stands for an archive of one entry. It is open until its context ends.

    Args:
        path: the file.
        scratch: a folder for copies of entries.

    Raises:
        RefusedError: if it is damaged, encrypted, a TAR archive, or exceeds a limit.
    """

    def __init__(self, path: Path, scratch: Path) -> None:
        if _is_tar(path):
            raise RefusedError(
                "it is a TAR archive, which is not read: choose .zip at the vendor, or pack it again as ZIP"
            )
        self._path, self._scratch = path, scratch
        with path.open("rb") as file:
            self.is_zip = file.read(4) in ZIPS
        self._zip: zipfile.ZipFile | None = None
        self._infos: list[zipfile.ZipInfo] = []
        self.entries: Sequence[Entry] = [Entry(path.name, path.stat().st_size, 0)]
        if self.is_zip:
            with _plain_errors():
                self._zip = zipfile.ZipFile(path)
            try:
                self._infos = self._zip.infolist()
                self.entries = self._listed()
            except RefusedError:
                self._zip.close()
                raise

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip:
            self._zip.close()

    def _listed(self) -> list[Entry]:
        infos, packed = self._infos, self._path.stat().st_size
        if not infos:
            raise RefusedError("the ZIP archive is empty")
        if len(infos) > _MOST_ENTRIES:
            raise RefusedError(f"the ZIP archive has more than {_MOST_ENTRIES:,} entries")
        if any(_OUTSIDE.search(info.filename) for info in infos):
            raise RefusedError(
                "the ZIP archive has an entry whose name leads out of it: no vendor writes such archives"
            )
        if any(info.flag_bits & 1 for info in infos):
            raise RefusedError("the ZIP archive is encrypted: unpack it and pack it again without a password")
        if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
            raise RefusedError("the ZIP archive is packed in a way that is not read: pack it again as plain ZIP")
        if any(info.header_offset >= packed for info in infos):
            raise RefusedError(DAMAGED)
        total = sum(info.file_size for info in infos)
        if total > _MOST_BYTES or (total > _FREE_BYTES and total > _MOST_TIMES * packed):
            times = total // max(packed, 1)
            raise RefusedError(f"the ZIP archive expands to {total:,} bytes, {times:,} times its size: it is no export")
        return [
            Entry(info.filename, info.file_size, index)
            for index, info in enumerate(infos)
            if not info.is_dir() and not _is_link(info)
        ]

    @contextmanager
    def open(self, entry: Entry) -> Iterator[IO[bytes]]:
        """Stream an entry.

        Raises:
            RefusedError: if it is damaged.
        """
        if self._zip is None:
            with self._path.open("rb") as file:
                yield file
            return
        with _plain_errors():
            file = self._zip.open(self._infos[entry.index])  # by position: a name may occur twice
        with file:
            try:
                yield file
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise RefusedError(DAMAGED) from error

    def read(self, entry: Entry) -> bytes:
        """An entry as a whole.

        Raises:
            RefusedError: if it is damaged or too large for that.
        """
        if entry.size > _MOST_AT_ONCE:
            raise RefusedError(f"an entry of the archive has {entry.size:,} bytes, more than such files ever have")
        with self.open(entry) as file:
            return file.read()

    def head(self, entry: Entry, length: int = 1_024) -> bytes:
        """The first bytes of an entry."""
        with self.open(entry) as file:
            return file.read(length)

    @contextmanager
    def local(self, entry: Entry) -> Iterator[Path]:
        """An entry as a file of this machine, for readers that need one."""
        if not self.is_zip:
            yield self._path
            return
        self._scratch.mkdir(parents=True, exist_ok=True)
        copy = self._scratch / "entry"
        try:
            with self.open(entry) as source, copy.open("wb") as target:
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
            yield copy
        finally:
            copy.unlink(missing_ok=True)


def lines(text: IO[str]) -> Iterator[str]:
    """The lines of a text. A longer one than tables ever have comes in pieces, so that it does not fill the memory."""
    return iter(lambda: text.readline(_LONGEST_LINE), "")


def is_archive(path: Path) -> bool:
    """Whether a file is what archives of devices begin with: ZIP, SQLite or XML; or TAR, which is refused by name."""
    with path.open("rb") as file:
        head = file.read(64)
    is_xml = head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((XML, b"<HealthData"))
    return is_xml or head.startswith((*ZIPS, SQLITE)) or _is_tar(path)


def _is_tar(path: Path) -> bool:
    """Whether a file is a TAR archive, plain or packed by gzip."""
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
        file.seek(0)
        try:
            head = gzip.GzipFile(fileobj=file).read(512) if is_packed else file.read(512)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return False
    return head[257:262] == b"ustar"


def _is_link(info: zipfile.ZipInfo) -> bool:
    return (info.external_attr >> 16) & 0o170000 == 0o120000


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Say in one sentence what is wrong with the directory of an archive, or with the header of an entry."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, struct.error, NotImplementedError) as error:
        raise RefusedError(DAMAGED) from error
    except OSError as error:
        if error.errno not in (None, EINVAL):  # EINVAL: the directory names a place outside of the file
            raise
        raise RefusedError(DAMAGED) from error
