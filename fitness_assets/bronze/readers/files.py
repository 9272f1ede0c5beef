"""Detects the encoding of an upload, and yields its text in blocks of whole lines.

A file is streamed, never held in memory as a whole. It is read once from start to end before any of its rows counts, so
damage anywhere in the file refuses all of it.
"""

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from fitness_assets.bronze.readers.header import RefusedError

_CHUNK = 1 << 20  # bytes
LONGEST_ROW = 2 * _CHUNK
"""Bytes of the longest row that is read as one; a line is shorter, for no chunk is without a line end."""

_BLOCK = 16 << 20  # bytes
_MOST_UNPACKED, _MOST_TIMES = 256 << 20, 200  # a gzip file of more bytes than this, and so many times its size
_BOM = codecs.BOM_UTF8

_SIGNS = (
    (b"PK\x03\x04", "it is a ZIP archive: unpack it"),
    (b"\xd0\xcf\x11\xe0", "it is an Excel workbook: save it as CSV"),
    (b"%PDF", "it is a PDF: save the table as CSV"),
    (b"PAR1", "it is a Parquet file: save it as CSV"),
    (b"SQLite format 3", "it is a database: save the table as CSV"),
)
_WORKBOOK = (b"[Content_Types].xml", b"xl/")
NO_LINES = "the file is not CSV text: it has no line end within a million characters"
NO_TEXT = "the file is not text in UTF-8, UTF-16 or Windows-1252"
DAMAGED = "the file is gzip, but damaged or cut off"


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a file are text.

    Attributes:
        name: a Python codec.
        label: the name for a person.
        length: bytes that are text; None where that is all of them.
        warnings: sentences about what was guessed or left out.
    """

    name: str
    label: str
    length: int | None = None
    warnings: tuple[str, ...] = ()


def tell_encoding(path: Path) -> Encoding:
    """Read all of a file to tell its encoding.

    Raises:
        RefusedError: if the file is no text, empty, damaged, or expands without measure.
    """
    utf8, is_utf8, offset, length = codecs.getincrementaldecoder("utf-8")(), True, 0, None
    chunks = _chunks(path)
    for chunk in chunks:
        if offset == 0 and (encoding := _by_first_bytes(path, chunk)):
            return encoding
        if length is not None:
            if chunk.strip(b"\0\r\n"):
                raise RefusedError(f"the file is not CSV text: it has null bytes from byte {length + 1:,} on")
            continue
        if b"\0" in chunk:
            text = chunk[: chunk.index(b"\0")]
            length = offset + len(text)
            if chunk[len(text) :].strip(b"\0\r\n"):
                raise RefusedError(f"the file is not CSV text: it has null bytes from byte {length + 1:,} on")
            chunk = text
        elif len(chunk) == _CHUNK and b"\n" not in chunk and b"\r" not in chunk:
            raise RefusedError(NO_LINES)
        if is_utf8 and not (chunk.isascii() and not utf8.getstate()[0]):
            try:
                utf8.decode(chunk)
            except UnicodeDecodeError:
                is_utf8 = False
        offset += len(chunk)
    warnings = () if length is None else (f"null bytes from byte {length + 1:,} to the end were left out",)
    # A file that is cut inside its last character is no whole UTF-8, and Windows-1252 has a character for most bytes.
    if is_utf8 and not utf8.getstate()[0]:
        return Encoding("utf-8", "UTF-8", length, warnings)
    guessed = "the text is not UTF-8, so its encoding was guessed (Windows-1252): save it as UTF-8 to be sure of names"
    return _checked(path, Encoding("cp1252", "Windows-1252, guessed", length, (*warnings, guessed)))


def blocks(path: Path, encoding: Encoding) -> Iterator[bytes]:
    """The text as UTF-8 in blocks of whole lines, without byte-order marks; the last line may have no end."""
    decoder = codecs.getincrementaldecoder(encoding.name)() if encoding.name != "utf-8" else None
    rest, is_first, left = b"", True, encoding.length
    for chunk in _chunks(path, _BLOCK):
        if left is not None:
            chunk, left = chunk[:left], left - min(left, len(chunk))
        text = decoder.decode(chunk).encode("utf-8", "surrogatepass") if decoder else chunk
        if is_first:
            while text.startswith(_BOM):
                text = text.removeprefix(_BOM)
            is_first = False
        rest += text
        end = max(rest.rfind(b"\n"), rest.rfind(b"\r", 0, len(rest) - 1)) + 1  # a CR at the end may be half a CRLF
        if end:
            yield rest[:end]
            rest = rest[end:]
    if decoder:
        rest += decoder.decode(b"", final=True).encode()
    if rest:
        yield rest


def _by_first_bytes(path: Path, chunk: bytes) -> Encoding | None:
    """What the first bytes say: a file that is no text, UTF-16, or nothing."""
    for sign, what in _SIGNS:
        if chunk.startswith(sign):
            is_workbook = sign.startswith(b"PK") and all(part in chunk for part in _WORKBOOK)
            raise RefusedError("it is an Excel workbook: save it as CSV" if is_workbook else what)
    if chunk.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise RefusedError(NO_TEXT)
    if not chunk.strip():
        raise RefusedError("the file is empty")
    if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(path, Encoding("utf-16", "UTF-16"))
    if len(chunk) >= 4 and chunk[:4].count(0) == 2:  # two ASCII characters, as a header starts, without a mark
        name = "utf-16-be" if chunk[0] == 0 else "utf-16-le"
        return _checked(path, Encoding(name, "UTF-16"))
    return None


def _checked(path: Path, encoding: Encoding) -> Encoding:
    """Decode all of the file, so that a row further down cannot fail later."""
    decoder, left = codecs.getincrementaldecoder(encoding.name)(), encoding.length
    try:
        for chunk in _chunks(path):
            if left is not None:
                chunk, left = chunk[:left], left - min(left, len(chunk))
            text = decoder.decode(chunk)
            if "\0" in text:
                raise RefusedError("the file is not CSV text: it has null characters")
            if len(chunk) == _CHUNK and not re.search(r"[\r\n]", text):
                raise RefusedError(NO_LINES)
        decoder.decode(b"", final=True)
    except UnicodeError:
        raise RefusedError(NO_TEXT) from None
    return encoding


def _chunks(path: Path, size: int = _CHUNK) -> Iterator[bytes]:
    """The bytes of a file, unpacked if it is gzip, whatever its name says.

    Raises:
        RefusedError: if it is a damaged gzip file, or one that expands without measure.
    """
    packed, unpacked = path.stat().st_size, 0
    with path.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
    with cast(IO[bytes], gzip.open(path, "rb")) if is_gzip else path.open("rb") as file, _plain_gzip_errors():
        first = True
        while (chunk := file.read(size)) or first:
            first = False
            unpacked += len(chunk)
            if is_gzip and unpacked > _MOST_UNPACKED and unpacked > _MOST_TIMES * packed:
                raise RefusedError(f"the gzip file expands to more than {_MOST_TIMES} times its size: it is no log")
            yield chunk
            if not chunk:
                return


@contextmanager
def _plain_gzip_errors() -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise RefusedError(DAMAGED) from None
