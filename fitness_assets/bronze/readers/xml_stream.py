"""Streams the elements of a large XML file from outside, and repairs known errors.

The document type is removed before parsing, so there are no entities except the five of XML. Characters that XML does
not allow are dropped. After an error, reading continues in the next line.
"""

import re
from collections.abc import Callable, Iterator
from typing import IO
from xml.parsers import expat

from fitness_assets.bronze.readers.header import RefusedError

_CHUNK = 1 << 20
_LONGEST_LINE = 16 << 20  # bytes; also of one element
_LONGEST_TYPE = 1 << 20  # bytes of the document type
_DEEPEST = 100
_MOST_ERRORS = 100_000
_NO_END = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
"""The error of a file that ends before its root element does, but not within a tag."""
_FORBIDDEN = bytes(code for code in range(32) if code not in b"\t\n\r")

Handle = Callable[[str, dict[str, str]], None]
"""Takes the name and the attributes of an element."""


class Elements:
    """Reads elements in the order in which they start.

    Args:
        root: the name of the root element.
        handle: takes each element.

    Attributes:
        has_end: whether the root element ended.
        dropped_characters: how many characters that XML does not allow were dropped.
        unreadable_lines: how many lines could not be parsed.
    """

    def __init__(self, root: str, handle: Handle) -> None:
        self._root, self._handle = root.encode(), handle
        self.has_end = False
        self.dropped_characters = self.unreadable_lines = 0
        self._depth = self._fed = 0
        self._parser = self._new_parser()

    def read(self, file: IO[bytes]) -> Iterator[None]:
        """Read a file; yields whenever the elements of some lines were handled.

        Raises:
            RefusedError: if it is not XML in lines, or has too many errors.
        """
        for block in _without_type(_blocks(file)):
            clean = block.translate(None, _FORBIDDEN)
            self.dropped_characters += len(block) - len(clean)
            self._feed(clean)
            yield
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            self.unreadable_lines += error.code != _NO_END
        yield

    def _feed(self, block: bytes) -> None:
        while block:
            try:
                self._parser.Parse(block, False)
            except expat.ExpatError:
                at = max(self._parser.ErrorByteIndex - self._fed, 0)
                start = block.rfind(b"\n", 0, at) + 1
                end = block.find(b"\n", at) + 1 or len(block)
                # An element that was skipped leaves its end behind; this is no further error.
                if not block[start:end].lstrip().startswith(b"</"):
                    self.unreadable_lines += 1
                if self.unreadable_lines > _MOST_ERRORS:
                    raise RefusedError(f"more than {_MOST_ERRORS:,} lines of the XML file cannot be read") from None
                block = block[end:]
                self._parser = self._new_parser()
                self._feed_root()
            else:
                self._fed += len(block)
                if self._fed - self._parser.CurrentByteIndex > _LONGEST_LINE:
                    raise RefusedError("an element of the XML file has no end")
                return

    def _feed_root(self) -> None:
        opening = b"<" + self._root + b">"
        self._parser.Parse(opening, False)
        self._fed = len(opening)

    def _new_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate()
        self._depth = self._fed = 0

        def start(name: str, attributes: dict[str, str]) -> None:
            self._depth += 1
            if self._depth > _DEEPEST:
                raise RefusedError("the XML file is nested too deeply")
            self._handle(name, attributes)

        def end(_: str) -> None:
            self._depth -= 1
            self.has_end = self.has_end or not self._depth

        def refuse(*_: object) -> None:
            raise RefusedError("the XML file has a document type inside: no vendor writes such files")

        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.StartDoctypeDeclHandler = refuse
        return parser


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Whole lines, some at a time."""
    rest = b""
    while chunk := file.read(_CHUNK):
        rest += chunk
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]
        elif len(rest) > _LONGEST_LINE:
            raise RefusedError("a line of the XML file is longer than any export has")
    if rest:
        yield rest


def _without_type(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks without the document type at the start: that of iOS 16 is malformed."""
    head = b""
    for block in blocks:
        head += block
        start = head.find(b"<!DOCTYPE")
        root = re.search(rb"<[A-Za-z]", head)
        if start >= 0 and (root is None or start < root.start()):
            bracket, close = head.find(b"[", start), head.find(b">", start)
            has_subset = 0 <= bracket < close
            end = head.find(b"]>", start) + 2 if has_subset else close + 1
            if end <= (1 if has_subset else 0) or (not has_subset and close < 0):
                if len(head) > _LONGEST_TYPE:
                    raise RefusedError("the document type of the XML file has no end")
                continue
            head = head[:start] + head[end:]
        elif root is None and len(head) <= _LONGEST_TYPE:
            continue
        break
    yield head
    yield from blocks
