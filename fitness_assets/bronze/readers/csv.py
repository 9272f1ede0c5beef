"""Splits CSV uploads into rows of cells under the names of the raw contract.

pyarrow splits regular lines, a block at a time. Python's csv module splits other rows, one at a time (quoted delimiters
and line breaks, another number of cells). Both give the same cells. A row that cannot be split keeps its text and the
reason. This module drops no row and types no cell; the engine types them (``transforms.py``).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from os import cpu_count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from fitness_assets.bronze.readers.cells import BLANKS
from fitness_assets.bronze.readers.cleaning import clean, whole
from fitness_assets.bronze.readers.files import LONGEST_ROW, Encoding, blocks, tell_encoding
from fitness_assets.bronze.readers.header import REQUIRED_NAMES, Header, RefusedError, header_of
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.readers.quotes import Quotes, cells_or_none

VERSION = 1
_DELIMITERS = ",;\t"
_MOST_CELLS = 2_000  # a first line of more cells is no guide for the others
_THREADS = min(4, cpu_count() or 1)
_HEAD = 2 * LONGEST_ROW  # bytes in which the first two rows have to end

OPEN_QUOTE = "a quote is not closed, or text stands behind a closing quote"
CUT_OFF = "the row ends in the middle: the file is cut off there"


@dataclass(frozen=True)
class Dialect:
    """How the rows of a file are read.

    Attributes:
        encoding: how its bytes are text.
        header: delimiter and names.
        header_text: the header as it was found.
        header_line: the line on which the header starts; the first line is 1.
        lines_above: lines down to the end of the header.
    """

    encoding: Encoding
    header: Header
    header_text: str
    header_line: int
    lines_above: int

    @cached_property
    def quotes(self) -> "Quotes":
        """How quotes are recognised in rows of this file."""
        return Quotes(self.header.delimiter)

    @cached_property
    def last_required(self) -> int:
        """The position of the last required column."""
        return max(self.header.names.index(name) for name in REQUIRED_NAMES)


def require_name(name: str) -> None:
    """Make sure that a name is that of an upload.

    Raises:
        RefusedError: if it has another ending.
    """
    if not re.search(r"\.csv(\.gz)?\Z", name, re.IGNORECASE):
        raise RefusedError("the name ends neither in .csv nor in .csv.gz")


def tell_dialect(path: Path, uri: str = "") -> Dialect:
    """Detect how to read an upload, from all of its bytes and its first two rows.

    Args:
        path: CSV text, plain or gzipped.
        uri: the name of the upload, for the sentence of a refusal.

    Raises:
        RefusedError: if the file as a whole is no upload.
    """
    encoding = tell_encoding(path)
    first = b"".join(islice(blocks(path, encoding), 2))[:_HEAD]  # a last line without an end is a block of its own
    lines = first.decode("utf-8", "replace").splitlines(keepends=True) if first.isascii() else _lines(first)
    head = [*islice(_records(lines, Quotes(_DELIMITERS)), 2)]
    candidates = [(d, cells_or_none(text, d) or []) for _, _, text in head for d in _DELIMITERS]
    hint = ""
    if re.search(r"(?:^|/)[^/=]+=[^/=]+/", uri):
        hint = "; values in the names of folders (name=value) are not read: they have to be columns"
    header, position = header_of(candidates, head[0][2] if head else "", hint)
    start, end, text = head[position // len(_DELIMITERS)]
    return Dialect(encoding, header, text, start + 1, end)


def read_rows(path: Path, dialect: Dialect, styles: NumberStyles) -> Iterator[pa.Table]:
    """Stream the rows below the header; blank rows are none.

    Args:
        path: the file.
        dialect: as it was told.
        styles: how its numbers are written, as far as that is known; learns what is seen.

    Yields:
        Tables of text columns: the raw columns by name (null where empty or absent), ``extra`` (others as JSON),
        ``text`` (the row as it was, perhaps with its line end), ``problems`` (reasons why the row does not fit the raw
        contract, one a line, or null), and the ``line_number`` on which the row starts.
    """

    def work(cut: "_Cut") -> pa.Table:
        return clean(cut.table(), dialect.header.names, styles)

    with ThreadPoolExecutor(_THREADS) as pool:  # pyarrow cuts without Python's lock
        running: list[Future[pa.Table]] = []
        for cut in _cuts(path, dialect):
            running.append(pool.submit(work, cut))
            if len(running) > _THREADS:
                yield running.pop(0).result()
        for future in running:
            yield future.result()


def _cuts(path: Path, dialect: Dialect) -> Iterator["_Cut"]:
    """Yield the blocks below the header; the irregular lines of each are separate."""
    carry, line, skip, before = b"", 1, dialect.lines_above, b""
    stream = blocks(path, dialect.encoding)
    block = next(stream, None)
    while block is not None:
        following = next(stream, None)
        if skip:
            at, passed = _below(block, skip)
            line, block, skip = line + passed, block[at:], skip - passed
        cut = _Cut(carry + block, line, dialect, following is None, before)
        yield cut
        carry, line, before = cut.carry, cut.next_line, block[-LONGEST_ROW:].rstrip(b"\r\n")
        before = before[max(before.rfind(b"\n"), before.rfind(b"\r")) + 1 :]
        block = following


def _below(block: bytes, count: int) -> tuple[int, int]:
    """Where a block goes on after some lines, and how many it had of them."""
    ends = [end.end() for end in islice(re.finditer(rb"\r\n|\n|\r|(?<=[^\r\n])\Z", block), count)]
    return (ends[-1] if ends else 0), len(ends)


class _Cut:
    """One block of whole lines; the lines that pyarrow cannot split are separate."""

    def __init__(self, block: bytes, first_line: int, dialect: Dialect, is_last: bool, before: bytes) -> None:
        self._dialect, self._first_line, self._is_last = dialect, first_line, is_last
        self._plain = self._original = block
        self._index: np.ndarray | None = None  # of the plain lines; None: all
        self._odd: list[tuple[int, str]] = []
        self.carry = b""
        if b'"' in block:
            self._plain = dialect.quotes.unquoted(block)
            if b'"' in self._plain:
                self._take_apart(block)
        self._plain, self._original = map(_with_line_feeds, (self._plain, self._original))
        count = _count_lines(self._original) if self._index is None else self._count
        self.next_line = first_line + count
        # A last line without an end may be cut off, unless it has as many cells as the line before it.
        delimiter = dialect.header.delimiter.encode()
        has_end = block.endswith((b"\n", b"\r")) or block.count(delimiter) == before.count(delimiter)
        self._may_be_cut_off = is_last and not has_end
        self._last_index = count - 1

    def _take_apart(self, block: bytes) -> None:
        """Put rows with quotes that matter beside the plain lines; keep a row that goes on in the next block."""
        lines, simple = block.splitlines(keepends=True), self._plain.splitlines(keepends=True)
        plain, at, quotes = [], 0, self._dialect.quotes
        while at < len(lines):
            if b'"' not in simple[at]:
                plain.append(at)
                at += 1
                continue
            end = quotes.end_of_record(lines, at)
            if end is None and not self._is_last:
                self.carry = b"".join(lines[at:])
                break
            end = end or at + 1
            self._odd.append((at, b"".join(lines[at:end]).decode("utf-8", "surrogatepass").rstrip("\r\n")))
            at = end
        self._count = at
        self._index = np.array(plain, dtype=np.int64)
        self._plain = b"".join(simple[i] for i in plain)
        self._original = b"".join(lines[i] for i in plain)

    def table(self) -> pa.Table:
        """All rows of the block in their order, cut: ``c0``, ``c1``, …, ``text``, ``line_number``, ``problem``."""
        tables, odd = [], [*self._odd]
        if self._plain:
            regular, irregular = self._regular()
            tables.append(regular)
            odd += irregular
        if odd:
            tables.append(self._irregular(odd))
        if not tables:
            return _schema(len(self._dialect.header.names)).empty_table()
        table = pa.concat_tables(tables)
        return (table.sort_by("line_number") if len(tables) > 1 else table).combine_chunks()

    def _regular(self) -> tuple[pa.Table, list[tuple[int, str]]]:
        """The lines that pyarrow can cut, and the others with their index."""
        names, delimiter = self._dialect.header.names, self._dialect.header.delimiter
        width = self._plain[: self._plain.find(b"\n")].count(delimiter.encode()) + 1
        if not self._dialect.last_required + 1 < width <= _MOST_CELLS or self._may_be_cut_off:
            width = len(names)
        others: list[tuple[int, str]] = []

        def skip(row: arrow_csv.InvalidRow) -> str:
            others.append((row.number - 1, row.text))
            return "skip"

        columns = [f"c{position}" for position in range(width)]
        text = self._plain if self._plain.endswith(b"\n") else self._plain + b"\n"
        cells = arrow_csv.read_csv(
            pa.BufferReader(text),
            arrow_csv.ReadOptions(column_names=columns, use_threads=False, block_size=len(text) + 1),
            arrow_csv.ParseOptions(
                delimiter=delimiter, quote_char=False, ignore_empty_lines=False, invalid_row_handler=skip
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
        texts = _line_array(self._original)
        index = np.arange(len(texts))
        if others:
            index = np.delete(index, [at for at, _ in others])
            texts = texts.take(pa.array(index))
        lines = self._index[index] if self._index is not None else index
        problem = pa.nulls(len(cells), pa.string())
        if width > len(names):
            problem = self._surplus(cells, width)
        arrays = [
            whole(cells[f"c{position}"]) if position < width else pa.nulls(len(cells), pa.string())
            for position in range(len(names))
        ]
        table = pa.Table.from_arrays(
            [*arrays, texts, pa.array(lines + self._first_line), problem], schema=_schema(len(names))
        )
        original = self._original.splitlines() if others else []
        return table, [
            (int(self._index[at]) if self._index is not None else at, original[at].decode("utf-8", "surrogatepass"))
            for at, _ in others
        ]

    def _surplus(self, cells: pa.Table, width: int) -> pa.Array:
        """What is wrong with rows of more cells than names: nothing where those cells are empty."""
        is_filled = np.zeros(len(cells), bool)
        for position in range(len(self._dialect.header.names), width):
            column = cells[f"c{position}"]
            if column.null_count < len(column):
                filled = pc.call_function("utf8_trim", [column], pc.TrimOptions(BLANKS))
                is_filled |= np.array([bool(value) for value in filled.to_pylist()])
        said = self._counts(width)
        return pa.array([said if filled else None for filled in is_filled], pa.string())

    def _irregular(self, odd: Sequence[tuple[int, str]]) -> pa.Table:
        """Rows cut by the csv module; blank ones are left out."""
        names, delimiter = self._dialect.header.names, self._dialect.header.delimiter
        rows, kept = [], []
        for at, text in odd:
            if not text.strip(BLANKS + delimiter + '"'):
                continue
            cells = self._dialect.quotes.cells(text)
            is_cut_off = self._may_be_cut_off and at == self._last_index
            problem = OPEN_QUOTE if cells is None else self._malformed(cells, is_cut_off)
            kept_cells = [] if problem else (cells or [])[: len(names)]
            rows.append([cell or None for cell in kept_cells] + [None] * (len(names) - len(kept_cells)))
            kept.append((text, at + self._first_line, problem))
        columns = [*zip(*rows, strict=True)] if rows else [()] * len(names)
        more = [*zip(*kept, strict=True)] if kept else [()] * 3
        schema = _schema(len(names))
        return pa.Table.from_arrays(
            [pa.array(c, f.type) for c, f in zip([*columns, *more], schema, strict=True)], schema=schema
        )

    def _malformed(self, cells: Sequence[str], is_cut_off: bool) -> str | None:
        """Why cells do not fit the names; None if they do, but for empty cells too many or too few at the end."""
        names = self._dialect.header.names
        if len(cells) == len(names):
            return None
        if len(cells) > len(names):
            return self._counts(len(cells)) if "".join(cells[len(names) :]).strip(BLANKS) else None
        # A cell that a delimiter follows is whole. A required one at the end of a short row may be cut off.
        if len(cells) - 1 <= self._dialect.last_required:
            return self._counts(len(cells))
        return CUT_OFF if is_cut_off else None

    def _counts(self, cells: int) -> str:
        names = len(self._dialect.header.names)
        return f"the row has {cells:,} cell{'s' if cells > 1 else ''}, and the header {names:,} names"


def _records(lines: Sequence[str], quotes: Quotes) -> Iterator[tuple[int, int, str]]:
    """Rows of text that are not blank, each with the index of its first line and the one behind its last."""
    encoded, at = [line.encode("utf-8", "surrogatepass") for line in lines], 0
    while at < len(lines):
        end = quotes.end_of_record(encoded, at) or at + 1
        text = "".join(lines[at:end]).rstrip("\r\n")
        if text.strip(BLANKS):
            yield at, end, text
        at = end


def _lines(block: bytes) -> list[str]:
    return [line.decode("utf-8", "replace") for line in block.splitlines(keepends=True)]


def _with_line_feeds(block: bytes) -> bytes:
    return block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block


def _count_lines(block: bytes) -> int:
    return block.count(b"\n") + (not block.endswith(b"\n") and bool(block))


def _line_array(block: bytes) -> pa.Array:
    """The lines of a block as an array that shares its bytes; each line but the last has its line feed."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))


def _schema(width: int) -> pa.Schema:
    cells: Iterable[tuple[str, pa.DataType]] = ((f"c{position}", pa.string()) for position in range(width))
    return pa.schema([*cells, ("text", pa.string()), ("line_number", pa.int64()), ("problem", pa.string())])
