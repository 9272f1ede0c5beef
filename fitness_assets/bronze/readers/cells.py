"""Reads the text of one cell: trims it, recognises markers of empty cells, and reads days and genders.

This module needs nothing but the cell; ``numbers.py`` finds out how a file writes numbers. The engine gives each cell
its type afterwards (``transforms.py``).
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import date

from fitness_assets.schema.table import Column

BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
    "\u205f\u3000"  # Unicode's white space
    "\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
"""Characters around a cell that are no part of it: white space, zero-width characters and marks."""

MARKERS = frozenset(("na", "n/a", "null", "none", "nan", r"\n", "-", "--"))
"""Texts, in lower case, that mean an empty cell where a cell may be empty."""

_FORMULA = re.compile(r'="(.*)"', re.DOTALL)  # how spreadsheets keep a number as text
_DAY = re.compile(
    r"(\d{4})([-/])(\d{1,2})\2(\d{1,2})(?:[T ]0{1,2}:00(?::00(?:\.0{1,9})?)?(?:Z|\+00:?00)?)?", re.ASCII | re.IGNORECASE
)
_GENDERS = {"m": "M", "male": "M", "f": "F", "female": "F"}
_SHOWN = 60  # characters of a cell in a reason


def trimmed(text: str) -> str:
    """A cell without what surrounds it."""
    text = text.strip(BLANKS)
    formula = _FORMULA.fullmatch(text)
    return formula[1].strip(BLANKS) if formula else text


def shown(text: str, most: int = _SHOWN) -> str:
    """Text from outside as part of a sentence: on one line, shortened, with escapes for unprintable characters."""
    cut = text[: most + 1]
    visible = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut[:most])
    return visible + "…" if len(cut) > most else visible


def listed(names: Iterable[str], most: int = 200) -> str:
    """Names from outside as part of a sentence."""
    return shown(", ".join(name or "(no name)" for name in names), most)


def empty_to_none(column: Column, text: str) -> str | None:
    """A trimmed cell; None where it is empty or a marker of a missing value."""
    return None if not text or (column.nullable and text.lower() in MARKERS) else text


def gender(text: str) -> str | None:
    """M or F; None for any other word."""
    return _GENDERS.get(text.lower())


def person(text: str) -> str:
    """An id in Unicode form NFC, so that two ways to write a letter are one person."""
    return unicodedata.normalize("NFC", text)


def day(text: str) -> str | None:
    """A day as YYYY-MM-DD; None if the text is no day, or could be read as more than one.

    The year stands first, so that no order is guessed. A time other than midnight UTC is no day.
    """
    match = _DAY.fullmatch(text)
    if not match:
        return None
    try:
        return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
    except ValueError:
        return None
