"""Uploads as files: telling their dialect, and cutting them into rows of text.

Here belongs what has to be known of a file before Spark can read its rows: encoding, delimiter, header. Not here:
where uploads lie (``places.py``) and what a cell means (``transforms.py``). A file is streamed, never held in memory
as a whole.
"""

import codecs
import csv as text_csv
import gzip
import re
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
from pyarrow import compute, csv

from fitness_assets.bronze.tables import RAW_COLUMNS

_DELIMITERS = ",;\t"
_KNOWN_NAMES = {column.name for column in RAW_COLUMNS}
_REQUIRED_NAMES = [column.name for column in RAW_COLUMNS if not column.nullable]
_CHUNK = 1 << 20
LONGEST_ROW = 2 * _CHUNK  # characters; a line is shorter, for no chunk is without a line end
_BLOCK = 4 << 20  # bytes or characters of a batch
_BATCH = 50_000  # rows
_QUOTED_LINES = 1_000  # a quoted field over more lines than this, or in a longer row, is taken for a stray quote
_COLUMNS = 500  # Spark takes seconds for as many, and minutes for thousands
_SHOWN = 200  # characters of names in a refusal
_NOT_CSV = "the file is not CSV text: it has null bytes or no line ends"


class RefusedError(Exception):
    """The upload as a whole cannot be taken in; the message says why in one sentence."""


class IrregularError(Exception):
    """The file cannot be cut into cells line by line; `read_rows` can read it."""


@dataclass(frozen=True)
class Layout:
    """How the rows of an upload are to be read: delimiter and column names in file order, normalised."""

    delimiter: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Dialect:
    """What has to be known of a file to read it.

    Attributes:
        encoding: a Python codec.
        layout: delimiter and names.
        header_line: the line on which the header stands; the first line is 1.
        rows_above: rows down to the header, itself included.
        has_quotes: whether a double quote occurs anywhere.
    """

    encoding: str
    layout: Layout
    header_line: int
    rows_above: int
    has_quotes: bool


def require_name(name: str) -> None:
    """Make sure that a name is that of an upload.

    Raises:
        RefusedError: if it has another ending.
    """
    if not re.search(r"\.csv(\.gz)?\Z", name, re.IGNORECASE):
        raise RefusedError("the name ends neither in .csv nor in .csv.gz")


def tell_dialect(path: Path) -> Dialect:
    """Tell how an upload is to be read, from all of its bytes and its first rows.

    Args:
        path: CSV text, plain or gzipped.

    Raises:
        RefusedError: if the file as a whole is no upload.
    """
    encoding, has_quotes = _encoding(path)
    head = list(islice(_rows(path, encoding, _DELIMITERS), 2))
    layout, rows_above = _layout([text for _, text in head])
    return Dialect(encoding, layout, head[rows_above - 1][0], rows_above, has_quotes)


def read_rows(path: Path, dialect: Dialect) -> Iterator[pa.RecordBatch]:
    """Stream the rows below the header, ``text`` with the ``line_number`` it starts on; blank lines are no rows."""
    numbers, texts, size = [], [], 0
    for number, text in islice(_rows(path, dialect.encoding, dialect.layout.delimiter), dialect.rows_above, None):
        numbers.append(number)
        texts.append(text)
        size += len(text)
        if len(texts) == _BATCH or size > _BLOCK:
            yield pa.record_batch({"line_number": numbers, "text": texts})
            numbers, texts, size = [], [], 0
    if texts:
        yield pa.record_batch({"line_number": numbers, "text": texts})


def read_cells(path: Path, dialect: Dialect) -> Iterator[pa.RecordBatch]:
    """Stream the cells below the header, a text column ``c0``, ``c1``, … for each name; ten times as fast as rows.

    Only for files in which every line is a row with as many cells as the header, and no cell is quoted.

    Raises:
        IrregularError: if the file is not one of these, at any time before its end.
    """
    if dialect.has_quotes or dialect.encoding != "utf-8-sig":
        raise IrregularError
    columns = [f"c{position}" for position in range(len(dialect.layout.names))]
    try:
        with _open(path) as file:
            for batch in csv.open_csv(
                file,
                csv.ReadOptions(column_names=columns, skip_rows=dialect.header_line, block_size=_BLOCK),
                csv.ParseOptions(delimiter=dialect.layout.delimiter, quote_char=False, ignore_empty_lines=False),
                csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False),
            ):
                if compute.call_function("utf8_trim_whitespace", [batch.column(0)]).index("").as_py() >= 0:
                    raise IrregularError  # a blank line looks like this (one of tabs, too), and it is no row
                yield batch
    except pa.ArrowInvalid as error:
        raise IrregularError from error


def open_quote(delimiters: str) -> str:
    """A pattern, for Python and Java alike, for text that ends inside a quoted field; only at its start one opens.

    The closing quote of a field that ends in a delimiter looks like one that opens, so a match means something only
    where it is found without the ``closed_field`` as well.
    """
    return rf'(?:^|[{delimiters}])[{_blanks(delimiters)}]*"[^"]*+(?:""[^"]*+)*+\Z'


def closed_field(delimiters: str) -> str:
    """A pattern, for Python and Java alike, for a quoted field that ends; group 1 is what stands before it."""
    blanks = _blanks(delimiters)
    return rf'(^|[{delimiters}])[{blanks}]*"[^"]*+(?:""[^"]*+)*+"(?![{blanks}]*+[^{delimiters}])'


