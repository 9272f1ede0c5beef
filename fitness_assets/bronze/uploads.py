"""Uploads as files: finding them, telling their dialect, and cutting them into rows of text.

Here belongs what has to be known of a file before Spark can read its rows: content hash, encoding, delimiter, header.
Not here: what a cell means (``transforms.py``). A file is streamed, never held in memory as a whole, and its name is
never more than a label.
"""

import codecs
import csv
import gzip
import hashlib
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, cast

from fitness_assets.bronze.tables import RAW_COLUMNS

_DELIMITERS = ",;\t"
_KNOWN_NAMES = {column.name for column in RAW_COLUMNS}
_REQUIRED_NAMES = [column.name for column in RAW_COLUMNS if not column.nullable]
_UNFINISHED = re.compile(r"^[._~]|\.(tmp|part|partial|crdownload|swp)$", re.IGNORECASE)
_CHUNK = 1 << 20
_QUOTED_LINES = 1_000  # a quoted field over more lines than this is taken for a stray quote
_OPEN_QUOTE = re.compile(rf'(?:^|[{_DELIMITERS}])\s*"(?:[^"]|"")*$')  # a quote opens a field only at its start


class RefusedError(Exception):
    """The upload as a whole cannot be taken in; the message says why in one sentence."""


@dataclass(frozen=True)
class Upload:
    """One file that was found.

    Attributes:
        path: where it lies.
        content_sha256: SHA-256 of its bytes, in hexadecimal digits.
        size_bytes: its size.
        modified_at: when it was last changed, UTC.
    """

    path: Path
    content_sha256: str
    size_bytes: int
    modified_at: datetime

    @property
    def upload_id(self) -> str:
        """The first digits of the content hash: the name under which rows refer to their upload."""
        return self.content_sha256[:16]

    @property
    def uri(self) -> str:
        """Its path as text."""
        return str(self.path)

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was hashed, and not one that is being copied in right now."""
        try:
            return _stamp(self.path) == (self.size_bytes, self.modified_at)
        except FileNotFoundError:
            return False


@dataclass(frozen=True)
class Layout:
    """How the rows of an upload are to be read: delimiter and column names in file order, normalised."""

    delimiter: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One row of text: its position below the header, the line on which it starts, and the text itself."""

    row_number: int
    line_number: int
    text: str


def find_uploads(place: Path) -> list[Path]:
    """The files of a folder at any depth, or the one file that ``place`` is; hidden and unfinished ones left out.

    Raises:
        FileNotFoundError: if there is no such file or folder.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise FileNotFoundError(f"There is no file or folder {place}: put CSV files there, or set FITNESS_RAW_PATH.")
    names = (path.relative_to(place).parts for path in place.rglob("*") if path.is_file())
    return sorted(place.joinpath(*parts) for parts in names if not any(map(_UNFINISHED.search, parts)))


def identify(paths: Sequence[Path]) -> list[Upload]:
    """The uploads behind some files in the order of ingestion (last changed, then name), each content once."""
    uploads: dict[str, Upload] = {}
    stamped = [(path, *_stamp(path)) for path in paths]
    for path, size, modified_at in sorted(stamped, key=lambda item: (item[2], str(item[0]))):
        with path.open("rb") as file:
            content_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        uploads.setdefault(content_sha256, Upload(path, content_sha256, size, modified_at))
    return list(uploads.values())


def read_rows(path: Path) -> tuple[Layout, Iterator[Row]]:
    """Tell the layout of an upload and stream its rows.

    Args:
        path: CSV text, plain or gzipped.

    Returns:
        The layout, and the rows below the header in order; blank lines are no rows.

    Raises:
        RefusedError: if the file as a whole is no upload; its bytes are all looked at before the first row.
    """
    if not re.search(r"\.csv(\.gz)?$", path.name, re.IGNORECASE):
        raise RefusedError("the name ends neither in .csv nor in .csv.gz")
    encoding = _encoding(path)
    rows = _rows(path, encoding)
    head = list(islice(rows, 2))
    layout, rows_above = _layout([text for _, text in head])
    below = chain(head[rows_above:], rows)
    return layout, (Row(number, line, text) for number, (line, text) in enumerate(below, start=1))


def _stamp(path: Path) -> tuple[int, datetime]:
    stat = path.stat()
    return stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _encoding(path: Path) -> str:
    """Read the whole file once to tell its encoding, and that it is text at all."""
    utf8, is_utf8 = codecs.getincrementaldecoder("utf-8")(), True
    with _open(path) as file:
        try:
            start = file.read(_CHUNK)
            if not start.strip():
                raise RefusedError("the file is empty")
            if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return _checked(path, "utf-16")
            if start[:4].count(0) == 2:  # two ASCII characters, as a header starts, in UTF-16 without a mark
                return _checked(path, "utf-16-be" if start[0] == 0 else "utf-16-le")
            chunk = start
            while chunk:
                if b"\0" in chunk or (len(chunk) == _CHUNK and not re.search(rb"[\r\n]", chunk)):
                    raise RefusedError("the file is not CSV text: it has null bytes or no line ends")
                if is_utf8:
                    try:
                        utf8.decode(chunk)
                    except UnicodeDecodeError:
                        is_utf8 = False
                chunk = file.read(_CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise RefusedError("the file is gzip, but damaged or cut off") from None
    # A file cut inside its last character is not whole UTF-8, and the older encoding has a character for any byte.
    if is_utf8 and not utf8.getstate()[0]:
        return "utf-8-sig"
    return _checked(path, "cp1252")


def _checked(path: Path, encoding: str) -> str:
    """Decode all of the file, so that a row further down cannot fail later."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with _open(path) as file:
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeError:
            raise RefusedError("the file is not text in UTF-8, UTF-16 or Windows-1252") from None
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise RefusedError("the file is gzip, but damaged or cut off") from None
    return encoding


