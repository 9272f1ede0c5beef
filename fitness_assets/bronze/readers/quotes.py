"""Handles quotes: finds the end of a row whose cells span lines, and splits rows with quotes."""

import csv
import re
from collections.abc import Sequence

from fitness_assets.bronze.readers.files import LONGEST_ROW

_QUOTED_LINES = 1_000  # a quoted cell over more lines than this, or in a longer row, is taken for a stray quote

csv.field_size_limit(LONGEST_ROW)


class Quotes:
    """How quotes are recognised in the rows of a file, for one delimiter or for all possible ones."""

    def __init__(self, delimiters: str) -> None:
        self._delimiters = delimiters
        blanks = " " if "\t" in delimiters else r" \t"  # a tab that is a delimiter is no blank as well
        self._open = re.compile(rf'(?:^|[{delimiters}])[{blanks}]*"[^"]*+(?:""[^"]*+)*+\Z')
        # A closing quote before a delimiter looks like one that opens: what counts is open without the closed cells.
        self._closed = re.compile(
            rf'(^|[{delimiters}])[{blanks}]*("[^"]*+(?:""[^"]*+)*+")[{blanks}]*+(?![^{delimiters}])'
        )
        inner = delimiters.encode()
        self._simple = re.compile(
            rb"(?:(?<=[" + inner + rb'\n\r])|\A)[ ]*"([^"\r\n' + inner + rb']*)"[ ]*(?=[' + inner + rb"\r\n]|\Z)"
        )

    def unquoted(self, block: bytes) -> bytes:
        """A block without the quotes around cells that do not need them."""
        return self._simple.sub(rb"\1", block)

    def cells(self, text: str) -> list[str] | None:
        """The cells of a row; None if a quote is not closed, or text follows a closing one."""
        if '"' not in text:
            return text.split(self._delimiters)
        if any(beside in text for beside in (' "', '" ', '\t"', '"\t')):  # blanks around quotes are no part of a cell
            text = self._closed.sub(r"\1\2", text)
        return cells_or_none(text, self._delimiters)

    def end_of_record(self, lines: Sequence[bytes], at: int) -> int | None:
        """The line after which a row ends; None if these lines do not show it.

        A quoted cell may span lines. If no line nearby closes it, the quote is a stray one, and the row ends at once.
        """
        if lines[at].count(b'"') % 2 == 0 or not self._is_open(lines[at].decode("utf-8", "replace").rstrip("\r\n")):
            return at + 1
        room = LONGEST_ROW - len(lines[at])
        for following in range(at + 1, min(len(lines), at + 1 + _QUOTED_LINES)):
            room -= len(lines[following])
            if room < 0:
                return at + 1
            if lines[following].count(b'"') % 2:
                return following + 1
        return None if len(lines) - at <= _QUOTED_LINES else at + 1

    def _is_open(self, text: str) -> bool:
        return bool(self._open.search(text) and self._open.search(self._closed.sub(r"\1", text)))


def cells_or_none(text: str, delimiter: str) -> list[str] | None:
    """The cells of a row as Python's csv module cuts it; None if its quotes do not fit."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t"), [])
    except csv.Error:
        return None