def _blanks(delimiters: str) -> str:
    # A tab that is a delimiter is no blank as well: every tab of a row would be tried with all the tabs after it.
    return " " if "\t" in delimiters else r" \t"


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip else path.open("rb")


def _encoding(path: Path) -> tuple[str, bool]:
    """Read the whole file once to tell its encoding, that it is text at all, and whether it has a double quote."""
    utf8, is_utf8, has_quotes = codecs.getincrementaldecoder("utf-8")(), True, False
    with _open(path) as file, _plain_gzip_errors():
        chunk = file.read(_CHUNK)
        if not chunk.strip():
            raise RefusedError("the file is empty")
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return _checked(path, "utf-16"), True
        if chunk[:4].count(0) == 2:  # two ASCII characters, as a header starts, in UTF-16 without a mark
            return _checked(path, "utf-16-be" if chunk[0] == 0 else "utf-16-le"), True
        while chunk:
            if b"\0" in chunk or (len(chunk) == _CHUNK and not re.search(rb"[\r\n]", chunk)):
                raise RefusedError(_NOT_CSV)
            has_quotes = has_quotes or b'"' in chunk
            if is_utf8:
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
            chunk = file.read(_CHUNK)
    # A file cut inside its last character is not whole UTF-8, and the older encoding has a character for any byte.
    if is_utf8 and not utf8.getstate()[0]:
        return "utf-8-sig", has_quotes
    return _checked(path, "cp1252"), has_quotes


@contextmanager
def _plain_gzip_errors() -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise RefusedError("the file is gzip, but damaged or cut off") from None


def _checked(path: Path, encoding: str) -> str:
    """Decode all of the file, so that a row further down cannot fail later."""
    decoder = codecs.getincrementaldecoder(encoding)()
    with _open(path) as file, _plain_gzip_errors():
        try:
            while chunk := file.read(_CHUNK):
                text = decoder.decode(chunk)
                if len(chunk) == _CHUNK and not re.search(r"[\r\n]", text):
                    raise RefusedError(_NOT_CSV)
            decoder.decode(b"", final=True)
        except UnicodeError:
            raise RefusedError("the file is not text in UTF-8, UTF-16 or Windows-1252") from None
    return encoding


def _rows(path: Path, encoding: str, delimiters: str) -> Iterator[tuple[int, str]]:
    """Cut a file into rows of text with the line on which each starts; a quoted field may span lines."""
    still_open, closed = re.compile(open_quote(delimiters)), re.compile(closed_field(delimiters))

    def is_open(text: str) -> bool:
        return bool(still_open.search(text) and still_open.search(closed.sub(r"\1", text)))

    # newline="" keeps line breaks inside quoted fields as they were; every kind of line end still ends a line.
    with TextIOWrapper(_open(path), encoding=encoding, newline="") as file:
        lines = enumerate(file, start=1)
        pending: deque[tuple[int, str]] = deque()
        while True:
            number, line = pending.popleft() if pending else next(lines, (0, ""))
            if not line:
                return
            if line.count('"') % 2 and is_open(line.rstrip("\r\n")):
                rest = _closing_lines(pending, lines, LONGEST_ROW - len(line))
                line += "".join(text for _, text in rest)
            if line.strip():
                yield number, line.rstrip("\r\n")


def _closing_lines(
    pending: deque[tuple[int, str]], lines: Iterator[tuple[int, str]], room: int
) -> list[tuple[int, str]]:
    """The lines up to the one that closes a quoted field; none, and nothing consumed, if no line nearby does."""
    taken: list[tuple[int, str]] = []
    while len(taken) < _QUOTED_LINES and (following := pending.popleft() if pending else next(lines, None)):
        taken.append(following)
        room -= len(following[1])
        if room < 0:
            break
        if following[1].count('"') % 2:
            return taken
    pending.extendleft(reversed(taken))
    return []


def _normalised(cell: str) -> str:
    name = cell.strip()
    return name.lower() if name.lower() in _KNOWN_NAMES else name


def _shown(names: Sequence[str]) -> str:
    """Names from outside as part of a sentence: on one line, whatever characters they have, and not too long."""
    text = "".join(character if character.isprintable() else "?" for character in ", ".join(names))
    return f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text


def _layout(head: Sequence[str]) -> tuple[Layout, int]:
    """The layout from the first rows, and how many of them stand above the data (a table name may be one)."""
    best: tuple[int, Layout, int] | None = None
    for above, text in enumerate(head, start=1):
        for delimiter in _DELIMITERS:
            try:
                cells = next(text_csv.reader([text], delimiter=delimiter))
            except text_csv.Error:
                continue
            names = tuple(_normalised(cell) or f"column_{n}" for n, cell in enumerate(cells, start=1))
            known = len(_KNOWN_NAMES.intersection(names))
            if known and (best is None or known > best[0]):
                best = known, Layout(delimiter, names), above
    if best is None:
        raise RefusedError(f"no header was found: neither of the first two rows names {', '.join(_REQUIRED_NAMES)}")
    _, layout, above = best
    if len(layout.names) > _COLUMNS:
        raise RefusedError(f"the header has {len(layout.names):,} columns, and no more than {_COLUMNS} can be read")
    repeated = [name for name, times in Counter(map(str.lower, layout.names)).items() if times > 1]
    if repeated:
        raise RefusedError(f"the header names a column twice: {_shown(repeated)}")
    missing = [name for name in _REQUIRED_NAMES if name not in layout.names]
    if missing:
        raise RefusedError(f"the header lacks the required column {', '.join(missing)}")
    return layout, above