def _rows(path: Path, encoding: str) -> Iterator[tuple[int, str]]:
    """Cut a file into rows of text with the line on which each starts; a quoted field may span lines."""
    # newline="" keeps line breaks inside quoted fields as they were; every kind of line end still ends a line.
    with TextIOWrapper(_open(path), encoding=encoding, newline="") as file:
        lines = enumerate(file, start=1)
        pending: deque[tuple[int, str]] = deque()
        while True:
            number, line = pending.popleft() if pending else next(lines, (0, ""))
            if not line:
                return
            if line.count('"') % 2 and _OPEN_QUOTE.search(line.rstrip("\r\n")):
                rest = _closing_lines(pending, lines)
                line += "".join(text for _, text in rest)
            if line.strip():
                yield number, line.rstrip("\r\n")


def _closing_lines(pending: deque[tuple[int, str]], lines: Iterator[tuple[int, str]]) -> list[tuple[int, str]]:
    """The lines up to the one that closes a quoted field; none, and nothing consumed, if no line nearby does."""
    taken: list[tuple[int, str]] = []
    while len(taken) < _QUOTED_LINES and (following := pending.popleft() if pending else next(lines, None)):
        taken.append(following)
        if following[1].count('"') % 2:
            return taken
    pending.extendleft(reversed(taken))
    return []


def _normalised(cell: str) -> str:
    name = cell.strip()
    return name.lower() if name.lower() in _KNOWN_NAMES else name


def _layout(head: Sequence[str]) -> tuple[Layout, int]:
    """The layout from the first rows, and how many of them stand above the data (a table name may be one)."""
    best: tuple[int, Layout, int] | None = None
    for above, text in enumerate(head, start=1):
        for delimiter in _DELIMITERS:
            try:
                cells = next(csv.reader([text], delimiter=delimiter))
            except csv.Error:
                continue
            names = tuple(_normalised(cell) or f"column_{n}" for n, cell in enumerate(cells, start=1))
            known = len(_KNOWN_NAMES.intersection(names))
            if known and (best is None or known > best[0]):
                best = known, Layout(delimiter, names), above
    if best is None:
        raise RefusedError(f"no header was found: neither of the first two rows names {', '.join(_REQUIRED_NAMES)}")
    _, layout, above = best
    repeated = [name for name, times in Counter(map(str.lower, layout.names)).items() if times > 1]
    if repeated:
        raise RefusedError(f"the header names a column twice: {', '.join(repeated)}")
    missing = [name for name in _REQUIRED_NAMES if name not in layout.names]
    if missing:
        raise RefusedError(f"the header lacks the required column {', '.join(missing)}")
    return layout, above
